//! `worker reconcile`: who was there before the endpoint, and what differs.

mod existing_table;
mod families;
mod references;
pub(crate) mod tables;

use std::collections::HashSet;
use std::process::{Command, Output};

use serde_json::Value;
use xtask::certificates::Authority;
use xtask::clerk_payload::UserPayload;
use xtask::program::Program;
use xtask::wait;

use crate::clerk_server::{ClerkServer, KEY, Mishap, listed};
use crate::helpers::{DEADLINE, EVENTS, World, user};

/// User `n`, who was created in the second `n`.
fn nth(n: i64) -> UserPayload {
    user(&format!("user_{n:05}"), &format!("{n}@example.com"), n)
        .created_at(1_716_883_200_000 + n * 1000)
}

pub(crate) fn list(users: impl Iterator<Item = i64>) -> Vec<Value> {
    users.map(|n| listed(&nth(n))).collect()
}

fn settings<'a>(
    world: &'a World,
    redis: &'a str,
    clerk: &'a ClerkServer,
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut settings = vec![
        ("REDIS_URL", redis),
        ("DATABASE_URL", world.database_url.as_str()),
        ("CLERK_API_URL", clerk.url.as_str()),
        ("CLERK_SECRET_KEY", KEY),
    ];
    settings.retain(|(name, _)| !more.iter().any(|(other, _)| name == other));
    settings.extend_from_slice(more);
    settings
}

fn run_with(
    world: &World,
    clerk: &ClerkServer,
    arguments: &[&str],
    more: &[(&str, &str)],
) -> (String, i32) {
    let redis = world.redis.url();
    let arguments = [&["reconcile"], arguments].concat();
    let settings = settings(world, &redis, clerk, more);
    let Output {
        status,
        stdout,
        stderr,
    } = Program::run("worker", &arguments, &settings).unwrap();
    let output = String::from_utf8([stdout, stderr].concat()).unwrap();
    // P11
    for secret in ["example.com", "Lovelace", KEY] {
        assert!(!output.contains(secret), "{output}");
    }
    (output, status.code().unwrap())
}

/// What it says when all is well.
#[track_caller]
fn run(world: &World, clerk: &ClerkServer, arguments: &[&str]) -> String {
    let (output, code) = run_with(world, clerk, arguments, &[]);
    assert_eq!(code, 0, "{output}");
    output
}

#[track_caller]
fn assert_says(output: &str, texts: &[&str]) {
    for text in texts {
        assert!(output.contains(text), "{text:?} is not in\n{output}");
    }
}

/// How many entries there have ever been.
fn added(world: &World) -> String {
    let info = world.redis(&["XINFO", "STREAM", EVENTS]);
    let mut lines = info.lines().skip_while(|line| *line != "entries-added");
    lines.nth(1).unwrap().to_owned()
}

fn count(world: &World) -> String {
    world.sql("select count(*) from users")
}

#[test]
fn all_users_come_in_and_who_is_equal_is_not_pushed() {
    let world = World::new();
    let _worker = world.worker();
    let clerk = ClerkServer::start(list(0..1203));
    assert_says(
        &run(&world, &clerk, &[]),
        &["1203 users read: 0 equal, 1203 missing"],
    );
    world.settle();
    assert_eq!(count(&world), "1203");
    assert_eq!(
        world.sql("select name, email, \"imageUrl\", extract(epoch from \"updatedAt\")::bigint from users where id = 'user_00700'"),
        "Ada Lovelace|700@example.com|https://img.clerk.com/ada.jpeg|1716883900"
    );
    let before = added(&world);
    assert_says(
        &run(&world, &clerk, &[]),
        &["1203 users read: 1203 equal, 0 missing"],
    );
    assert_eq!(added(&world), before);
    assert_eq!(world.redis(&["KEYS", "*reconcile*"]), "");
}

#[test]
fn nobody_is_skipped_while_users_come_and_go() {
    let world = World::new();
    let _worker = world.worker();
    let clerk = ClerkServer::start(list(0..1400));
    {
        let mut state = clerk.state();
        // A few, who move the next page by less than it overlaps; many; and those that are read next, the
        // overlap among them.
        state
            .after_pages
            .push_back(Box::new(|users| drop(users.drain(..7))));
        state.after_pages.push_back(Box::new(|users| {
            users.drain(10..310);
            users.extend(list(1400..1600));
        }));
        state
            .after_pages
            .push_back(Box::new(|users| drop(users.drain(600..700))));
    }
    run(&world, &clerk, &[]);
    world.settle();
    let there = world.sql("select id from users");
    for user in &clerk.state().users {
        let id = user["id"].as_str().unwrap();
        assert!(there.lines().any(|there| there == id), "{id} was skipped");
    }
}

