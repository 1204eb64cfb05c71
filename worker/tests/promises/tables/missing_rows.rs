//! Objects whose rows somebody else makes.

use serde_json::json;
use shared::fault_point::FaultPoint;
use xtask::fault_points::FaultPoints;

use super::{Application, address, deleted, milliseconds, updated};
use crate::helpers::{DEAD, DEADLINE, RETRY, World};
use crate::waking::waiting;

const PEOPLE: &str = r#"
    create schema app;
    create table app."People" (
      id serial primary key, clerk_id text unique, email text unique, name text, deleted_at timestamptz)"#;
const FILE: &str = r#"
    [user]
    table = "app.People"
    key = "clerk_id"
    columns = { name = "first_name" }
    "#;
const ROWS: &str =
    r#"select clerk_id, name, deleted_at is not null from app."People" order by clerk_id"#;

fn named(id: &str, second: i64, name: &str) -> String {
    updated(id, second, &json!({"first_name": name}))
}

fn make(world: &World, id: &str) {
    world.sql(&format!(
        r#"insert into app."People" (clerk_id, name) values ('{id}', 'Ours')"#
    ));
}

fn waits(world: &World, svix_id: &str) {
    world.wait_for("it waits", |world| {
        !waiting(world, svix_id, "reason").is_empty()
    });
    assert_eq!(
        waiting(world, svix_id, "reason"),
        "waits for a row of app.People that belongs to it"
    );
}

