//! The statements that find out who has a unique value and who wants it.

use super::expression::{compared, compared_array, literal, parameter_sql_type};
use super::source::Source;
use super::{SHORTEST_PLACEHOLDER, Writer};
use crate::database::catalogue::column::Kind;
use crate::database::catalogue::name::quoted;

impl Writer<'_> {
    /// A row is named by where it lies: only this transaction, or one that it collides with, moves it.
    pub(super) fn rows(&self) -> String {
        let mut source = self.objects();
        source.add("timestamptz", "updated_at");
        let place = "present.tableoid || ' ' || present.ctid::text";
        let (name, is_of) = (&self.name, self.is_of("winner"));
        let is_newer = self
            .section
            .newest
            .as_deref()
            .map_or("false".to_owned(), |newest| {
                let exact = self
                    .table
                    .column(newest)
                    .map_or("timestamptz", |column| &column.exact_sql_type);
                format!(
                    "coalesce(present.{} > winner.updated_at::{exact}, false)",
                    quoted(newest)
                )
            });
        let Some(link_by) = self.section.link_by else {
            let source = source.sql("winner");
            return format!(
                "SELECT winner.object_id, {place}, {is_newer}, true\n  FROM {source}\n  JOIN {name} AS present ON {is_of}"
            );
        };
        source.add("text", "link");
        let wanted = compared("winner.link", self.cells[link_by].1);
        let (column, is_free) = (self.column(link_by), self.is_free());
        let source = source.numbered("winner");
        format!(
            "WITH winner AS (SELECT * FROM {source}),\nown AS (\n    SELECT winner.object_id, {place} AS place, {is_newer} AS is_newer\n      FROM winner\n      JOIN {name} AS present ON {is_of}\n)\nSELECT object_id, place, is_newer, true FROM own\n UNION ALL\nSELECT object_id, place, false, false\n  FROM (SELECT DISTINCT ON ({wanted}) winner.object_id, {place} AS place\n          FROM winner\n          JOIN {name} AS present ON present.{column} = {wanted}\n         WHERE winner.object_id NOT IN (SELECT object_id FROM own)\n           AND {is_free}\n         ORDER BY {wanted}, winner.n) AS linked"
        )
    }

    /// Equal is what the column's type and collation say, so PostgreSQL tells which of the wanted values are equal: they
    /// have the same number.
    pub(super) fn holders(&self, place: usize) -> String {
        let (_, column) = self.cells[place];
        let (name, owner, unique) = (&self.name, self.owner(), self.column(place));
        let mut source = Source::default();
        source.add(parameter_sql_type(column), "wanted");
        let (source, wanted) = (source.numbered("wish"), compared("wish.wanted", column));
        let family = literal(&self.section.family);
        format!(
            "SELECT wish.n, min(wish.n) OVER (PARTITION BY {wanted}), present.tableoid || ' ' || present.ctid::text, {owner}, known.svix_id\n  FROM {source}\n  LEFT JOIN {name} AS present ON present.{unique} = {wanted}\n  LEFT JOIN clerk_sync.versions AS known\n    ON known.family = {family} AND known.object_id = {owner} COLLATE \"C\"\n ORDER BY wish.n"
        )
    }

    /// No other transaction ever sees the placeholder; .invalid is reserved for such names (RFC 2606). `None` where the
    /// column has no room for one.
    pub(super) fn vacate(&self, place: usize) -> Option<String> {
        let (_, column) = self.cells[place];
        let unique = self.column(place);
        let placeholder = match column.kind {
            _ if column.takes_null => "NULL".to_owned(),
            Kind::Text { characters, .. }
                if characters.is_none_or(|most| most >= SHORTEST_PLACEHOLDER) =>
            {
                let most = characters.unwrap_or(255);
                let name = most
                    .saturating_sub("@moving.invalid".len())
                    .max(SHORTEST_PLACEHOLDER);
                // A row that is being linked has no key yet.
                let whose = match self.section.link_by {
                    Some(_) => format!("concat({}, present.ctid)", self.row_name()),
                    None => self.row_name(),
                };
                format!("left(left(md5({whose}), {name}) || '@moving.invalid', {most})")
            }
            _ => return None,
        };
        let (name, values) = (&self.name, compared_array("$1", column));
        Some(format!(
            "UPDATE {name} AS present\n   SET {unique} = {placeholder}\n WHERE present.{unique} = ANY({values})"
        ))
    }
}
