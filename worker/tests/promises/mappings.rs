//! Tables as anybody might have them, tables files as anybody might write them, and whatever Clerk might send.
//!
//! What must hold is told without reading the file a second time. See `histories.rs` for the variables that draw more
//! cases, and the same again. What was found once becomes a test of its own.

mod drawn;
mod types;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use shared::svix_id::SvixId;
use tokio::runtime::Runtime;
use tokio_postgres::Client;
use worker::apply::target::Targets;
use worker::apply::{Verdict, apply};
use worker::database::failure::Remedy;
use worker::database::{Database, migration};
use worker::decide::outcome::Outcome;
use worker::event::Event;
use worker::event::reader::Reader;
use worker::tables::Tables;

use self::drawn::{Case, Column, MARKS, Told, case, said};
use crate::helpers::{Unfenced, World, database};
use crate::histories::for_cases;

const CASES: u32 = 400;
const APPLIED: Verdict = Verdict::Recorded(Outcome::Applied);
/// What a reason begins with.
const FIELDS: [&str; 5] = ["data", "event.", "null", "its default", "its value"];
const CLEAR: &str = "set timezone to 'UTC'; delete from clerk_sync.events; delete from clerk_sync.versions; \
                     delete from clerk_sync.cache_tags; drop table mapped";

type Checked = Result<(), TestCaseError>;

/// P3, P5, P6, P11
#[test]
fn whatever_is_sent_to_whatever_table_is_written_or_refused_with_a_reason() {
    let world = World::new();
    world.sql("create extension citext; create domain handle as varchar(5)");
    world.sql("create type role as enum ('admin', 'EDITOR'); create table mapped ()");
    let (runtime, database) = (Runtime::new().unwrap(), database(&world));
    let migrated = runtime.block_on(migration::migrate(&database, false));
    migrated.unwrap();
    for_cases(CASES, 1, 1, case, |case| {
        runtime.block_on(check(&database, &case))
    });
    let refused = REFUSED.load(Ordering::Relaxed);
    assert!(
        refused < CASES / 2,
        "{refused} files did not fit their tables"
    );
}

/// Files that do not fit their tables.
static REFUSED: AtomicU32 = AtomicU32::new(0);

async fn check(database: &Database, case: &Case) -> Checked {
    let report = Tables::parse("tables.toml", &case.toml);
    let tables = report
        .map_err(|mistakes| TestCaseError::fail(mistakes.to_string()))?
        .tables;
    let client = &*database.connection().await.unwrap();
    client
        .batch_execute(&format!("{CLEAR}; {}", case.sql))
        .await
        .unwrap();
    let targets = Targets::new(tables.clone());
    // What does not fit the table is told before the first event.
    if targets.read(database).await.is_err() {
        REFUSED.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    let played = Played {
        database,
        client,
        case,
        reader: Reader::new(&tables),
        targets,
    };
    for (number, batch) in case.batches.iter().enumerate() {
        played.check_batch(number, batch).await?;
    }
    played.check_deletion().await
}

/// A table in which a case is played.
struct Played<'a> {
    database: &'a Database,
    client: &'a Client,
    case: &'a Case,
    reader: Reader,
    targets: Targets,
}

