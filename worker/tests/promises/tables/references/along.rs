//! Rows that go along with those of deleted objects, and what others make of it.

use serde_json::{Value, json};

use super::event;
use crate::helpers::{DEADLINE, RETRY, World};
use crate::tables::Application;
use crate::waking::waiting;
use xtask::wait;

const TABLES: &str = "
    create table orgs (clerk text primary key, name text, founded date default '2024-01-02', opens timestamptz default '2024-01-02 03:04:05.678901+00');
    create table kids (id text primary key, org text, title text, code text unique, ev text,
      founded date, opens timestamptz, plan text not null default 'free');
    create table toys (id text primary key, kid text, name text)";

/// Invitations are the children of organizations, and domains theirs.
fn file(organization: &str, kid: &str, columns: &str) -> String {
    format!(
        r#"
        [organization]
        table = "orgs"
        key = "clerk"
        columns = {{ name = "name" }}
        {organization}
        [organizationInvitation]
        table = "kids"
        key = "id"
        {kid}
        [organizationInvitation.columns]
        title = "status"
        {columns}
        [organizationDomain]
        table = "toys"
        key = "id"
        tags = ["toy:{{row.name}}"]
        [organizationDomain.columns]
        name = "name"
        kid = {{ find = "organizationInvitation", id = "kid", gone = "delete" }}
        "#
    )
}

const ORG: &str = r#"org = { find = "organization", id = "organization_id", gone = "delete" }"#;

fn organization(n: u8, second: i64) -> String {
    let data = json!({"id": format!("org_{n}"), "name": "Acme"});
    event("organization.updated", second, data)
}

fn organization_deleted(n: u8, second: i64) -> String {
    let data = json!({"id": format!("org_{n}"), "deleted": true});
    event("organization.deleted", second, data)
}

fn kid(id: &str, second: i64, organization: u8, title: &str) -> String {
    kid_with(id, second, organization, &json!({"status": title}))
}

fn kid_with(id: &str, second: i64, organization: u8, more: &Value) -> String {
    let mut data = json!({"id": id, "organization_id": format!("org_{organization}")});
    data.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    event("organizationInvitation.updated", second, data)
}

fn toy(id: &str, second: i64, kid: &str) -> String {
    event(
        "organizationDomain.updated",
        second,
        json!({"id": id, "kid": kid, "name": "Bear"}),
    )
}

