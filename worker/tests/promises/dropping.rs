//! Somebody is removed from what waits and from the dead letters, with nothing but redis-cli.

use std::process::Command;

use serde_json::json;
use shared::queue::Keys;

use crate::helpers::{DEAD, EVENTS, RETRY, World, user};
use crate::waking::waits_for_long;

const DROP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lua/drop.lua");
const MEMBER: &str = "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S";
const ORGANIZATION: &str = "org_2g7acme";

fn keys() -> [String; 6] {
    let keys = Keys::of(0);
    [
        keys.retry,
        keys.retry_entries,
        keys.retry_objects,
        keys.retry_awaited,
        keys.dead,
        keys.dead_letters,
    ]
}

/// What the script prints: svix-ids and, last, how many.
pub(crate) fn drop_all_of(world: &World, what: &[&str]) -> Vec<String> {
    let keys = keys();
    let mut command = vec!["--eval", DROP];
    command.extend(keys.iter().map(String::as_str));
    command.push(",");
    command.extend_from_slice(what);
    let printed = world.redis(&command);
    let mut lines: Vec<_> = printed.lines().map(str::to_owned).collect();
    let last = lines.len() - 1;
    lines[..last].sort();
    lines
}

/// A letter that was added by hand.
fn add_letter(world: &World, svix_id: &str, payload: &str) {
    let fields = ["svix-id", svix_id, "payload", payload, "reason", "x"];
    world.redis(&[&["XADD", DEAD, "*"], &fields[..]].concat());
}

fn svix_ids_of_letters(world: &World) -> String {
    let ids = "local ids = {} \
         for _, letter in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do ids[#ids + 1] = letter[2][2] end \
         return table.concat(ids, ' ')";
    world.redis(&["EVAL", ids, "1", DEAD])
}

/// P5: what the worker has put there leaves nothing behind, in no index, and what is about others stays.
#[test]
fn somebody_who_is_dropped_is_in_no_retry_no_dead_letter_and_no_index() {
    let world = World::migrated();
    let worker = world.worker();
    world.add("msg_2", &user("user_2", "ada@example.com", 1).created());
    world.settle();
    let often = |svix_id: &str, payload: String| {
        let fields = ["svix-id", svix_id, "payload", &payload, "attempts", "12"];
        world.redis(&[&["XADD", EVENTS, "*"], &fields[..]].concat());
        waits_for_long(&world, svix_id);
    };
    often("msg_1", user("user_1", "ada@example.com", 1).created());
    often("msg_3", user("user_3", "ada@example.com", 2).created());
    let dead = |id: &str| user(id, "", 1).email(None).created();
    world.add("msg_dead_1", &dead("user_1"));
    world.add("msg_dead_3", &dead("user_3"));
    world.wait_for("both are dead", |world| world.redis(&["XLEN", DEAD]) == "2");
    drop(worker);
    // It waits, or is being worked on: nobody takes it away.
    world.add("msg_new", &user("user_1", "eve@example.com", 3).updated());

    assert_eq!(
        drop_all_of(&world, &["user_1"]),
        ["msg_1", "msg_dead_1", "2 dropped, 0 left to look at"]
    );
    assert_eq!(
        drop_all_of(&world, &["user_1"]),
        ["0 dropped, 0 left to look at"]
    );
    assert_eq!(world.backlog(), 1);
    assert_eq!(svix_ids_of_letters(&world), "msg_dead_3");
    let [retry, entries, objects, awaited, _, letters] = keys();
    assert_eq!(world.redis(&["ZRANGE", &retry, "0", "-1"]), "msg_3");
    assert_eq!(world.redis(&["HKEYS", &entries]), "msg_3");
    assert_eq!(world.redis(&["HKEYS", &letters]), "msg_dead_3");
    for (index, object) in [(objects, "user_3"), (awaited, "user_2")] {
        let member = format!("user/{object}\0msg_3");
        assert_eq!(world.redis(&["ZRANGE", &index, "0", "-1"]), member);
    }
    // The others go on.
    world.add("msg_gone", &user("user_2", "", 4).deleted());
    let _worker = world.worker();
    world.wait_for("all are applied", |world| {
        ["msg_new", "msg_3"].map(|id| world.outcome(id)) == ["applied"; 2]
    });
}

