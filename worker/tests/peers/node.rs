//! The packages of npm. To change a version: edit `package.json`, then
//! `npm install --package-lock-only` beside it.

use std::sync::OnceLock;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::peer::{self, Installation};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("node/", $name)))),*]
    };
}

const FILES: [(&str, &str); 17] = files![
    ".npmrc",
    "application.mjs",
    "cache_writer.mjs",
    "clerk_verifier.mjs",
    "drizzle_members.mjs",
    "drizzle_own_schema.mjs",
    "drizzle_reader.mjs",
    "drizzle_schema.mjs",
    "next_cache.mjs",
    "own_schema.prisma",
    "package-lock.json",
    "package.json",
    "prisma.config.mjs",
    "prisma_reader.mjs",
    "prisma_user.prisma",
    "schema.prisma",
    "svix_sender.mjs",
];

/// What Prisma's packages ask for; Debian 12 has 18.20.
const OLDEST: (u32, u32) = (18, 18);

/// Prisma reads its schema only where this is set, to whatever.
const NO_DATABASE: (&str, &str) = ("DATABASE_URL", "postgres://127.0.0.1/none");

/// Node.js with the packages.
pub(crate) struct Node(Installation);

impl Node {
    pub(crate) fn present() -> Option<&'static Self> {
        static NODE: OnceLock<anyhow::Result<Node>> = OnceLock::new();
        peer::present(&NODE, || {
            Installation::of("peers-node", &FILES, |folder| {
                check_version(folder)?;
                folder.install(&["npm", "ci"])?;
                for schema in ["schema.prisma", "prisma_user.prisma"] {
                    let prisma = "node_modules/prisma/build/index.js";
                    let command = ["node", prisma, "generate", "--schema", schema];
                    folder.run(&command, &[NO_DATABASE])?;
                }
                Ok(())
            })
            .map(Self)
        })
    }

    /// Runs one of the scripts.
    pub(crate) fn ask(&self, script: &str, question: &Value) -> Value {
        self.0
            .ask(&["node", script], question)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The SQL with which Drizzle creates the tables of a schema.
    pub(crate) fn drizzle_sql(&self, schema: &str) -> String {
        self.run(
            &[
                "node_modules/drizzle-kit/bin.cjs",
                "export",
                "--dialect",
                "postgresql",
                "--schema",
                schema,
            ],
            "",
        )
    }

    /// The SQL with which Prisma creates the tables of a schema. It connects to the database.
    pub(crate) fn prisma_sql(&self, schema: &str, database_url: &str) -> String {
        self.run(
            &[
                "node_modules/prisma/build/index.js",
                "migrate",
                "diff",
                "--from-empty",
                "--to-schema-datamodel",
                schema,
                "--script",
            ],
            database_url,
        )
    }

    fn run(&self, arguments: &[&str], database_url: &str) -> String {
        let command = [&["node"], arguments].concat();
        self.0
            .run(&command, &[("DATABASE_URL", database_url)])
            .unwrap_or_else(|error| panic!("{error:#}"))
    }
}

fn check_version(folder: &Installation) -> anyhow::Result<()> {
    let version = folder
        .run(&["node", "--version"], &[])
        .context("Node.js is missing")?;
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        bail!("node --version says {version}");
    };
    let (oldest_major, oldest_minor) = OLDEST;
    if (major, minor) < OLDEST {
        bail!("node is {version}; {oldest_major}.{oldest_minor} or newer is needed");
    }
    folder
        .run(&["npm", "--version"], &[])
        .context("npm is missing")?;
    Ok(())
}
