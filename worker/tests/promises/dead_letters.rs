//! Dead letters, and their replay with nothing but redis-cli.

use std::process::{Child, Command, Stdio};

use xtask::redis_server::RedisServer;

use crate::applications::worlds;
use crate::helpers::{DEAD, DEADLINE, EVENTS, RETRY, World, user};

const REPLAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lua/replay.lua");

fn replay(world: &World, what: &[&str]) -> String {
    let mut command = vec!["--eval", REPLAY, DEAD, EVENTS, ","];
    command.extend_from_slice(what);
    world.redis(&command)
}

/// P5
#[test]
fn a_dead_letter_keeps_the_fields_and_tells_why() {
    let world = World::new();
    let _worker = world.worker();
    let payload = user("user_1", "ada@example.com", 1).email(None).created();
    world.redis(&[
        "XADD",
        EVENTS,
        "*",
        "svix-id",
        "msg_1",
        "type",
        "user.created",
        "payload",
        &payload,
        "received-at",
        "1716883200000",
    ]);
    world.settle();
    let field = |name| world.dead_letter("msg_1", name);
    assert_eq!(field("payload").as_deref(), Some(payload.as_str()));
    assert_eq!(field("type").as_deref(), Some("user.created"));
    assert_eq!(field("received-at").as_deref(), Some("1716883200000"));
    assert_eq!(
        field("reason").as_deref(),
        Some(
            "data.primary_email_address says nothing, and column \"email\" takes no NULL (table public.users)"
        )
    );
    assert_eq!(field("attempts").as_deref(), Some("1"));
    let failed_at: u64 = field("failed-at").unwrap().parse().unwrap();
    assert!(failed_at > 1_716_883_200_000);
}

/// P3, P5
#[test]
fn replay_moves_one_or_all_or_by_reason_and_says_how_many() {
    let world = World::new();
    for n in 1..=5 {
        let reason = if n <= 3 {
            "the column is too short (22001)"
        } else {
            "a check refuses it (23514)"
        };
        let payload = user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created();
        world.redis(&[
            "XADD",
            DEAD,
            "*",
            "svix-id",
            &format!("msg_{n}"),
            "payload",
            &payload,
            "reason",
            reason,
            "attempts",
            "25",
            "failed-at",
            "1716883200000",
        ]);
    }
    let _worker = world.worker();
    assert_eq!(replay(&world, &["msg_unknown"]), "0");
    assert_eq!(replay(&world, &["msg_1"]), "1");
    assert_eq!(replay(&world, &["msg_1"]), "0");
    assert_eq!(replay(&world, &["reason", "too short"]), "2");
    assert_eq!(
        replay(&world, &["reason", "("]),
        "2",
        "TEXT is text, not a pattern"
    );
    assert_eq!(replay(&world, &["all"]), "0 moved, 0 left");
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "5");
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

#[test]
fn a_replayed_event_begins_anew() {
    let world = World::new();
    let worker = world.worker();
    world.sql("alter table users add constraint short check (length(name) < 5)");
    let svix_id = world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    assert!(world.reason(&svix_id).unwrap().contains("constraint short"));
    drop(worker);
    assert_eq!(replay(&world, &["all"]), "1 moved, 0 left");
    let fields = world.redis(&["XRANGE", EVENTS, "-", "+"]);
    for absent in ["reason", "attempts", "failed-at"] {
        assert!(!fields.lines().any(|line| line == absent), "{fields}");
    }
    world.sql("alter table users drop constraint short");
    let _worker = world.worker();
    world.settle();
    assert_eq!(world.outcome(&svix_id), "applied");
}

#[test]
fn replay_without_a_clear_order_moves_nothing() {
    let world = World::new();
    world.redis(&[
        "XADD", DEAD, "*", "svix-id", "msg_1", "payload", "{}", "reason", "x",
    ]);
    for what in [&[][..], &["reason"], &["msg_1", "msg_2"], &["all", "msg_1"]] {
        let mut command = vec!["--eval", REPLAY, DEAD, EVENTS, ","];
        command.extend_from_slice(what);
        assert!(world.redis.cli(&command).is_err(), "{what:?}");
    }
    assert_eq!(world.redis(&["XLEN", DEAD]), "1");
}

