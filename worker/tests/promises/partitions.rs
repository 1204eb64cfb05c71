//! Events spread over several streams.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use shared::queue::Keys;
use xtask::free_port::free_port;
use xtask::program::Program;
use xtask::sender::Sender;
use xtask::wait;

use crate::helpers::{DEADLINE, World, user};

const GROUP: &str = "clerk-worker";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const SLOW: &str = "create function slow() returns trigger language plpgsql as $$ \
       begin perform pg_sleep(0.5); return new; end $$; \
     create trigger slow before insert on users for each row execute function slow()";

fn add(world: &World, partition: u32, svix_id: &str, payload: &str) {
    let events = Keys::of(partition).events;
    world.redis(&["XADD", &events, "*", "svix-id", svix_id, "payload", payload]);
}

fn backlog(world: &World, partition: u32) -> u64 {
    let events = Keys::of(partition).events;
    world.redis(&["XLEN", &events]).parse().unwrap()
}

fn waiting(world: &World, partition: u32) -> u64 {
    let retry = Keys::of(partition).retry;
    world.redis(&["ZCARD", &retry]).parse().unwrap()
}

fn pending(world: &World, partition: u32) -> u64 {
    let events = Keys::of(partition).events;
    let pending = world
        .redis
        .cli(&["XPENDING", &events, GROUP])
        .unwrap_or_default();
    pending
        .lines()
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}

/// Waits until a partition holds nothing any more. What moves from one key to another while both are
/// asked is found by asking again.
fn settle(world: &World, partitions: u32) {
    let unfinished = "return redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2])";
    world.wait_for("all events are finished", |world| {
        (0..partitions).all(|partition| {
            let keys = Keys::of(partition);
            world.redis(&["EVAL", unfinished, "2", &keys.events, &keys.retry]) == "0"
        })
    });
}

/// P3, P4: whichever partition an event is in.
#[test]
fn workers_that_share_four_partitions_converge() {
    let world = World::migrated();
    for n in 0..400_u32 {
        let (id, second) = (n % 40, i64::from(n * 7 % 400));
        let payload = user(
            &format!("user_{id}"),
            &format!("{id}-{second}@example.com"),
            second,
        );
        // A user's events lie in all partitions, some of them in two.
        let svix_id = format!("msg_{n}");
        add(&world, n / 40 % 4, &svix_id, &payload.updated());
        if n % 5 == 0 {
            add(&world, (n / 40 + 1) % 4, &svix_id, &payload.updated());
        }
    }
    let settings = [("REDIS_PARTITIONS", "4"), ("BATCH_SIZE", "8")];
    let _workers = [world.worker_with(&settings), world.worker_with(&settings)];
    settle(&world, 4);
    let mut newest = BTreeMap::new();
    for n in 0..400_u32 {
        let second = newest.entry(format!("user_{}", n % 40)).or_insert(0);
        *second = (n * 7 % 400).max(*second);
    }
    let expected: Vec<String> = newest
        .iter()
        .map(|(id, second)| format!("{id} {}-{second}@example.com", &id[5..]))
        .collect();
    assert_eq!(
        world.sql("select id || ' ' || email from users order by id collate \"C\""),
        expected.join("\n")
    );
    assert_eq!(world.sql("select count(*) from clerk_sync.events"), "400");
}

/// P6: the database itself says how much of the flood was applied before the one event.
#[test]
fn a_flooded_partition_does_not_hold_up_another() {
    let world = World::migrated();
    world.sql(
        "create table seen (applied int); \
         create function look() returns trigger language plpgsql as $$ \
           begin insert into seen select count(*) from clerk_sync.events; return new; end $$; \
         create trigger look before insert on users for each row when (new.id = 'user_alone') \
           execute function look()",
    );
    for first in (0..3000).step_by(500) {
        let mut entries = vec![
            "EVAL".to_owned(),
            "for _, payload in ipairs(ARGV) do \
               redis.call('XADD', KEYS[1], '*', 'svix-id', 'msg_' .. payload, 'payload', \
                 '{\"type\":\"session.created\",\"data\":{\"id\":\"' .. payload .. '\"}}') end"
                .to_owned(),
            "1".to_owned(),
            Keys::of(0).events,
        ];
        entries.extend((first..first + 500).map(|n| format!("sess_{n}")));
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        world.redis(&entries);
    }
    let alone = user("user_alone", "alone@example.com", 1).created();
    add(&world, 1, "msg_alone", &alone);
    let _worker = world.worker_with(&[("REDIS_PARTITIONS", "2"), ("BATCH_SIZE", "4")]);
    settle(&world, 2);
    assert_eq!(world.sql("select count(*) from clerk_sync.events"), "3001");
    let applied: u32 = world.sql("select applied from seen").parse().unwrap();
    assert!(applied < 1000, "{applied} of the flood came first");
}

