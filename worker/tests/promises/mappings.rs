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
use worker::database::failure::{Refusal, Remedy};
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

/// P3, P5, P6, P11
#[test]
fn whatever_is_sent_to_whatever_table_is_written_or_refused_with_a_reason() {
    let world = World::new();
    world.sql("create extension citext; create domain handle as varchar(5)");
    world.sql("create type role as enum ('admin', 'EDITOR'); create table mapped ()");
    let (runtime, database) = (Runtime::new().unwrap(), database(&world));
    let migrated = runtime.block_on(migration::migrate(&database, false));
    migrated.unwrap();
    let counts = [const { AtomicU32::new(0) }; 2];
    for_cases(CASES, 1, 1, case, |case| {
        runtime.block_on(check(&database, &case, &counts))
    });
    // So that it is not about nothing.
    let [applied, refused] = counts.map(AtomicU32::into_inner);
    let is_rich = applied > CASES && refused > CASES / 2;
    assert!(
        is_rich || applied + refused < CASES,
        "{applied} applied, {refused} refused"
    );
}

/// A table in which a case is played.
struct Played<'a> {
    database: &'a Database,
    client: &'a Client,
    case: &'a Case,
    reader: Reader,
    targets: Targets,
}

async fn check(
    database: &Database,
    case: &Case,
    [applied, refused]: &[AtomicU32; 2],
) -> Result<(), TestCaseError> {
    let report = Tables::parse("tables.toml", &case.toml());
    let report = report.map_err(|mistakes| TestCaseError::fail(mistakes.to_string()))?;
    let client = &*database.connection().await.unwrap();
    let clear = "set timezone to 'UTC'; delete from clerk_sync.events; delete from clerk_sync.versions; \
                 delete from clerk_sync.cache_tags; drop table mapped";
    let make = format!("{clear}; {}", case.sql());
    client.batch_execute(&make).await.unwrap();
    let (reader, targets) = (Reader::new(&report.tables), Targets::new(report.tables));
    let played = Played {
        database,
        client,
        case,
        reader,
        targets,
    };
    for (number, batch) in case.batches.iter().enumerate() {
        for verdict in played.check_batch(number, batch).await? {
            let is_refused = matches!(verdict, Verdict::Refused(_));
            let count = if is_refused { refused } else { applied };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    played.check_deletion().await
}

impl Played<'_> {
    /// Beside an event that says for each column what it takes, and what nobody else says.
    async fn check_batch(
        &self,
        number: usize,
        batch: &[Told],
    ) -> Result<Vec<Verdict>, TestCaseError> {
        let columns = self.case.columns.iter();
        let plain = Told {
            user_id: format!("plain_{number}"),
            kind: "created",
            second: 0,
            values: columns
                .map(|column| said(column.kind, 9000 + number))
                .collect(),
        };
        let told = Vec::from_iter(std::iter::once(&plain).chain(batch));
        let verdicts = self.apply(&format!("msg_{number}"), &told).await?;
        prop_assert_eq!(&verdicts[0], &APPLIED, "the neighbour");
        let mut applied = Vec::new();
        for (told, verdict) in told.into_iter().zip(&verdicts) {
            self.check_verdict(verdict)?;
            if *verdict == APPLIED {
                applied.push(told);
                self.check_values(told).await?;
            }
        }
        let is_new = |column: &Column| column.content == "'now'" || column.content == "'event.id'";
        let rows = self.select(|column| !is_new(column), "");
        let before = self.text(&rows).await;
        self.apply(&format!("msg_{number}_"), &applied).await?;
        prop_assert_eq!(before, self.text(&rows).await, "the same events once more");
        Ok(verdicts)
    }

    async fn apply(&self, prefix: &str, told: &[&Told]) -> Result<Vec<Verdict>, TestCaseError> {
        let read = |(number, told): (usize, &&Told)| {
            let svix_id = SvixId::parse(&format!("{prefix}_{number}")).unwrap();
            let (at, body) = (SystemTime::UNIX_EPOCH, told.body());
            self.reader.read(svix_id, at, body.as_bytes()).unwrap()
        };
        let events: Vec<Event> = told.iter().enumerate().map(read).collect();
        let events = Vec::from_iter(&events);
        let given = apply(self.database, &self.targets, &Unfenced, &events).await;
        given.map_err(|away| TestCaseError::fail(format!("{away:?}")))
    }

    /// Refused for good, with the names of field and column; or it waits for what only one row may say.
    fn check_verdict(&self, verdict: &Verdict) -> Result<(), TestCaseError> {
        let mut columns = self.case.columns.iter();
        let quotes = |reason: &str| MARKS.iter().any(|mark| reason.contains(mark));
        let names =
            |reason: &str, column: &Column| reason.contains(&format!("column \"{}\"", column.name));
        let is_fine = match verdict {
            Verdict::Recorded(outcome) => *outcome != Outcome::Ignored,
            Verdict::Waiting(awaited) => {
                columns.any(|column| column.is_unique) && !quotes(&awaited.reason)
            }
            Verdict::Refused(Refusal {
                reason,
                remedy: Remedy::GiveUp,
                ..
            }) => {
                let is_named = columns.any(|column| names(reason, column));
                is_named && FIELDS.iter().any(|field| reason.starts_with(field)) && !quotes(reason)
            }
            Verdict::Refused(_) | Verdict::Duplicate | Verdict::Lost => false,
        };
        prop_assert!(is_fine, "{verdict:?}");
        Ok(())
    }

    /// A column that is but a field of the event says what PostgreSQL itself makes of that.
    async fn check_values(&self, told: &Told) -> Result<(), TestCaseError> {
        let columns = self.case.columns.iter().zip(&told.values);
        for (column, json) in
            columns.filter(|(column, _)| column.is_simple && told.kind != "deleted")
        {
            if let Some(expected) = read(column, json) {
                self.check_value(column, &expected, &told.user_id).await?;
            }
        }
        Ok(())
    }

    async fn check_value(
        &self,
        column: &Column,
        expected: &str,
        id: &str,
    ) -> Result<(), TestCaseError> {
        let name = column.name;
        let is = format!("(\"{name}\"::text is not distinct from ({expected})::text)::text");
        let is = self
            .text(&format!("select {is} from mapped where clerk_id = '{id}'"))
            .await;
        prop_assert_eq!(is.as_deref(), Some("true"), "{} and {}", name, expected);
        Ok(())
    }

    fn select(&self, is_wanted: impl Fn(&Column) -> bool, which: &str) -> String {
        let columns = self.case.columns.iter().filter(|column| is_wanted(column));
        let columns: String = columns
            .map(|column| format!(", \"{}\"", column.name))
            .collect();
        format!(
            "select string_agg(row::text, E'\\n' order by id) from (select id{columns} from mapped {which}) row"
        )
    }

    async fn text(&self, sql: &str) -> Option<String> {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Of the one who said what each column takes.
    async fn check_deletion(&self) -> Result<(), TestCaseError> {
        let Case {
            columns, on_delete, ..
        } = self.case;
        let is_set = |column: &Column| *on_delete == "set" && column.on_delete.is_some();
        let others = self.select(|column| !is_set(column), "where clerk_id = 'plain_0'");
        let before = self.text(&others).await;
        let (user_id, values) = ("plain_0".to_owned(), Vec::new());
        let deletion = Told {
            user_id,
            kind: "deleted",
            second: 59,
            values,
        };
        let verdict = self.apply("msg_deletion", &[&deletion]).await?.remove(0);
        self.check_verdict(&verdict)?;
        let set = columns.iter().filter(|column| is_set(column));
        let set =
            Vec::from_iter(set.filter_map(|column| Some((column, &column.on_delete.as_ref()?[1]))));
        let is_taken = set
            .iter()
            .all(|(column, value)| column.takes_null || *value != "null");
        prop_assert_eq!(verdict == APPLIED, is_taken, "{:?}", verdict);
        let expected = before.filter(|_| *on_delete != "delete");
        prop_assert_eq!(
            self.text(&others).await,
            expected,
            "what the deletion does not set"
        );
        for (column, value) in set.into_iter().filter(|_| is_taken) {
            self.check_value(column, value, "plain_0").await?;
        }
        Ok(())
    }
}

/// How PostgreSQL reads a value of JSON for a column. `None`: it is an object or an array, or too long.
fn read(column: &Column, json: &str) -> Option<String> {
    if json.starts_with(['{', '[']) {
        return None;
    }
    let whole = json
        .replace("\\ud83d", "\u{fffd}")
        .replace("\\ude00", "\u{fffd}");
    let text = serde_json::from_str::<String>(&whole).map(|text| text.replace('\0', ""));
    let is_text = text.is_ok();
    let text = text.unwrap_or_else(|_| json.to_owned());
    if text.trim().is_empty() || json == "null" {
        return Some("null".to_owned());
    }
    let sql = column.kind.sql;
    let literal = format!("'{}'::text", text.replace('\'', "''"));
    let characters = column.kind.characters;
    let fits = characters.is_none_or(|most| text.chars().count() <= most);
    fits.then(|| match sql {
        "timestamptz" | "timestamp(3)" | "date" if is_text => {
            format!("{literal}::timestamptz::{sql}")
        }
        "timestamptz" | "timestamp(3)" | "date" => {
            format!("to_timestamp({json}::numeric / 1000)::{sql}")
        }
        "smallint" | "integer" | "bigint" if !is_text => format!("{literal}::numeric::{sql}"),
        "json" | "jsonb" if is_text => format!("to_json({literal})::text::{sql}"),
        _ => format!("{literal}::{sql}"),
    })
}