/// A person's memberships go too, and an organization's. An event that only mentions a user is not about that user.
#[test]
fn an_event_is_dropped_with_the_user_and_with_the_organization_that_it_belongs_to() {
    let data = |data| json!({"type": "x.y", "data": data}).to_string();
    let unreadable = format!("{{\"type\":\"user.created\",\"data\":{{\"id\":\"{MEMBER}\"");
    let letters = [
        (
            "msg_user",
            include_str!("../../../shared/fixtures/user.updated.full.json").to_owned(),
            true,
            false,
        ),
        (
            "msg_member",
            include_str!("../../../shared/fixtures/organizationMembership.deleted.json").to_owned(),
            true,
            true,
        ),
        (
            "msg_session",
            include_str!("../../../shared/fixtures/session.created.json").to_owned(),
            true,
            false,
        ),
        (
            "msg_organization",
            include_str!("../../../shared/fixtures/organization.updated.json").to_owned(),
            false,
            true,
        ),
        (
            "msg_invitation",
            include_str!("../../../shared/fixtures/organizationInvitation.created.json").to_owned(),
            false,
            true,
        ),
        (
            "msg_email",
            data(json!({"id": "ema_1", "user_id": MEMBER})),
            true,
            false,
        ),
        ("msg_cut", unreadable, true, false),
        ("msg_no_data", data(json!(MEMBER)), true, false),
        (
            "msg_null",
            data(json!({"id": null, "organization": null, "public_user_data": 7, "by": MEMBER})),
            false,
            false,
        ),
        (
            "msg_longer",
            data(
                json!({"id": format!("{MEMBER}0"), "organization_id": format!("{ORGANIZATION}0")}),
            ),
            false,
            false,
        ),
        ("msg_nothing", String::new(), false, false),
    ];
    for (what, is_dropped) in [
        (
            MEMBER,
            (|letter| letter.2) as fn(&(&str, String, bool, bool)) -> bool,
        ),
        (ORGANIZATION, |letter| letter.3),
    ] {
        let world = World::migrated();
        for (svix_id, payload, ..) in &letters {
            add_letter(&world, svix_id, payload);
            let pack = "redis.call('ZADD', KEYS[1], 1, ARGV[1]) \
                 return redis.call('HSET', KEYS[2], ARGV[1], cmsgpack.pack({'payload', ARGV[2]}))";
            let entries = Keys::of(0).retry_entries;
            let waiting = format!("{svix_id}_waits");
            world.redis(&["EVAL", pack, "2", RETRY, &entries, &waiting, payload]);
        }
        let ids = |dropped: bool| {
            letters
                .iter()
                .filter(move |letter| is_dropped(letter) == dropped)
                .map(|letter| letter.0)
        };
        let mut expected: Vec<_> = ids(true)
            .flat_map(|id| [id.to_owned(), format!("{id}_waits")])
            .collect();
        expected.sort();
        expected.push(format!("{} dropped, 0 left to look at", expected.len()));
        assert_eq!(drop_all_of(&world, &[what]), expected);
        let kept: Vec<_> = ids(false).collect();
        assert_eq!(svix_ids_of_letters(&world), kept.join(" "));
        assert_eq!(world.redis(&["ZCARD", RETRY]), kept.len().to_string());
    }
}

