//! What an application has cached about a user goes with the change.

use serde_json::{Value, json};

use crate::node::Node;
use crate::user::User;
use crate::world::World;

/// P7
#[test]
fn entries_cached_by_a_redis_client_of_node_go_with_the_change_and_no_others() {
    let Some(node) = Node::present() else { return };
    let world = World::new();
    let _worker = world.worker();
    cache(
        node,
        &world,
        json!([
            { "name": "page:/users", "value": "<ul>", "tags": ["global:users"] },
            { "name": "page:/users/1", "value": "<h1>", "tags": ["id:user_1:users"] },
            { "name": "user:1", "value": { "name": "Ada" }, "tags": ["id:user_1:users", "global:users"] },
            { "name": "user:2", "value": { "name": "Bob" }, "tags": ["id:user_2:users"] },
            { "name": "page:/about", "value": "<p>", "tags": ["global:pages"] },
            { "name": "session:1", "value": "…", "tags": [] },
        ]),
    );
    let unrelated = ["global:pages", "page:/about", "session:1"];
    let of_user_2 = ["id:user_2:users", "user:2"];
    let of_user_1 = ["id:user_1:users", "page:/users/1"];
    let of_all = ["global:users", "page:/users", "user:1"];
    assert_eq!(
        cached(&world),
        sorted(&[&of_all[..], &of_user_1, &of_user_2, &unrelated])
    );

    let ada = User::new("user_1", "ada@example.com");
    world.deliver(node, &[ada.payload().created()]);
    assert_eq!(cached(&world), sorted(&[&of_user_2[..], &unrelated]));

    // Cached anew, by whoever has read the new row.
    cache(
        node,
        &world,
        json!([
            { "name": "page:/users", "value": "<ul>", "tags": ["global:users"] },
            { "name": "page:/users/1", "value": "<h1>", "tags": ["id:user_1:users"] },
        ]),
    );
    let bob = User::new("user_2", "bob@example.com");
    world.deliver(node, &[bob.payload().deleted()]);
    assert_eq!(cached(&world), sorted(&[&of_user_1[..], &unrelated]));
}

fn cache(node: &Node, world: &World, entries: Value) {
    node.ask(
        "cache_writer.mjs",
        &json!({ "redisUrl": world.redis.url(), "entries": entries }),
    );
}

/// The keys of the cache: all but the queue's.
fn cached(world: &World) -> Vec<String> {
    let keys = world.redis.cli(&["KEYS", "*"]).unwrap();
    let mut keys: Vec<_> = keys
        .lines()
        .filter(|key| !key.starts_with("{clerk:0}:"))
        .map(str::to_owned)
        .collect();
    keys.sort();
    keys
}

fn sorted(keys: &[&[&str]]) -> Vec<String> {
    let mut keys: Vec<_> = keys.concat().into_iter().map(str::to_owned).collect();
    keys.sort();
    keys
}
