//! The tables that histories are written to, and what they come to there.

use std::collections::BTreeMap;

use proptest::strategy::BoxedStrategy;
use proptest::test_runner::TestCaseError;
use worker::database::{Database, migration};
use worker::tables::{BUILT_IN as BUILT_IN_FILE, Tables};
use xtask::history::{History, HistoryEvent, User};

use super::destination::Destination;
use super::scenario::{Scenario, of_users};
use super::state;
use crate::applications::docs;
use crate::helpers::{World, database};

/// A table, and the file that says how it is written.
pub(super) struct Table {
    /// What makes it.
    sql: &'static str,
    file: &'static str,
    /// Where the file is, if it is not the built-in one.
    pub(super) path: Option<&'static str>,
    /// As SQL writes it, like all names here.
    name: &'static str,
    /// The column that holds Clerk's id.
    key: &'static str,
    /// What says the name of `row`.
    full_name: &'static str,
    /// The column that holds the username, if one does.
    username: Option<&'static str>,
    /// What says that a row is left of a user who was deleted, if such rows are left.
    is_left: Option<&'static str>,
    /// What says that a row only makes room in a swap.
    makes_room: &'static str,
    /// Whether a row that was there before stays as it is where it is newer.
    pub(super) may_be_newer: bool,
    /// What a row has that we do not write, and its names.
    others: fn(&User) -> Vec<(&'static str, String)>,
}

pub(super) const BUILT_IN: Table = Table {
    sql: include_str!("../../../src/database/create_users.sql"),
    file: BUILT_IN_FILE,
    path: None,
    name: "users",
    key: "id",
    full_name: "row.name",
    username: None,
    is_left: None,
    makes_room: "new.email like '%@moving.invalid'",
    may_be_newer: true,
    others: |row| vec![("name", row.name.clone())],
};

/// A key of its own, and two things that only one user has at a time.
pub(super) const WITH_OWN_KEY: Table = Table {
    sql: include_str!(docs!("prisma.sql")),
    file: include_str!(docs!("prisma.toml")),
    path: Some(docs!("prisma.toml")),
    name: "\"User\"",
    key: "\"clerkId\"",
    full_name: "concat_ws(' ', row.\"firstName\", row.\"lastName\")",
    username: Some("username"),
    makes_room: "new.email like '%@moving.invalid' or new.username is null",
    is_left: None,
    may_be_newer: false,
    others: |row| {
        let (first, last) = row.name.split_once(' ').unwrap();
        vec![
            ("id", format!("own {}", row.name)),
            ("\"firstName\"", first.to_owned()),
            ("\"lastName\"", last.to_owned()),
            ("username", row.username.clone()),
        ]
    },
};

/// Rows of deleted users stay. No two may have one address, which the file's table does not ask for.
pub(super) const WITH_ROWS_THAT_STAY: Table = Table {
    sql: include_str!(docs!("course.sql")),
    file: include_str!(docs!("course.toml")),
    path: Some(docs!("course.toml")),
    name: "users",
    key: "\"clerkUserId\"",
    full_name: "row.name",
    username: None,
    is_left: Some("\"deletedAt\" is not null"),
    makes_room: "new.email like '%@moving.invalid' or new.\"deletedAt\" is not null",
    may_be_newer: false,
    others: |row| vec![("name", row.name.clone())],
};

impl Destination for Table {
    fn strategy(&self) -> fn() -> BoxedStrategy<Scenario> {
        of_users
    }

    fn tables(&self) -> Tables {
        Tables::parse("tables.toml", self.file).unwrap().tables
    }

    /// A row that only makes room is none.
    async fn create(&self, world: &World) -> Database {
        let Self {
            name, makes_room, ..
        } = self;
        world.sql(self.sql);
        if self.is_left.is_some() {
            world.sql(&format!("create unique index on {name} (email)"));
        }
        let (key, full_name) = (self.key, self.full_name.replace("row.", "new."));
        world.sql(&format!(
            "create table writes (number bigint generated always as identity, id text, name text); \
             create function note() returns trigger language plpgsql as $$ \
               begin insert into writes (id, name) values (new.{key}, {full_name}); return new; end $$; \
             create trigger note after insert or update on {name} for each row \
               when (not ({makes_room})) execute function note()"
        ));
        let database = database(world);
        migration::migrate(&database, false).await.unwrap();
        database
    }

