//! Applications with tables of their own, on which tests of the promises run as on the built-in one.
//!
//! A view `users` shows the rows as the built-in table has them, so a test reads the same everywhere. Their own table is in
//! the schema `app`.

use std::io::Write as _;

use tempfile::NamedTempFile;

use crate::helpers::World;

/// The path of an example.
macro_rules! docs {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tables/", $name)
    };
}
pub(crate) use docs;

/// An application of `docs/tables`.
pub(crate) struct Schema {
    /// What makes its tables.
    sql: &'static str,
    file: &'static str,
    /// Its table, as SQL writes it, like all names here.
    table: &'static str,
    /// Where the first name is.
    name: &'static str,
    /// Its users as the built-in table has them.
    users: &'static str,
    /// The cache tags of the row of a user whose id is ID.
    tags: &'static str,
}

pub(crate) const BUILT_IN: &Schema = &Schema {
    sql: "",
    file: "",
    table: "users",
    name: "name",
    users: "",
    tags: "select 'global:users' union all select 'id:ID:users'",
};

const OF_PRISMA: &Schema = &Schema {
    sql: include_str!(docs!("prisma.sql")),
    file: include_str!(docs!("prisma.toml")),
    table: "app.\"User\"",
    name: "\"firstName\"",
    users: "select \"clerkId\" as id, concat_ws(' ', \"firstName\", \"lastName\") as name, email, \
            \"imageUrl\", \"createdAt\", \"updatedAt\" from app.\"User\"",
    tags: "select 'users' union all select 'user:' || id from app.\"User\" where \"clerkId\" = 'ID'",
};

/// Rows of deleted users stay. No two may have one address, which the file's table does not ask for.
const OF_COURSE: &Schema = &Schema {
    sql: concat!(
        include_str!(docs!("course.sql")),
        "create unique index on users (email)"
    ),
    file: include_str!(docs!("course.toml")),
    table: "app.users",
    name: "name",
    users: "select \"clerkUserId\" as id, name, email, \"imageUrl\", \"createdAt\", \"updatedAt\" \
            from app.users where \"deletedAt\" is null",
    tags: "select 'global:users' union all select 'id:' || id || ':users' from app.users where \"clerkUserId\" = 'ID'",
};

impl Schema {
    /// Makes the table and the view; returns the tables file.
    fn make(&self, world: &World) -> NamedTempFile {
        let (sql, users) = (self.sql, self.users);
        world.sql(&format!("create schema app; set search_path to app; {sql}"));
        world.sql(&format!("create view users as {users}"));
        let mut file = NamedTempFile::with_suffix(".toml").unwrap();
        let tables = self.file.replace("table = \"", "table = \"app.");
        file.write_all(tables.as_bytes()).unwrap();
        file
    }

    /// SQL in which TABLE and NAME are those of this application.
    pub(crate) fn sql(&self, sql: &str) -> String {
        sql.replace("TABLE", self.table).replace("NAME", self.name)
    }

    pub(crate) fn tags(&self, user_id: &str) -> String {
        self.tags.replace("ID", user_id)
    }
}

/// A migrated world of each application, one after the other.
#[expect(clippy::print_stdout, reason = "it is shown if the test fails")]
pub(crate) fn worlds() -> impl Iterator<Item = World> {
    let schemas = [BUILT_IN, OF_PRISMA, OF_COURSE];
    schemas.into_iter().map(|schema| {
        println!("on the table {}", schema.table);
        let mut world = World::new();
        let is_built_in = schema.file.is_empty();
        world.tables = (!is_built_in).then(|| schema.make(&world));
        world.schema = schema;
        world.migrate();
        world
    })
}