/// P11: Redis only marks an entry that is removed, so what stands beside it is written anew.
#[test]
fn the_bytes_of_a_dropped_letter_are_gone_and_its_neighbours_are_not() {
    let world = World::migrated();
    let letter = |n: usize, user: usize| {
        let payload = format!(
            "{{\"data\":{{\"id\":\"user_{user}\",\"x\":\"text_{user}{}\"}}}}",
            "x".repeat(n * 10)
        );
        let id = format!("{}-0", 1000 + n);
        world.redis(&[
            "XADD",
            DEAD,
            &id,
            "svix-id",
            &format!("msg_{n}"),
            "payload",
            &payload,
        ]);
        world.redis(&["HSET", &Keys::of(0).dead_letters, &format!("msg_{n}"), &id]);
    };
    for n in 0..100 {
        letter(n, if n % 20 < 2 { 1 } else { 2 });
    }
    assert_eq!(drop_all_of(&world, &["user_1"]).len(), 11);
    let dump = "return { string.find(redis.call('DUMP', KEYS[1]), ARGV[1], 1, true) or 0, \
         string.find(redis.call('DUMP', KEYS[1]), ARGV[2], 1, true) ~= nil }";
    let found = world.redis(&["EVAL", dump, "1", DEAD, "text_1", "text_2"]);
    assert_eq!(found, "0\n1");

    let kept = "local kept = {} \
         for _, letter in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do \
           local value = {} \
           for i = 1, #letter[2], 2 do value[letter[2][i]] = letter[2][i + 1] end \
           local svix_id = value['svix-id'] \
           local is_same = value['failed-at'] == value['received-at'] \
           local at = value['received-at'] or string.match(letter[1], '%d+') \
           if redis.call('HGET', KEYS[2], svix_id) == letter[1] and is_same then \
             kept[#kept + 1] = svix_id .. ' ' .. at \
           end \
         end return kept";
    let kept = world.redis(&["EVAL", kept, "2", DEAD, &Keys::of(0).dead_letters]);
    let mut kept: Vec<_> = kept.lines().collect();
    kept.sort_unstable();
    let mut expected: Vec<_> = (0..100)
        .filter(|n| n % 20 >= 2)
        .map(|n| format!("msg_{n} {}", 1000 + n))
        .collect();
    expected.sort();
    assert_eq!(kept, expected);
    assert_eq!(world.redis(&["HLEN", &Keys::of(0).dead_letters]), "90");
}

/// What somebody has written by hand stops no other's removal.
#[test]
fn entries_that_nobody_can_read_are_no_obstacle() {
    let world = World::migrated();
    let entries = Keys::of(0).retry_entries;
    // A number to MessagePack, nothing at all, and an odd list.
    for (svix_id, junk) in [
        ("msg_junk", "junk"),
        ("msg_torn", "\u{100}"),
        ("msg_1", "\u{1}"),
    ] {
        world.redis(&["HSET", &entries, svix_id, junk]);
    }
    world.redis(&["XADD", DEAD, "7-7", "of", "somebody else"]);
    world.redis(&[
        "XADD",
        DEAD,
        "7-8",
        "payload",
        r#"{"data":{"id":"user_1"}}"#,
    ]);
    assert_eq!(
        drop_all_of(&world, &["user_1"]),
        ["7-8", "1 dropped, 0 left to look at"]
    );
    assert_eq!(
        drop_all_of(&world, &["msg_1"]),
        ["msg_1", "1 dropped, 0 left to look at"]
    );
    assert_eq!(world.redis(&["HLEN", &entries]), "2");
}

/// Redis does nothing else meanwhile, so not all is looked at at once.
#[test]
fn ten_thousand_entries_are_looked_at_in_a_call_and_the_next_one_goes_on() {
    let world = World::migrated();
    let fill = "for n = 1, 7000 do \
           local payload = '{\"data\":{\"id\":\"user_' .. n % 2 .. '\"}}' \
           redis.call('XADD', KEYS[1], '*', 'svix-id', 'msg_' .. n, 'payload', payload) \
           redis.call('ZADD', KEYS[2], n, 'msg_w' .. n) \
           redis.call('HSET', KEYS[3], 'msg_w' .. n, cmsgpack.pack({'payload', payload})) \
         end return 1";
    let entries = Keys::of(0).retry_entries;
    world.redis(&["EVAL", fill, "3", DEAD, RETRY, &entries]);
    let mut from = "0/0".to_owned();
    let mut dropped = Vec::new();
    for left in ["4", "0 left"] {
        let mut printed = drop_all_of(&world, &["user_1", &from]);
        let last = printed.pop().unwrap();
        assert!(
            last.starts_with(&format!("{} dropped, {left}", printed.len())),
            "{last}"
        );
        from = last.rsplit(' ').next().unwrap().to_owned();
        dropped.append(&mut printed);
    }
    dropped.sort();
    dropped.dedup();
    assert_eq!(dropped.len(), 7000);
    assert_eq!(world.redis(&["XLEN", DEAD]), "3500");
    assert_eq!(world.redis(&["ZCARD", RETRY]), "3500");

    // A few large ones take as long.
    let heavy = "local heavy = '{\"data\":{\"id\":\"user_2\",\"x\":\"' .. string.rep('x', 2 ^ 20) .. '\"}}' \
         redis.call('DEL', KEYS[1]) \
         for n = 1, 70 do redis.call('XADD', KEYS[1], '*', 'payload', heavy) end return 1";
    world.redis(&["EVAL", heavy, "1", DEAD]);
    world.redis(&["DEL", RETRY, &entries]);
    let printed = drop_all_of(&world, &["user_1"]);
    assert!(
        printed[0].starts_with("0 dropped, 6 left to look at: go on from 64/"),
        "{printed:?}"
    );
}

