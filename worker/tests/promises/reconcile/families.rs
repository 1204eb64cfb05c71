//! Organizations and memberships.

use serde_json::{Value, json};

use super::tables::run;
use super::{added, assert_says, list, run_with, settings};
use crate::clerk_server::{ClerkServer, Mishap};
use crate::helpers::{DEADLINE, World};
use crate::tables::Application;
use xtask::program::Program;
use xtask::wait;

const DELETE: [&str; 4] = ["--delete-missing", "--max-delete-share", "50", "--yes"];

fn data(payload: &str) -> Value {
    let event: Value = serde_json::from_str(payload).unwrap();
    event["data"].clone()
}

fn organization(n: i64) -> Value {
    let mut organization = data(include_str!(
        "../../../../shared/fixtures/organization.updated.json"
    ));
    organization["id"] = json!(format!("org_{n:03}"));
    organization["slug"] = json!(format!("acme-{n}"));
    organization["created_at"] = json!(1_716_883_500_000 + n);
    organization
}

/// Of user `n` in the organization with this number.
fn membership(organization: i64, n: i64) -> Value {
    let mut membership = data(include_str!(
        "../../../../shared/fixtures/organizationMembership.created.json"
    ));
    membership["id"] = json!(format!("orgmem_{organization:03}_{n:03}"));
    membership["organization"]["id"] = json!(format!("org_{organization:03}"));
    membership["public_user_data"]["user_id"] = json!(format!("user_{n:05}"));
    membership["created_at"] = json!(1_716_883_500_000 + 1000 * organization + n);
    membership
}

/// Three organizations with so many members each.
pub(super) fn clerk(members: i64) -> ClerkServer {
    let clerk = ClerkServer::start(list(0..3));
    let mut state = clerk.state();
    state.organizations = (0..3).map(organization).collect();
    let memberships = (0..3)
        .flat_map(|organization| (0..members).map(move |member| membership(organization, member)));
    state.memberships = memberships.collect();
    drop(state);
    clerk
}

fn tenants() -> Application {
    Application::new(
        include_str!("../../../../docs/tables/tenants.sql"),
        include_str!("../../../../docs/tables/tenants.toml"),
    )
}

/// With users, too.
fn all_three() -> Application {
    Application::new(
        concat!(
            "create table people (id text primary key, email text unique);",
            include_str!("../../../../docs/tables/tenants.sql")
        ),
        concat!(
            include_str!("../../../../docs/tables/tenants.toml"),
            "[user]\ntable = \"people\"\nkey = \"id\"\ncolumns = { email = \"primary_email_address\" }"
        ),
    )
}

pub(super) fn asked_for(clerk: &ClerkServer, path: &str) -> usize {
    let state = clerk.state();
    let requests = state.requests.iter();
    requests.filter(|request| request.contains(path)).count()
}

fn members(world: &World) -> String {
    world.sql("select count(*) from tenant_users")
}

fn refused(application: &Application, clerk: &ClerkServer, arguments: &[&str], texts: &[&str]) {
    let file = [("TABLES_FILE", application.file())];
    let (output, code) = run_with(&application.world, clerk, arguments, &file);
    assert_eq!(code, 2, "{output}");
    assert_says(&output, texts);
}

#[test]
fn organizations_and_memberships_come_in_and_what_is_equal_is_not_pushed() {
    let application = tenants();
    let world = &application.world;
    let _worker = application.worker();
    let clerk = clerk(400);
    let first = [
        "3 organizations read: 0 equal, 3 missing",
        "1200 memberships read: 0 equal, 1200 missing",
    ];
    assert_says(&run(&application, &clerk, &[]), &first);
    assert_eq!(
        world.sql("select * from tenants where id = 'org_001'"),
        "org_001|Acme & Söhne|12|{\"plan\": \"team\", \"seats\": 12}"
    );
    assert_eq!(
        world.sql("select count(*), min(user_id), max(user_id), min(role), min(desk) from tenant_users where tenant_id = 'org_002'"),
        "400|user_00000|user_00399|admin|B12"
    );
    // The file has no section for users.
    assert_eq!(asked_for(&clerk, "/v1/users"), 0);
    let before = added(world);
    let all_equal = [
        "3 organizations read: 3 equal, 0 missing, 0 different",
        "1200 memberships read: 1200 equal, 0 missing, 0 different",
    ];
    let output = run(&application, &clerk, &[]);
    assert_says(&output, &all_equal);
    assert!(!output.contains("different columns"), "{output}");
    assert_eq!(added(world), before);
    assert_eq!(world.redis(&["KEYS", "*reconcile*"]), "");

    world.sql("update tenants set name = 'x', seats = 1 where id = 'org_000'");
    world.sql("update tenants set name = 'y' where id = 'org_001'");
    world.sql("update tenant_users set role = 'owner' where user_id = 'user_00007'");
    world.sql("delete from tenant_users where user_id = 'user_00008'");
    let differences = [
        "different org_000: name, seats",
        "different orgmem_002_007: role",
        "missing orgmem_001_008",
        "3 organizations read: 1 equal, 0 missing, 2 different",
        "different columns of organizations: name in 2, seats in 1",
        "1200 memberships read: 1194 equal, 3 missing, 3 different",
        "different columns of memberships: role in 3",
    ];
    assert_says(&run(&application, &clerk, &["--dry-run"]), &differences);
    assert_says(&run(&application, &clerk, &[]), &differences[3..]);
    assert_says(&run(&application, &clerk, &[]), &all_equal);
}

