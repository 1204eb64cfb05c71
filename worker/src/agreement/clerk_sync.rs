//! Our own tables.

use crate::agreement::Circumstances;
use crate::agreement::notes::Notes;
use crate::agreement::rights::{Needed, tell_missing};
use crate::agreement::row_security::tell_policies;
use crate::database::catalogue::Catalogue;
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::Table;
use crate::tables::section::TableName;

/// A table as this version makes it.
struct Own {
    name: &'static str,
    primary_key: &'static [&'static str],
    /// With their types.
    columns: &'static [(&'static str, &'static str)],
}

const TIME: &str = "timestamp with time zone";

const TABLES: [Own; 4] = [
    Own {
        name: "events",
        primary_key: &["svix_id"],
        columns: &[
            ("svix_id", "text"),
            ("type", "text"),
            ("object_id", "text"),
            ("outcome", "text"),
            ("received_at", TIME),
            ("processed_at", TIME),
        ],
    },
    Own {
        name: "versions",
        primary_key: &["family", "object_id"],
        columns: &[
            ("family", "text"),
            ("object_id", "text"),
            ("updated_at", TIME),
            ("event_at", TIME),
            ("applied_at", TIME),
            ("svix_id", "text"),
            ("deleted", "boolean"),
            ("first_seen", "boolean"),
            ("touched_by", "text"),
            ("went_along", "boolean"),
            ("altered", "text"),
        ],
    },
    Own {
        name: "owners",
        primary_key: &["family", "row_key"],
        columns: &[
            ("family", "text"),
            ("row_key", "text[]"),
            ("object_id", "text"),
            ("updated_at", TIME),
            ("event_at", TIME),
            ("svix_id", "text"),
        ],
    },
    Own {
        name: "cache_tags",
        primary_key: &["svix_id"],
        columns: &[("svix_id", "text"), ("tags", "text[]"), ("kept_at", TIME)],
    },
];

const REMEDY: &str = "DROP SCHEMA clerk_sync CASCADE; then worker migrate, then worker reconcile";

pub(super) fn names() -> impl Iterator<Item = TableName> {
    TABLES.iter().map(|own| name(own.name)).chain([history()])
}

fn name(table: &str) -> TableName {
    TableName {
        schema: Some("clerk_sync".to_owned()),
        name: table.to_owned(),
    }
}

/// Which migrations have been applied.
fn history() -> TableName {
    name("schema_history")
}

pub(super) fn check(catalogue: &Catalogue, circumstances: &Circumstances, notes: &mut Notes<'_>) {
    let session = &catalogue.session;
    let (role, database) = (quoted(&session.role), quoted(&session.database));
    if !session.has_clerk_sync {
        if !circumstances.is_before_the_start {
            notes.error(&[], "there is no schema clerk_sync", "worker migrate");
        } else if !session.creates_schemas {
            let what = format!("the role {role} may not create the schema clerk_sync");
            notes.error(
                &[],
                what,
                format!("GRANT CREATE ON DATABASE {database} TO {role};"),
            );
        }
        return;
    }
    let found = TABLES.iter().map(|own| catalogue.table(&name(own.name)));
    let found: Vec<_> = found.collect();
    // A migration that has stopped there goes on at the next start.
    if circumstances.is_before_the_start && found.iter().all(Option::is_none) {
        return;
    }
    for (table, own) in found.into_iter().zip(TABLES) {
        let Some(table) = table else {
            let what = format!("there is no table clerk_sync.{}", own.name);
            notes.error(&[], what, REMEDY);
            continue;
        };
        if !table.has_usage {
            let what = format!("the role {role} has no USAGE on the schema clerk_sync");
            notes.error(
                &[],
                what,
                format!("GRANT USAGE ON SCHEMA clerk_sync TO {role};"),
            );
            return;
        }
        if let Some(what) = another_form(table, &own) {
            notes.error(
                &[],
                format!("{table} is not as this version makes it: {what}"),
                REMEDY,
            );
            continue;
        }
        let all: Vec<_> = own.columns.iter().map(|(column, _)| *column).collect();
        let needed = Needed {
            select: all.clone(),
            insert: all.clone(),
            update: all,
            delete: true,
            places: false,
        };
        tell_missing(&[], table, &session.role, &needed, notes);
        tell_policies(&[], table, &session.role, notes);
    }
    if let Some(history) = catalogue.table(&history()) {
        let needed = Needed {
            select: vec!["version"],
            ..Needed::default()
        };
        tell_missing(&[], history, &session.role, &needed, notes);
    }
}

/// What is not as this version has made it.
fn another_form(table: &Table, own: &Own) -> Option<String> {
    for (name, sql_type) in own.columns {
        let Some(column) = table.column(name) else {
            return Some(format!("it has no column {name:?}"));
        };
        if column.exact_sql_type != *sql_type {
            return Some(format!("{name:?} is {}", column.exact_sql_type));
        }
    }
    let is_ours = |name: &str| own.columns.iter().any(|(column, _)| *column == name);
    let mut others = table.columns.iter().filter(|column| !is_ours(&column.name));
    if let Some(other) = others.find(|column| !column.takes_null && !column.has_default) {
        return Some(format!("nobody fills its column {:?}", other.name));
    }
    let key = own.primary_key;
    (table.primary_key() != key).then(|| format!("its primary key is not ({})", key.join(", ")))
}
