//! The status page: what it answers, to whom, and what it keeps to itself.

use std::collections::HashSet;

use serde_json::{Value, json};
use shared::queue::Keys;
use xtask::http::{Answer, Http};
use xtask::wait;

use crate::helpers::{DEAD, DEADLINE, EVENTS, RETRY, Worker, World, database, user};

async fn get(worker: &Worker, path: &str) -> Answer {
    let url = format!("http://{}{path}", worker.admin);
    Http::new().get(&url).await.unwrap()
}

async fn json_of(worker: &Worker, path: &str) -> Value {
    serde_json::from_str(&get(worker, path).await.body).unwrap()
}

/// Polls until the snapshot is as it should be: it may be a second old, and a worker needs a moment.
pub(crate) async fn snapshot(
    worker: &Worker,
    what: &str,
    is_right: impl Fn(&Value) -> bool,
) -> Value {
    let right = tokio::sync::Mutex::new(Value::Null);
    wait::until(what, DEADLINE, async || {
        let snapshot = json_of(worker, "/status.json").await;
        let is_right = is_right(&snapshot);
        *right.lock().await = snapshot;
        is_right
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
    right.into_inner()
}

pub(crate) fn problem<'a>(snapshot: &'a Value, store: &str) -> &'a Value {
    let mut stores = snapshot["stores"].as_array().unwrap().iter();
    &stores.find(|found| found["name"] == store).unwrap()["problem"]
}

