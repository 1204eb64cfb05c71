//! Whose row a row is.

use super::Writer;
use super::expression::{compared, compared_array, literal};
use super::source::Source;
use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::Table;
use crate::tables::section::{Key, Section};

impl Writer<'_> {
    /// The columns of the key that objects say themselves; none where the key is Clerk's id.
    pub(super) fn said_keys(&self) -> Vec<&Column> {
        match &self.section.key {
            Key::Id(_) => Vec::new(),
            Key::Said(places) => places.iter().map(|place| self.cells[*place].1).collect(),
        }
    }

    /// The objects that a statement is about, and their keys.
    pub(super) fn objects(&self) -> Source {
        let mut source = Source::default();
        source.add("text", "object_id");
        for place in 0..self.said_keys().len() {
            source.add("text", format!("key{place}"));
        }
        source
    }

    /// Whether the row `present` has the key of `object`.
    pub(super) fn is_of(&self, object: &str) -> String {
        let said = self.said_keys();
        if said.is_empty() {
            let id = format!("{object}.object_id");
            return format!("present.{} = {}", self.key, compared(&id, self.key_column));
        }
        let columns = said.iter().enumerate().map(|(place, column)| {
            let value = compared(&format!("{object}.key{place}"), column);
            format!("present.{} = {value}", quoted(&column.name))
        });
        Vec::from_iter(columns).join(" AND ")
    }

    /// The same for the objects of the first parameters. The first column of the key stands alone so that its index serves.
    pub(super) fn is_of_one(&self) -> String {
        let said = self.said_keys();
        let Some(first) = said.first() else {
            return format!(
                "present.{} = ANY({})",
                self.key,
                compared_array("$1", self.key_column)
            );
        };
        let (source, is_of) = (self.objects().sql("object"), self.is_of("object"));
        let first_is = compared_array("$2", first);
        format!(
            "(present.{} = ANY({first_is}) AND EXISTS (SELECT FROM {source} WHERE {is_of}))",
            quoted(&first.name)
        )
    }

    /// The id of the object whose row `present` is, as a text.
    pub(super) fn owner(&self) -> String {
        owner(self.section, self.table).unwrap_or_default()
    }

    /// Whether the row `present` has the key that `owner` has.
    pub(super) fn is_of_owned(&self) -> String {
        let columns = self
            .said_keys()
            .into_iter()
            .enumerate()
            .map(|(place, column)| {
                let value = compared(&format!("owner.row_key[{}]", place + 1), column);
                format!("present.{} = {value}", quoted(&column.name))
            });
        Vec::from_iter(columns).join(" AND ")
    }

    /// What no two rows have in common.
    pub(super) fn row_name(&self) -> String {
        let said = self.said_keys();
        if said.is_empty() {
            return format!("present.{}::text", self.key);
        }
        let columns = said
            .iter()
            .map(|column| format!("present.{}", quoted(&column.name)));
        format!("ROW({})::text", Vec::from_iter(columns).join(", "))
    }

    /// A row is free that belongs to nobody, or to an object that is deleted.
    pub(super) fn is_free(&self) -> String {
        let family = literal(&self.section.family);
        let keys = self.section.key_columns().into_iter();
        let nulls = keys.map(|name| format!("present.{} IS NULL", quoted(name)));
        let is_nobodys = Vec::from_iter(nulls).join(" AND ");
        let owner = self.owner();
        format!(
            "({is_nobodys}\n        OR EXISTS (SELECT FROM clerk_sync.versions AS gone\n                    WHERE gone.family = {family} AND gone.object_id = {owner} COLLATE \"C\" AND gone.deleted))"
        )
    }

    /// Locks the owners of the rows that may be linked, so that the link sees to whom they belong by then: what a statement
    /// has read of owners before it waits for a row is not read again.
    pub(super) fn lock_links(&self) -> Option<String> {
        let said = self.said_keys();
        let link_by = self.section.link_by.filter(|_| !said.is_empty())?;
        let row_key = row_key(&said, |place| {
            format!("present.{}", quoted(&said[place].name))
        });
        let (name, family) = (&self.name, literal(&self.section.family));
        let links = compared_array("$1", self.cells[link_by].1);
        let column = self.column(link_by);
        Some(format!(
            "SELECT owner.object_id\n  FROM {name} AS present\n  JOIN clerk_sync.owners AS owner ON owner.family = {family} AND owner.row_key = {row_key}\n WHERE present.{column} = ANY({links})\n ORDER BY owner.row_key\n   FOR UPDATE OF owner"
        ))
    }

    /// Removes the owners of rows that the application has deleted, and returns them.
    pub(super) fn disown(&self) -> Option<String> {
        if self.said_keys().is_empty() {
            return None;
        }
        let (name, family) = (&self.name, literal(&self.section.family));
        let is_of_owned = self.is_of_owned();
        Some(format!(
            "DELETE FROM clerk_sync.owners AS owner\n WHERE owner.family = {family} AND owner.object_id = ANY($1)\n   AND NOT EXISTS (SELECT FROM {name} AS present WHERE {is_of_owned})\nRETURNING owner.object_id, owner.row_key"
        ))
    }

    /// Makes the objects that say a key the owners of its row, unless a newer one is; tells whom it has made that. Owners
    /// are locked before rows, so that a row never changes its owner while it is written.
    pub(super) fn own(&self) -> Option<String> {
        let said = self.said_keys();
        if said.is_empty() {
            return None;
        }
        let mut source = self.objects();
        source.add("timestamptz", "updated_at");
        source.add("timestamptz", "event_at");
        source.add("text", "svix_id");
        let (source, family) = (source.sql("winner"), literal(&self.section.family));
        let row_key = row_key(&said, |place| {
            let column = said[place];
            match column.kind {
                Kind::Text { .. } => format!("winner.key{place}"),
                _ => format!("winner.key{place}::{}", column.exact_sql_type),
            }
        });
        Some(format!(
            "INSERT INTO clerk_sync.owners AS owner (family, row_key, object_id, updated_at, event_at, svix_id)\nSELECT DISTINCT ON (row_key) {family}, row_key, object_id, updated_at, event_at, svix_id\n  FROM (SELECT {row_key} AS row_key, winner.*\n          FROM {source}) AS winner\n WHERE NOT EXISTS (SELECT FROM clerk_sync.owners AS own\n                    WHERE own.family = {family} AND own.object_id = winner.object_id AND own.row_key <> winner.row_key)\n ORDER BY row_key, updated_at DESC, event_at DESC, svix_id COLLATE \"C\" DESC\n    ON CONFLICT (family, row_key) DO UPDATE\n   SET object_id = excluded.object_id,\n       updated_at = excluded.updated_at,\n       event_at = excluded.event_at,\n       svix_id = excluded.svix_id\n WHERE owner.object_id = excluded.object_id\n    OR (excluded.updated_at, excluded.event_at, excluded.svix_id) > (owner.updated_at, owner.event_at, owner.svix_id)\nRETURNING object_id, row_key"
        ))
    }
}

