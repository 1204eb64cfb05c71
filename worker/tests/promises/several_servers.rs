//! The queue lies on a Redis Cluster, or on whichever server Sentinels call the master.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::partition::partition_of;
use shared::queue::Keys;
use shared::redis_link::RedisLink;
use shared::redis_servers::RedisServers;
use tokio::task::{JoinHandle, JoinSet};
use worker::finish::cache_tags::{CacheMode, CacheTags};
use xtask::certificates::Authority;
use xtask::redis_cluster::RedisCluster;
use xtask::redis_sentinels::RedisSentinels;
use xtask::redis_server::RedisServer;
use xtask::wait;

use crate::helpers::{DEADLINE, UNFINISHED, Worker, World, user};
use crate::ingest::Ingest;
use crate::status;

const USERS: usize = 24;
/// As many as there are at the least.
const ROUNDS: usize = 6;
const PARTITIONS: u32 = 6;

fn address(user: usize, round: usize) -> String {
    format!("{user}-{round}@example.com")
}

/// Sends events of all users, a round after another, those of a round at once, until `fault` is over.
/// Returns how many rounds there were.
async fn send_until_over<T>(ingest: Ingest, fault: &JoinHandle<T>) -> usize {
    let ingest = Arc::new(ingest);
    let mut round = 0;
    while round < ROUNDS || !fault.is_finished() {
        let mut deliveries = JoinSet::new();
        for n in 0..USERS {
            let ingest = Arc::clone(&ingest);
            deliveries.spawn(async move {
                let second = i64::try_from(round).unwrap();
                let payload = user(&format!("user_{n:02}"), &address(n, round), second);
                let payload = payload.updated();
                let svix_id = format!("msg_{round:04}_{n:02}");
                ingest.deliver_until_taken(&svix_id, &payload).await;
            });
        }
        deliveries.join_all().await;
        round += 1;
    }
    round
}

/// P1, P2, P3, P4: whatever has been answered is applied once, and the newest of each user stands.
fn check(world: &World, rounds: usize) {
    let mut expected: Vec<_> = (0..USERS)
        .map(|n| format!("user_{n:02} {}", address(n, rounds - 1)))
        .collect();
    expected.sort();
    assert_eq!(
        world.sql("select id || ' ' || email from users order by id collate \"C\""),
        expected.join("\n")
    );
    assert_eq!(
        world.sql("select count(*) from clerk_sync.events"),
        (rounds * USERS).to_string()
    );
}

/// So that the fault meets events on their way.
fn wait_for_events(world: &World) {
    world.wait_for("events are applied", |world| {
        world.sql("select count(*) >= 40 from clerk_sync.events") == "t"
    });
}