/// All of an import may have been created in one millisecond, and then nobody can tell who comes first.
#[test]
fn users_of_the_same_time_are_read_too() {
    let world = World::migrated();
    let same = |n| listed(&nth(n).created_at(1_716_883_200_000));
    let clerk = ClerkServer::start((0..1100).map(same).collect());
    let gone = |users: &mut Vec<Value>| drop(users.drain(..100));
    clerk.state().after_pages.push_back(Box::new(gone));
    run(&world, &clerk, &[]);
    let entries = world.redis(&["XRANGE", EVENTS, "-", "+"]);
    let svix_ids = entries
        .lines()
        .filter(|line| line.starts_with("reconcile_"));
    let users: HashSet<&str> = svix_ids.map(|svix_id| &svix_id[10..20]).collect();
    assert_eq!(users.len(), 1100);
}

#[test]
fn a_list_that_ends_too_early_is_no_success() {
    let world = World::migrated();
    let clerk = ClerkServer::start(list(0..700));
    clerk.state().most_listed = Some(600);
    let (output, code) = run_with(&world, &clerk, &[], &[]);
    assert_eq!(code, 2, "{output}");
    let reason =
        "error: Clerk has 700 users and lists 600 only (600 users read: 0 equal, 600 missing";
    assert_says(&output, &[reason]);
    // The next one goes on there, unless it is for another database.
    let (server, _) = world.database_url.rsplit_once('/').unwrap();
    let other = format!("{server}/template1");
    let (output, _) = run_with(&world, &clerk, &[], &[("DATABASE_URL", &other)]);
    assert_says(&output, &["there is no table \"users\", worker migrate"]);
    assert!(!output.contains("goes on after"), "{output}");
    clerk.state().most_listed = None;
    let output = run(&world, &clerk, &[]);
    assert_says(&output, &["goes on after 600 users", "120 users read"]);
    assert_eq!(world.redis(&["KEYS", "*reconcile*"]), "");
}

#[test]
fn a_user_without_a_readable_id_does_not_hold_it_up() {
    let world = World::migrated();
    let mut users = list(0..30);
    for n in [10, 29] {
        users[n]["id"] = 7.into();
    }
    let clerk = ClerkServer::start(users);
    let output = run(&world, &clerk, &[]);
    assert_says(
        &output,
        &[
            "unusable without an id",
            "30 users read: 0 equal, 28 missing",
            "2 unusable",
        ],
    );
}

/// P8
#[test]
fn a_clerk_that_is_busy_or_broken_is_waited_for() {
    let world = World::migrated();
    let clerk = ClerkServer::start(list(0..700));
    clerk.state().mishaps.extend([
        None,
        Some(Mishap::TooMany(1)),
        Some(Mishap::Status(500)),
        None,
        Some(Mishap::Cut),
        Some(Mishap::Status(503)),
    ]);
    let output = run(&world, &clerk, &[]);
    assert_says(
        &output,
        &[
            "Clerk answers 429: waiting 1.0 s",
            "Clerk answers 500: waiting",
            "Clerk answers 503: waiting",
            "Clerk cannot be asked (",
            "700 users read: 0 equal, 700 missing",
        ],
    );
    assert_eq!(world.backlog(), 700);
}

#[test]
fn a_wrong_key_or_a_wrong_setting_ends_it_at_once() {
    let world = World::migrated();
    let clerk = ClerkServer::start(list(0..3));
    let (output, code) = run_with(
        &world,
        &clerk,
        &[],
        &[("CLERK_SECRET_KEY", "sk_test_wrong")],
    );
    assert_eq!(code, 2);
    assert_says(&output, &["error: Clerk refuses CLERK_SECRET_KEY (401)"]);
    assert!(!output.contains("sk_test_wrong"), "{output}");
    assert_eq!(clerk.state().requests.len(), 1);
    for (name, value) in [
        ("CLERK_SECRET_KEY", ""),
        ("CLERK_SECRET_KEY", "hunter2 hunter2"),
        ("CLERK_API_URL", "http://hunter2@api.clerk.com"),
    ] {
        let (output, code) = run_with(&world, &clerk, &[], &[(name, value)]);
        assert_eq!(code, 2);
        assert_says(&output, &[&format!("error: {name}: found ")]);
        assert!(!output.contains("hunter2"), "{output}");
    }
    assert_eq!(world.backlog(), 0);
}

