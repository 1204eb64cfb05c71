//! Families beside `user`, each with its section.

use super::Application;
use crate::helpers::World;

macro_rules! payload {
    ($name:literal) => {
        include_str!(concat!("../../../../shared/fixtures/", $name, ".json"))
    };
}

fn deliver(application: &Application, payloads: &[&str]) {
    for payload in payloads {
        application.expect(payload, "applied");
    }
}

/// P4, P7: organizations and memberships go through the same code as users.
#[test]
fn organizations_and_memberships_are_written_to_tables_of_their_own() {
    let application = Application::new(
        include_str!("../../../../docs/tables/tenants.sql"),
        include_str!("../../../../docs/tables/tenants.toml"),
    );
    let world = &application.world;
    let _worker = application.worker();
    let rows = || {
        world.sql(
            "select 'tenant', id, name, seats, settings ->> 'plan' from tenants
             union all select tenant_id, user_id, role, 0, desk from tenant_users order by 1 desc",
        )
    };
    const MEMBER: &str = "org_2g7acme|user_2g7np7Hrk0SN6kj5EDMLDaKNL0S";
    deliver(
        &application,
        &[
            payload!("organization.updated"),
            payload!("organizationMembership.created"),
        ],
    );
    let tenant = "tenant|org_2g7acme|Acme & Söhne|12|team";
    assert_eq!(rows(), format!("{tenant}\n{MEMBER}|admin|0|B12"));
    application.expect(payload!("organization.created"), "stale");
    world.redis(&["SET", "tenant:org_2g7acme", "stale"]);
    deliver(&application, &[payload!("organizationMembership.updated")]);
    assert_eq!(rows(), format!("{tenant}\n{MEMBER}|member|0|B12"));
    assert_eq!(world.redis(&["EXISTS", "tenant:org_2g7acme"]), "0");
    // Comes back with another id before the news that the old membership has gone.
    let again = payload!("organizationMembership.created")
        .replace("orgmem_2g7ada", "orgmem_again")
        .replace("1716883500050", "1716883900000");
    deliver(
        &application,
        &[&again, payload!("organizationMembership.deleted")],
    );
    assert_eq!(rows(), format!("{tenant}\n{MEMBER}|admin|0|B12"));
    deliver(&application, &[payload!("organization.deleted")]);
    assert_eq!(rows(), "");
}

/// P4: the same where the ids are the application's own.
#[test]
fn memberships_refer_to_the_rows_of_their_organization_and_their_user() {
    let application = Application::new(
        include_str!("../../../../docs/tables/organizations.sql"),
        include_str!("../../../../docs/tables/organizations.toml"),
    );
    let world = &application.world;
    let _worker = application.worker();
    let rows = || {
        world.sql(
            "select clerk_org_id, clerk_id, role from memberships
               join organizations on organizations.id = organization_id join users on users.id = user_id",
        )
    };
    deliver(
        &application,
        &[
            payload!("user.created"),
            payload!("organization.updated"),
            payload!("organizationMembership.created"),
        ],
    );
    const MEMBER: &str = "org_2g7acme|user_2g7np7Hrk0SN6kj5EDMLDaKNL0S";
    assert_eq!(rows(), format!("{MEMBER}|ADMIN"));
    deliver(&application, &[payload!("organizationMembership.updated")]);
    assert_eq!(rows(), format!("{MEMBER}|MEMBER"));
    // The foreign key would have refused it.
    deliver(&application, &[payload!("organization.deleted")]);
    assert_eq!(
        world.sql("select (select count(*) from memberships), (select count(*) from organizations), (select count(*) from users)"),
        "0|0|1"
    );
}

/// P11, and whatever Clerk invents: a family works by its section.
#[test]
fn a_family_that_nobody_knows_works_by_its_section_and_others_are_ignored() {
    let application = Application::new(
        "create table entries (email text, status text, id text primary key);
         create table spaceships (serial text primary key, crew int)",
        r#"
        [waitlistEntry]
        table = "entries"
        key = "id"
        columns = { email = "email_address", status = "status" }
        [spaceship]
        table = "spaceships"
        key = "serial"
        columns = { crew = "crew.size" }
        "#,
    );
    let world: &World = &application.world;
    let worker = application.worker();
    let spaceship = |kind: &str| {
        format!(
            r#"{{"type":"spaceship.{kind}","timestamp":1,"data":{{"id":"ship_1","crew":{{"size":7}}}}}}"#
        )
    };
    deliver(
        &application,
        &[payload!("waitlistEntry.created"), &spaceship("launched")],
    );
    let ignored = [
        payload!("organizationInvitation.created"),
        payload!("session.created"),
        payload!("user.created"),
    ];
    for payload in ignored {
        application.expect(payload, "ignored");
    }
    assert_eq!(world.sql("select serial, crew from spaceships"), "ship_1|7");
    assert_eq!(
        world.sql("select count(*), min(id) from entries where email is not null"),
        "1|wle_2g7w"
    );
    deliver(&application, &[&spaceship("deleted")]);
    assert_eq!(world.sql("select count(*) from spaceships"), "0");
    // The URL of an invitation is a secret.
    let output = worker.program.output();
    assert!(!output.contains("https://"), "{output}");
}
