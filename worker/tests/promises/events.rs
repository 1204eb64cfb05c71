//! What becomes of each type of event.

use crate::applications::worlds;
use crate::helpers::{World, user};

/// P5
#[test]
fn an_event_becomes_a_row_and_a_line_of_the_ledger() {
    let world = World::new();
    let worker = world.worker();
    let svix_id = world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    assert_eq!(world.users(), "user_1 Ada Lovelace ada@example.com");
    assert_eq!(
        world.sql(
            r#"select "imageUrl", extract(epoch from "createdAt"), extract(epoch from "updatedAt") from users"#
        ),
        "https://img.clerk.com/ada.jpeg|1716883200.381000|1716883201.000000"
    );
    assert_eq!(
        world.sql("select svix_id, type, object_id, outcome from clerk_sync.events"),
        format!("{svix_id}|user.created|user_1|applied")
    );
    let line = worker.program.output();
    let line = line
        .lines()
        .find(|line| line.contains("\"event\""))
        .unwrap();
    for part in [
        svix_id.as_str(),
        "user.created",
        "user_1",
        "applied",
        "milliseconds",
    ] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
}

#[test]
fn every_fixture_has_the_outcome_of_the_contract() {
    let world = World::new();
    let _worker = world.worker();
    for (name, payload) in [
        (
            "created",
            include_str!("../../../shared/fixtures/user.created.json"),
        ),
        (
            "updated",
            include_str!("../../../shared/fixtures/user.updated.json"),
        ),
        (
            "no_names",
            include_str!("../../../shared/fixtures/user.created.no-names.json"),
        ),
        (
            "phone_only",
            include_str!("../../../shared/fixtures/user.created.phone-only.json"),
        ),
        (
            "session",
            include_str!("../../../shared/fixtures/session.created.json"),
        ),
        (
            "organization",
            include_str!("../../../shared/fixtures/organization.created.json"),
        ),
    ] {
        world.add(name, payload);
        world.settle();
    }
    assert_eq!(
        world.users(),
        "user_2g7noNames0000000000000000 User nameless@example.com\n\
         user_2g7np7Hrk0SN6kj5EDMLDaKNL0S Ada King ada@example.com"
    );
    assert_eq!(
        world.sql("select svix_id, outcome from clerk_sync.events order by processed_at, svix_id"),
        "created|applied\nupdated|applied\nno_names|applied\nsession|ignored\norganization|ignored"
    );
    // The ledger tells what an event is about also where it is ignored.
    let ignored =
        "select left(object_id, 4) from clerk_sync.events where outcome = 'ignored' order by 1";
    assert_eq!(world.sql(ignored), "org_\nsess");
    assert_eq!(
        world.reason("phone_only").as_deref(),
        Some(
            "data.primary_email_address says nothing, and column \"email\" takes no NULL (table public.users)"
        )
    );
    world.add(
        "deleted",
        include_str!("../../../shared/fixtures/user.deleted.json"),
    );
    world.settle();
    assert_eq!(
        world.users(),
        "user_2g7noNames0000000000000000 User nameless@example.com"
    );
}

/// P3: also with another payload, and while it is still in the same batch.
#[test]
fn a_svix_id_is_applied_once() {
    for world in worlds() {
        world.add(
            "msg_same",
            &user("user_1", "first@example.com", 1).created(),
        );
        world.add(
            "msg_same",
            &user("user_1", "second@example.com", 2).updated(),
        );
        let _worker = world.worker();
        world.settle();
        world.add(
            "msg_same",
            &user("user_1", "third@example.com", 3).updated(),
        );
        world.add(
            "msg_same",
            &user("user_2", "other@example.com", 3).created(),
        );
        world.settle();
        assert_eq!(world.users(), "user_1 Ada Lovelace first@example.com");
        assert_eq!(world.sql("select count(*) from clerk_sync.events"), "1");
    }
}