impl Played<'_> {
    /// Beside an event that says for each column what it takes, and what nobody else says.
    async fn check_batch(&self, number: usize, batch: &[Told]) -> Checked {
        let columns = self.case.columns.iter();
        let values = columns.map(|column| said(column.kind, 9000 + number));
        let plain = Told::new(format!("plain_{number}"), "created", 0, values.collect());
        let told = Vec::from_iter(std::iter::once(&plain).chain(batch));
        let verdicts = self.apply(&format!("msg_{number}"), &told).await?;
        prop_assert_eq!(&verdicts[0], &APPLIED, "the neighbour");
        let mut applied = Vec::new();
        for (told, verdict) in told.into_iter().zip(&verdicts) {
            self.check_verdict(verdict)?;
            if *verdict == APPLIED {
                applied.push(told);
                self.check_row(told).await?;
            }
        }
        let is_new = |says: &String| says == "'now'" || says == "'event.id'";
        let rows = self.select(|column| !column.says.iter().flatten().any(is_new), "");
        let before = self.text(&rows).await;
        self.apply(&format!("msg_{number}_"), &applied).await?;
        prop_assert_eq!(before, self.text(&rows).await, "the same events once more");
        Ok(())
    }

    async fn apply(&self, prefix: &str, told: &[&Told]) -> Result<Vec<Verdict>, TestCaseError> {
        let read = |(number, told): (usize, &&Told)| {
            let svix_id = SvixId::parse(&format!("{prefix}_{number}")).unwrap();
            let (at, body) = (SystemTime::UNIX_EPOCH, told.body.as_bytes());
            self.reader.read(svix_id, at, body).unwrap()
        };
        let events: Vec<Event> = told.iter().enumerate().map(read).collect();
        let events = Vec::from_iter(&events);
        let given = apply(self.database, &self.targets, &Unfenced, &events).await;
        given.map_err(|away| TestCaseError::fail(format!("{away:?}")))
    }

    /// Refused for good, with the names of field and column; or it waits for what only one row may say.
    fn check_verdict(&self, verdict: &Verdict) -> Checked {
        let mut columns = self.case.columns.iter();
        let quotes = |reason: &str| MARKS.iter().any(|mark| reason.contains(mark));
        let names_field = |reason: &str| FIELDS.iter().any(|field| reason.starts_with(field));
        let is_fine = match verdict {
            Verdict::Recorded(outcome) => *outcome != Outcome::Ignored,
            Verdict::Waiting(awaited) => {
                columns.any(|column| column.is_unique) && !quotes(&awaited.reason)
            }
            Verdict::Refused(refusal) => {
                let reason = refusal.reason.as_str();
                let names =
                    |column: &Column| reason.contains(&format!("column \"{}\"", column.name));
                let is_named = names_field(reason) && columns.any(names) && !quotes(reason);
                is_named && refusal.remedy == Remedy::GiveUp
            }
            Verdict::Duplicate | Verdict::Lost => false,
        };
        prop_assert!(is_fine, "{verdict:?}");
        Ok(())
    }

    /// A column that is but a field of the event says what PostgreSQL itself makes of that.
    async fn check_row(&self, told: &Told) -> Checked {
        let columns = self.case.columns.iter().zip(&told.values);
        let columns = columns.filter(|(column, _)| column.is_simple && told.kind != "deleted");
        let columns = columns.filter_map(|(column, json)| Some((column, read(column, json)?)));
        self.check_values(&told.user_id, columns.collect()).await
    }

    async fn check_values(&self, id: &str, expected: Vec<(&Column, String)>) -> Checked {
        for (Column { name, kind, .. }, value) in expected {
            let value = format!("({value})::{}::text", kind.sql);
            let is = format!("(\"{name}\"::text is not distinct from {value})::text");
            let is = format!("select {is} from mapped where clerk_id = '{id}'");
            let is = self.text(&is).await;
            prop_assert_eq!(is.as_deref(), Some("true"), "{} and {}", name, value);
        }
        Ok(())
    }

    fn select(&self, is_wanted: impl Fn(&Column) -> bool, which: &str) -> String {
        let columns = self.case.columns.iter().filter(|column| is_wanted(column));
        let columns = columns.map(|column| format!(", \"{}\"", column.name));
        let columns: String = columns.collect();
        let from = format!("select id{columns} from mapped {which}");
        format!("select string_agg(row::text, ' ' order by id) from ({from}) row")
    }

    async fn text(&self, sql: &str) -> Option<String> {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Of the one who said what each column takes.
    async fn check_deletion(&self) -> Checked {
        let others = self.select(|column| column.set.is_none(), "where clerk_id = 'plain_0'");
        let before = self.text(&others).await;
        let deletion = Told::new("plain_0".to_owned(), "deleted", 59, Vec::new());
        let verdict = self.apply("msg_deletion", &[&deletion]).await?.remove(0);
        self.check_verdict(&verdict)?;
        let columns = self.case.columns.iter();
        let set = columns.filter_map(|column| Some((column, column.set.clone()?)));
        let set = Vec::from_iter(set);
        let is_null = |(column, value): &(&Column, String)| !column.takes_null && value == "null";
        let is_taken = !set.iter().any(is_null);
        prop_assert_eq!(verdict == APPLIED, is_taken, "{:?}", verdict);
        let expected = before.filter(|_| self.case.toml.contains("on_delete"));
        prop_assert_eq!(self.text(&others).await, expected, "the other columns");
        let set = if is_taken { set } else { Vec::new() };
        self.check_values("plain_0", set).await
    }
}

/// How PostgreSQL reads a value of JSON for a column. `None`: it is an object or an array, or too long.
fn read(column: &Column, json: &str) -> Option<String> {
    let whole = json
        .replace("\\ud83d", "\u{fffd}")
        .replace("\\ude00", "\u{fffd}");
    let text = serde_json::from_str::<String>(&whole).map(|text| text.replace('\0', ""));
    let is_text = text.is_ok();
    let text = text.unwrap_or_else(|_| json.to_owned());
    if text.trim().is_empty() || json == "null" {
        return Some("null".to_owned());
    }
    let literal = format!("'{}'::text", text.replace('\'', "''"));
    let characters = column.kind.characters;
    let is_short = characters.is_none_or(|most| text.chars().count() <= most);
    let is_read = is_short && !json.starts_with(['{', '[']);
    is_read.then(|| match (column.kind.sql, is_text) {
        ("timestamptz" | "timestamp(3)" | "date", true) => format!("{literal}::timestamptz"),
        ("timestamptz" | "timestamp(3)" | "date", false) => {
            format!("to_timestamp({json}::numeric / 1000)")
        }
        ("smallint" | "integer" | "bigint", false) => format!("{literal}::numeric"),
        ("json" | "jsonb", true) => format!("to_json({literal})::text"),
        _ => literal,
    })
}