/// P4: also when one waits in another partition than the hash of its id names.
#[test]
fn users_in_different_partitions_swap_their_addresses() {
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        let world = World::migrated();
        let _worker = world.worker_with(&[("REDIS_PARTITIONS", "3")]);
        let first = user("user_a", "a@example.com", 1).created();
        add(&world, a, "msg_1", &first);
        let second = user("user_b", "b@example.com", 1).created();
        add(&world, b, "msg_2", &second);
        settle(&world, 3);
        let first = user("user_a", "b@example.com", 2).updated();
        add(&world, a, "msg_3", &first);
        world.wait_for("the first one waits", |world| waiting(world, a) == 1);
        let second = user("user_b", "a@example.com", 2).updated();
        add(&world, b, "msg_4", &second);
        settle(&world, 3);
        assert_eq!(
            world.users(),
            "user_a Ada Lovelace b@example.com\nuser_b Ada Lovelace a@example.com"
        );
        assert_eq!(
            world.redis(&["KEYS", "*retry*"]),
            "",
            "left by the ring of {a} and {b}"
        );
        assert_eq!(world.redis(&["KEYS", "*dead*"]), "");
    }
}

/// Retries, in every partition.
#[test]
fn what_waits_in_any_partition_comes_back() {
    let world = World::migrated();
    let _worker = world.worker_with(&[("REDIS_PARTITIONS", "3")]);
    for n in 0..3 {
        let old = user(&format!("user_old_{n}"), &format!("{n}@example.com"), 1);
        add(&world, n, &format!("msg_old_{n}"), &old.created());
    }
    settle(&world, 3);
    for n in 0..3 {
        let new = user(&format!("user_new_{n}"), &format!("{n}@example.com"), 2);
        add(&world, n, &format!("msg_new_{n}"), &new.created());
        world.wait_for("the new owner waits", |world| waiting(world, n) == 1);
    }
    for n in 0..3 {
        let old = user(&format!("user_old_{n}"), "", 3).deleted();
        // In another partition.
        add(&world, (n + 1) % 3, &format!("msg_gone_{n}"), &old);
    }
    settle(&world, 3);
    assert_eq!(
        world.sql("select id from users order by id"),
        "user_new_0\nuser_new_1\nuser_new_2"
    );
}

/// A world whose only worker holds entries of three partitions.
fn busy_world() -> (World, crate::helpers::Worker) {
    let world = World::migrated();
    world.sql(SLOW);
    for n in 0..30 {
        let payload = user(&format!("user_{n}"), &format!("{n}@example.com"), 1);
        add(&world, n % 3, &format!("msg_{n}"), &payload.created());
    }
    let worker = world.worker_with(&[("REDIS_PARTITIONS", "3"), ("BATCH_SIZE", "2")]);
    world.wait_for("it holds some of each partition", |world| {
        (0..3).all(|partition| pending(world, partition) > 0)
    });
    (world, worker)
}

/// P10
#[test]
fn a_stopped_worker_hands_back_what_it_holds_of_every_partition() {
    let (world, worker) = busy_world();
    worker.program.signal(Signal::SIGTERM).unwrap();
    let status = worker.program.wait(Duration::from_secs(10)).unwrap();
    assert!(status.success(), "{status}\n{}", worker.program.output());
    for partition in 0..3 {
        let events = Keys::of(partition).events;
        assert_eq!(pending(&world, partition), 0, "of {partition}");
        assert_eq!(
            world.redis(&["XINFO", "CONSUMERS", &events, GROUP]),
            "",
            "of {partition}"
        );
    }
    let applied: u64 = world
        .sql("select count(*) from clerk_sync.events")
        .parse()
        .unwrap();
    let left: u64 = (0..3).map(|partition| backlog(&world, partition)).sum();
    assert_eq!(left + applied, 30);
    world.sql("drop trigger slow on users");
    // Long before the reclaim time of 30 s.
    let other = world.worker_with(&[("REDIS_PARTITIONS", "3")]);
    settle(&world, 3);
    assert_eq!(world.sql("select count(*) from users"), "30");
    assert!(!other.program.output().contains("took over"));
}

/// P3, P5
#[test]
fn what_a_dead_worker_held_of_any_partition_is_taken_over() {
    let (world, worker) = busy_world();
    worker.program.kill();
    let held: Vec<u64> = (0..3).map(|partition| pending(&world, partition)).collect();
    world.sql("drop trigger slow on users");
    let _other = world.worker_with(&[("REDIS_PARTITIONS", "3"), ("RECLAIM_AFTER_MS", "500")]);
    settle(&world, 3);
    assert_eq!(world.sql("select count(*) from users"), "30");
    assert!(held.iter().all(|held| *held > 0), "{held:?}");
}

