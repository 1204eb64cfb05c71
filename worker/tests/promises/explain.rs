//! `worker explain`: where an event is and why.

use shared::queue::Keys;
use xtask::program::Program;

use crate::helpers::{DEAD, EVENTS, RETRY, World, user};

/// What it prints and its exit code.
fn explain(world: &World, svix_id: &str) -> (String, i32) {
    let redis = world.redis.url();
    let settings = [
        ("REDIS_URL", redis.as_str()),
        ("DATABASE_URL", world.database_url.as_str()),
    ];
    let output = Program::run("worker", &["explain", svix_id], &settings).unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        String::from_utf8(text).unwrap(),
        output.status.code().unwrap(),
    )
}

#[track_caller]
fn assert_explained(world: &World, svix_id: &str, code: i32, texts: &[&str]) {
    let (output, found) = explain(world, svix_id);
    for text in texts {
        assert!(output.contains(text), "{text:?} is not in\n{output}");
    }
    assert_eq!(found, code, "{output}");
    // P11
    assert!(
        !output.contains("example.com") && !output.contains("Lovelace"),
        "{output}"
    );
}

#[test]
fn an_event_of_the_stream_is_unread_or_held_by_a_consumer() {
    let world = World::migrated();
    world.add("msg_first", &user("user_1", "ada@example.com", 1).created());
    let payload = user("user_2", "bob@example.com", 1).created();
    world.add("msg_second", &payload);
    assert_explained(
        &world,
        "msg_second",
        0,
        &["unread: entry", "1 entries before it"],
    );
    world.redis(&["XGROUP", "CREATE", EVENTS, "clerk-worker", "0"]);
    let read = "XREADGROUP GROUP clerk-worker gone COUNT 1 STREAMS";
    let mut read: Vec<&str> = read.split(' ').collect();
    read.extend([EVENTS, ">"]);
    world.redis(&read);
    let held = [
        "pending: entry",
        "is held by gone, idle for",
        "deliveries 1",
    ];
    assert_explained(&world, "msg_first", 0, &held);
    assert_explained(&world, "msg_second", 0, &["unread: entry"]);
    // A partition of former times, which no worker reads any more.
    world.redis(&[
        "XADD",
        "{clerk:5}:events",
        "*",
        "svix-id",
        "msg_far",
        "payload",
        &payload,
    ]);
    assert_explained(&world, "msg_far", 0, &["unread: entry", "{clerk:5}:events"]);
}

#[test]
fn an_event_that_waits_for_an_address_names_who_holds_it() {
    let world = World::new();
    let _worker = world.worker();
    world.add(
        "msg_old",
        &user("user_old", "shared@example.com", 1).created(),
    );
    world.settle();
    world.add(
        "msg_new",
        &user("user_new", "shared@example.com", 2).created(),
    );
    world.wait_for("it waits", |world| world.redis(&["ZCARD", RETRY]) == "1");
    // It may be on the stream for its next attempt just now.
    world.wait_for("it is explained", |world| {
        let (output, code) = explain(world, "msg_new");
        code == 0
            && output.contains("retry: waits in {clerk:0}:retry, failed attempts")
            && output
                .contains("the value of column \"email\" of public.users belongs to a row of another user; waits for user user_old")
    });
}

#[test]
fn a_dead_letter_is_explained_with_its_reason_and_its_replay() {
    let world = World::new();
    let _worker = world.worker();
    world.add(
        "msg_1",
        &user("user_1", "ada@example.com", 1).email(None).created(),
    );
    world.settle();
    let by_hand = [
        "XADD",
        DEAD,
        "*",
        "svix-id",
        "msg_hand",
        "payload",
        "{}",
        "reason",
        "a\x1b[31mb",
    ];
    world.redis(&by_hand);
    let replay = "replay: redis-cli --eval replay.lua '{clerk:0}:dead' '{clerk:0}:events' , msg_1";
    let reason = "attempts 1: data.primary_email_address says nothing, and column \"email\" takes no NULL (table public.users)";
    assert_explained(&world, "msg_1", 0, &["dead letter: ", reason, replay]);
    // In no hash; and what an attacker writes moves no cursor.
    assert_explained(&world, "msg_hand", 0, &["dead letter: ", "a [31mb"]);
}

#[test]
fn a_finished_event_is_explained_by_the_ledger() {
    let world = World::new();
    let _worker = world.worker();
    let of_user = |second| user("user_1", "ada@example.com", second);
    world.add("msg_new", &of_user(3).created());
    world.settle();
    world.add("msg_old", &of_user(1).updated());
    world.add(
        "msg_other",
        r#"{"type":"session.created","data":{"id":"s"},"timestamp":1}"#,
    );
    world.settle();
    assert_explained(
        &world,
        "msg_new",
        0,
        &["applied: user.created at 2", "user user_1"],
    );
    let newer = "the newest event of the user is msg_new";
    assert_explained(&world, "msg_old", 0, &["stale: user.updated", newer]);
    let other = ["ignored: session.created", "ago, session s"];
    assert_explained(&world, "msg_other", 0, &other);
    world.add("msg_gone", &of_user(4).deleted());
    world.settle();
    assert_explained(&world, "msg_old", 0, &["the user is deleted and stays so"]);
}

/// Redis serves nobody else during a step.
#[test]
fn a_step_over_large_entries_is_a_short_one() {
    let world = World::migrated();
    let heavy = "local heavy = string.rep('x', 2 ^ 20) \
       for i = 1, 12 do redis.call('XADD', KEYS[1], '*', 'svix-id', 'msg_' .. i, 'payload', heavy) end return 1";
    world.redis(&["EVAL", heavy, "1", EVENTS]);
    let script = include_str!("../../src/operate/explain/find_entry.lua");
    let step = world.redis(&["EVAL", script, "1", EVENTS, "msg_12", "-", "500"]);
    assert_eq!(step.lines().next(), Some("4"), "{step}");
    let last = ["unread: entry", "11 entries before it"];
    assert_explained(&world, "msg_12", 0, &last);
    assert_explained(&world, "msg_13", 1, &["unknown: "]);
}

/// What one partition holds is no reason not to look at the others.
#[test]
fn a_partition_that_cannot_be_read_does_not_end_the_search() {
    let world = World::migrated();
    world.redis(&["SET", "{clerk:1}:events", "junk"]);
    let add = "XADD {clerk:2}:events * svix-id msg_1 payload {}";
    world.redis(&add.split(' ').collect::<Vec<_>>());
    world.redis(&["ZADD", RETRY, "1", "msg_junk"]);
    let away = "Redis cannot be asked about 1 partitions, 1 first: ";
    assert_explained(&world, "msg_1", 2, &["unread: entry", "{clerk:2}", away]);
    // The first is a number to MessagePack, the second nothing at all.
    for junk in ["junk", "\u{100}"] {
        world.redis(&["HSET", &Keys::of(0).retry_entries, "msg_junk", junk]);
        let waits = "retry: waits in {clerk:0}";
        assert_explained(&world, "msg_junk", 2, &[waits, away]);
    }
}

#[test]
fn what_is_nowhere_is_unknown_and_what_cannot_be_asked_is_said() {
    let mut world = World::migrated();
    assert_explained(
        &world,
        "msg_x",
        1,
        &["unknown: ", "It never came", "90 days"],
    );
    for text in ["", "a'b", "a\"b", "a b", "a\nb", "$(id)"] {
        assert_explained(&world, text, 2, &["error: svix-id: found"]);
    }
    world.redis.kill();
    assert_explained(&world, "msg_x", 2, &["Redis cannot be asked"]);
}
