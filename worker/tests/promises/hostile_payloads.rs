//! Nasty but correctly signed payloads: what JSON allows and PostgreSQL or Rust does not.

mod table;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use table::{Case, Expected, MARK};
use xtask::free_port::free_port;
use xtask::program::Program;
use xtask::sender::Sender;
use xtask::wait;

use crate::helpers::{DEAD, DEADLINE, EVENTS, World, user};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What became of an event: its outcome and its user's row, by the event's svix-id.
const LEDGER: &str = r#"
    select coalesce(json_object_agg(event.svix_id, json_build_object(
             'outcome', event.outcome,
             'id', users.id, 'name', users.name, 'email', users.email, 'imageUrl', users."imageUrl",
             'createdAt', (extract(epoch from users."createdAt") * 1000)::bigint,
             'updatedAt', (extract(epoch from users."updatedAt") * 1000)::bigint)), '{}')
      from clerk_sync.events event left join users on users.id = event.object_id"#;

/// Reason and attempts of every dead letter, by its svix-id.
const DEAD_LETTERS: &str = "local letters = {} \
    for _, letter in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do \
      local fields = {} \
      for i = 1, #letter[2], 2 do fields[letter[2][i]] = letter[2][i + 1] end \
      letters[fields['svix-id'] or letter[1]] = {reason = fields.reason, attempts = fields.attempts} \
    end return cjson.encode(letters)";

struct Ingest {
    program: Program,
    sender: Sender,
}

impl Ingest {
    /// The status of the answer to a signed body.
    async fn status(&self, svix_id: &str, body: &str) -> u16 {
        self.sender.send(svix_id, body).await.unwrap().status
    }
}

fn ingest(world: &World) -> Ingest {
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let admin = format!("127.0.0.1:{}", free_port().unwrap());
    let environment = [
        ("REDIS_URL", world.redis.url()),
        ("INGEST_ADDR", address.clone()),
        ("ADMIN_ADDR", admin),
        ("CLERK_WEBHOOK_SIGNING_SECRET", SECRET.to_owned()),
        ("RUST_LOG", "trace".to_owned()),
    ];
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let program = Program::start("ingest", &environment).unwrap();
    wait::block_until("the ingest listens", DEADLINE, || {
        program.output().contains("ingest is listening")
    })
    .unwrap();
    let url = format!("http://{address}/api/webhooks/clerk");
    Ingest {
        program,
        sender: Sender::new(&url, SECRET).unwrap(),
    }
}

/// For what no command line can hold.
fn connection(world: &World) -> redis::Connection {
    let client = redis::Client::open(world.redis.url()).unwrap();
    client.get_connection().unwrap()
}

fn add_by_hand(world: &World, svix_id: &str, payload: &str) {
    redis::cmd("XADD")
        .arg(&[EVENTS, "*", "svix-id", svix_id, "payload", payload])
        .exec(&mut connection(world))
        .unwrap();
}

fn ledger(world: &World) -> BTreeMap<String, Value> {
    serde_json::from_str(&world.sql(LEDGER)).unwrap()
}

fn dead_letters(world: &World) -> BTreeMap<String, Value> {
    let letters = world.redis(&["EVAL", DEAD_LETTERS, "1", DEAD]);
    serde_json::from_str(&letters).unwrap()
}

