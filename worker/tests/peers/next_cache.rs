//! The cache handlers of Next.js applications, in the packages that are used for it: what they return
//! after a change, asked with their own `get`.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask::wait;

use crate::node::Node;
use crate::user::User;
use crate::world::{DEADLINE, World};

const PACKAGES: [&str; 2] = [
    "@neshca/cache-handler",
    "@fortedigital/nextjs-cache-handler",
];
const SETTINGS: [(&str, &str); 3] = [
    ("CACHE_MODE", "next"),
    ("CACHE_KEY_PREFIX", "app:"),
    ("CACHE_TAG_PREFIX", "shop:"),
];

/// A handler of an application.
struct Handler<'a> {
    node: &'a Node,
    world: &'a World,
    package: &'static str,
    key_prefix: &'static str,
}

impl Handler<'_> {
    /// Caches an entry under each of these keys.
    fn write(&self, entries: &[(&str, &[&str])]) {
        let write: Vec<Value> = entries
            .iter()
            .map(|(key, tags)| json!({ "key": key, "tags": tags, "value": key }))
            .collect();
        self.ask(json!({ "write": write }));
    }

    /// Revalidates tags as the application itself does.
    fn revalidate(&self, tags: &[&str]) {
        self.ask(json!({ "revalidate": tags }));
    }

    /// The keys of which the handler still returns the entry.
    fn fresh<'k>(&self, entries: &[(&'k str, &[&str])]) -> Vec<&'k str> {
        let read: Vec<Value> = entries
            .iter()
            .map(|(key, _)| json!({ "key": key, "implicitTags": [format!("_N_T_{key}")] }))
            .collect();
        let values = self.ask(json!({ "read": read }));
        entries
            .iter()
            .zip(values.as_array().unwrap())
            .filter(|((key, _), value)| value.as_str() == Some(key))
            .map(|((key, _), _)| *key)
            .collect()
    }

    fn ask(&self, mut question: Value) -> Value {
        question["package"] = json!(self.package);
        question["redisUrl"] = json!(self.world.redis.url());
        question["keyPrefix"] = json!(self.key_prefix);
        self.node.ask("next_cache.mjs", &question)
    }
}

const ENTRIES: [(&str, &[&str]); 7] = [
    ("/users", &["shop:global:users"]),
    ("/users/1", &["shop:id:user_1:users"]),
    ("/users/2", &["shop:id:user_2:users"]),
    (
        "/friends",
        &["shop:id:user_2:users", "shop:id:user_1:users"],
    ),
    ("/other-users", &["global:users", "id:user_1:users"]),
    ("/about", &["shop:global:pages"]),
    ("/untagged", &[]),
];

/// P7: the handlers miss after a change what they miss after their own `revalidateTag`, and nothing
/// else.
#[test]
fn cache_handlers_of_next_js_miss_what_a_change_concerns_and_nothing_else() {
    let Some(node) = Node::present() else { return };
    for package in PACKAGES {
        let world = World::new();
        let _worker = world.worker_with(&SETTINGS);
        let handler = |key_prefix| Handler {
            node,
            world: &world,
            package,
            key_prefix,
        };
        let (ours, theirs) = (handler("app:"), handler("compared:"));
        ours.write(&ENTRIES);
        theirs.write(&ENTRIES);
        assert_eq!(ours.fresh(&ENTRIES).len(), ENTRIES.len(), "{package}");

        let ada = User::new("user_1", "ada@example.com");
        world.deliver(node, &[ada.payload().created()]);
        let unconcerned = ["/users/2", "/other-users", "/about", "/untagged"];
        assert_eq!(ours.fresh(&ENTRIES), unconcerned, "{package}");
        assert_eq!(theirs.fresh(&ENTRIES).len(), ENTRIES.len(), "{package}");
        theirs.revalidate(&["shop:global:users", "shop:id:user_1:users"]);
        assert_eq!(theirs.fresh(&ENTRIES), unconcerned, "{package}");

        // Cached anew, by whoever has read the new row.
        ours.write(&ENTRIES[..2]);
        assert_eq!(ours.fresh(&ENTRIES[..2]), ["/users", "/users/1"]);
        world.deliver(node, &[ada.payload().deleted()]);
        assert!(ours.fresh(&ENTRIES[..2]).is_empty(), "{package}");
    }
}

/// P7: an entry that shows the old row and is written after the deletion is missed from the second
/// one on.
#[test]
fn cache_handlers_of_next_js_miss_what_was_written_late_after_the_second_deletion() {
    let Some(node) = Node::present() else { return };
    let second_deletion = [("CACHE_SECOND_DELETION_MS", "3000")];
    for package in PACKAGES {
        let world = World::new();
        let worker = world.worker_with(&[&SETTINGS[..], &second_deletion].concat());
        let handler = Handler {
            node,
            world: &world,
            package,
            key_prefix: "app:",
        };
        let awaiting = || {
            let set = "app:clerk:second-deletions";
            world.redis.cli(&["ZCARD", set]).unwrap()
        };
        let ada = User::new("user_1", "ada@example.com");
        world.deliver(node, &[ada.payload().created()]);
        // So that the handler may take its time.
        worker.signal(Signal::SIGSTOP).unwrap();
        assert_eq!(awaiting(), "2", "the worker was stopped too late");
        handler.write(&ENTRIES);
        assert_eq!(handler.fresh(&ENTRIES).len(), ENTRIES.len(), "{package}");

        worker.signal(Signal::SIGCONT).unwrap();
        wait::block_until("the second deletion", DEADLINE, || awaiting() == "0").unwrap();
        assert_eq!(
            handler.fresh(&ENTRIES),
            ["/users/2", "/other-users", "/about", "/untagged"],
            "{package}"
        );
    }
}