/// P11
#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_tells_what_is_where_and_nobodys_data() {
    let world = World::new();
    let worker = world.worker();
    world.add("msg_good", &user("user_1", "ada@example.com", 1).created());
    let without_address = user("user_2", "bob@example.com", 1).email(None);
    world.add("msg_dead", &without_address.created());
    world.settle();
    world.add("msg_wait", &user("user_3", "ada@example.com", 1).created());
    let snapshot = snapshot(&worker, "all of it is told", |snapshot| {
        snapshot["queue"]["retries"]["rows"][0]["svix_id"] == "msg_wait"
            && snapshot["queue"]["dead_letters"] == 1
            && snapshot["outcomes"][0]["svix_id"] == "msg_good"
    })
    .await;
    let queue = &snapshot["queue"];
    let letter = &queue["letters"]["rows"][0];
    assert_eq!(letter["svix_id"], "msg_dead");
    assert_eq!(
        letter["reason"],
        "data.primary_email_address says nothing, and column \"email\" takes no NULL (table public.users)"
    );
    assert_eq!(
        letter["replay"],
        "redis-cli --eval replay.lua '{clerk:0}:dead' '{clerk:0}:events' , msg_dead"
    );
    let retry = &queue["retries"]["rows"][0];
    assert!(
        retry["reason"].as_str().unwrap().contains("user_1"),
        "{retry}"
    );
    assert_eq!(queue["consumers"]["rows"][0]["name"], snapshot["consumer"]);
    assert_eq!(snapshot["counts"]["outcomes"]["applied"], 1);
    let slowest = snapshot["counts"]["latencies"].as_array().unwrap().last();
    assert_eq!(slowest, Some(&json!([null, 1])));
    assert_eq!(snapshot["outcomes"][0]["outcome"], "applied");
    for store in ["Redis (queue)", "Redis (cache)", "PostgreSQL"] {
        assert_eq!(problem(&snapshot, store), &Value::Null);
    }
    let text = snapshot.to_string();
    assert!(
        !text.contains("example.com") && !text.contains("Lovelace"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_says_what_explain_says() {
    let world = World::new();
    let worker = world.worker();
    world.add("msg_1", &user("user_1", "ada@example.com", 1).created());
    world.settle();
    let found = json_of(&worker, "/status/event?svix_id=msg%5F1").await;
    let text = found["text"].as_str().unwrap();
    assert!(text.starts_with("msg_1\napplied: user.created"), "{text}");
    assert_eq!(found["explanation"]["recorded"]["object_id"], "user_1");
    let unknown = json_of(&worker, "/status/event?svix_id=msg_2").await;
    assert!(unknown["text"].as_str().unwrap().contains("It never came"));
    world.redis.pause().unwrap();
    let silent = json_of(&worker, "/status/event?svix_id=msg_1").await;
    world.redis.resume().unwrap();
    let text = silent["text"].as_str().unwrap();
    assert!(
        text.contains("applied") && text.contains("Redis does not answer in time"),
        "{text}"
    );
    for query in [
        "",
        "?svix_id=",
        "?svix_id=a%27b",
        "?svix_id=%3Cb%3E",
        "?other=msg_1",
    ] {
        let answer = get(&worker, &format!("/status/event{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.body.contains("letters, digits"), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_only_be_read_and_a_browser_is_told_to_be_careful() {
    let world = World::new();
    let worker = world.worker();
    let http = Http::new();
    for path in ["/status", "/status.json", "/status/event?svix_id=msg_1"] {
        let url = format!("http://{}{path}", worker.admin);
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = http.send(method, &url, &[] as &[(&str, &str)], "");
            let answer = answer.await.unwrap();
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
        let head = http.send("HEAD", &url, &[] as &[(&str, &str)], "");
        let head = head.await.unwrap();
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        let answer = get(&worker, path).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    for (path, status) in [("/status", 421), ("/status.json", 421), ("/metrics", 200)] {
        let url = format!("http://{}{path}", worker.admin);
        let rebound = http.send("GET", &url, &[("host", "rebind.example:9101")], "");
        assert_eq!(rebound.await.unwrap().status, status, "{path}");
    }
    assert_eq!(get(&worker, "/status/").await.status, 404);
    let page = get(&worker, "/status").await.body;
    // Nothing from elsewhere, and no way for text to become markup.
    for text in [
        "http://",
        "https://",
        "//cdn",
        "innerHTML",
        "insertAdjacentHTML",
        "eval(",
    ] {
        let without_namespace = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!without_namespace.contains(text), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_are_cut_and_what_is_heavy_is_not_read() {
    let world = World::new();
    let worker = world.worker();
    let fill = "for i = 1, 60 do \
         redis.call('XADD', KEYS[1], '*', 'svix-id', 'msg_' .. i, 'reason', string.rep('r', 9999)) \
         local due = string.format('%.0f', 4e12 + i) \
         redis.call('ZADD', KEYS[2], due, 'wait_' .. i) \
         redis.call('HSET', KEYS[3], 'wait_' .. i, cmsgpack.pack({'reason', 'held up', 'attempts', '2'})) \
       end redis.call('HSET', KEYS[3], 'wait_2', 'junk') return 1";
    let keys = Keys::of(0);
    world.redis(&["EVAL", fill, "3", DEAD, RETRY, &keys.retry_entries]);
    let is_full = |snapshot: &Value| snapshot["queue"]["dead_letters"] == 60;
    let full = snapshot(&worker, "the lists are long", is_full).await;
    for list in ["letters", "retries"] {
        let list = &full["queue"][list];
        assert_eq!(list["rows"].as_array().unwrap().len(), 50);
        assert_eq!(list["more"], 10);
    }
    let retry = &full["queue"]["retries"]["rows"][0];
    assert_eq!(
        (&retry["svix_id"], &retry["reason"]),
        (&json!("wait_1"), &json!("held up"))
    );
    let letter = &full["queue"]["letters"]["rows"][0];
    assert_eq!(letter["svix_id"], "msg_60");
    assert_eq!(letter["reason"].as_str().unwrap().len(), 400);
    let heavy = "local heavy = string.rep('x', 2 ^ 20) \
       for i = 1, 20 do redis.call('XADD', KEYS[1], '*', 'svix-id', 'heavy', 'payload', heavy) end return 1";
    world.redis(&["EVAL", heavy, "1", DEAD]);
    let is_heavy = |snapshot: &Value| snapshot["queue"]["dead_letters"] == 80;
    let heavy = snapshot(&worker, "there are heavy letters", is_heavy).await;
    let rows = heavy["queue"]["letters"]["rows"].as_array().unwrap().len();
    assert_eq!(rows, 8);
    assert_eq!(heavy["queue"]["letters"]["more"], 72);
}

/// What an attacker writes is text, and never a command to copy.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_stays_text() {
    let world = World::new();
    let worker = world.worker();
    let reason = "</script><img src=x onerror=alert(1)>\x1b[31m";
    let id = "$(id)'<b>";
    world.redis(&[
        "XADD", DEAD, "*", "svix-id", id, "payload", "{}", "reason", reason,
    ]);
    let has_letter = |snapshot: &Value| snapshot["queue"]["dead_letters"] == 1;
    let snapshot = snapshot(&worker, "the letter is told", has_letter).await;
    let letter = &snapshot["queue"]["letters"]["rows"][0];
    assert_eq!(letter["svix_id"], id);
    assert_eq!(letter["replay"], Value::Null);
    assert_eq!(letter["reason"], reason.replace('\x1b', " "));
    let answer = get(&worker, "/status.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    // The page itself holds nothing from outside.
    assert!(!get(&worker, "/status").await.body.contains("onerror"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_named_and_costs_its_own_part_alone() {
    let mut world = World::new();
    let worker = world.worker();
    world.add("msg_1", &user("user_1", "ada@example.com", 1).created());
    world.settle();
    world.sql("alter table clerk_sync.events rename to hidden");
    let no_ledger = |snapshot: &Value| snapshot["outcomes"].is_null();
    let without_ledger = snapshot(&worker, "PostgreSQL is named", no_ledger).await;
    assert!(problem(&without_ledger, "PostgreSQL").is_string());
    assert_eq!(without_ledger["queue"]["backlog"], 0);
    world.sql("alter table clerk_sync.hidden rename to events");
    world.redis.kill();
    let no_redis = |snapshot: &Value| snapshot["queue"].is_null();
    let without_redis = snapshot(&worker, "Redis is named", no_redis).await;
    assert!(problem(&without_redis, "Redis (queue)").is_string());
    assert!(problem(&without_redis, "Redis (cache)").is_string());
    assert_eq!(without_redis["counts"]["outcomes"]["applied"], 1);
    assert_eq!(get(&worker, "/status").await.status, 200);
    let found = json_of(&worker, "/status/event?svix_id=msg_1").await;
    let text = found["text"].as_str().unwrap();
    assert!(
        text.contains("applied") && text.contains("Redis cannot be asked"),
        "{text}"
    );
}

/// However long one query takes, and however long all of them together.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_ledger_is_no_trouble_of_postgresql() {
    for slow in [
        "begin; lock table clerk_sync.events",
        "alter table clerk_sync.events rename to quick; create view clerk_sync.events as \
         with slow as materialized (select pg_sleep(0.9)) select quick.* from clerk_sync.quick, slow",
    ] {
        let world = World::new();
        let worker = world.worker();
        world.add("msg_1", &user("user_1", "ada@example.com", 1).created());
        world.settle();
        let session = database(&world).connection().await.unwrap();
        session.batch_execute(slow).await.unwrap();
        let no_ledger = |snapshot: &Value| snapshot["outcomes"].is_null();
        let snapshot = snapshot(&worker, "there are no outcomes", no_ledger).await;
        assert_eq!(problem(&snapshot, "PostgreSQL"), &Value::Null, "{slow}");
        drop(session);
    }
}

/// Many viewers cost the stores no more than one.
#[tokio::test(flavor = "multi_thread")]
async fn viewers_share_a_snapshot() {
    let world = World::new();
    let worker = world.worker();
    let mut viewers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let url = format!("http://{}/status.json", worker.admin);
        viewers.spawn(async move {
            let mut moments = Vec::new();
            for _ in 0..10 {
                let answer = Http::new().get(&url).await.unwrap();
                let snapshot: Value = serde_json::from_str(&answer.body).unwrap();
                moments.push(snapshot["at"].as_u64().unwrap());
            }
            moments
        });
    }
    let moments: HashSet<u64> = viewers.join_all().await.into_iter().flatten().collect();
    let first = moments.iter().min().unwrap();
    let last = moments.iter().max().unwrap();
    let seconds = (last - first) / 1000;
    assert!(moments.len() as u64 <= seconds + 2, "{moments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_event_and_who_holds_what_is_told_of_all_partitions() {
    let world = World::migrated();
    let worker = world.worker_with(&[("REDIS_PARTITIONS", "3"), ("RECLAIM_AFTER_MS", "600000")]);
    // Nobody works here: the group of another program.
    let hold = |partition: u32, count: &str| {
        let events = Keys::of(partition).events;
        world.wait_for("the consumer group is there", |world| {
            world.redis(&["EXISTS", &events]) == "1"
        });
        let now = "local time = redis.call('TIME') \
           for i = 1, tonumber(ARGV[1]) do \
             local id = string.format('%.0f-%d', time[1] * 1000 - 90000, i) \
             redis.call('XADD', KEYS[1], id, 'svix-id', 'msg_' .. i, 'payload', '{}') end \
           redis.call('XREADGROUP', 'GROUP', 'clerk-worker', 'gone', 'COUNT', 9, 'STREAMS', KEYS[1], '>') return 1";
        world.redis(&["EVAL", now, "1", &events, count]);
    };
    hold(0, "2");
    hold(2, "3");
    let holds = |snapshot: &Value| snapshot["queue"]["pending"] == 5;
    let snapshot = snapshot(&worker, "what is held is told", holds).await;
    let queue = &snapshot["queue"];
    assert!((90_000..900_000).contains(&queue["oldest"].as_u64().unwrap()));
    let first = &queue["consumers"]["rows"][0];
    assert_eq!(
        (&first["name"], &first["held"]),
        (&json!("gone"), &json!({"0": 2, "2": 3}))
    );
    assert_eq!(world.redis(&["XLEN", EVENTS]), "2");
}
