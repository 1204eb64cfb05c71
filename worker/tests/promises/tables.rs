//! Tables as applications have them, each with a tables file.

mod examples;
mod statements;

use std::io::Write as _;

use tempfile::NamedTempFile;

use crate::helpers::{Worker, World};

/// A world with a table of its own, and a file that tells how it is written.
pub(crate) struct Application {
    pub(crate) world: World,
    file: NamedTempFile,
}

impl Application {
    /// With the tables that `sql` makes.
    pub(crate) fn new(sql: &str, file: &str) -> Self {
        let world = World::new();
        world.sql(sql);
        let mut tables = NamedTempFile::with_suffix(".toml").unwrap();
        tables.write_all(file.as_bytes()).unwrap();
        Self {
            world,
            file: tables,
        }
    }

    /// The name of the file.
    pub(crate) fn file(&self) -> &str {
        self.file.path().to_str().unwrap()
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker_with(&[])
    }

    pub(crate) fn worker_with(&self, settings: &[(&str, &str)]) -> Worker {
        let tables = [("TABLES_FILE", self.file())];
        self.world.worker_with(&[&tables, settings].concat())
    }

    /// Applies an event and returns its svix-id.
    pub(crate) fn apply(&self, payload: &str) -> String {
        let svix_id = self.world.add_next(payload);
        self.world.settle();
        svix_id
    }
}