/// P2, P5, P6, P11: each has the outcome that stands in the table, at once; what the ingest accepts the
/// worker finishes, what it refuses the worker would not take either; the good events between them, in
/// the same batch, are applied; and nothing of a payload is told to anybody.
#[tokio::test]
async fn nasty_payloads_end_as_the_table_says_and_leave_their_neighbours_alone() {
    let world = World::migrated();
    let ingest = ingest(&world);
    let cases = table::cases();
    for (
        number,
        Case {
            body,
            expected,
            what,
        },
    ) in cases.iter().enumerate()
    {
        let good = user(
            &format!("user_good_{number}"),
            &format!("{number}@example.org"),
            1,
        );
        let status = ingest
            .status(&format!("good_{number}"), &good.created())
            .await;
        assert_eq!(status, 200);
        let svix_id = format!("nasty_{number}");
        let status = ingest.status(&svix_id, body).await;
        if matches!(expected, Expected::Refused) {
            assert_eq!(status, 400, "{what}");
            add_by_hand(&world, &svix_id, body);
        } else {
            assert_eq!(status, 200, "{what}");
        }
    }
    assert_eq!(
        world.redis(&["XLEN", EVENTS]),
        (2 * cases.len()).to_string()
    );

    let worker = world.worker_with(&[("BATCH_SIZE", "1000"), ("RUST_LOG", "trace")]);
    world.settle();

    let (mut ledger, mut dead_letters) = (ledger(&world), dead_letters(&world));
    let mut wrong = Vec::new();
    for (number, Case { expected, what, .. }) in cases.iter().enumerate() {
        let good = ledger.remove(&format!("good_{number}")).unwrap_or_default();
        if good["id"] != format!("user_good_{number}") || good["outcome"] != "applied" {
            wrong.push(format!("the neighbour of {what}: {good}"));
        }
        let svix_id = format!("nasty_{number}");
        let recorded = ledger.remove(&svix_id).unwrap_or_default();
        let letter = dead_letters.remove(&svix_id).unwrap_or_default();
        if !expected.is_met_by(&recorded, &letter) {
            wrong.push(format!(
                "{what}: expected {expected:?}, found {recorded} {letter}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ledger.is_empty() && dead_letters.is_empty());

    for output in [ingest.program.output(), worker.program.output()] {
        let output = output.to_lowercase();
        let leak = output.lines().find(|line| line.contains(MARK));
        assert_eq!(leak, None);
        assert!(!output.contains("waits for its next attempt"));
        assert!(!output.contains("panicked"));
    }
}

/// P4, P5, P7: identities are compared byte by byte, and none of them breaks a statement, a script or a
/// key.
#[tokio::test]
async fn odd_identities_are_kept_apart_and_understood_everywhere() {
    let world = World::migrated();
    let ingest = ingest(&world);
    let user_ids = [
        "user_a",
        "user_A",
        "user_a ",
        " user_a",
        "user_\u{e5}",
        "user_a\u{30a}",
        "user_\u{212b}",
        "o'neill",
        "\"quoted\"",
        "two\nlines",
        "}",
        "{}",
        "a}:users",
        "*",
        "user_?",
        "user_[a]",
        "\\",
        "$1",
        "%s",
        "'; drop table users; --",
        "\u{1f600}",
        "\u{200b}",
        "\u{1b}[31m",
        "\ta",
        "null",
    ];
    let long = "m".repeat(255);
    let svix_ids = [
        "a",
        "A",
        "two words",
        "o'neill",
        "\"quoted\"",
        "}",
        "{clerk:0}:events",
        "*",
        "\\",
        "$1",
        "%00",
        "all",
        "reason",
        "-",
        "+",
        "0-1",
        "'; drop table users; --",
        "../../etc/passwd",
        "~!@#^&()=|<>",
        "null",
        "-1",
        "1e9",
        "NaN",
        "?",
        &long,
    ];
    assert_eq!(user_ids.len(), svix_ids.len());
    for (number, (svix_id, user_id)) in svix_ids.iter().zip(user_ids).enumerate() {
        world.redis(&["SET", &format!("id:{user_id}:users"), "cached"]);
        let payload = user(user_id, &format!("{number}@example.com"), 1);
        let status = ingest.status(svix_id, &payload.created()).await;
        assert_eq!(status, 200, "{svix_id}");
        // The same identity again, with something that is not applied any more.
        let again = payload.first_name("Twice").updated();
        assert_eq!(ingest.status(svix_id, &again).await, 200, "{svix_id}");
    }
    let _worker = world.worker();
    world.settle();
    let ledger = ledger(&world);
    for (svix_id, user_id) in svix_ids.iter().zip(user_ids) {
        let event = &ledger[*svix_id];
        assert_eq!(event["id"], user_id, "{svix_id}");
        assert_eq!(event["name"], "Ada Lovelace", "{svix_id}");
    }
    assert_eq!(
        world.sql("select count(*) from users"),
        user_ids.len().to_string()
    );
    assert_eq!(world.redis(&["KEYS", "id:*"]), "", "tags are left");

    for (number, user_id) in user_ids.iter().enumerate() {
        let deleted = user(user_id, "", 2).deleted();
        let status = ingest.status(&format!("deleted_{number}"), &deleted).await;
        assert_eq!(status, 200, "{user_id}");
    }
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "0");
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

/// P5, P6: what no ingest adds, but a hand may.
#[test]
fn entries_that_are_no_events_are_dead_lettered_and_leave_their_neighbours_alone() {
    let world = World::migrated();
    let good = |number: u32| {
        let payload = user(
            &format!("user_{number}"),
            &format!("{number}@example.com"),
            1,
        );
        world.add_next(&payload.created());
    };
    let payload = |id: &str| user(id, &format!("{id}@example.com"), 1).created();
    good(1);
    world.redis(&["XADD", EVENTS, "*", "payload", &payload("nameless")]);
    good(2);
    world.redis(&["XADD", EVENTS, "*", "svix-id", "no_payload"]);
    good(3);
    world.redis(&["XADD", EVENTS, "*", "strange", "field"]);
    good(4);
    world.redis(&[
        "XADD",
        EVENTS,
        "*",
        "svix-id",
        "two\nlines",
        "payload",
        &payload("lines"),
    ]);
    good(5);
    // More fields than a script can unpack, and a field whose name is no text.
    let names: Vec<String> = (0..5000).map(|number| format!("field-{number}")).collect();
    let mut wide = vec!["XADD", EVENTS, "*", "svix-id", "wide"];
    for name in &names {
        wide.extend([name.as_str(), "x"]);
    }
    world.redis(&wide);
    good(6);
    let raw = |svix_id: &str, name: &str, value: &str, payload: &str| {
        let script = format!(
            "redis.call('XADD', KEYS[1], '*', 'svix-id', ARGV[1], '{name}', '{value}', 'payload', ARGV[2])"
        );
        world.redis(&["EVAL", &script, "1", EVENTS, svix_id, payload]);
    };
    raw("no_text", r"\255", "x", &payload("no_text"));
    raw("odd_numbers", "attempts", "-1", &payload("odd_numbers"));
    raw(
        "other_type",
        "type",
        r"session.created\0\255",
        &payload("other_type"),
    );
    good(7);
    let broken = "redis.call('XADD', KEYS[1], '*', 'svix-id', 'broken', 'payload', '{\"type\":\"user.updated\",\"data\":{\"id\":\"\\255\\0\"}}')";
    world.redis(&["EVAL", broken, "1", EVENTS]);
    let _worker = world.worker();
    world.settle();
    let applied: Vec<String> = ledger(&world)
        .into_values()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(applied.len(), 10, "{applied:?}");
    let letters = dead_letters(&world);
    let reasons: Vec<&str> = letters
        .values()
        .map(|letter| {
            assert_eq!(letter["attempts"], "1");
            letter["reason"].as_str().unwrap()
        })
        .collect();
    let count = |reason: &str| reasons.iter().filter(|found| **found == reason).count();
    assert_eq!(count("the entry has no usable svix-id"), 3, "{reasons:?}");
    assert_eq!(count("the entry has no payload"), 2, "{reasons:?}");
    assert_eq!(
        letters["broken"],
        json!({ "reason": "the payload is not JSON", "attempts": "1" })
    );
    assert_eq!(reasons.len(), 6, "{reasons:?}");
}

/// P5: the scripts that let an entry wait, return it, and move it to the dead letters and back.
#[test]
fn an_odd_entry_survives_waiting_and_replay() {
    let world = World::migrated();
    let _worker = world.worker_with(&[("MAX_ATTEMPTS", "2")]);
    let holder = user("user_holder", "ada@example.com", 1);
    world.add_next(&holder.created());
    world.settle();
    // Bytes that are no text, numbers that are none, fields twice, and more of them than a script can
    // unpack.
    let odd = user("user_odd", "ada@example.com", 2).created();
    let payload = [b"{\"x\":\"\xff\xc0\",", &odd.as_bytes()[1..]].concat();
    let mut add = redis::cmd("XADD");
    add.arg(&[EVENTS, "*", "svix-id", "not this one", "svix-id", "msg_odd"]);
    add.arg(&[b"\xff\0", b"\xfe".as_slice(), b"type", b"\0\xff"]);
    add.arg(&["received-at", "soon", "attempts", "-7", "payload", ""]);
    add.arg("payload").arg(&payload);
    for number in 0..5000 {
        add.arg(format!("more-{number}")).arg("of it");
    }
    let mut redis = connection(&world);
    add.exec(&mut redis).unwrap();
    world.settle();
    assert_eq!(
        world.reason("msg_odd").as_deref(),
        Some("the value of column \"email\" of public.users belongs to a row of another user")
    );
    let letters: redis::streams::StreamRangeReply = redis::cmd("XRANGE")
        .arg(&[DEAD, "-", "+"])
        .query(&mut redis)
        .unwrap();
    assert_eq!(letters.ids[0].get::<Vec<u8>>("payload"), Some(payload));

    world.add_next(&holder.deleted());
    world.settle();
    let replay = concat!(env!("CARGO_MANIFEST_DIR"), "/lua/replay.lua");
    let moved = world.redis(&["--eval", replay, DEAD, EVENTS, ",", "msg_odd"]);
    assert_eq!(moved, "1");
    world.settle();
    assert_eq!(world.outcome("msg_odd"), "applied");
    assert_eq!(world.users(), "user_odd Ada Lovelace ada@example.com");
}
