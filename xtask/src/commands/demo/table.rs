//! The table that the demo shows: `users`, or one that the caller brings.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use toml::de::{DeTable, DeValue};

/// What the worker reads where no file is named.
const BUILT_IN: &str = include_str!("../../../../worker/src/tables/built_in.toml");

/// The table of users.
pub(crate) struct Table {
    /// The files of the caller's; without them the table is `users`.
    pub(crate) files: Option<Files>,
    /// With its schema if the file has one, quoted.
    pub(crate) name: String,
    /// The column with Clerk's id, quoted.
    key: String,
    /// As the file has them.
    tags: Vec<String>,
}

/// Absolute paths: the programs run in folders of their own.
pub(crate) struct Files {
    /// SQL that creates the table.
    pub(crate) schema: PathBuf,
    /// What `TABLES_FILE` names.
    pub(crate) tables: PathBuf,
}

impl Table {
    pub(crate) fn built_in() -> anyhow::Result<Self> {
        Self::parse(BUILT_IN, None)
    }

    /// # Errors
    ///
    /// When a file cannot be read, or the second one has no section `[user]` with a table and a key.
    pub(crate) fn read(schema: &Path, tables: &Path) -> anyhow::Result<Self> {
        let found = |file: &Path| {
            ensure!(!file.is_dir(), "{} is a folder", file.display());
            let found = file.canonicalize();
            found.with_context(|| format!("cannot read {}", file.display()))
        };
        let files = Files {
            schema: found(schema)?,
            tables: found(tables)?,
        };
        let text = fs::read_to_string(&files.tables);
        let text = text.with_context(|| format!("cannot read {}", tables.display()))?;
        Self::parse(&text, Some(files)).with_context(|| format!("cannot use {}", tables.display()))
    }

    /// The worker tells what else is wrong with the file.
    fn parse(text: &str, files: Option<Files>) -> anyhow::Result<Self> {
        let file = DeTable::parse(text)?;
        let section = file.get_ref().get("user").map(|user| user.get_ref());
        let section = section
            .and_then(DeValue::as_table)
            .context("it has no section [user], which is what the demo shows")?;
        let text = |name: &str| {
            let value = section.get(name).and_then(|value| value.get_ref().as_str());
            value.with_context(|| format!("[user] has no {name}, or one that is no text"))
        };
        let tags = section
            .get("tags")
            .and_then(|tags| tags.get_ref().as_array());
        let tags = tags.into_iter().flat_map(|tags| tags.iter());
        let tags = tags.filter_map(|tag| Some(tag.get_ref().as_str()?.to_owned()));
        let name = text("table")?.split('.').map(quoted);
        Ok(Self {
            name: name.collect::<Vec<_>>().join("."),
            key: quoted(text("key")?),
            tags: tags.collect(),
            files,
        })
    }

    /// SQL that tells the last tag of a user's row, which is most likely the user's own; `None` if there are no tags.
    pub(crate) fn tag_of(&self, user: &str) -> Option<String> {
        let (Self { name, key, .. }, tag) = (self, self.tags.last()?);
        let text = |text: &str| literal(&text.replace("{{", "{").replace("}}", "}"));
        let mut parts = tag.split("{row.");
        let mut said = text(parts.next().unwrap_or_default());
        for part in parts {
            let (column, behind) = part.split_once('}').unwrap_or((part, ""));
            said.push_str(&format!(" || {}::text || {}", quoted(column), text(behind)));
        }
        let user = literal(user);
        Some(format!(
            "select {said} from {name} where {key}::text = {user}"
        ))
    }

    /// SQL that tells how many of these users have a row.
    pub(crate) fn rows_of(&self, users: &[&str]) -> String {
        let users: Vec<String> = users.iter().map(|user| literal(user)).collect();
        let (Self { name, key, .. }, users) = (self, users.join(", "));
        format!("select count(*) from {name} where {key}::text in ({users})")
    }

    /// SQL that tells all rows, a line a column.
    pub(crate) fn all_rows(&self) -> String {
        let Self { name, key, .. } = self;
        format!(
            "with said as (
                 select row_number() over (order by {key}::text) as number, to_json(present) as said from {name} as present
             ), cell as (
                 select number, place, name, coalesce(value, 'NULL') as value, max(length(name)) over () as width
                   from said, json_each_text(said) with ordinality as cell (name, value, place)
             )
             select string_agg(rpad(name, width + 2) || value, chr(10) order by place) || chr(10)
               from cell group by number order by number"
        )
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use xtask::postgres_server::PostgresServer;

    use super::*;

    #[test]
    fn a_table_and_its_tags_are_told_as_its_file_has_them() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let file = |name: &str| root.join("docs/tables").join(name);
        let table = Table::read(&file("prisma.sql"), &file("prisma.toml")).unwrap();
        let postgres = PostgresServer::shared().unwrap();
        let database = postgres.create_database().unwrap();
        let sql = |statement: &str| postgres.psql(&database, statement).unwrap();
        let schema = &table.files.as_ref().unwrap().schema;
        sql(&format!(r"\i '{}'", schema.display()));
        for user in ["a", "b"] {
            sql(&format!(
                "insert into \"User\" values ('row {user}', 'user_{user}', '{user}', null, null, null, null, '2024-05-28', now())"
            ));
        }
        assert_eq!(sql(&table.rows_of(&["user_a", "user_b", "user_c"])), "2");
        assert_eq!(sql(&table.tag_of("user_a").unwrap()), "user:row a");
        let rows = sql(&table.all_rows());
        assert!(
            rows.starts_with(
                "id         row a\nclerkId    user_a\nemail      a\nfirstName  NULL\n"
            ),
            "{rows}"
        );
        assert!(rows.contains("\n\nid         row b\n"), "{rows}");
    }

    #[test]
    fn braces_and_quotation_marks_are_literal() {
        let text = r#"
            [user]
            table = 'app.my"table'
            key = "id"
            tags = ["{{it's}}:{row.a\"b}!"]
        "#;
        let table = Table::parse(text, None).unwrap();
        assert_eq!(table.name, r#""app"."my""table""#);
        assert_eq!(
            table.tag_of("user_a").unwrap(),
            r#"select '{it''s}:' || "a""b"::text || '!' from "app"."my""table" where "id"::text = 'user_a'"#
        );
    }
}