#[test]
fn a_worker_says_which_partitions_it_does_not_read() {
    let world = World::migrated();
    add(&world, 2, "msg_1", "{}");
    let dead = Keys::of(63).dead;
    world.redis(&["XADD", &dead, "*", "svix-id", "msg_2"]);
    let worker = world.worker_with(&[("REDIS_PARTITIONS", "2")]);
    let warned = |partition: u32| {
        let output = worker.program.output();
        let lines = output
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let of_it = |line: &serde_json::Value| {
            line["level"] == "WARN"
                && line["partition"] == partition
                && line["message"]
                    .as_str()
                    .is_some_and(|text| text.contains("not empty"))
        };
        lines
            .filter(of_it)
            .map(|line| (line["entries"].as_u64(), line["dead_letters"].as_u64()))
            .collect::<Vec<_>>()
    };
    world.wait_for("it has looked at the last one", |_| !warned(63).is_empty());
    assert_eq!(warned(63), [(Some(0), Some(1))]);
    assert_eq!(warned(2), [(Some(1), Some(0))]);
    assert!(worker.program.output().matches("not empty").count() == 2);
    assert_eq!(backlog(&world, 2), 1);
}

/// What `docs/scaling.md` says, with events coming all the time.
#[tokio::test(flavor = "multi_thread")]
async fn more_partitions_and_then_fewer_lose_nothing() {
    let world = World::migrated();
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let ingest = |partitions: &str| {
        let admin = format!("127.0.0.1:{}", free_port().unwrap());
        let program = Program::start(
            "ingest",
            &[
                ("CLERK_WEBHOOK_SIGNING_SECRET", SECRET),
                ("INGEST_ADDR", &address),
                ("ADMIN_ADDR", &admin),
                ("REDIS_URL", &world.redis.url()),
                ("REDIS_PARTITIONS", partitions),
            ],
        )
        .unwrap();
        wait::block_until("the ingest listens", DEADLINE, || {
            program.output().contains("ingest is listening")
        })
        .unwrap();
        program
    };
    let stop = |program: &Program| {
        program.signal(Signal::SIGTERM).unwrap();
        assert!(program.wait(DEADLINE).unwrap().success());
    };
    let worker = |partitions: &str| world.worker_with(&[("REDIS_PARTITIONS", partitions)]);
    let accepted_of = |partition: u32| {
        let events = Keys::of(partition).events;
        let info = world.redis.cli(&["XINFO", "STREAM", &events]);
        let info = info.unwrap_or_default();
        let mut lines = info.lines().skip_while(|line| *line != "entries-added");
        let added = lines.nth(1).and_then(|count| count.parse::<u64>().ok());
        added.unwrap_or(0)
    };
    let old_worker = worker("1");
    let old_ingest = ingest("1");

    let enough = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn({
        let (enough, url) = (
            Arc::clone(&enough),
            format!("http://{address}/api/webhooks/clerk"),
        );
        async move {
            let sender = Sender::new(&url, SECRET).unwrap();
            let mut sent = 0_u32;
            while !enough.load(Ordering::Relaxed) {
                let id = sent % 20;
                let payload = user(
                    &format!("user_{id:02}"),
                    &format!("{id}@example.com"),
                    sent.into(),
                )
                .updated();
                let svix_id = format!("msg_{sent}");
                // As Svix does: the same event again until it is accepted.
                while !sender
                    .send(&svix_id, &payload)
                    .await
                    .is_ok_and(|answer| answer.status == 200)
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                sent += 1;
            }
            sent
        }
    });
    let flows = |what: &str, partition: u32| {
        let before = accepted_of(partition);
        world.wait_for(what, |_| accepted_of(partition) > before + 20);
    };
    flows("events come to the only partition", 0);

    // More: first the workers, then the ingests.
    let new_worker = worker("3");
    stop(&old_worker.program);
    stop(&old_ingest);
    let new_ingest = ingest("3");
    for partition in 0..3 {
        flows("events come to every partition", partition);
    }

    // Fewer: first the ingests, then, when the others are empty, the workers.
    stop(&new_ingest);
    let last_ingest = ingest("1");
    world.wait_for("the others are empty", |world| {
        (1..3).all(|partition| backlog(world, partition) + waiting(world, partition) == 0)
    });
    let last_worker = worker("1");
    stop(&new_worker.program);
    flows("events come to the only partition again", 0);

    enough.store(true, Ordering::Relaxed);
    let sent = sending.await.unwrap();
    settle(&world, 3);
    assert_eq!(
        world.sql("select count(*) from clerk_sync.events"),
        sent.to_string()
    );
    let newest: Vec<String> = (0..20)
        .map(|id| {
            let second = (0..sent).rev().find(|n| n % 20 == id).unwrap();
            format!("user_{id:02} {}", 1_716_883_200 + second)
        })
        .collect();
    assert_eq!(
        world.sql(
            "select id || ' ' || extract(epoch from \"updatedAt\")::bigint from users order by id"
        ),
        newest.join("\n")
    );
    for partition in 0..3 {
        let dead = Keys::of(partition).dead;
        assert_eq!(world.redis(&["XLEN", &dead]), "0");
    }
    assert!(!last_worker.program.output().contains("not empty"));
    stop(&last_ingest);
}