/// P4
#[test]
fn an_older_update_never_overwrites_a_newer_one() {
    for world in worlds() {
        let _worker = world.worker();
        let newer = world.add_next(&user("user_1", "new@example.com", 2).updated());
        world.settle();
        let older = world.add_next(&user("user_1", "old@example.com", 1).created());
        world.settle();
        assert_eq!(world.users(), "user_1 Ada Lovelace new@example.com");
        assert_eq!(
            (
                world.outcome(&newer).as_str(),
                world.outcome(&older).as_str()
            ),
            ("applied", "stale")
        );
    }
}

/// P4
#[test]
fn ties_end_the_same_in_every_order() {
    let at = 1_716_883_200_000;
    let payload =
        |email: &str, timestamp: i64| user("user_1", email, 0).timestamp(timestamp).updated();
    // Of the same `updated_at`, the later envelope wins, then the greater svix-id.
    let events = [
        ("msg_c", payload("early@example.com", at + 1)),
        ("msg_a", payload("late-a@example.com", at + 2)),
        ("msg_b", payload("late-b@example.com", at + 2)),
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let world = World::new();
        let _worker = world.worker();
        for index in order {
            let (svix_id, payload) = &events[index];
            world.add(svix_id, payload);
            world.settle();
        }
        assert_eq!(
            world.users(),
            "user_1 Ada Lovelace late-b@example.com",
            "{order:?}"
        );
    }
}

/// P4
#[test]
fn a_deleted_user_stays_deleted() {
    for world in worlds() {
        let _worker = world.worker();
        let payload = user("user_1", "ada@example.com", 1);
        world.add_next(&payload.created());
        world.settle();
        let deleted = world.add_next(&payload.deleted());
        world.settle();
        assert_eq!(world.users(), "");
        let late = world.add_next(&user("user_1", "ada@example.com", 1_000_000).updated());
        let again = world.add_next(&payload.deleted());
        world.settle();
        assert_eq!(world.users(), "");
        assert_eq!(world.outcome(&deleted), "applied");
        assert_eq!(world.outcome(&late), "stale");
        assert_eq!(world.outcome(&again), "stale");
        assert_eq!(
            world.sql("select object_id, deleted from clerk_sync.versions"),
            "user_1|t"
        );
    }
}

/// P4
#[test]
fn a_deletion_that_comes_first_keeps_the_user_away() {
    let world = World::new();
    let _worker = world.worker();
    let payload = user("user_1", "ada@example.com", 1);
    world.add_next(&payload.deleted());
    world.settle();
    world.add_next(&payload.created());
    world.settle();
    assert_eq!(world.users(), "");
}

/// The command of docs/operations.md removes what Clerk's dashboard has sent as a sample, all of it and nothing else.
#[test]
fn clerks_samples_are_removed_by_the_command_of_the_documentation() {
    let page = include_str!("../../../docs/operations.md");
    let command = page.split("-c \"with known").nth(1).unwrap();
    let command = format!("with known{}", command.split('"').next().unwrap());
    let world = World::migrated();
    let _worker = world.worker();
    let sample = user("user_29w83sxmDNGwOuEthce5gg56FcC", "example@example.org", 1);
    world.add_next(&sample.created());
    world.add_next(&user("user_29wBMCtzATuFJut8jO2VNTVekS4", "", 1).deleted());
    world.add_next(&user("user_1", "ada@example.org", 1).created());
    world.add_next(&user("user_2", "", 1).deleted());
    world.settle();
    assert_eq!(world.sql(&command).lines().count(), 2);
    assert_eq!(world.sql("select id from users"), "user_1");
    let known = "select object_id from clerk_sync.versions order by 1";
    assert_eq!(world.sql(known), "user_1\nuser_2");
    let recorded = "select object_id from clerk_sync.events order by 1";
    assert_eq!(world.sql(recorded), "user_1\nuser_2");
    // It may be sent and removed again.
    world.add_next(&sample.created());
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "2");
    assert_eq!(world.sql(&command).lines().count(), 1);
    assert_eq!(world.sql("select id from users"), "user_1");
}
