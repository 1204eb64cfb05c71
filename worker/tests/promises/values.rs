//! What is fitted to the type of a column is taken by PostgreSQL, and stands there as it was sent.

use std::time::SystemTime;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio_postgres::types::ToSql;
use worker::apply::fit::{Fitted, fit};
use worker::database::catalogue::column::{Column as Stored, Kind};
use worker::event::row::Cell;
use worker::tables::path::Path;
use worker::tables::section::{Column, Content, From, TooLong};
use worker::tables::value::Value;

use crate::helpers::{World, database};

/// How many values each type is tried with.
const VALUES: usize = 1500;

/// Tells of each value either what the column says then, or which error it is refused with.
const TAKE: &str = "
    create temporary table taken (value TYPE);
    create function pg_temp.take(value SENT, out stored text, out refused text) language plpgsql as $$
      begin
        insert into taken values (value CAST) returning taken.value::text into stored;
      exception when others then
        refused := sqlstate;
      end $$;";
const TAKEN: &str = "select stored, refused from unnest($1::SENT[]) with ordinality as sent (value, place), pg_temp.take(value) \
     order by place";

const WORDS: [&str; 2] = ["ADMIN", "it's \"a\" word"];

/// A text of pieces that somebody might take for syntax.
fn text() -> impl Strategy<Value = String> {
    const PIECES: [&str; 16] = [
        "a", "é", "😀", " ", "\n", "\t", "\"", "'", "\\", "{", "}", ",", "NULL", "\u{fffd}",
        "\u{a0}", "%s",
    ];
    vec(select(&PIECES[..]), 1..9).prop_map(|pieces| pieces.concat())
}

/// What people write where a number, a time, a UUID or the like is wanted.
fn almost() -> impl Strategy<Value = String> {
    const ODD: [&str; 30] = [
        "true", "false", "TRUE", "t", "0", "-0", "007", "+7", "32767", "32768", "-32769", ".5",
        "5.", "1e5", "1e-5", "9999.99", "9999.995", "1e400", "1e-400", "1e39", "1e-46", "1e131071",
        "1e131072", "1e-16383", "1e-16384", "NaN", "infinity", "now", "0x1F", "1_000",
    ];
    let time = "[0-9]{4}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9](:[0-6][0-9](\\.[0-9]{1,9})?)?\
                (Z|[+-][0-2][0-9](:?[0-5][0-9])?)?)?";
    prop_oneof![
        2 => select(&ODD[..]).prop_map(str::to_owned),
        2 => "[+-]?[0-9]{0,6}\\.?[0-9]{0,3}([eE][+-]?[0-9]{1,3})?",
        1 => "[0-9+\\-.eE_x]{1,6}",
        3 => time,
        1 => "[0-9a-fA-F]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}",
        1 => "\\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\}",
        1 => "(urn:uuid:)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        1 => "([0-9a-f]{4}-?){8}",
        1 => select(&WORDS[..]).prop_map(str::to_owned),
    ]
}

/// A number as JSON may write it.
fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,6})?"
}

fn json() -> impl Strategy<Value = String> {
    let string =
        || prop_oneof![text(), almost()].prop_map(|text| serde_json::Value::from(text).to_string());
    let constant =
        select(vec!["null", "true", r#""\ud83d\ude00""#, "\"\\u0001\""]).prop_map(str::to_owned);
    let list = |entry: BoxedStrategy<String>| {
        vec(entry, 0..4).prop_map(|all| format!("[{}]", all.join(", ")))
    };
    let any = prop_oneof![string(), number(), constant]
        .boxed()
        .prop_recursive(3, 20, 4, move |json| {
            let field = (string(), json.clone()).prop_map(|(name, json)| format!("{name}:{json}"));
            prop_oneof![
                list(json.boxed()),
                vec(field, 0..4).prop_map(|all| format!("{{{}}}", all.join(",")))
            ]
        });
    prop_oneof![list(any.boxed()), list(string().boxed())]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::Text),
        almost().prop_map(Value::Text),
        almost().prop_map(Value::Text),
        any::<i64>().prop_map(Value::Integer),
        any::<i16>().prop_map(|number| Value::Integer(number.into())),
        (-62_135_596_800_000_i64..253_402_300_800_000).prop_map(Value::Integer),
        number().prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        json().prop_map(Value::Json),
    ]
}

