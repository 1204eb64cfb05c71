//! Rows that refer to the rows of others.

use serde_json::json;

use super::families::{asked_for, clerk};
use super::tables::run;
use super::{added, assert_says};
use crate::tables::Application;

/// All of them have ids that Clerk does not know.
fn application() -> Application {
    Application::new(
        include_str!("../../../../docs/tables/organizations.sql"),
        include_str!("../../../../docs/tables/organizations.toml"),
    )
}

const ALL: &str = "select count(*), count(distinct clerk_org_id), count(distinct clerk_id) \
   from memberships join organizations on organizations.id = organization_id join users on users.id = user_id";

#[test]
fn rows_that_refer_to_others_come_in_after_them_and_are_compared_with_what_those_say() {
    let application = application();
    let world = &application.world;
    let _worker = application.worker();
    let clerk = clerk(3);
    let first = [
        "3 users read: 0 equal, 3 missing",
        "3 organizations read: 0 equal, 3 missing",
        "9 memberships read: 0 equal, 9 missing",
    ];
    // Nothing is there that a membership could be compared with.
    assert_says(&run(&application, &clerk, &["--dry-run"]), &first);
    assert_says(&run(&application, &clerk, &[]), &first);
    assert_eq!(world.sql(ALL), "9|3|3");
    let before = added(world);
    let equal = "9 memberships read: 9 equal, 0 missing, 0 different";
    assert_says(&run(&application, &clerk, &[]), &[equal]);
    assert_eq!(added(world), before);

    world.sql("update memberships set role = 'MEMBER' where user_id = 1");
    let different = [
        "9 memberships read: 6 equal, 0 missing, 3 different",
        "different columns of memberships: role in 3",
    ];
    assert_says(&run(&application, &clerk, &[]), &different);
    assert_says(&run(&application, &clerk, &[]), &[equal]);

    // What a deletion has taken along does not come back.
    let deletion = json!({ "id": "org_001", "object": "organization", "deleted": true });
    let deletion = json!({ "type": "organization.deleted", "data": deletion, "timestamp": 1_716_884_000_000_i64 });
    world.add("msg_gone", &deletion.to_string());
    world.settle();
    assert_eq!(world.sql(ALL), "6|2|3");
    let deleted = [
        "3 organizations read: 2 equal, 0 missing, 0 different, 0 newer here, 1 deleted here",
        "9 memberships read: 6 equal, 0 missing, 0 different, 0 newer here, 3 deleted here",
    ];
    let before = added(world);
    assert_says(&run(&application, &clerk, &[]), &deleted);
    assert_eq!(added(world), before);
}

/// They came after the list was read, or nobody reads it.
#[test]
fn clerk_is_asked_for_what_others_refer_to_and_has_no_row() {
    let application = application();
    let world = &application.world;
    let _worker = application.worker();
    let clerk = clerk(3);
    clerk.state().users.pop();
    let family = ["--family", "organizationMembership"];
    let output = run(&application, &clerk, &family);
    let told = [
        "9 memberships read: 0 equal, 6 missing, 0 different, 0 newer here, 0 deleted here, 3 unusable",
        "unusable orgmem_001_002: waits for user user_00002, which Clerk does not have",
        "3 organizations read: 0 equal, 3 missing",
        "2 users read: 0 equal, 2 missing",
    ];
    assert_says(&output, &told);
    assert_eq!(world.sql(ALL), "6|3|2");
    // Each of them once.
    assert_eq!(asked_for(&clerk, "/v1/users/user_"), 3);
    assert_eq!(asked_for(&clerk, "/v1/organizations/org_"), 3);
    let before = added(world);
    let told = ["9 memberships read: 6 equal, 0 missing", "3 unusable"];
    assert_says(&run(&application, &clerk, &family), &told);
    assert_eq!(added(world), before);
    // Once more for the one who is still missing.
    assert_eq!(asked_for(&clerk, "/v1/users/user_"), 4);
    assert_eq!(asked_for(&clerk, "/v1/organizations/org_"), 3);
}