#[test]
fn an_instance_without_organizations_is_told_once_and_is_no_error() {
    let application = all_three();
    let world = &application.world;
    let _worker = application.worker();
    let clerk = clerk(2);
    run(&application, &clerk, &[]);
    let error = |code: &str| json!({"errors": [{"message": "access denied", "code": code}]});
    for (status, code) in [
        (402, "unsupported_subscription_plan_features"),
        (403, "organization_not_enabled_in_instance"),
        (404, "resource_not_found"),
    ] {
        clerk.state().without_organizations = Some((status, error(code)));
        let output = run(&application, &clerk, &DELETE);
        assert_says(&output, &["3 users read: 3 equal"]);
        let told = format!("this instance of Clerk has no organizations ({status}, {code})");
        assert_eq!(output.matches(&told).count(), 1, "{output}");
        assert_eq!(members(world), "6");
    }
    // What stands between Clerk and us knows nothing of that.
    for (status, reason) in [
        (402, "Clerk answers 402"),
        (403, "Clerk refuses CLERK_SECRET_KEY (403)"),
        (404, "404 comes from somebody else than Clerk"),
    ] {
        clerk.state().without_organizations = Some((status, json!("no")));
        refused(&application, &clerk, &[], &[reason]);
    }
}

#[test]
fn families_are_chosen_and_others_are_told() {
    let application = tenants();
    let _worker = application.worker();
    let clerk = clerk(2);
    for (family, why) in [
        ("user", "which has no section in the tables file"),
        ("session", "which is nothing that Clerk lists"),
    ] {
        let found = format!(
            "error: --family: found {family:?}, {why}, expected one of: organization, organizationMembership"
        );
        let arguments = ["--family", "organization", "--family", family];
        refused(&application, &clerk, &arguments, &[&found]);
    }
    assert_eq!(asked_for(&clerk, "/"), 0);
    let output = run(
        &application,
        &clerk,
        &["--family", "organizationMembership"],
    );
    assert_says(&output, &["6 memberships read: 0 equal, 6 missing"]);
    assert_eq!(asked_for(&clerk, "/v1/organizations?"), 0);
    let both = [
        "--family",
        "organization",
        "--family",
        "organizationMembership",
    ];
    let told = [
        "3 organizations read: 3 equal",
        "6 memberships read: 6 equal",
    ];
    assert_says(&run(&application, &clerk, &both), &told);
}

#[test]
fn a_file_without_a_family_that_clerk_lists_is_told() {
    let application = Application::new(
        "create table entries (email text, id text primary key)",
        "[waitlistEntry]\ntable = \"entries\"\nkey = \"id\"\ncolumns = { email = \"email_address\" }",
    );
    let told = "error: the tables file has none of the sections [user], [organization], [organizationMembership]";
    refused(&application, &clerk(1), &[], &[told]);
}

#[test]
fn rows_of_organizations_and_memberships_are_deleted_family_by_family() {
    let application = tenants();
    let world = &application.world;
    let _worker = application.worker();
    let clerk = clerk(10);
    run(&application, &clerk, &[]);
    // A webhook that never came: an organization with all its members.
    clerk.state().organizations.pop();
    clerk.state().memberships.truncate(20);
    let unlisted = [
        "10 of 30 rows are of memberships that Clerk does not list",
        "1 of 3 rows are of organizations that Clerk does not list",
    ];
    let output = run(&application, &clerk, &["--delete-missing", "--dry-run"]);
    assert_says(&output, &unlisted);
    assert_says(&output, &["unlisted org_002", "unlisted orgmem_002_009"]);
    let share = ["--delete-missing", "--max-delete-share", "33", "--yes"];
    let refusal = "10 of 30 rows are more than the 33 % that may be deleted";
    refused(&application, &clerk, &share, &[refusal]);
    assert_eq!(members(world), "30");

    let output = run(&application, &clerk, &DELETE);
    assert_says(&output, &unlisted);
    let put = [
        "10 deletions were put on the stream; 0 of the memberships are there after all",
        "1 deletions were put on the stream; 0 of the organizations are there after all",
    ];
    assert_says(&output, &put);
    assert_eq!(members(world), "20");
    assert_eq!(world.sql("select count(*) from tenants"), "2");
    assert_eq!(world.outcome("reconcile_orgmem_002_003_deleted"), "applied");
}