/// P4: its own `on_delete` says its own id.
#[test]
fn a_row_that_goes_along_is_left_as_its_own_deletion_would_leave_it() {
    let left =
        r#"on_delete = { code = { value = "deleted-{id}" }, title = "null", ev = "event.type" }"#;
    let code = format!("{ORG}\ncode = \"public_metadata.code\"");
    let application = Application::new(TABLES, &file(r#"on_delete = "keep""#, left, &code));
    let world = &application.world;
    let _worker = application.worker();
    let rows = "select id, org, title, code, ev from kids order by id";
    application.expect(&organization(1, 0), "applied");
    application.expect(&organization(2, 0), "applied");
    for (id, code) in [("inv_1", "a"), ("inv_2", "b")] {
        let says = json!({"status": "pending", "public_metadata": {"code": code}});
        application.expect(&kid_with(id, 1, 1, &says), "applied");
    }
    application.expect(&organization_deleted(1, 2), "applied");
    assert_eq!(
        world.sql(rows),
        "inv_1|org_1||deleted-inv_1|organization.deleted\ninv_2|org_1||deleted-inv_2|organization.deleted"
    );
    application.expect(&kid("inv_1", 3, 1, "late"), "stale");
    // Who comes to somebody who lives is back, and who moves to one who is deleted goes along with that one.
    application.expect(&kid("inv_1", 4, 2, "back"), "applied");
    application.expect(&organization(3, 0), "applied");
    application.expect(&organization_deleted(3, 5), "applied");
    assert_eq!(
        world.sql(rows).lines().next().unwrap(),
        "inv_1|org_2|back||organization.deleted"
    );
    application.expect(&kid("inv_1", 6, 3, "moved"), "applied");
    assert_eq!(
        world.sql(rows).lines().next().unwrap(),
        "inv_1|org_2||deleted-inv_1|organizationInvitation.updated"
    );
    application.expect(&kid("inv_1", 7, 3, "late"), "stale");
}

/// The same for rows that somebody else makes: nobody keeps what a deletion takes.
#[test]
fn a_row_of_somebody_else_that_moves_to_a_deleted_object_loses_what_its_deletion_takes() {
    let wait = "missing_row = \"wait\"\non_delete = { title = \"null\" }";
    let application = Application::new(TABLES, &file("", wait, ORG));
    let world = &application.world;
    world.sql("insert into kids (id) values ('inv_1')");
    let _worker = application.worker();
    for n in [1, 2] {
        application.expect(&organization(n, 0), "applied");
    }
    application.expect(&kid("inv_1", 1, 1, "pending"), "applied");
    application.expect(&organization_deleted(2, 2), "applied");
    application.expect(&kid("inv_1", 3, 2, "moved"), "applied");
    assert_eq!(world.sql("select org, title from kids"), "org_1|");
}

#[test]
fn a_time_is_copied_as_it_is() {
    let columns = r#"
        founded = { find = "organization", id = "organization_id", column = "founded" }
        opens = { find = "organization", id = "organization_id", column = "opens", gone = "keep" }"#;
    let application = Application::new(TABLES, &file("", "", columns));
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&organization(1, 0), "applied");
    application.expect(&kid("inv_1", 1, 1, "pending"), "applied");
    let rows = "select founded, opens at time zone 'UTC' from kids order by id";
    assert_eq!(world.sql(rows), "2024-01-02|2024-01-02 03:04:05.678901");
    application.expect(&organization_deleted(1, 2), "applied");
    assert_eq!(world.sql(rows), "|2024-01-02 03:04:05.678901");
}

/// A column that is written once says it of a row that is made, and nothing of one that is there.
#[test]
fn what_is_written_once_makes_no_row_for_a_deleted_object() {
    let once = format!("on_create = {{ {ORG} }}");
    let application = Application::new(TABLES, &file("", &once, ""));
    let world = &application.world;
    let _worker = application.worker();
    for n in [1, 2] {
        application.expect(&organization(n, 0), "applied");
    }
    application.expect(&kid("inv_1", 1, 1, "pending"), "applied");
    application.expect(&kid("inv_2", 1, 2, "pending"), "applied");
    application.expect(&organization_deleted(1, 2), "applied");
    let rows = "select id, org, title from kids";
    assert_eq!(world.sql(rows), "inv_2|org_2|pending");
    application.expect(&kid("inv_1", 3, 1, "late"), "stale");
    application.expect(&kid("inv_3", 3, 1, "late"), "stale");
    application.expect(&kid("inv_2", 3, 1, "accepted"), "applied");
    assert_eq!(world.sql(rows), "inv_2|org_2|accepted");
}

#[test]
fn a_row_that_is_to_keep_what_it_never_had_is_refused_with_the_field_and_the_column() {
    let keep = r#"plan = { find = "organization", id = "organization_id", column = "name", gone = "keep" }"#;
    let application = Application::new(TABLES, &file("", "", keep));
    let _worker = application.worker();
    application.expect(&organization(1, 0), "applied");
    application.expect(&organization_deleted(1, 1), "applied");
    application.expect(
        &kid("inv_1", 2, 1, "pending"),
        "dead: data.organization_id refers to an object that is deleted, and column \"plan\" takes no NULL (table public.kids)",
    );
}

/// A row that one of our deletions has removed is not waited for.
#[test]
fn nobody_waits_for_a_row_that_has_gone_along() {
    let application = Application::new(TABLES, &file("", "", ORG));
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&organization(1, 0), "applied");
    application.expect(&organization(2, 0), "applied");
    application.expect(&kid("inv_1", 1, 1, "pending"), "applied");
    application.expect(&toy("dom_1", 1, "inv_1"), "applied");
    application.expect(&organization_deleted(1, 2), "applied");
    assert_eq!(world.sql("select count(*) from toys"), "0");
    application.expect(&toy("dom_2", 1, "inv_1"), "stale");
    let touched_by =
        || world.sql("select touched_by from clerk_sync.versions where object_id = 'inv_1'");
    let deletion = touched_by();
    application.expect(&kid("inv_1", 3, 1, "late"), "stale");
    // A worker that takes the deletion over still finds who is to be woken.
    assert_eq!(touched_by(), deletion);
    application.expect(&toy("dom_3", 3, "inv_1"), "stale");
    // Until it is back.
    application.expect(&kid("inv_1", 4, 2, "back"), "applied");
    assert_eq!(touched_by(), "");
    application.expect(&toy("dom_3", 5, "inv_1"), "applied");
    assert_eq!(world.sql("select id, kid from toys"), "dom_3|inv_1");
}