/// Types, what they are to us, and whether a text stands there as it was sent.
fn types() -> Vec<(&'static str, Kind, bool)> {
    let text = |characters, is_padded| Kind::Text {
        characters,
        is_padded,
    };
    let integer = |least, greatest| Kind::Integer { least, greatest };
    let numeric = |before, behind| Kind::Numeric {
        digits: Some((before, behind)),
    };
    let list = |element| Kind::TextArray(Box::new(element));
    let words = Kind::Enum(WORDS.map(str::to_owned).to_vec());
    vec![
        ("text", text(None, false), true),
        ("varchar(5)", text(Some(5), false), true),
        ("char(5)", text(Some(5), true), true),
        ("citext", text(None, false), true),
        ("handle", text(Some(5), false), true),
        ("role", words.clone(), true),
        ("boolean", Kind::Boolean, true),
        ("smallint", integer(i16::MIN.into(), i16::MAX.into()), true),
        ("integer", integer(i32::MIN.into(), i32::MAX.into()), true),
        ("bigint", integer(i64::MIN, i64::MAX), true),
        ("numeric", Kind::Numeric { digits: None }, false),
        ("numeric(6,2)", numeric(4, 2), false),
        ("numeric(3,5)", numeric(-2, 5), false),
        ("real", Kind::Real, false),
        ("double precision", Kind::Real, false),
        ("uuid", Kind::Uuid, false),
        ("json", Kind::Json, true),
        ("jsonb", Kind::Json, false),
        ("text[]", list(text(None, false)), false),
        ("varchar(2)[]", list(text(Some(2), false)), false),
        ("char(2)[]", list(text(Some(2), true)), false),
        ("role[]", list(words), false),
        ("timestamptz", Kind::Time, false),
        ("timestamp(3)", Kind::Time, false),
        ("date", Kind::Date, false),
    ]
}

fn stored(sql_type: &str, kind: Kind) -> Stored {
    Stored {
        name: "value".to_owned(),
        kind,
        sql_type: sql_type.to_owned(),
        exact_sql_type: sql_type.to_owned(),
        base_sql_type: sql_type.to_owned(),
        takes_null: true,
        ..Stored::default()
    }
}

/// What is to be cut where it is too long.
fn mapped() -> Column {
    let from = From {
        paths: vec![Path::Field(vec!["field".to_owned()])],
        as_lower: false,
        map: None,
        default: None,
        keeps_when_silent: false,
        too_long: Some(TooLong::Cut),
    };
    Column {
        name: "value".to_owned(),
        content: Content::From(from),
    }
}

fn cells(runner: &mut TestRunner) -> Vec<Cell> {
    let cell = |value| Cell {
        value,
        keeps: false,
        said_by: Some(0),
        instead: None,
    };
    let values = vec(value(), VALUES).new_tree(runner).unwrap().current();
    values.into_iter().map(cell).collect()
}

#[tokio::test]
async fn what_fits_a_column_is_taken_by_postgresql() {
    let world = World::new();
    world.sql("create extension citext; create domain handle as varchar(5)");
    world.sql(r#"create type role as enum ('ADMIN', 'it''s "a" word')"#);
    let mut connection = database(&world).connection().await.unwrap();
    let mut runner = TestRunner::default();
    for (sql_type, kind, stays) in types() {
        let cells = cells(&mut runner);
        let is_time = matches!(kind, Kind::Time | Kind::Date);
        let (stored, mapped) = (stored(sql_type, kind), mapped());
        let fitted: Vec<(&Cell, Fitted<'_>)> = cells
            .iter()
            .filter_map(|cell| Some((cell, fit(cell, &mapped, &stored).ok()?)))
            .filter(|(_, fitted)| *fitted != Fitted::Null)
            .collect();
        let texts: Vec<&str> = fitted
            .iter()
            .filter_map(|(_, fitted)| fitted.text())
            .collect();
        let times: Vec<SystemTime> = fitted
            .iter()
            .filter_map(|(_, fitted)| fitted.time())
            .collect();
        assert!(!fitted.is_empty(), "nothing fits {sql_type}");
        assert_eq!(
            if is_time { times.len() } else { texts.len() },
            fitted.len()
        );

        let (sent, parameter): (_, &(dyn ToSql + Sync)) = if is_time {
            ("timestamptz", &times)
        } else {
            ("text", &texts)
        };
        // As the statements have it: what stands in the parentheses is for the column alone, a cast would cut.
        let cast = match stored.kind {
            Kind::Text { .. } | Kind::Time | Kind::Date => String::new(),
            _ => {
                let (before, behind) = sql_type.split_once('(').unwrap_or((sql_type, ""));
                let behind = behind.split_once(')').map_or("", |(_, behind)| behind);
                let before = if before == "char" { "bpchar" } else { before };
                format!("::{before}{behind}")
            }
        };
        let sql = |sql: &str| {
            sql.replace("SENT", sent)
                .replace("TYPE", sql_type)
                .replace("CAST", &cast)
        };
        let transaction = connection.transaction().await.unwrap();
        transaction
            .batch_execute("set local timezone = 'UTC'")
            .await
            .unwrap();
        transaction.batch_execute(&sql(TAKE)).await.unwrap();
        let rows = transaction.query(&sql(TAKEN), &[parameter]).await.unwrap();
        assert_eq!(rows.len(), fitted.len());
        for (row, (cell, fitted)) in rows.iter().zip(&fitted) {
            let (says, refused): (Option<&str>, Option<&str>) = (row.get(0), row.get(1));
            assert!(
                refused.is_none(),
                "{sql_type}: {refused:?} {cell:?} {fitted:?}"
            );
            assert!(
                !stays || says == fitted.text(),
                "{sql_type}: {says:?} {cell:?} {fitted:?}"
            );
        }
        transaction.rollback().await.unwrap();
    }
}