    fn clear(&self) -> String {
        format!(
            "set timezone to 'UTC'; delete from {}; delete from writes; delete from clerk_sync.events; \
             delete from clerk_sync.versions; delete from clerk_sync.cache_tags",
            self.name
        )
    }

    fn before(&self, scenario: &Scenario) -> String {
        self.insert(&scenario.users_before())
    }

    fn query(&self) -> String {
        let Self {
            name,
            key,
            full_name,
            ..
        } = self;
        let is_left = self.is_left.unwrap_or("false");
        let username = self
            .username
            .map_or_else(String::new, |column| format!(", coalesce({column}, '-')"));
        format!(
            r#"
    select concat_ws(' ', 'user', {key}, {full_name}, email, coalesce("imageUrl", '-'),
                     (extract(epoch from "createdAt") * 1000)::bigint,
                     (extract(epoch from "updatedAt") * 1000)::bigint{username})
      from {name} as row where not ({is_left})
    union all
    select concat_ws(' ', 'left', {key}, {full_name}, email, coalesce("imageUrl", '-'),
                     (extract(epoch from {left_at}) * 1000)::bigint)
      from {name} as row where {is_left}
    union all
    select concat_ws(' ', 'version', object_id, svix_id,
                     case when deleted then 'deleted'
                     else ((extract(epoch from updated_at) * 1000)::bigint)::text end,
                     (extract(epoch from event_at) * 1000)::bigint)
      from clerk_sync.versions
    union all
    select concat_ws(' ', 'event', svix_id, outcome) from clerk_sync.events"#,
            left_at = self.is_left.map_or("now()", |_| "\"deletedAt\""),
        )
    }

    fn check(
        &self,
        scenario: &Scenario,
        history: &History,
        lines: &str,
    ) -> Result<(), TestCaseError> {
        state::check(self, history, &scenario.users_before(), lines)
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

impl Table {
    /// Inserts rows that are not ours.
    fn insert(&self, rows: &BTreeMap<String, User>) -> String {
        let mut sql = String::new();
        for (user_id, row) in rows {
            let (columns, values): (Vec<&str>, Vec<String>) =
                (self.others)(row).into_iter().unzip();
            let image_url = row
                .image_url
                .as_ref()
                .map_or("null".to_owned(), |url| format!("'{url}'"));
            sql += &format!(
                "insert into {} ({}, {}, email, \"imageUrl\", \"createdAt\", \"updatedAt\") \
                 values ('{user_id}', '{}', '{}', {image_url}, \
                 to_timestamp({} / 1000.0), to_timestamp({} / 1000.0)); ",
                self.name,
                self.key,
                columns.join(", "),
                values.join("', '"),
                row.email,
                row.created_at,
                row.updated_at
            );
        }
        sql + "delete from writes"
    }

    /// What [`Table::query`] says of a user who is there.
    pub(super) fn line(&self, user_id: &str, row: &User) -> String {
        let User {
            name,
            email,
            image_url,
            created_at,
            updated_at,
            username,
        } = row;
        let image_url = image_url.as_deref().unwrap_or("-");
        let line = format!("user {user_id} {name} {email} {image_url} {created_at} {updated_at}");
        match self.username {
            Some(_) => format!("{line} {username}"),
            None => line,
        }
    }

    /// What it may say of one who was deleted.
    pub(super) fn left(deletion: &HistoryEvent) -> String {
        let HistoryEvent {
            object_id: user_id,
            timestamp,
            ..
        } = deletion;
        format!("left {user_id} Deleted user deleted-{user_id}@users.invalid - {timestamp}")
    }
}