#[test]
fn a_call_that_is_not_clear_drops_nothing() {
    let world = World::migrated();
    add_letter(&world, "msg_1", r#"{"data":{"id":"user_1"}}"#);
    let right = keys();
    let swapped = [&right[..4], &[right[5].clone(), right[4].clone()]].concat();
    let mut of_two = right.to_vec();
    of_two[5] = Keys::of(1).dead_letters;
    for (keys, what) in [
        (right.to_vec(), &[][..]),
        (right.to_vec(), &[""]),
        (right.to_vec(), &["user_1", "user_2"]),
        (right.to_vec(), &["user_1", "0/0", "0/0"]),
        (right[..5].to_vec(), &["user_1"]),
        ([&right[..], &["x".to_owned()]].concat(), &["user_1"]),
        (swapped, &["user_1"]),
        (of_two, &["user_1"]),
    ] {
        let mut command = vec!["--eval", DROP];
        command.extend(keys.iter().map(String::as_str));
        command.push(",");
        command.extend_from_slice(what);
        assert!(world.redis.cli(&command).is_err(), "{keys:?} {what:?}");
    }
    assert_eq!(world.redis(&["XLEN", DEAD]), "1");
}

/// The commands of docs/forgetting.md, in their order.
#[test]
fn the_commands_of_the_page_forget_somebody_and_nobody_else() {
    let world = World::migrated();
    let worker = world.worker();
    let ada = |second| user("user_2abc", "ada@example.com", second);
    world.add("msg_1", &ada(1).created());
    world.add("msg_2", &user("user_2", "bob@example.com", 1).created());
    world.add("msg_dead", &ada(2).email(None).updated());
    world.settle();
    world.add("msg_gone", &ada(3).deleted());
    world.settle();
    drop(worker);
    world.sql(
        "insert into clerk_sync.versions (family, object_id, updated_at, event_at, svix_id, deleted) values
           ('user', 'user_3', now(), now(), '', false);
         insert into clerk_sync.owners (family, row_key, object_id, updated_at, event_at, svix_id)
           select family, array[object_id], object_id, updated_at, event_at, svix_id from clerk_sync.versions",
    );
    let files = || {
        let folder = world.redis(&["CONFIG", "GET", "dir"]);
        let folder = format!("{}/appendonlydir", folder.lines().last().unwrap());
        let files = std::fs::read_dir(folder).unwrap();
        let texts = files.map(|file| std::fs::read(file.unwrap().path()).unwrap_or_default());
        String::from_utf8_lossy(&texts.collect::<Vec<_>>().concat()).into_owned()
    };
    assert!(files().contains("ada@example.com"));

    let page = include_str!("../../../docs/forgetting.md");
    let commands = page.split("```sh\n").skip(1);
    let commands = commands.filter_map(|block| Some(block.split_once("```")?.0));
    let printed = commands.map(|command| {
        if let Some(sql) = command.strip_prefix("psql \"$DATABASE_URL\" -c \"") {
            return world.sql(sql.trim_end().trim_end_matches('"'));
        }
        let port = world.redis.port();
        let command = command.replace("redis-cli ", &format!("redis-cli -p {port} "));
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/lua");
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &command]).current_dir(folder).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
    let printed: Vec<_> = printed.collect();
    assert!(printed[0].contains("user.deleted|applied"), "{printed:?}");
    assert_eq!(printed[1], "msg_dead\n1 dropped, 0 left to look at\n");
    assert_eq!(printed.len(), 5);
    world.wait_for("the file is written anew", |_| {
        !files().contains("ada@example.com")
    });
    let left = "select 'event', object_id from clerk_sync.events union all
         select 'owner', object_id from clerk_sync.owners union all
         select 'version', object_id from clerk_sync.versions order by 1, 2";
    assert_eq!(
        world.sql(left),
        "event|user_2\nowner|user_2\nowner|user_3\nversion|user_2\nversion|user_2abc\nversion|user_3"
    );
}