/// P5: copies of one event have one dead letter, and none once a copy is applied.
#[test]
fn an_event_has_one_dead_letter_and_none_once_it_is_applied() {
    for world in worlds() {
        world.sql_of_table("alter table TABLE add constraint short check (length(NAME) < 3)");
        let payload = user("user_1", "ada@example.com", 1).created();
        // In one batch, and one after the other.
        for _ in 0..3 {
            world.add("msg_1", &payload);
        }
        let _worker = world.worker();
        for _ in 0..2 {
            world.settle();
            assert_eq!(world.redis(&["XLEN", DEAD]), "1");
            world.add("msg_1", &payload);
        }
        world.settle();
        // Dropped by hand, it comes again.
        world.redis(&["XTRIM", DEAD, "MAXLEN", "0"]);
        world.add("msg_1", &payload);
        world.settle();
        assert_eq!(world.redis(&["XLEN", DEAD]), "1");
        // Replayed, too.
        assert_eq!(replay(&world, &["all"]), "1 moved, 0 left");
        world.settle();
        assert_eq!(world.redis(&["XLEN", DEAD]), "1");

        world.sql_of_table("alter table TABLE drop constraint short");
        world.add("msg_1", &payload);
        world.settle();
        assert_eq!(world.outcome("msg_1"), "applied");
        assert_eq!(world.redis(&["XLEN", DEAD]), "0");
        assert_eq!(world.redis(&["KEYS", "*dead*"]), DEAD);
    }
}

/// P5: what has no usable svix-id is no copy of anything.
#[test]
fn entries_without_a_usable_svix_id_have_a_letter_each() {
    let world = World::new();
    for svix_id in ["", "", "a\nb", "a\nb"] {
        world.add(svix_id, "{}");
    }
    let _worker = world.worker();
    world.settle();
    assert_eq!(world.redis(&["XLEN", DEAD]), "4");
}

/// P5: Redis does nothing else while letters are moved, so they are not all moved at once.
#[test]
fn replay_moves_ten_thousand_letters_at_a_time() {
    let world = World::new();
    fill(&world, "12000", "{}");
    world.redis(&["XADD", DEAD, "*", "of", "somebody else"]);
    assert_eq!(replay(&world, &["all"]), "10000 moved, 2001 left");
    assert_eq!(replay(&world, &["all"]), "2000 moved, 1 left");
    assert_eq!(replay(&world, &["all"]), "0 moved, 1 left");
    assert_eq!(world.backlog(), 12_000);
    fill(&world, "12000", "{}");
    assert_eq!(replay(&world, &["reason", "too short"]), "10000");
    assert_eq!(replay(&world, &["reason", "too short"]), "2000");
    assert_eq!(replay(&world, &["reason", "too short"]), "0");
}

/// P5: an entry that was added by hand tells by its id when it was received, and gets another one.
#[test]
fn an_entry_without_a_time_keeps_its_age_wherever_it_goes() {
    const RECEIVED: &str = "1716883200000";
    let world = World::migrated();
    let received_at = |key: &str| {
        let entries = world.redis(&["XRANGE", key, "-", "+"]);
        let mut lines = entries.lines().map(str::to_owned);
        lines.find(|line| line == "received-at");
        lines.next()
    };
    let poison = user("user_1", "", 1).email(None).created();
    let by_hand = |key: &str, id: &str, more: &[&str]| {
        let id = format!("{RECEIVED}-{id}");
        let mut command = vec!["XADD", key, &id, "svix-id", "msg_1", "payload", &poison];
        command.extend_from_slice(more);
        world.redis(&command);
    };
    for more in [&[][..], &["received-at", "soon"]] {
        by_hand(EVENTS, "1", more);
        let worker = world.worker();
        world.settle();
        drop(worker);
        assert_eq!(received_at(DEAD).as_deref(), Some(RECEIVED), "dead_letter");
        world.redis(&["DEL", DEAD, EVENTS]);

        by_hand(DEAD, "1", more);
        assert_eq!(replay(&world, &["msg_1"]), "1");
        assert_eq!(received_at(EVENTS).as_deref(), Some(RECEIVED), "replay");
        world.redis(&["DEL", DEAD, EVENTS]);

        by_hand(EVENTS, "1", more);
        world.redis(&["XGROUP", "CREATE", EVENTS, "clerk-worker", "0"]);
        let read = [
            "XREADGROUP",
            "GROUP",
            "clerk-worker",
            "me",
            "STREAMS",
            EVENTS,
            ">",
        ];
        world.redis(&read);
        let hand_back = concat!(env!("CARGO_MANIFEST_DIR"), "/src/source/hand_back.lua");
        let leave = [
            "--eval",
            hand_back,
            EVENTS,
            ",",
            "clerk-worker",
            "me",
            "leave",
        ];
        assert_eq!(world.redis(&leave), "1");
        assert_eq!(received_at(EVENTS).as_deref(), Some(RECEIVED), "hand_back");

        world.redis(&["DEL", EVENTS]);
        by_hand(EVENTS, "1", more);
        world.redis(&["XGROUP", "CREATE", EVENTS, "clerk-worker", "0"]);
        world.redis(&read);
        let park = concat!(env!("CARGO_MANIFEST_DIR"), "/src/finish/park.lua");
        let entries = "{clerk:0}:retry:entries";
        let objects = "{clerk:0}:retry:objects";
        let awaited = "{clerk:0}:retry:awaited";
        let first = format!("{RECEIVED}-1");
        let arguments = ["clerk-worker", "me", &first, "1", "1", "not now"];
        let keys = [EVENTS, RETRY, entries, objects, awaited, ","];
        let park = [&["--eval", park], &keys[..], &arguments].concat();
        assert_eq!(world.redis(&park).lines().count(), 2);
        let unpark = concat!(env!("CARGO_MANIFEST_DIR"), "/src/finish/unpark.lua");
        world.wait_for("it is due", |world| {
            let unpark = [&["--eval", unpark], &keys[..], &["9"]].concat();
            world.redis(&unpark).starts_with('1')
        });
        assert_eq!(
            received_at(EVENTS).as_deref(),
            Some(RECEIVED),
            "park and unpark"
        );
        world.redis(&["DEL", EVENTS]);
    }
}