/// P11: the key is shown to nobody but Clerk.
#[test]
fn clerk_has_to_be_the_one_whom_the_system_trusts() {
    let world = World::migrated();
    let authority = Authority::new("Of Clerk's").unwrap();
    let certificate = authority.server(&["localhost"]).unwrap();
    let clerk = ClerkServer::with_tls(list(0..3), &certificate);
    let trusted = authority.file();
    let trusted = [("SSL_CERT_FILE", trusted.to_str().unwrap())];
    let (output, code) = run_with(&world, &clerk, &[], &trusted);
    assert_eq!(code, 0, "{output}");
    assert_says(&output, &["3 users read: 0 equal, 3 missing"]);

    let asked = clerk.state().requests.len();
    let stranger = Authority::new("Of a stranger").unwrap();
    let file = stranger.file();
    let (output, code) = run_with(
        &world,
        &clerk,
        &[],
        &[("SSL_CERT_FILE", file.to_str().unwrap())],
    );
    assert_eq!(code, 2);
    let unknown = "the server's certificate was signed by an unknown authority";
    assert_says(&output, &[unknown]);
    assert_eq!(clerk.state().requests.len(), asked);
}

#[test]
fn after_a_kill_it_goes_on_where_it_was() {
    let world = World::migrated();
    let clerk = ClerkServer::start(list(0..1600));
    clerk
        .state()
        .mishaps
        .extend([None, None, None, Some(Mishap::Hang)]);
    let redis = world.redis.url();
    let worker = Program::start_file(
        "worker",
        std::path::Path::new(env!("CARGO_BIN_EXE_worker")),
        &["reconcile"],
        &settings(&world, &redis, &clerk, &[]),
    )
    .unwrap();
    wait::block_until("the third page is asked for", DEADLINE, || {
        clerk.offsets().len() == 3
    })
    .unwrap();
    worker.kill();
    assert_eq!(world.backlog(), 980);
    let output = run(&world, &clerk, &[]);
    assert_says(&output, &["goes on after 980 users", "640 users read"]);
    assert!(clerk.offsets()[3..].iter().all(|offset| *offset >= 960));
    // Twenty of them twice: applied once.
    let _worker = world.worker();
    world.settle();
    assert_eq!(count(&world), "1600");
    assert_eq!(world.sql("select count(*) from clerk_sync.events"), "1600");
    assert_says(&run(&world, &clerk, &[]), &["1600 users read: 1600 equal"]);
}

#[test]
fn a_dry_run_tells_ids_and_changes_nothing() {
    let world = World::new();
    let _worker = world.worker();
    for n in [0, 1, 2, 9] {
        world.add_next(&nth(n).created());
    }
    world.settle();
    let mut users = list(0..4);
    users[1] = listed(&nth(1).updated_at(1_800_000_000_000).first_name("Grace"));
    users.push(listed(&nth(8).email(None)));
    let clerk = ClerkServer::start(users);
    let before = added(&world);
    let output = run(&world, &clerk, &["--dry-run", "--delete-missing"]);
    assert_says(
        &output,
        &[
            "5 users read: 2 equal, 1 missing, 1 different, 0 newer here, 0 deleted here, 1 unusable",
            "missing user_00003",
            "different user_00001",
            "unusable user_00008: data.primary_email_address says nothing, and column \"email\" takes no NULL (table public.users)",
            "1 of 4 rows are of users that Clerk does not list",
            "unlisted user_00009",
            "nothing was put on the stream",
        ],
    );
    assert_eq!((added(&world), count(&world)), (before, "4".into()));
}

#[test]
fn rows_without_a_user_are_deleted_when_they_are_few_and_clerk_says_so_twice() {
    let world = World::new();
    let _worker = world.worker();
    for n in 0..20 {
        world.add_next(&nth(n).created());
    }
    world.settle();
    let clerk = ClerkServer::start(list(0..17));
    clerk.state().unlisted.push("user_00018".into());
    let refused = |arguments: &[&str], text: &str| {
        let (output, code) = run_with(&world, &clerk, arguments, &[]);
        assert_eq!(code, 2);
        assert_says(&output, &["3 of 20 rows are of users", text]);
        assert_eq!(count(&world), "20");
    };
    let more = "3 of 20 rows are more than the 5 % that may be deleted";
    refused(&["--delete-missing", "--yes"], more);
    let share = ["--delete-missing", "--max-delete-share", "15"];
    refused(&share, "add --yes");
    run(&world, &clerk, &[]);
    assert_eq!(count(&world), "20");

    let output = run(&world, &clerk, &[&share[..], &["--yes"]].concat());
    let put = "2 deletions were put on the stream; 1 of the users are there after all";
    assert_says(&output, &[put]);
    world.settle();
    assert_eq!(count(&world), "18");
    assert_eq!(world.outcome("reconcile_user_00017_deleted"), "applied");
    assert_eq!(
        world.sql("select id from users where id >= 'user_00017'"),
        "user_00018"
    );
}

