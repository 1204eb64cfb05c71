//! Tags are deleted a second time, for the reader that read the old row and caches it late.

use shared::fault_point::FaultPoint;
use xtask::fault_points::FaultPoints;
use xtask::redis_server::RedisServer;

use crate::helpers::{DEADLINE, World, user};

const AWAITING: &str = "clerk:second-deletions";

/// As a reader of the application: the row as it is now.
fn read(world: &World) -> String {
    world.sql("select name from users where id = 'user_1'")
}

/// As a reader of the application: what it has read, under the tag of the user. The second deletion
/// must not have been yet.
fn cache(redis: &RedisServer, value: &str) {
    let script = "redis.call('SET', 'page:1', ARGV[1]) \
                  redis.call('SADD', 'id:user_1:users', 'page:1') \
                  return redis.call('ZSCORE', KEYS[1], 'id:user_1:users')";
    let due = redis.cli(&["EVAL", script, "1", AWAITING, value]).unwrap();
    assert!(!due.is_empty(), "the second deletion has been already");
}

fn cached(redis: &RedisServer) -> String {
    redis.cli(&["GET", "page:1"]).unwrap()
}

/// P7: what the guarantees would otherwise have to except.
#[test]
fn a_reader_held_between_its_read_and_its_write_does_not_keep_the_old_row() {
    let world = World::new();
    let points = FaultPoints::arm(&format!("{:?}", FaultPoint::BeforeCommit)).unwrap();
    let first = user("user_1", "ada@example.com", 1).first_name(Some("Ada"));
    world.migrate();
    world.sql(
        r#"insert into users (id, name, email, "createdAt", "updatedAt")
             values ('user_1', 'Old Name', 'ada@example.com', 'epoch', 'epoch')"#,
    );
    let _worker = world.worker_with(&[
        ("FAULT_POINTS_ADDR", &points.address()),
        ("CACHE_SECOND_DELETION_MS", "10000"),
    ]);
    world.add_next(&first.updated());
    let held = points.held(DEADLINE).unwrap();
    let old = read(&world);
    assert_eq!(old, "Old Name");
    drop(held);
    world.settle();
    assert_ne!(read(&world), old);

    cache(&world.redis, &old);
    assert_eq!(cached(&world.redis), old);
    world.wait_for("the second deletion", |world| {
        cached(&world.redis).is_empty()
    });
    assert_eq!(
        world.redis(&["EXISTS", "id:user_1:users", AWAITING]),
        "0",
        "nothing is left"
    );
}

/// P7
#[test]
fn the_second_deletion_survives_the_death_of_the_worker() {
    let world = World::new();
    let settings = [("CACHE_SECOND_DELETION_MS", "3000")];
    let worker = world.worker_with(&settings);
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    worker.program.kill();
    cache(&world.redis, "old");
    let _other = world.worker_with(&settings);
    assert_eq!(cached(&world.redis), "old");
    world.wait_for("the second deletion", |world| {
        cached(&world.redis).is_empty()
    });
}

/// P7, P8
#[test]
fn a_cache_that_is_away_when_its_time_comes_is_waited_for() {
    let world = World::new();
    let mut cache_redis = RedisServer::start().unwrap();
    let worker = world.worker_with(&[
        ("CACHE_REDIS_URL", &cache_redis.url()),
        ("CACHE_SECOND_DELETION_MS", "2000"),
    ]);
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    cache(&cache_redis, "old");
    cache_redis.kill();
    world.wait_for("its time has come", |_| {
        worker.program.output().contains("deleted a second time")
    });
    cache_redis.restart().unwrap();
    world.wait_for("the second deletion", |_| cached(&cache_redis).is_empty());
    assert!(worker.program.is_running());
}

/// Milliseconds since the epoch at which the second deletion of a tag is due.
fn due(world: &World, tag: &str) -> u64 {
    world
        .redis(&["ZSCORE", AWAITING, tag])
        .parse()
        .unwrap_or_default()
}

fn now(world: &World) -> u64 {
    let time = "local time = redis.call('TIME') return time[1] * 1000 + math.floor(time[2] / 1000)";
    world.redis(&["EVAL", time, "0"]).parse().unwrap()
}

/// P7
#[test]
fn a_tag_that_is_deleted_again_and_again_awaits_one_second_deletion_after_the_last() {
    for mode in ["keys", "next"] {
        let world = World::new();
        let _worker =
            world.worker_with(&[("CACHE_MODE", mode), ("CACHE_SECOND_DELETION_MS", "600000")]);
        let mut before = 0;
        for second in 1..4 {
            let started = now(&world);
            world.add_next(&user("user_1", "ada@example.com", second).updated());
            world.settle();
            for tag in ["id:user_1:users", "global:users"] {
                let due = due(&world, tag);
                assert!(due > before, "{mode}: {tag} is due at {due}, not later");
                assert!(
                    (started + 600_000..=now(&world) + 600_000).contains(&due),
                    "{mode}: {tag} is due at {due}"
                );
            }
            assert_eq!(world.redis(&["ZCARD", AWAITING]), "2", "{mode}");
            before = due(&world, "id:user_1:users");
        }
    }
}

/// P7: more than go in one step.
#[test]
fn many_tags_whose_time_comes_at_once_are_all_deleted() {
    for mode in ["keys", "next"] {
        let world = World::migrated();
        for n in 0..600 {
            let id = format!("user_{n}");
            world.add_next(&user(&id, &format!("{n}@example.com"), 1).created());
        }
        let settings = [("CACHE_MODE", mode), ("CACHE_SECOND_DELETION_MS", "600000")];
        let worker = world.worker_with(&settings);
        world.settle();
        worker.program.kill();
        assert_eq!(world.redis(&["ZCARD", AWAITING]), "601", "{mode}");

        let cache_late = "for _, tag in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do \
                            redis.call('SET', tag, 'late') \
                            redis.call('ZADD', KEYS[1], 1, tag) \
                          end";
        world.redis(&["EVAL", cache_late, "1", AWAITING]);
        let their_time = now(&world);
        let _other = world.worker_with(&settings);
        world.wait_for("the second deletions", |world| {
            world.redis(&["EXISTS", AWAITING]) == "0"
        });
        if mode == "keys" {
            assert_eq!(world.redis(&["KEYS", "*:users"]), "");
        } else {
            let times = world.redis(&["HVALS", "__revalidated_tags__"]);
            let again = |time: &str| time.parse::<u64>().unwrap() > their_time;
            assert_eq!(times.lines().filter(|time| again(time)).count(), 601);
        }
    }
}
