//! Organizations and memberships, in the tables of `docs/tables`, with several kinds of foreign keys.

mod one_organization;
mod state;
mod stream;

use proptest::strategy::BoxedStrategy;
use proptest::test_runner::TestCaseError;
use worker::database::{Database, migration};
use worker::tables::Tables;
use xtask::history::{History, Reference};

use super::batches::end_as_their_reference;
use super::destination::Destination;
use super::scenario::{Scenario, of_members};
use crate::applications::docs;
use crate::helpers::{World, database};

/// What foreign keys do on the deletion of what they refer to. Without any there are none.
const FOREIGN_KEYS: [Option<&str>; 5] = [
    None,
    Some(""),
    Some("on delete cascade"),
    Some("on delete restrict"),
    Some("deferrable initially deferred"),
];

/// Tables of organizations and memberships.
pub(super) struct Members {
    sql: String,
    file: String,
    /// Whether users have a table, and memberships refer to it.
    pub(super) has_users: bool,
}

impl Members {
    /// Ids of the application's own, in three tables.
    pub(super) fn with_own_ids(foreign_keys: Option<&str>) -> Self {
        let mut sql = include_str!(docs!("organizations.sql")).to_owned();
        for parent in ["references organizations (id)", "references users (id)"] {
            assert!(sql.contains(parent));
            let instead = foreign_keys.map(|does| format!("{parent} {does}"));
            sql = sql.replace(parent, &instead.unwrap_or_default());
        }
        // So that every event writes a row of its own.
        let columns = "[organizationMembership.columns]\n";
        let file = include_str!(docs!("organizations.toml"));
        let desk = format!("{columns}desk = \"public_metadata.desk\"\n");
        Self {
            sql: sql + "alter table memberships add desk text",
            file: file.replace(columns, &desk),
            has_users: true,
        }
    }

    /// Clerk's ids, in two tables.
    pub(super) fn with_ids_of_clerk(foreign_keys: Option<&str>) -> Self {
        let mut sql = include_str!(docs!("tenants.sql")).to_owned();
        if let Some(does) = foreign_keys {
            sql += "alter table tenant_users add foreign key (tenant_id) references tenants ";
            sql += does;
        }
        Self {
            sql,
            file: include_str!(docs!("tenants.toml")).to_owned(),
            has_users: false,
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    const fn table(&self) -> &'static str {
        match self.has_users {
            true => "memberships",
            false => "tenant_users",
        }
    }
}

impl Destination for Members {
    fn strategy(&self) -> fn() -> BoxedStrategy<Scenario> {
        of_members
    }

    fn tables(&self) -> Tables {
        Tables::parse("tables.toml", &self.file).unwrap().tables
    }

    async fn create(&self, world: &World) -> Database {
        world.sql(&self.sql);
        world.sql(&format!(
            "create table writes (number bigint generated always as identity, id text, name text); \
             create function note() returns trigger language plpgsql as $$ \
               begin insert into writes (id, name) values (new.role, new.desk); return new; end $$; \
             create trigger note after insert or update on {} for each row execute function note()",
            self.table()
        ));
        let database = database(world);
        migration::migrate(&database, false).await.unwrap();
        database
    }

    fn clear(&self) -> String {
        let tables = match self.has_users {
            true => "memberships, organizations, users",
            false => "tenant_users, tenants",
        };
        format!(
            "set timezone to 'UTC'; truncate {tables}, writes, clerk_sync.events, clerk_sync.versions, \
             clerk_sync.owners, clerk_sync.cache_tags cascade"
        )
    }

    /// Organizations and users that only the application knows. Whose its memberships are nobody could tell.
    fn before(&self, scenario: &Scenario) -> String {
        let history = scenario.before();
        let reference = Reference::of(&history.events);
        let mut sql = String::new();
        for (id, told) in &reference.organizations {
            sql += &match self.has_users {
                true => format!(
                    "insert into organizations (clerk_org_id, name, slug) values ('{id}', '{}', '{}'); ",
                    told.name, told.slug
                ),
                false => format!(
                    "insert into tenants (id, name) values ('{id}', '{}'); ",
                    told.name
                ),
            };
        }
        if self.has_users {
            for (id, told) in &reference.users {
                let email = &told.email;
                sql += &format!("insert into users (clerk_id, email) values ('{id}', '{email}'); ");
            }
        }
        sql
    }

    fn query(&self) -> String {
        let rows = match self.has_users {
            true => {
                "select concat_ws(' ', 'user', clerk_id, email) from users
                 union all
                 select concat_ws(' ', 'organization', clerk_org_id, name, slug,
                                  (extract(epoch from updated_at) * 1000)::bigint) from organizations
                 union all
                 select concat_ws(' ', 'member', coalesce(clerk_org_id, '-'), coalesce(clerk_id, '-'), role, desk)
                   from memberships as member
                   left join organizations as parent on parent.id = member.organization_id
                   left join users on users.id = member.user_id"
            }
            false => {
                "select concat_ws(' ', 'organization', id, name) from tenants
                 union all
                 select concat_ws(' ', 'member', tenant_id, user_id, upper(role), desk) from tenant_users"
            }
        };
        format!(
            "{rows}
             union all
             select concat_ws(' ', 'version', family, object_id, svix_id,
                              case when deleted then 'deleted'
                              else ((extract(epoch from updated_at) * 1000)::bigint)::text end,
                              (extract(epoch from event_at) * 1000)::bigint)
               from clerk_sync.versions
             union all
             select concat_ws(' ', 'event', svix_id, outcome) from clerk_sync.events"
        )
    }

    fn check(&self, _: &Scenario, history: &History, lines: &str) -> Result<(), TestCaseError> {
        state::check(self.has_users, history, lines)
    }

    fn check_writes(
        &self,
        history: &History,
        applied: &dyn Fn(&str) -> bool,
        lines: &str,
    ) -> Result<(), TestCaseError> {
        state::check_writes(history, applied, lines)
    }
}

/// P3, P4, P5: by ids of the application's own, whatever its foreign keys do.
#[test]
fn any_history_of_members_ends_as_its_reference_by_ids_of_the_application() {
    for foreign_keys in FOREIGN_KEYS {
        end_as_their_reference(&Members::with_own_ids(foreign_keys), 30);
    }
}

/// P3, P4, P5
#[test]
fn any_history_of_members_ends_as_its_reference_by_ids_of_clerk() {
    for foreign_keys in [None, Some("on delete restrict")] {
        end_as_their_reference(&Members::with_ids_of_clerk(foreign_keys), 50);
    }
}