/// What stands between Clerk and us has such answers too.
#[test]
fn not_found_has_to_come_from_clerk() {
    let world = World::migrated();
    let now = "insert into users values ('user_1', 'A', 'a@example.com', null, now(), ";
    world.sql(&format!("{now} '2020-01-01')"));
    let clerk = ClerkServer::start(vec![]);
    // The number of users, a page, the number again.
    let not_found = Some(Mishap::Status(404));
    clerk.state().mishaps.extend([None, None, None, not_found]);
    let delete = ["--delete-missing", "--max-delete-share", "100", "--yes"];
    let (output, code) = run_with(&world, &clerk, &delete, &[]);
    assert_eq!(code, 2, "{output}");
    assert_says(&output, &["error: 404 comes from somebody else than Clerk"]);
    assert_eq!(world.backlog(), 0);
    let put = "1 deletions were put on the stream";
    assert_says(&run(&world, &clerk, &delete), &[put]);
}

#[test]
fn rows_that_no_event_deletes_are_told_of() {
    let world = World::new();
    let _worker = world.worker();
    for n in 0..2 {
        world.add_next(&nth(n).created());
    }
    world.add_next(&nth(0).deleted());
    world.settle();
    // Written by hand after the deletion, and by the application after the list.
    world.sql(
        "insert into users values
         ('user_00000', 'A', 'a@example.com', null, now(), '2020-01-01'),
         ('user_00002', 'B', 'b@example.com', null, now(), now() + interval '1 hour')",
    );
    let clerk = ClerkServer::start(list(1..2));
    let before = added(&world);
    let delete = ["--delete-missing", "--max-delete-share", "100", "--yes"];
    let told = [
        "0 of 3 rows are of users that Clerk does not list",
        "1 more were written after their users' deletion was applied",
    ];
    assert_says(&run(&world, &clerk, &delete), &told);
    assert_eq!((added(&world), count(&world)), (before, "3".into()));
    let output = run(&world, &clerk, &["--delete-missing", "--dry-run"]);
    assert_says(&output, &["left over user_00000"]);
    assert!(!output.contains("user_00002"), "{output}");
}