/// P7: also where the application has removed the row between them.
#[test]
fn what_refers_to_a_row_that_has_gone_before_goes_along_with_its_tags() {
    let application = Application::new(TABLES, &file("", "", ORG));
    let world = &application.world;
    let _worker = application.worker();
    for n in [1, 2] {
        application.expect(&organization(n, 0), "applied");
    }
    application.expect(&kid("inv_1", 1, 1, "pending"), "applied");
    application.expect(&toy("dom_1", 1, "inv_1"), "applied");
    application.expect(&organization_deleted(2, 2), "applied");
    world.sql("delete from kids");
    world.redis(&["SET", "toy:Bear", "stale"]);
    application.expect(&kid("inv_1", 3, 2, "moved"), "applied");
    assert_eq!(world.sql("select count(*) from toys"), "0");
    assert_eq!(world.redis(&["EXISTS", "toy:Bear"]), "0");
}

fn woken(world: &World, svix_id: &str) {
    wait::block_until("it is woken", DEADLINE, || {
        world.outcome(svix_id) == "applied"
    })
    .unwrap();
}

/// A deletion frees what the rows had that it has taken along, and wakes who waits for it.
#[test]
fn who_waits_for_a_value_of_a_row_that_goes_along_is_woken() {
    let code = format!("{ORG}\ncode = \"public_metadata.code\"");
    let let_go = "code = { find = \"organization\", id = \"organization_id\", column = \"clerk\" }";
    let left = r#"on_delete = { code = "null" }"#;
    std::thread::scope(|scope| {
        for (organization_says, kid_says, columns) in [
            ("", "", code.as_str()),
            ("", "", let_go),
            (r#"on_delete = "keep""#, left, &code),
        ] {
            scope.spawn(move || {
                let application =
                    Application::new(TABLES, &file(organization_says, kid_says, columns));
                let world = &application.world;
                let _worker = application.worker();
                for n in [1, 2] {
                    application.expect(&organization(n, 0), "applied");
                }
                let wanted = |id: &str, n: u8| {
                    kid_with(
                        id,
                        1,
                        n,
                        &json!({"status": "pending", "public_metadata": {"code": "a"}}),
                    )
                };
                application.expect(&wanted("inv_1", 1), "applied");
                // With `find` both want the same organization's.
                let n = if columns == let_go { 1 } else { 2 };
                let second = world.add_next(&wanted("inv_2", n));
                world.wait_for("it waits", |world| {
                    !waiting(world, &second, "awaited").is_empty()
                });
                world.redis(&["ZADD", RETRY, "XX", "9999999999999", &second]);
                application.expect(&organization_deleted(1, 2), "applied");
                woken(world, &second);
            });
        }
    });
}

/// Versions of objects that do not refer to the deleted one are not touched.
#[test]
fn a_deletion_that_takes_nobody_along_touches_no_other_version() {
    let application = Application::new(TABLES, &file("", "", ORG));
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&organization(1, 0), "applied");
    application.expect(&organization(2, 0), "applied");
    application.expect(&kid("inv_1", 1, 2, "pending"), "applied");
    application.expect(&organization_deleted(1, 2), "applied");
    assert_eq!(
        world.sql(
            "select count(*) from clerk_sync.versions where touched_by is not null or went_along"
        ),
        "0"
    );
}
