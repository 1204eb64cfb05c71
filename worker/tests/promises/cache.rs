//! The cache tags of changed users.

use std::collections::BTreeSet;

use shared::redis_link::RedisLink;
use shared::redis_servers::RedisServers;
use worker::finish::cache_tags::{CacheMode, CacheTags};
use xtask::redis_server::RedisServer;

use crate::applications::worlds;
use crate::helpers::{World, user};

/// P7
#[test]
fn tags_of_a_changed_user_go_with_the_entries_that_bear_them() {
    for world in worlds() {
        let _worker = world.worker();
        world.add_next(&user("user_1", "ada@example.com", 1).created());
        world.settle();
        let [of_all, of_user] = world.tags("user_1").try_into().unwrap();
        world.redis(&["SET", &of_all, "plain"]);
        world.redis(&["SADD", &of_user, "page:1", "page:2"]);
        let kept = ["MSET", "page:3", "kept", "id:user_2:users", "kept"];
        world.redis(&[&kept[..], &["page:1", "x", "page:2", "y"]].concat());
        world.add_next(&user("user_1", "ada@example.com", 2).updated());
        world.settle();
        let gone = ["EXISTS", &of_all, &of_user, "page:1", "page:2"];
        assert_eq!(world.redis(&gone), "0");
        assert_eq!(world.redis(&["EXISTS", "page:3", "id:user_2:users"]), "2");
    }
}

/// P7: an event that changes nothing leaves the cache warm.
#[test]
fn a_stale_event_leaves_the_tags() {
    let world = World::new();
    let _worker = world.worker();
    world.add_next(&user("user_1", "ada@example.com", 2).updated());
    world.settle();
    world.redis(&["SET", "id:user_1:users", "fresh"]);
    world.add_next(&user("user_1", "ada@example.com", 1).updated());
    world.settle();
    assert_eq!(world.redis(&["EXISTS", "id:user_1:users"]), "1");
}

#[test]
fn the_cache_may_be_another_redis_with_a_prefix() {
    let world = World::new();
    let cache = RedisServer::start().unwrap();
    let _worker = world.worker_with(&[
        ("CACHE_REDIS_URL", &cache.url()),
        ("CACHE_TAG_PREFIX", "shop:tags:"),
    ]);
    for tag in [
        "shop:tags:global:users",
        "shop:tags:id:user_1:users",
        "global:users",
    ] {
        cache.cli(&["SET", tag, "x"]).unwrap();
    }
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    assert_eq!(cache.cli(&["KEYS", "*"]).unwrap(), "global:users");
}

/// P7
#[test]
fn a_tag_of_many_thousand_entries_goes_whole() {
    let world = World::migrated();
    let fill = "for i = 1, 20000 do redis.call('SET', 'page:' .. i, 'x'); \
                redis.call('SADD', 'global:users', 'page:' .. i) end return 1";
    world.redis(&["EVAL", fill, "0"]);
    let _worker = world.worker();
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    assert_eq!(
        world.redis(&["EVAL", "return #redis.call('KEYS', 'page:*')", "0"]),
        "0"
    );
    assert_eq!(world.redis(&["EXISTS", "global:users"]), "0");
}

/// P7: the worker dies after the commit, before the tags: the cache is away just then.
#[test]
fn tags_go_also_when_the_worker_dies_between_commit_and_deletion() {
    for world in worlds() {
        let mut cache = RedisServer::start().unwrap();
        let cache_url = cache.url();
        let settings = [
            ("CACHE_REDIS_URL", cache_url.as_str()),
            ("RECLAIM_AFTER_MS", "500"),
        ];
        let worker = world.worker_with(&settings);
        world.add_next(&user("user_1", "ada@example.com", 1).created());
        world.settle();
        let [_, tag] = world.tags("user_1").try_into().unwrap();
        cache.cli(&["SET", &tag, "old"]).unwrap();
        cache.kill();
        let svix_id = world.add_next(&user("user_1", "new@example.com", 2).updated());
        world.wait_for("the event is committed", |world| {
            world.outcome(&svix_id) == "applied"
        });
        worker.program.kill();
        cache.restart().unwrap();
        assert_eq!(cache.cli(&["EXISTS", &tag]).unwrap(), "1");
        assert_eq!(
            world.backlog(),
            1,
            "the entry stays until the tags are gone"
        );
        let _other = world.worker_with(&settings);
        world.settle();
        assert_eq!(cache.cli(&["EXISTS", &tag]).unwrap(), "0");
        assert_eq!(world.sql("select count(*) from clerk_sync.events"), "2");
    }
}

/// P7: as the handlers of Next.js have it, a tag is a field with the time from which on entries are
/// fresh. What they themselves return is tested with them, among the peers.
#[test]
fn the_hash_of_revalidation_times_tells_when_a_user_changed() {
    let world = World::new();
    let cache = RedisServer::start().unwrap();
    let _worker = world.worker_with(&[
        ("CACHE_REDIS_URL", &cache.url()),
        ("CACHE_MODE", "next"),
        ("CACHE_KEY_PREFIX", "app:"),
        ("CACHE_TAG_PREFIX", "shop:"),
    ]);
    let now = || -> u64 {
        let time = cache.cli(&["TIME"]).unwrap();
        let (seconds, microseconds) = time.split_once('\n').unwrap();
        seconds.parse::<u64>().unwrap() * 1000 + microseconds.parse::<u64>().unwrap() / 1000
    };
    let revalidated_at = |tag: &str| -> u64 {
        let time = cache.cli(&["HGET", "app:__revalidated_tags__", tag]);
        time.unwrap().parse().unwrap()
    };
    let key = ["shop:global:users", "shop:id:user_1:users"];
    cache.cli(&["MSET", key[0], "x", key[1], "y"]).unwrap();
    let mut before = 0;
    for second in 1..3 {
        let started = now();
        assert!(before <= started);
        world.add_next(&user("user_1", "ada@example.com", second).updated());
        world.settle();
        // Handlers keep an entry of the very millisecond, so it is the next one.
        let possible = started + 1..=now() + 1;
        for tag in key {
            assert!(possible.contains(&revalidated_at(tag)), "{tag}");
        }
        before = revalidated_at(key[1]);
    }
    assert_eq!(
        cache.cli(&["HLEN", "app:__revalidated_tags__"]).unwrap(),
        "2"
    );
    assert_eq!(
        cache.cli(&["DBSIZE"]).unwrap(),
        "3",
        "keys of the same names stay, and nothing else is left"
    );
}

/// P7: the handlers keep an entry of the same millisecond.
#[tokio::test(flavor = "multi_thread")]
async fn a_revalidation_is_later_than_the_millisecond_before_it() {
    let cache = RedisServer::start().unwrap();
    let mut link = RedisLink::new(&RedisServers::parse(&cache.url(), None).unwrap()).unwrap();
    let mode = CacheMode::Next {
        key_prefix: String::new(),
    };
    let cache_tags = CacheTags::new(link.clone(), mode, String::new(), None);
    let tags = BTreeSet::from(["id:user_1:users".to_owned()]);
    // Often enough that both are in one millisecond.
    for _ in 0..100 {
        let (seconds, microseconds): (u64, u64) =
            redis::cmd("TIME").query_async(&mut link).await.unwrap();
        cache_tags.delete(&tags).await.unwrap();
        let revalidated_at: u64 = redis::cmd("HGET")
            .arg(&["__revalidated_tags__", "id:user_1:users"])
            .query_async(&mut link)
            .await
            .unwrap();
        assert!(revalidated_at > seconds * 1000 + microseconds / 1000);
    }
}