/// As [`Writer::owner`]; `None` if the table has not all that the section names.
pub(super) fn owner(section: &Section, table: &Table) -> Option<String> {
    let places = match &section.key {
        Key::Id(key) => return Some(format!("present.{}::text", quoted(key))),
        Key::Said(places) => places.iter(),
    };
    let columns = places.map(|place| table.column(&section.columns.get(*place)?.name));
    let columns: Vec<&Column> = columns.collect::<Option<_>>()?;
    let row_key = row_key(&columns, |place| {
        format!("present.{}", quoted(&columns[place].name))
    });
    let family = literal(&section.family);
    Some(format!(
        "(SELECT owner.object_id FROM clerk_sync.owners AS owner WHERE owner.family = {family} AND owner.row_key = {row_key})"
    ))
}

/// A key as one value: texts that are equal where the columns' types say so.
fn row_key(columns: &[&Column], value: impl Fn(usize) -> String) -> String {
    let texts = columns.iter().enumerate().map(|(place, column)| {
        let text = format!("{}::text", value(place));
        match column.base_sql_type.as_str() {
            citext if citext.ends_with("citext") => format!("lower({text})"),
            _ => text,
        }
    });
    format!("ARRAY[{}] COLLATE \"C\"", Vec::from_iter(texts).join(", "))
}