/// A membership cannot be asked for by its id.
#[test]
fn a_membership_is_deleted_only_if_two_whole_lists_do_not_have_it() {
    let application = tenants();
    let world = &application.world;
    let _worker = application.worker();
    let clerk = clerk(10);
    run(&application, &clerk, &[]);
    let family = ["--family", "organizationMembership"];
    let arguments = [&family[..], &DELETE].concat();
    let last = clerk.state().memberships.pop().unwrap();
    // Both pages of the first list are without it; the second list has it.
    {
        let mut state = clerk.state();
        state.before_pages.push_back(Box::new(|_| {}));
        state.before_pages.push_back(Box::new(|_| {}));
        let back = move |memberships: &mut Vec<Value>| memberships.push(last.clone());
        state.before_pages.push_back(Box::new(back));
    }
    let output = run(&application, &clerk, &arguments);
    let kept = "0 deletions were put on the stream; 1 of the memberships are there after all";
    assert_says(&output, &["1 of 30 rows are of memberships", kept]);

    // One is named twice in the place of another one.
    clerk.state().memberships.pop();
    let twice = |memberships: &mut Vec<Value>| memberships[5] = memberships[4].clone();
    clerk.state().before_pages.extend([
        Box::new(|_: &mut Vec<Value>| {}) as Box<dyn FnMut(&mut Vec<Value>) + Send>,
        Box::new(|_: &mut Vec<Value>| {}),
        Box::new(twice),
    ]);
    let doubt = "Clerk has 29 memberships and lists 28 different ones only: none were deleted";
    refused(&application, &clerk, &arguments, &[doubt]);
    world.settle();
    assert_eq!(members(world), "30");
}

/// Another membership, the same row.
#[test]
fn who_has_left_and_come_back_keeps_the_row() {
    let application = tenants();
    let world = &application.world;
    let worker = application.worker();
    let clerk = clerk(4);
    run(&application, &clerk, &[]);
    drop(worker);
    {
        let mut state = clerk.state();
        let mut again = state.memberships.remove(0);
        again["id"] = json!("orgmem_again");
        again["role"] = json!("org:member");
        for time in ["created_at", "updated_at"] {
            again[time] = json!(1_716_883_900_000_i64);
        }
        state.memberships.push(again);
    }
    let file = [("TABLES_FILE", application.file())];
    let (output, _) = run_with(world, &clerk, &DELETE, &file);
    let told = [
        "12 memberships read: 11 equal, 1 missing, 0 different",
        "1 of 12 rows are of memberships that Clerk does not list",
        "1 deletions were put on the stream",
    ];
    assert_says(&output, &told);
    let _worker = application.worker();
    world.settle();
    let row =
        "select role from tenant_users where tenant_id = 'org_000' and user_id = 'user_00000'";
    assert_eq!(world.sql(row), "member");
    let output = run(&application, &clerk, &DELETE);
    let told = [
        "12 memberships read: 12 equal",
        "0 of 12 rows are of memberships",
    ];
    assert_says(&output, &told);
}

#[test]
fn after_a_kill_each_list_goes_on_where_it_was() {
    let application = all_three();
    let world = &application.world;
    let clerk = clerk(200);
    world.migrate();
    // Each list but the last: count, page, page, count. Then the second page of memberships.
    let mut mishaps = vec![None; 10];
    mishaps.push(Some(Mishap::Hang));
    clerk.state().mishaps.extend(mishaps);
    let redis = world.redis.url();
    let file = [("TABLES_FILE", application.file())];
    let reconcile = Program::start_file(
        "worker",
        std::path::Path::new(env!("CARGO_BIN_EXE_worker")),
        &["reconcile"],
        &settings(world, &redis, &clerk, &file),
    )
    .unwrap();
    wait::block_until("the second page is asked for", DEADLINE, || {
        asked_for(&clerk, "/v1/organization_memberships") == 3
    })
    .unwrap();
    reconcile.kill();
    assert_eq!(world.backlog(), 3 + 3 + 500);
    // Another choice of families is no other run.
    let family = ["--family", "organizationMembership", "--family", "user"];
    let (output, code) = run_with(world, &clerk, &family, &file);
    assert_eq!(code, 0, "{output}");
    let told = [
        "goes on after 3 users",
        "3 users read",
        "goes on after 500 memberships",
        "120 memberships read",
    ];
    assert_says(&output, &told);
    let places = world.redis(&["KEYS", "{clerk:0}:reconcile:*"]);
    assert!(places.ends_with(":organization"), "{places}");
    let (output, _) = run_with(world, &clerk, &[], &file);
    assert_says(
        &output,
        &["goes on after 3 organizations", "600 memberships read"],
    );
    assert_eq!(world.redis(&["KEYS", "*reconcile*"]), "");
}
