//! The statements that compare rows with what Clerk says.

use super::Writer;
use super::expression::{compared, literal};
use super::source::Source;
use crate::database::catalogue::column::Kind;
use crate::database::catalogue::name::quoted;
use crate::tables::path::Path;
use crate::tables::section::Key;

impl Writer<'_> {
    /// The columns whose content is the same whenever Clerk is asked.
    fn lasting(&self) -> impl Iterator<Item = usize> {
        let columns = 0..self.section.columns.len();
        columns.filter(|place| {
            let paths = self.cells[*place].0.paths();
            !paths.iter().any(|path| Path::is_of_the_event(path))
        })
    }

    fn compared_source(&self, keeping: &[usize]) -> Source {
        let mut source = self.source(self.section.columns.len());
        for place in keeping {
            source.add("boolean", format!("k{place}"));
        }
        source
    }

    /// For each column whether a row says what a winner says: byte by byte in texts, and as the column's type has it in
    /// all else.
    fn are_same(&self, keeping: &[usize]) -> Vec<(usize, String)> {
        let mut same = Vec::new();
        for place in self.lasting() {
            let (_, column) = self.cells[place];
            let (name, exact) = (self.column(place), &column.exact_sql_type);
            let (present, winner) = (format!("present.{name}"), format!("winner.c{place}"));
            let (present, winner) = match column.kind {
                Kind::Text { is_padded, .. } => {
                    let padding = if is_padded { "::bpchar" } else { "" };
                    (
                        format!("{present}::text COLLATE \"C\""),
                        format!("{winner}{padding}::text COLLATE \"C\""),
                    )
                }
                Kind::Json => (format!("{present}::jsonb"), format!("{winner}::jsonb")),
                Kind::Other => (
                    format!("{present}::text"),
                    format!("{winner}::{exact}::text"),
                ),
                _ => (present, format!("{winner}::{exact}")),
            };
            let is_same = format!("{present} IS NOT DISTINCT FROM {winner}");
            let is_same = if keeping.contains(&place) {
                format!("(winner.k{place} OR {is_same})")
            } else {
                is_same
            };
            same.push((place, is_same));
        }
        same
    }

    /// Whether it says the same in all of them.
    fn is_same(&self, keeping: &[usize]) -> String {
        let same = self.are_same(keeping).into_iter().map(|(_, same)| same);
        let same = std::iter::once("true".to_owned()).chain(same);
        Vec::from_iter(same).join("\n   AND ")
    }

    /// The names of those in which it says something else.
    fn different(&self, keeping: &[usize]) -> String {
        let names = self.are_same(keeping).into_iter().map(|(place, same)| {
            let name = literal(&self.cells[place].0.name);
            format!("CASE WHEN {same} THEN NULL ELSE {name} END")
        });
        let names = Vec::from_iter(names).join(",\n       ");
        format!("array_remove(ARRAY[\n       {names}]::text[], NULL)")
    }

    /// What stands for all that a row says in our columns.
    fn digest(&self) -> String {
        let columns = self
            .lasting()
            .map(|place| format!("present.{}", self.column(place)));
        format!("md5(ROW({})::text)", Vec::from_iter(columns).join(", "))
    }

    /// Times that are infinite, or before or after ours, have no place in the driver's type.
    pub(super) fn compare(&self, keeping: &[usize]) -> String {
        let mut source = self.compared_source(keeping);
        let mut can_be_linked = "false".to_owned();
        if let Some(place) = self.section.link_by {
            source.add("boolean", "can_link");
            let wanted = compared(&format!("winner.c{place}"), self.cells[place].1);
            can_be_linked = format!(
                "winner.can_link AND EXISTS (\n           SELECT FROM {} AS present WHERE present.{} = {wanted} AND {})",
                self.name,
                self.column(place),
                self.is_free()
            );
        }
        let (source, different, digest) =
            (source.sql("winner"), self.different(keeping), self.digest());
        let (name, mut is_of) = (&self.name, self.is_of("winner"));
        if matches!(self.section.key, Key::Said(_)) {
            is_of.push_str(&format!(" AND {} = winner.object_id", self.owner()));
        }
        let (key, family) = (&self.key, literal(&self.section.family));
        format!(
            "SELECT winner.object_id,\n       present.{key} IS NOT NULL,\n       {different},\n       coalesce({digest} = known.altered, false),\n       {can_be_linked},\n       least(greatest(known.updated_at, '0001-01-01'), '9999-12-31'),\n       greatest(known.event_at, '0001-01-01'),\n       known.deleted,\n       known.svix_id = ''\n  FROM {source}\n  LEFT JOIN {name} AS present ON {is_of}\n  LEFT JOIN clerk_sync.versions AS known ON known.family = {family} AND known.object_id = winner.object_id"
        )
    }

    pub(super) fn remember_altered(&self, keeping: &[usize]) -> String {
        let source = self.compared_source(keeping).sql("winner");
        let (is_same, digest) = (self.is_same(keeping), self.digest());
        let (name, is_of) = (&self.name, self.is_of("winner"));
        let family = literal(&self.section.family);
        format!(
            "UPDATE clerk_sync.versions AS known\n   SET altered = {digest}\n  FROM {source}\n  JOIN {name} AS present ON {is_of}\n WHERE known.family = {family} AND known.object_id = winner.object_id\n   AND NOT ({is_same})"
        )
    }

    /// The order is that of the key's collation, as texts; with our column, which has another one, it is compared byte by
    /// byte.
    pub(super) fn rows_after(&self) -> String {
        let (name, key, family) = (&self.name, &self.key, literal(&self.section.family));
        let updated_at = match &self.section.newest {
            Some(newest) => {
                let newest = quoted(newest);
                format!(
                    "least(greatest(present.{newest}, '0001-01-01'), '9999-12-31')::timestamptz"
                )
            }
            None => "coalesce(known.updated_at, '0001-01-01')".to_owned(),
        };
        if matches!(self.section.key, Key::Said(_)) {
            let is_of = self.is_of_owned();
            return format!(
                "SELECT owner.object_id, {updated_at}, coalesce(known.deleted, false)\n  FROM clerk_sync.owners AS owner\n  JOIN {name} AS present ON {is_of}\n  LEFT JOIN clerk_sync.versions AS known\n    ON known.family = {family} AND known.object_id = owner.object_id\n WHERE owner.family = {family} AND owner.object_id > $1\n ORDER BY owner.object_id\n LIMIT $2"
            );
        }
        format!(
            "SELECT present.{key}::text, {updated_at}, coalesce(known.deleted, false)\n  FROM {name} AS present\n  LEFT JOIN clerk_sync.versions AS known\n    ON known.family = {family} AND known.object_id = present.{key}::text COLLATE \"C\"\n WHERE present.{key}::text > $1\n ORDER BY present.{key}::text\n LIMIT $2"
        )
    }
}