#[test]
fn results_that_cannot_be_written_are_no_success() {
    let world = World::migrated();
    let clerk = ClerkServer::start(list(0..3));
    let redis = world.redis.url();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_worker"))
        .args(["reconcile", "--dry-run"])
        .envs(settings(&world, &redis, &clerk, &[]))
        .stdout(full.unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert_says(&told, &["error: standard output cannot be written: "]);
}

/// P4
#[test]
fn what_is_newer_wins_and_who_is_deleted_stays_deleted() {
    let world = World::migrated();
    let clerk = ClerkServer::start(list(0..6));
    let later = |n: i64| nth(n).updated_at(1_800_000_000_000).first_name("Grace");
    // Before it, older and newer; behind it, newer, and the same version sent later; a deletion before and
    // behind.
    world.add("msg_old", &nth(0).updated_at(1_600_000_000_000).created());
    world.add("msg_0", &later(1).updated());
    world.add("msg_1", &nth(2).deleted());
    assert_says(&run(&world, &clerk, &[]), &["6 missing"]);
    world.add("msg_2", &later(3).updated());
    world.add("msg_3", &nth(4).deleted());
    world.add("msg_4", &nth(5).first_name("Grace").updated());
    let _worker = world.worker();
    world.settle();
    let names = "select id || ' ' || name from users order by id";
    let expected = "user_00000 Ada Lovelace\nuser_00001 Grace Lovelace\nuser_00003 Grace Lovelace\nuser_00005 Grace Lovelace";
    assert_eq!(world.sql(names), expected);

    // What Clerk tells now is what it told then.
    clerk.state().users.pop();
    let output = run(&world, &clerk, &[]);
    assert_says(
        &output,
        &["1 equal, 0 missing, 0 different, 2 newer here, 2 deleted here"],
    );
    world.settle();
    assert_eq!(world.sql(names), expected);
}

#[test]
fn a_row_that_was_changed_or_lost_is_repaired_however_often() {
    let world = World::new();
    let _worker = world.worker();
    let clerk = ClerkServer::start(list(0..3));
    run(&world, &clerk, &[]);
    world.settle();
    for _ in 0..2 {
        world.sql("update users set name = 'Mallory' where id = 'user_00000'");
        world.sql("delete from users where id = 'user_00001'");
        let output = run(&world, &clerk, &[]);
        assert_says(&output, &["1 equal, 1 missing, 1 different"]);
        world.settle();
        assert_says(&run(&world, &clerk, &[]), &["3 equal"]);
    }
    // It may be newer than what Clerk has told.
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_millis();
    let just_now = nth(2)
        .first_name("Grace")
        .timestamp(now.try_into().unwrap());
    world.add("msg_now", &just_now.updated());
    world.settle();
    assert_says(
        &run(&world, &clerk, &[]),
        &["2 equal, 0 missing, 0 different, 1 newer here"],
    );
}

/// An application's own row, which no event has told of. Clerk was asked a moment ago, so it is right even about one that
/// says that it is newer.
#[test]
fn an_imported_row_is_corrected_once_even_if_it_says_that_it_is_newer() {
    let world = World::new();
    let _worker = world.worker();
    world.sql(
        "insert into users values
         ('user_00000', 'A', 'a@example.com', null, now(), '2020-01-01'),
         ('user_00001', 'B', 'b@example.com', null, now(), '2030-01-01'),
         ('user_00002', 'C', 'c@example.com', null, now(), '2030-01-01')",
    );
    // Left as it is, because it says that it is newer: its time is then the newest that is known.
    let left = world.add_next(&nth(2).updated());
    world.settle();
    assert_eq!(world.outcome(&left), "stale");
    let clerk = ClerkServer::start(list(0..3));
    let output = run(&world, &clerk, &[]);
    assert_says(&output, &["0 equal, 0 missing, 3 different, 0 newer here"]);
    world.settle();
    let names = world.sql("select distinct name from users");
    assert_eq!(names, "Ada Lovelace");
    assert_says(&run(&world, &clerk, &[]), &["3 equal, 0 missing"]);
    // What Clerk says later is newer than what it said then.
    world.add_next(
        &nth(2)
            .first_name("Grace")
            .updated_at(1_800_000_000_000)
            .updated(),
    );
    world.settle();
    let name = world.sql("select name from users where id = 'user_00002'");
    assert_eq!(name, "Grace Lovelace");
}

/// P9
#[test]
fn it_fills_half_of_the_backlog_and_waits_for_room() {
    let world = World::migrated();
    let clerk = ClerkServer::start(list(0..50));
    let redis = world.redis.url();
    let reconcile = Program::start_file(
        "worker",
        std::path::Path::new(env!("CARGO_BIN_EXE_worker")),
        &["reconcile"],
        &settings(&world, &redis, &clerk, &[("MAX_BACKLOG", "20")]),
    )
    .unwrap();
    world.wait_for("it waits", |_| reconcile.output().contains("no room yet"));
    assert_eq!(world.backlog(), 10);
    let _worker = world.worker();
    assert!(reconcile.wait(DEADLINE).unwrap().success());
    world.settle();
    assert_eq!(count(&world), "50");
}

/// P8
#[test]
fn a_store_that_is_away_is_waited_for() {
    let mut world = World::migrated();
    let clerk = ClerkServer::start(list(0..30));
    let redis = world.redis.url();
    world.redis.kill();
    let reconcile = Program::start_file(
        "worker",
        std::path::Path::new(env!("CARGO_BIN_EXE_worker")),
        &["reconcile"],
        &settings(&world, &redis, &clerk, &[]),
    )
    .unwrap();
    wait::block_until("it waits", DEADLINE, || {
        reconcile.output().contains("Redis cannot be asked")
    })
    .unwrap();
    world.redis.restart().unwrap();
    assert!(reconcile.wait(DEADLINE).unwrap().success());
    assert_eq!(world.backlog(), 30);
}

#[test]
fn each_user_goes_to_its_own_partition() {
    let world = World::migrated();
    let clerk = ClerkServer::start(list(0..40));
    let (output, code) = run_with(&world, &clerk, &[], &[("REDIS_PARTITIONS", "4")]);
    assert_eq!(code, 0, "{output}");
    for n in 0..40 {
        let id = format!("user_{n:05}");
        let stream = format!(
            "{{clerk:{}}}:events",
            shared::partition::partition_of(&id, 4)
        );
        assert!(
            world.redis(&["XRANGE", &stream, "-", "+"]).contains(&id),
            "{id}"
        );
    }
}

#[test]
fn without_tables_it_says_so() {
    let world = World::new();
    let clerk = ClerkServer::start(list(0..1));
    let (output, code) = run_with(&world, &clerk, &[], &[]);
    assert_eq!(code, 2);
    let schema = "there is no schema clerk_sync, worker migrate";
    let table = "there is no table \"users\", worker migrate";
    assert_says(&output, &[schema, table]);
}