fn settle(cluster: &RedisCluster, workers: &[Worker]) {
    let unfinished = |partition| {
        let keys = Keys::of(partition);
        let mut question = UNFINISHED;
        question[3..].copy_from_slice(&[&keys.events, &keys.retry]);
        cluster.cli(&keys.events, &question).ok()
    };
    wait::block_until("all events are finished", 2 * DEADLINE, || {
        (0..PARTITIONS).all(|partition| unfinished(partition).as_deref() == Some("0"))
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", workers[0].program.output()));
    for partition in 0..PARTITIONS {
        let dead = Keys::of(partition).dead;
        assert_eq!(cluster.cli(&dead, &["XLEN", &dead]).unwrap(), "0");
    }
}

fn partitioned(world: &World, url: &str, more: &[(&str, &str)]) -> [Worker; 2] {
    let partitions = PARTITIONS.to_string();
    let mut settings = vec![
        ("REDIS_URL", url),
        ("REDIS_PARTITIONS", partitions.as_str()),
        ("RECLAIM_AFTER_MS", "3000"),
    ];
    settings.extend(more);
    [world.worker_with(&settings), world.worker_with(&settings)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_an_encrypted_cluster_dies_while_events_flow() {
    let authority = Authority::new("ours").unwrap();
    let file = authority.file();
    let trust = ("REDIS_CA_FILE", file.to_str().unwrap());
    let mut cluster = RedisCluster::start_encrypted(&authority).unwrap();
    let world = Arc::new(World::migrated());
    let url = cluster.url();
    assert!(url.starts_with("rediss://"));
    let workers = partitioned(&world, &url, &[trust]);
    let partitions = PARTITIONS.to_string();
    let settings = [
        ("REDIS_PARTITIONS", partitions.as_str()),
        ("REDIS_MIN_REPLICAS", "1"),
        trust,
    ];
    let ingest = Ingest::start(&url, &settings).await;
    let watched = Arc::clone(&world);
    let fault = tokio::task::spawn_blocking(move || {
        wait_for_events(&watched);
        let events = Keys::of(0).events;
        let killed = cluster.kill_master_of(&events).unwrap();
        cluster.wait_for_master_of(&events).unwrap();
        assert_ne!(cluster.master_of(&events).unwrap(), killed);
        cluster.restart_killed().unwrap();
        cluster.settle().unwrap();
        cluster
    });
    let rounds = send_until_over(ingest, &fault).await;
    settle(&fault.await.unwrap(), &workers);
    check(&world, rounds);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_while_events_flow() {
    let cluster = RedisCluster::start().unwrap();
    let world = Arc::new(World::migrated());
    let url = cluster.url();
    let workers = partitioned(&world, &url, &[]);
    let partitions = PARTITIONS.to_string();
    let settings = [
        ("REDIS_PARTITIONS", partitions.as_str()),
        ("REDIS_MIN_REPLICAS", "1"),
    ];
    let ingest = Ingest::start(&url, &settings).await;
    let watched = Arc::clone(&world);
    let fault = tokio::task::spawn_blocking(move || {
        wait_for_events(&watched);
        for partition in 0..PARTITIONS {
            cluster.move_slot_of(&Keys::of(partition).events).unwrap();
        }
        cluster
    });
    let rounds = send_until_over(ingest, &fault).await;
    let cluster = fault.await.unwrap();
    settle(&cluster, &workers);
    check(&world, rounds);
    status::snapshot(&workers[0], "all partitions are told of", |snapshot| {
        let consumers = &snapshot["queue"]["consumers"]["rows"];
        consumers.as_array().is_some_and(|rows| rows.len() == 2)
            && status::problem(snapshot, "Redis (queue)").is_null()
    })
    .await;
}

/// P8: it is not waited for, neither by who has a connection to it nor by who comes anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_a_cluster_that_hangs_is_left_for_its_replica() {
    let cluster = RedisCluster::start().unwrap();
    let world = World::migrated();
    let url = cluster.url();
    let workers = partitioned(&world, &url, &[]);
    let partitions = PARTITIONS.to_string();
    let settings = [("REDIS_PARTITIONS", partitions.as_str())];
    let ingest = Ingest::start(&url, &settings).await;
    let newcomer = Ingest::start(&url, &settings).await;
    let id = (0..).map(|n| format!("user_{n}"));
    let id = id.into_iter().find(|id| partition_of(id, PARTITIONS) == 0);
    let id = id.unwrap();
    let deliver = async |ingest: &Ingest, second: i64| {
        let payload = user(&id, &format!("{second}@example.com"), second).updated();
        ingest
            .deliver_until_taken(&format!("msg_{second}"), &payload)
            .await;
    };
    deliver(&ingest, 1).await;
    settle(&cluster, &workers);

    let master = cluster.master_of(&Keys::of(0).events).unwrap();
    cluster.nodes()[master].pause().unwrap();
    deliver(&ingest, 2).await;
    deliver(&newcomer, 3).await;
    world.wait_for("both are applied", |world| {
        world.sql("select email from users") == "3@example.com"
    });
    cluster.nodes()[master].resume().unwrap();
}

/// P4: the change is on another server than who waits for it.
#[test]
fn who_waits_on_another_server_of_a_cluster_is_woken() {
    let cluster = RedisCluster::start().unwrap();
    let world = World::migrated();
    let _workers = partitioned(&world, &cluster.url(), &[]);
    let events = |partition| Keys::of(partition).events;
    let master = |partition| cluster.master_of(&events(partition)).unwrap();
    let elsewhere = (1..PARTITIONS).find(|partition| master(*partition) != master(0));
    let elsewhere = elsewhere.unwrap();
    let add = |partition, svix_id, payload: &str| {
        let events = events(partition);
        // So often that it would wait for a quarter of an hour.
        let fields = ["svix-id", svix_id, "payload", payload, "attempts", "12"];
        let add = [&["XADD", &events, "*"], &fields[..]].concat();
        cluster.cli(&events, &add).unwrap();
    };
    let old = user("user_old", "shared@example.com", 1);
    add(elsewhere, "msg_old", &old.created());
    world.wait_for("it is applied", |world| {
        world.outcome("msg_old") == "applied"
    });
    add(
        0,
        "msg_new",
        &user("user_new", "shared@example.com", 2).created(),
    );
    let awaited = Keys::of(0).retry_awaited;
    world.wait_for("it waits", |_| {
        cluster.cli(&awaited, &["EXISTS", &awaited]).unwrap() == "1"
    });
    add(elsewhere, "msg_gone", &old.deleted());
    world.wait_for("it is woken", |world| world.outcome("msg_new") == "applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_name_another_master_while_events_flow() {
    let master = RedisServer::start().unwrap();
    let replica = master.start_replica(master.port()).unwrap();
    let sentinels = RedisSentinels::start(&master).unwrap();
    let mut world = World::with_redis(master);
    world.migrate();
    let url = sentinels.url();
    let settings = [("REDIS_URL", url.as_str()), ("RECLAIM_AFTER_MS", "3000")];
    let _workers = [world.worker_with(&settings), world.worker_with(&settings)];
    let ingest = Ingest::start(&url, &[("REDIS_MIN_REPLICAS", "1")]).await;
    let fault = tokio::task::spawn_blocking(move || {
        wait_for_events(&world);
        world.redis.kill();
        let becomes = |server: &RedisServer, role: &str| {
            wait::block_until("a server has another role", DEADLINE, || {
                server.cli(&["ROLE"]).is_ok_and(|is| is.starts_with(role))
            })
            .unwrap();
        };
        becomes(&replica, "master");
        // It comes back as a master and is told otherwise; until then nothing is answered with 200.
        world.redis.restart().unwrap();
        becomes(&world.redis, "slave");
        let old = std::mem::replace(&mut world.redis, replica);
        (world, old)
    });
    let rounds = send_until_over(ingest, &fault).await;
    let (world, _replica) = fault.await.unwrap();
    world.settle();
    check(&world, rounds);
}

/// P7: entries lie on other servers than the tag that names them.
#[tokio::test(flavor = "multi_thread")]
async fn cache_tags_are_deleted_wherever_in_a_cluster_they_lie() {
    let cluster = RedisCluster::start().unwrap();
    let ask = |key: &str, arguments: &[&str]| cluster.cli(key, arguments).unwrap();
    let servers = RedisServers::parse(&cluster.url(), None).unwrap();
    let link = RedisLink::new(&servers).unwrap();
    let wait = Duration::from_millis(200);
    let tags = |mode, second| CacheTags::new(link.clone(), mode, "app:".to_owned(), second);
    let of_users = (0..20).map(|n| format!("id:user_{n}:users"));
    let users: BTreeSet<_> = of_users.chain(["global:users".to_owned()]).collect();
    let entries: Vec<_> = (0..10).map(|n| format!("entry:{n}")).collect();
    let cache = || {
        for entry in &entries {
            ask(entry, &["SET", entry, "old"]);
            ask("app:global:users", &["SADD", "app:global:users", entry]);
        }
        ask(
            "app:id:user_1:users",
            &["SET", "app:id:user_1:users", "old"],
        );
    };
    let cached = || {
        let keys = entries.iter().map(String::as_str);
        keys.chain(["app:global:users", "app:id:user_1:users"])
            .filter(|key| ask(key, &["EXISTS", key]) == "1")
            .count()
    };

    cache();
    assert_eq!(cached(), 12);
    tags(CacheMode::Keys, None).delete(&users).await.unwrap();
    assert_eq!(cached(), 0);

    let twice = tags(CacheMode::Keys, Some(wait));
    twice.delete(&users).await.unwrap();
    // A reader that was late.
    cache();
    wait::until("all tags have been deleted again", DEADLINE, async || {
        twice.delete_due(7).await.unwrap() == (0, None)
    })
    .await
    .unwrap();
    assert_eq!(cached(), 0);

    // A reader that caches on and on: whatever is there in the end is named, and so will be deleted.
    let stop = Arc::new(AtomicBool::new(false));
    let (mut reader, stopped) = (link.clone(), Arc::clone(&stop));
    let of_reader = entries.clone();
    let reading = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            for entry in &of_reader {
                let mut set = redis::cmd("SET");
                set.arg(entry)
                    .arg("page")
                    .exec_async(&mut reader)
                    .await
                    .unwrap();
                let mut name = redis::cmd("SADD");
                name.arg("app:global:users").arg(entry);
                name.exec_async(&mut reader).await.unwrap();
            }
        }
    });
    for _ in 0..100 {
        tags(CacheMode::Keys, None).delete(&users).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    reading.await.unwrap();
    for entry in &entries {
        let is_there = ask(entry, &["EXISTS", entry]) == "1";
        let name = ["SISMEMBER", "app:global:users", entry];
        assert!(
            !is_there || ask(name[1], &name) == "1",
            "{entry} has no name"
        );
    }

    for (key_prefix, awaiting) in [
        (
            "next:",
            "{next:__revalidated_tags__}:clerk:second-deletions",
        ),
        ("{next}", "{next}clerk:second-deletions"),
    ] {
        let mode = CacheMode::Next {
            key_prefix: key_prefix.to_owned(),
        };
        let times = format!("{key_prefix}__revalidated_tags__");
        tags(mode, Some(wait)).delete(&users).await.unwrap();
        assert_eq!(ask(&times, &["HLEN", &times]), "21");
        assert_eq!(ask(awaiting, &["ZCARD", awaiting]), "21");
    }
}

/// P12: of a cluster each master is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn every_master_of_a_cluster_that_may_lose_events_is_told() {
    let cluster = RedisCluster::start().unwrap();
    let key = |partition| Keys::of(partition).events;
    let masters: BTreeSet<_> = (0..PARTITIONS)
        .map(|p| cluster.master_of(&key(p)).unwrap())
        .collect();
    for &master in &masters {
        let set = ["CONFIG", "SET", "appendfsync", "everysec"];
        cluster.nodes()[master].cli(&set).unwrap();
    }
    let world = World::migrated();
    let worker = world.worker_with(&[("REDIS_URL", &cluster.url())]);
    for &master in &masters {
        let server = format!("127.0.0.1:{}", cluster.nodes()[master].port());
        world.wait_for("the master is told", |_| {
            let output = worker.program.output();
            output
                .lines()
                .any(|line| line.contains("appendfsync everysec") && line.contains(&server))
        });
    }
}

/// Dragonfly and strict proxies refuse a script that touches other keys than those it was called with. The two exceptions
/// find keys in the cache, which nobody can know before; docs/scaling.md names them.
#[test]
fn every_key_that_a_script_touches_is_declared() {
    let mut paths = vec![
        concat!(env!("CARGO_MANIFEST_DIR"), "/lua").into(),
        std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
    ];
    let mut looked_at = 0;
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|file| file.unwrap().path()),
            );
        }
        if path.extension().is_none_or(|extension| extension != "lua") {
            continue;
        }
        let script = std::fs::read_to_string(&path).unwrap();
        let code = script
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"));
        let code = code.collect::<Vec<_>>().join("\n");
        let is_of_a_cache = path.ends_with("delete_tags.lua");
        let declared = |key: &str| {
            let assigned = |line: &&str| line.starts_with("local ") && line.contains("KEYS");
            let names = code.lines().filter(assigned).flat_map(|line| {
                let names = line["local ".len()..].split('=').next().unwrap_or_default();
                names.split(',').map(str::trim)
            });
            key.starts_with("KEYS[") || names.into_iter().any(|name| name == key)
        };
        for call in code
            .split("redis.call(")
            .chain(code.split("redis.pcall("))
            .skip(1)
        {
            let end = call.find([')', '\n']).unwrap_or(call.len());
            let mut words = call[..end].split(',').map(str::trim);
            let command = words.next().unwrap_or_default().trim_matches('\'');
            let of_two_words = ["XGROUP", "XINFO"].contains(&command);
            let key = words.nth(usize::from(of_two_words)).unwrap_or_default();
            if command.chars().all(|c| c.is_ascii_uppercase())
                && !["", "TIME"].contains(&command)
                && !is_of_a_cache
            {
                assert!(declared(key), "{}: {command} {key}", path.display());
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 60, "{looked_at}");
}