/// The svix-ids of letters that an operator trims do not stay for ever.
#[test]
fn nothing_piles_up_where_letters_are_trimmed() {
    const ROUNDS: usize = 15;
    const LETTERS: usize = 20;
    let world = World::migrated();
    let _worker = world.worker();
    for _ in 0..ROUNDS {
        let trimmed = world.redis(&["XREVRANGE", DEAD, "+", "-", "COUNT", "1"]);
        if let Some(newest) = trimmed.lines().next() {
            world.redis(&["XTRIM", DEAD, "MINID", newest]);
        }
        for _ in 0..LETTERS {
            world.add_next(&user("user_1", "", 1).email(None).created());
        }
        world.settle();
    }
    let known: usize = world
        .redis(&["HLEN", "{clerk:0}:dead:letters"])
        .parse()
        .unwrap();
    assert!((LETTERS..ROUNDS * LETTERS / 2).contains(&known), "{known}");
}

/// P5: a script is one entry of the append-only file, so Redis keeps all of it or nothing; and it runs
/// to its end without the client that asked for it.
#[test]
fn a_replay_that_is_killed_leaves_every_letter_in_one_place() {
    let redis = RedisServer::start_with(&["--busy-reply-threshold", "1"]).unwrap();
    let mut world = World::with_redis(redis);
    let letters = "10000";
    fill(&world, letters, &"x".repeat(1000));
    let lengths = |world: &World| (world.redis(&["XLEN", DEAD]), world.redis(&["XLEN", EVENTS]));

    let mut replay = begin_replay(&world);
    world.redis.kill();
    replay.wait().unwrap();
    world.redis.restart().unwrap();
    assert_eq!(lengths(&world), (letters.into(), "0".into()));

    let mut replay = begin_replay(&world);
    replay.kill().unwrap();
    replay.wait().unwrap();
    world.wait_for("the replay has ended", |world| {
        world.redis.cli(&["PING"]).is_ok()
    });
    assert_eq!(lengths(&world), ("0".into(), letters.into()));
}

/// So many dead letters.
fn fill(world: &World, count: &str, payload: &str) {
    let fill = "for n = 1, ARGV[1] do \
           redis.call('XADD', KEYS[1], '*', 'svix-id', 'msg_' .. n, 'payload', ARGV[2], 'reason', 'too short') \
         end";
    world.redis(&["EVAL", fill, "1", DEAD, count, payload]);
}

/// Returns while the script runs.
fn begin_replay(world: &World) -> Child {
    let replay = Command::new("redis-cli")
        .args(["-p", &world.redis.port().to_string()])
        .args(["--eval", REPLAY, DEAD, EVENTS, ",", "all"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    xtask::wait::block_until("Redis is busy with the replay", DEADLINE, || {
        let answer = world.redis.cli(&["PING"]);
        answer.is_err_and(|error| error.to_string().contains("BUSY"))
    })
    .unwrap();
    replay
}