/// P6: nor does it hold up its neighbours.
#[test]
fn an_event_waits_until_the_application_has_made_the_row() {
    let application = Application::new(PEOPLE, &format!(r#"{FILE}missing_row = "wait""#));
    let world = &application.world;
    world.migrate();
    make(world, "user_2");
    let waiting = [1, 2].map(|second| world.add_next(&named("user_1", second, "Ada")));
    let neighbour = world.add_next(&named("user_2", 1, "Grace"));
    let _worker = application.worker();
    world.wait_for("the neighbour is applied", |world| {
        world.outcome(&neighbour) == "applied"
    });
    for svix_id in &waiting {
        waits(world, svix_id);
    }
    assert_eq!(world.sql(ROWS), "user_2|Grace|f");
    make(world, "user_1");
    world.settle();
    assert_eq!(world.sql(ROWS), "user_1|Ada|f\nuser_2|Grace|f");
    assert_eq!(world.outcome(&waiting[1]), "applied");
    // Rows are made and deleted by the application alone; its on_delete is "keep" where nothing is said.
    application.expect(&deleted("user_1", 3), "applied");
    assert_eq!(world.sql(ROWS), "user_1|Ada|f\nuser_2|Grace|f");
    application.expect(&named("user_1", 4, "Late"), "stale");
    assert_eq!(world.sql(ROWS), "user_1|Ada|f\nuser_2|Grace|f");
}

/// P5
#[test]
fn an_event_whose_row_is_never_made_is_dead_lettered_with_that_reason() {
    let application = Application::new(PEOPLE, &format!(r#"{FILE}missing_row = "wait""#));
    let _worker = application.worker_with(&[("MAX_ATTEMPTS", "1")]);
    application.expect(
        &named("user_1", 1, "Ada"),
        "dead: waits for a row of app.People that belongs to it",
    );
}

#[test]
fn a_deletion_waits_for_no_row_and_nobody_waits_for_a_row_that_is_deleted() {
    for missing_row in ["wait", "ignore"] {
        let application = Application::new(
            PEOPLE,
            &format!(
                r#"{FILE}missing_row = "{missing_row}"
                on_delete = {{ deleted_at = "event.timestamp", clerk_id = "null" }}"#
            ),
        );
        let world = &application.world;
        let _worker = application.worker();
        application.expect(&deleted("user_1", 2), "applied");
        make(world, "user_1");
        for second in [1, 3] {
            application.expect(&named("user_1", second, "Late"), "stale");
        }
        assert_eq!(world.sql(ROWS), "user_1|Ours|f");
        make(world, "user_2");
        application.expect(&deleted("user_2", 2), "applied");
        application.expect(&named("user_2", 3, "Late"), "stale");
        assert_eq!(world.sql(ROWS), "user_1|Ours|f\n|Ours|t");
        assert_eq!(world.redis(&["XLEN", DEAD]), "0");
    }
}

/// P4: what was ignored is not known, so an older event that comes after it is not stale.
#[test]
fn an_event_is_ignored_until_somebody_has_made_the_row() {
    let application = Application::new(PEOPLE, &format!(r#"{FILE}missing_row = "ignore""#));
    let world = &application.world;
    let worker = application.worker();
    make(world, "user_2");
    let ignored = world.add_next(&named("user_1", 5, "Newer"));
    let neighbour = world.add_next(&named("user_2", 1, "Grace"));
    world.settle();
    assert_eq!(application.became(&ignored), "ignored");
    assert_eq!(application.became(&neighbour), "applied");
    make(world, "user_1");
    application.expect(&named("user_1", 3, "Older"), "applied");
    application.expect(&named("user_1", 2, "Oldest"), "stale");
    assert_eq!(world.sql(ROWS), "user_1|Older|f\nuser_2|Grace|f");
    // It is in the ledger, so a second delivery is none (P3).
    world.add(&ignored, &named("user_1", 5, "Newer"));
    world.settle();
    assert_eq!(world.sql(ROWS), "user_1|Older|f\nuser_2|Grace|f");
    application.expect(&named("user_1", 6, "Newest"), "applied");
    assert_eq!(world.sql(ROWS), "user_1|Newest|f\nuser_2|Grace|f");
    // The row is gone again, of somebody who is known by now.
    world.sql(r#"delete from app."People""#);
    application.expect(&named("user_1", 7, "Gone"), "ignored");
    drop(worker);
    // Two in one batch.
    let both = [8, 9].map(|second| world.add_next(&named("user_1", second, "Gone")));
    let _worker = application.worker();
    world.settle();
    for svix_id in both {
        assert_eq!(application.became(&svix_id), "ignored");
    }
    assert_eq!(world.sql(ROWS), "");
    assert_eq!(
        world.sql("select svix_id from clerk_sync.versions where object_id = 'user_1'"),
        "msg_000004"
    );
}

/// P4: the application makes the row in the very instant in which the event finds none.
#[test]
fn a_row_that_is_made_while_an_event_looks_for_it_is_written() {
    for (missing_row, is_known) in [("wait", false), ("wait", true), ("ignore", false)] {
        let application =
            Application::new(PEOPLE, &format!(r#"{FILE}missing_row = "{missing_row}""#));
        let world = &application.world;
        if is_known {
            let _worker = application.worker();
            make(world, "user_1");
            application.expect(&named("user_1", 1, "Old"), "applied");
            world.sql(r#"delete from app."People""#);
        }
        let points = FaultPoints::arm(&format!("{:?}", FaultPoint::RowsWritten)).unwrap();
        let _worker = application.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
        let svix_id = world.add_next(&named("user_1", 2, "Ada"));
        let held = points.held(DEADLINE).unwrap();
        make(world, "user_1");
        drop(held);
        world.settle();
        let (outcome, name) = match missing_row {
            "wait" => ("applied", "Ada"),
            _ => ("ignored", "Ours"),
        };
        assert_eq!(
            application.became(&svix_id),
            outcome,
            "{missing_row} {is_known}"
        );
        assert_eq!(
            world.sql(ROWS),
            format!("user_1|{name}|f"),
            "{missing_row} {is_known}"
        );
    }
}

/// The application makes rows by e-mail address, before anybody has signed up.
#[test]
fn a_section_that_only_links_waits_for_the_row_that_it_may_link() {
    for (missing_row, before) in [("wait", ""), ("ignore", "ignored")] {
        let application = Application::new(
            PEOPLE,
            &format!(
                r#"
                [user]
                table = "app.People"
                key = "clerk_id"
                link_by = "email"
                missing_row = "{missing_row}"
                columns = {{ name = "first_name", email = "primary_email_address" }}
                "#
            ),
        );
        let world = &application.world;
        let _worker = application.worker();
        let event = |id: &str, second, is_verified| {
            let mut says = address("ada@example.com", is_verified);
            says["first_name"] = json!("Ada");
            updated(id, second, &says)
        };
        let early = world.add_next(&event("user_1", 1, true));
        if before.is_empty() {
            waits(world, &early);
        } else {
            world.settle();
            assert_eq!(application.became(&early), before);
        }
        world.sql(r#"insert into app."People" (email) values ('ada@example.com')"#);
        if before.is_empty() {
            world.settle();
            assert_eq!(application.became(&early), "applied");
        }
        // It is nobody's whose address is not verified.
        let other = world.add_next(&event("user_2", 2, false));
        if before.is_empty() {
            waits(world, &other);
            world.redis(&["ZREM", RETRY, &other]);
        } else {
            world.settle();
            assert_eq!(application.became(&other), "ignored");
        }
        application.expect(&event("user_1", 3, true), "applied");
        assert_eq!(world.sql(ROWS), "user_1|Ada|f");
        assert_eq!(world.sql(r#"select count(*) from app."People""#), "1");
    }
}

/// Nobody is refused by the index, because no row is made: the statement itself gives it to the older event.
#[test]
fn of_two_who_may_link_one_row_the_older_event_gets_it_where_none_is_made() {
    let file = r#"
        [user]
        table = "app.People"
        key = "clerk_id"
        link_by = "email"
        missing_row = "ignore"
        columns = { email = "primary_email_address" }
    "#;
    let application = Application::new(PEOPLE, file);
    let world = &application.world;
    world.migrate();
    world.sql(r#"insert into app."People" (email) values ('ada@example.com')"#);
    // In one batch, and in the order of ids the newer one comes first.
    let newer = world.add_next(&updated("user_1", 5, &address("ada@example.com", true)));
    let older = world.add_next(&updated("user_2", 4, &address("ada@example.com", true)));
    let _worker = application.worker();
    world.settle();
    assert_eq!(application.became(&older), "applied");
    assert_eq!(application.became(&newer), "ignored");
    assert_eq!(world.sql(r#"select clerk_id from app."People""#), "user_2");
}

/// A membership of a user, since this second.
fn member(what: &str, id: &str, user: &str, second: i64) -> String {
    let data = json!({"id": id, "updated_at": milliseconds(second), "role": "org:admin",
        "organization": {"id": "org_1"}, "public_user_data": {"user_id": user}});
    json!({"type": format!("organizationMembership.{what}"), "timestamp": milliseconds(second) + 50, "data": data})
        .to_string()
}

const SHARED: &str = "create table people (
    id serial primary key, clerk_id text not null unique, name text, organization text, role text)";
const SHARED_ROWS: &str = "select clerk_id, name, organization, role from people order by 1";

/// Waits for a row, until an event makes it.
fn is_woken(application: &Application, payload: &str, by: &str) {
    let world = &application.world;
    application.add_often("msg_waiting", payload);
    world.wait_for("it waits", |world| {
        waiting(world, "msg_waiting", "reason")
            == "waits for a row of public.people that belongs to it"
    });
    world.add_next(by);
    world.settle();
    assert_eq!(application.became("msg_waiting"), "applied");
}

/// P4: a membership has no table of its own; the user's event that makes the row wakes it.
#[test]
fn a_membership_may_be_folded_into_the_users_table() {
    let application = Application::new(
        SHARED,
        r#"
        [user]
        table = "people"
        key = "clerk_id"
        columns = { name = "first_name" }
        [organizationMembership]
        table = "people"
        key = "clerk_id"
        missing_row = "wait"
        on_delete = { organization = "null", role = "null" }
        [organizationMembership.columns]
        clerk_id = "public_user_data.user_id"
        organization = "organization.id"
        role = "role"
        "#,
    );
    let world = &application.world;
    let _worker = application.worker();
    let membership = member("created", "m_1", "user_1", 2);
    is_woken(&application, &membership, &named("user_1", 1, "Ada"));
    assert_eq!(world.sql(SHARED_ROWS), "user_1|Ada|org_1|org:admin");
    application.expect(&member("deleted", "m_1", "user_1", 3), "applied");
    assert_eq!(world.sql(SHARED_ROWS), "user_1|Ada||");
    application.expect(&member("created", "m_2", "user_1", 4), "applied");
    application.expect(&deleted("user_1", 5), "applied");
    assert_eq!(world.sql(SHARED_ROWS), "");
    // We have removed it, so nobody waits for it.
    application.expect(&member("updated", "m_2", "user_1", 6), "stale");
    application.expect(&member("created", "m_3", "user_1", 7), "stale");
}

/// P4: only members have rows; the membership's event that makes one wakes its user's.
#[test]
fn a_user_may_have_a_row_that_only_a_membership_makes() {
    let application = Application::new(
        SHARED,
        r#"
        [user]
        table = "people"
        key = "clerk_id"
        missing_row = "wait"
        columns = { name = "first_name" }
        [organizationMembership]
        table = "people"
        key = "clerk_id"
        [organizationMembership.columns]
        clerk_id = "public_user_data.user_id"
        organization = "organization.id"
        role = "role"
        "#,
    );
    let world = &application.world;
    let _worker = application.worker();
    let membership = member("created", "m_1", "user_1", 2);
    is_woken(&application, &named("user_1", 1, "Ada"), &membership);
    assert_eq!(world.sql(SHARED_ROWS), "user_1|Ada|org_1|org:admin");
    application.expect(&member("deleted", "m_1", "user_1", 3), "applied");
    assert_eq!(world.sql(SHARED_ROWS), "");
    application.expect(&named("user_1", 4, "Eve"), "stale");
    // Comes back.
    application.expect(&member("created", "m_2", "user_1", 5), "applied");
    application.expect(&named("user_1", 6, "Eve"), "applied");
    assert_eq!(world.sql(SHARED_ROWS), "user_1|Eve|org_1|org:admin");
}

/// The event that looks for its row is held there, while the one that makes the row is applied by another worker.
#[test]
fn a_row_that_is_made_before_its_event_is_registered_wakes_it_all_the_same() {
    let application = Application::new(
        SHARED,
        r#"
        [user]
        table = "people"
        key = "clerk_id"
        missing_row = "wait"
        columns = { name = "first_name" }
        [organizationMembership]
        table = "people"
        key = "clerk_id"
        [organizationMembership.columns]
        clerk_id = "public_user_data.user_id"
        role = "role"
        "#,
    );
    let world = &application.world;
    let points = FaultPoints::arm(&format!("{:?}", FaultPoint::RolledBack)).unwrap();
    let _worker = application.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
    application.add_often("msg_waiting", &named("user_1", 1, "Ada"));
    let held = points.held(DEADLINE).unwrap();
    let other = application.worker();
    let membership = world.add_next(&member("created", "m_1", "user_1", 2));
    world.wait_for("the row is made", |world| {
        world.outcome(&membership) == "applied"
    });
    drop(other);
    drop(held);
    world.settle();
    assert_eq!(application.became("msg_waiting"), "applied");
    assert_eq!(world.sql(SHARED_ROWS), "user_1|Ada||org:admin");
}
