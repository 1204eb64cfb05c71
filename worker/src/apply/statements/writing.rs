//! The statements that write rows.

use super::Writer;
use super::expression::{assigned, compared, literal};
use crate::database::catalogue::name::quoted;
use crate::tables::section::Key;

impl Writer<'_> {
    /// The same where the column may be kept as it is.
    fn value_or_kept(&self, place: usize, keeping: &[usize]) -> String {
        let (value, name) = (self.value(place), self.column(place));
        if keeping.contains(&place) {
            format!("CASE WHEN winner.k{place} THEN present.{name} ELSE {value} END")
        } else {
            value
        }
    }

    /// What is written to a row that is there. Its key stays.
    fn assignments(&self, keeping: &[usize]) -> Vec<String> {
        let columns = 0..self.section.columns.len();
        columns
            .filter(|place| !self.is_key(*place))
            .map(|place| {
                format!(
                    "{} = {}",
                    self.column(place),
                    self.value_or_kept(place, keeping)
                )
            })
            .collect()
    }

    pub(super) fn update(&self, keeping: &[usize], only_older: bool) -> String {
        let columns = self.section.columns.len();
        let mut source = self.source(columns);
        for place in keeping {
            source.add("boolean", format!("k{place}"));
        }
        let (name, mut is_of) = (&self.name, self.is_of("winner"));
        if only_older {
            source.add("timestamptz", "updated_at");
            let newest = self.section.newest.as_deref().unwrap_or_default();
            let exact = self
                .table
                .column(newest)
                .map_or("timestamptz", |column| &column.exact_sql_type);
            let newest = quoted(newest);
            is_of.push_str(&format!(
                "\n   AND (present.{newest} > winner.updated_at::{exact}) IS NOT TRUE"
            ));
        }
        let (source, told) = (source.sql("winner"), self.told("present"));
        let assignments = self.assignments(keeping);
        if assignments.is_empty() {
            return format!(
                "SELECT winner.object_id{told}\n  FROM {name} AS present, {source}\n WHERE {is_of}"
            );
        }
        let assignments = assignments.join(",\n       ");
        format!(
            "UPDATE {name} AS present\n   SET {assignments}\n  FROM {source}\n WHERE {is_of}\nRETURNING winner.object_id{told}"
        )
    }

    pub(super) fn insert(&self) -> String {
        let (name, source) = (&self.name, self.source(self.cells.len()).sql("winner"));
        let cells = 0..self.cells.len();
        let cells = cells.map(|place| (self.column(place), self.value(place)));
        let (columns, values): (Vec<_>, Vec<_>) = self.id_key().into_iter().chain(cells).unzip();
        let (columns, values) = (columns.join(", "), values.join(",\n       "));
        let (is_of, owner, told) = (self.is_of("winner"), self.owner(), self.told("present"));
        format!(
            "INSERT INTO {name} AS present ({columns})\nSELECT {values}\n  FROM {source}\n WHERE NOT EXISTS (SELECT FROM {name} AS present WHERE {is_of})\n ORDER BY winner.object_id COLLATE \"C\"\nRETURNING {owner}{told}"
        )
    }

    /// The key and what is written to it, where it is Clerk's id.
    fn id_key(&self) -> Option<(String, String)> {
        let value = || assigned("winner.object_id", self.key_column);
        matches!(self.section.key, Key::Id(_)).then(|| (self.key.clone(), value()))
    }

    /// Of two who want one row the first gets it. Who has a row needs no other. Another transaction that takes the row in
    /// between is waited for, and what is asked of the row is then asked again.
    pub(super) fn link(&self, link_by: usize, keeping: &[usize]) -> String {
        let mut source = self.source(self.cells.len());
        for place in keeping {
            source.add("boolean", format!("k{place}"));
        }
        let id_key = self.id_key().into_iter();
        let keys = (0..self.cells.len()).filter(|place| self.is_key(*place));
        let keys = id_key.chain(keys.map(|place| (self.column(place), self.value(place))));
        let keys = keys.map(|(column, value)| format!("{column} = {value}"));
        let mut assignments: Vec<String> = keys.collect();
        assignments.extend(self.assignments(keeping));
        for place in self.section.columns.len()..self.cells.len() {
            let (column, value) = (self.column(place), self.value(place));
            assignments.push(format!("{column} = coalesce(present.{column}, {value})"));
        }
        let (name, assignments) = (&self.name, assignments.join(",\n       "));
        let wanted = compared(&format!("winner.c{link_by}"), self.cells[link_by].1);
        let (source, is_of) = (source.numbered("winner"), self.is_of("winner"));
        let (column, is_free, told) = (self.column(link_by), self.is_free(), self.told("present"));
        format!(
            "UPDATE {name} AS present\n   SET {assignments}\n  FROM (SELECT DISTINCT ON ({wanted}) winner.*\n          FROM {source}\n         WHERE NOT EXISTS (SELECT FROM {name} AS present WHERE {is_of})\n         ORDER BY {wanted}, winner.n) AS winner\n WHERE present.{column} = {wanted}\n   AND {is_free}\nRETURNING winner.object_id{told}"
        )
    }

    pub(super) fn adopt(&self, newest: &str) -> String {
        let (name, source) = (&self.name, self.objects().sql("winner"));
        let (family, newest) = (literal(&self.section.family), quoted(newest));
        let is_of = self.is_of("winner");
        format!(
            "UPDATE clerk_sync.versions AS known\n   SET updated_at = least(present.{newest}, '9999-12-31'), event_at = '-infinity', svix_id = ''\n  FROM {source}\n  JOIN {name} AS present ON {is_of}\n WHERE known.family = {family}\n   AND known.object_id = winner.object_id\n   AND present.{newest} > known.updated_at\nRETURNING known.object_id"
        )
    }
}
