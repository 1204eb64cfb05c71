//! What is drawn: a table, a tables file for it, and events. All of it shrinks: to fewer columns and fewer events.

use std::fmt;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::types::{TYPES, Type};

/// For each column one that somebody might take for something else.
const NAMES: [&str; 8] = ["a", "Two words", "select", "it's", "n", "c0", "é", "$1"];
/// Whatever JSON may say; nothing, if it is empty. What a reason might quote has a mark in it.
#[rustfmt::skip]
const ODD: &[&str] = &[
    "", "null", r#""""#, r#"" \n ""#, r#""\u0000""#, r#""zqx\u0000\u0000zqx""#, r#""zqx\ud83d""#, r#""\ude00zqx 😀 \"é\"""#,
    r#""    zqx    ""#, r#""'; drop table mapped; -- zqx""#, r#""{zqx,\"\\""#, r#""ADMIN zqx""#, "LONG", "0", "-0", "-1",
    "7373.735", "7373e-2", "9999.995", "32768", "737373737373", "73737373737373737373", "7373e300", "-7373e-300", "7373e200000",
    "true", r#""false""#, r#""NaN""#, r#""infinity""#, r#""7373-02-30""#, r#""2024-05-28T23:30:00.7373-02:00""#,
    r#"{"zqx": [{"\u0000": "\ud800"}, 7373]}"#, "{}", "[]", r#"["zqx", null]"#, r#"["zqx\u0000\ud83d", "{\"zqx\\"]"#,
];
/// What of a payload no reason may say.
pub(super) const MARKS: [&str; 2] = ["zqx", "7373"];
/// What the file may say of a column, the last ones only if several rows may say the same.
#[rustfmt::skip]
const FORMS: &[&str] = &[
    "FIELD", "FIELD", "{ from = FIELD, too_long = 'cut' }", "{ from = FIELD, too_long = 'null' }",
    "{ from = FIELD, too_long = 'dead_letter' }", "{ from = ['data.other', FIELD, 'image_url'] }", "{ generate = 'uuid' }",
    "{ from = FIELD, silent = 'keep' }", "{ from = [FIELD, 'username'], as = 'lower' }",
    "PATH", "PATH", "{ value = TOML }", "{ from = FIELD, default = TOML }", "{ from = FIELD, default = TOML, silent = 'keep' }",
    "{ from = FIELD, default = 'u{{{id:3}' }", "{ from = FIELD, map = { zqx = TOML, true = TOML }, default = TOML }",
];
const FORMS_OF_UNIQUE: usize = 9;

/// A column and what the file says of it.
#[derive(Clone)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: &'static Type,
    pub(super) takes_null: bool,
    pub(super) is_unique: bool,
    has_default: bool,
    /// `columns`, `on_create`, or neither.
    part: &'static str,
    pub(super) content: String,
    /// Whether it is a field of the event, and nothing else.
    pub(super) is_simple: bool,
    /// What a deletion sets it to, in TOML and in SQL.
    pub(super) on_delete: Option<[String; 2]>,
}

type Drawn = (&'static Type, [bool; 3], &'static str, usize, Option<bool>);

impl Column {
    /// Whoever says all that is wanted has nothing to fear of it.
    fn new(number: usize, (kind, flags, part, dice, null): Drawn) -> Self {
        let [takes_null, has_default, is_unique] = flags;
        let is_filled = part != "nowhere" || takes_null || has_default;
        let part = if is_filled { part } else { "columns" };
        let is_unique = is_unique && kind.may_be_unique && part != "nowhere";
        let forms = &FORMS[..if is_unique {
            FORMS_OF_UNIQUE
        } else {
            FORMS.len()
        }];
        let form = forms[dice % forms.len()];
        let fits = match form {
            "PATH" => !kind.paths.is_empty(),
            "{ generate = 'uuid' }" => part == "on_create" && ["uuid", "text"].contains(&kind.sql),
            _ => !(form.contains("lower") || form.contains("{id")) || kind.characters.is_some(),
        };
        let form = if fits { form } else { "FIELD" };
        let field = ["data", "public_metadata"][dice % 2];
        let path = kind.paths.get(dice % kind.paths.len().max(1));
        let content = form
            .replace("FIELD", &format!("'{field}.f{number}'"))
            .replace("PATH", &format!("'{}'", path.unwrap_or(&"")))
            .replace("TOML", kind.toml);
        let to_null = || ["'null'", "null"].map(str::to_owned);
        let constant = format!("'{}'::{}", kind.constant, kind.sql);
        let constant = || [format!("{{ value = {} }}", kind.toml), constant];
        Self {
            name: NAMES[number],
            is_simple: part == "columns" && (form == "FIELD" || form.contains("too_long")),
            on_delete: null.map(|null| {
                if null || is_unique {
                    to_null()
                } else {
                    constant()
                }
            }),
            kind,
            takes_null,
            is_unique,
            has_default,
            part,
            content,
        }
    }
}

/// An event of one of a few users.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) user_id: String,
    /// What comes behind the dot of its type.
    pub(super) kind: &'static str,
    pub(super) second: u8,
    /// One for each column, in JSON.
    pub(super) values: Vec<String>,
}

impl Told {
    pub(super) fn body(&self) -> String {
        let (id, kind) = (&self.user_id, self.kind);
        let at = 1_716_883_200_000 + i64::from(self.second) * 1000;
        let fields = self.values.iter().enumerate();
        let fields = fields.filter(|(_, value)| !value.is_empty());
        let fields: String = fields
            .map(|(number, value)| format!("\"f{number}\": {value}, "))
            .collect();
        let data = match kind {
            "deleted" => "\"deleted\": true".to_owned(),
            _ => format!(
                r#"{fields} "public_metadata": {{{fields} "a": []}}, "username": "ab", "first_name": "é", "banned": false,
                "email_addresses": [{{"id": "idn", "email_address": "{id}@example.com"}}], "primary_email_address_id": "idn",
                "created_at": 1716883200000, "updated_at": {at}"#
            ),
        };
        format!(r#"{{"type": "user.{kind}", "timestamp": {at}, "data": {{"id": "{id}", {data}}}}}"#)
    }
}

#[derive(Clone)]
pub(super) struct Case {
    key_type: &'static str,
    pub(super) columns: Vec<Column>,
    /// `delete`, `keep` or `set`.
    pub(super) on_delete: &'static str,
    tags: Vec<&'static str>,
    pub(super) batches: Vec<Vec<Told>>,
}

impl Case {
    pub(super) fn sql(&self) -> String {
        let column = |column: &Column| {
            let Type { sql, constant, .. } = column.kind;
            let null = if column.takes_null { "" } else { " not null" };
            let unique = if column.is_unique { " unique" } else { "" };
            let default = format!(" default '{constant}'");
            let default = if column.has_default { &default } else { "" };
            format!(", \"{}\" {sql}{default}{null}{unique}", column.name)
        };
        let (key, columns): (_, String) =
            (self.key_type, self.columns.iter().map(column).collect());
        format!(
            "create table mapped (id serial primary key, clerk_id {key} not null unique{columns})"
        )
    }

    pub(super) fn toml(&self) -> String {
        let mut toml = format!(
            "[user]\ntable = 'mapped'\nkey = 'clerk_id'\ntags = {:?}\n",
            self.tags
        );
        if self.on_delete != "set" {
            toml += &format!("on_delete = '{}'\n", self.on_delete);
        }
        for part in ["columns", "on_create", "on_delete"] {
            let content = |column: &Column| match part {
                "on_delete" => Some(column.on_delete.clone()?[0].clone()),
                _ => (column.part == part).then(|| column.content.clone()),
            };
            let columns = self.columns.iter();
            let line =
                |column: &Column| Some(format!("\"{}\" = {}\n", column.name, content(column)?));
            let lines: String = columns.filter_map(line).collect();
            if part != "on_delete" || self.on_delete == "set" {
                toml += &format!("[user.{part}]\n{lines}");
            }
        }
        toml
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bodies = self
            .batches
            .iter()
            .map(|batch| batch.iter().map(Told::body).collect());
        let bodies: Vec<Vec<String>> = bodies.collect();
        write!(formatter, "\n{}\n{}\n{bodies:#?}", self.sql(), self.toml())
    }
}

/// Another one for each number up to 10,000, where the type has so many.
pub(super) fn said(kind: &Type, number: usize) -> String {
    kind.said[number % kind.said.len()].replace('#', &format!("{number:04}"))
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let part = select(&["columns", "columns", "columns", "on_create", "nowhere"][..]);
    let flags = [0.5, 0.2, 0.25].map(prop::bool::weighted);
    let column = (
        select(&TYPES[..]),
        flags,
        part,
        0..1000_usize,
        option::of(any::<bool>()),
    );
    let on_delete = select(&["delete", "keep", "set"][..]);
    let tags = select(
        &[
            "users",
            "user:{row.id}",
            "clerk:{row.clerk_id}",
            "a:{row.a}",
        ][..],
    );
    // One value in ten is odd; the others are few, so that they meet.
    let values = vec((0_u8..10, 0_usize..6, select(ODD)), NAMES.len());
    let kind = select(&["created", "updated", "updated", "deleted"][..]);
    let batches = vec(vec((0_u8..4, kind, 0_u8..30, values), 1..6), 1..4);
    let key_type = select(&["text", "varchar(40)", "citext", "char(40)"][..]);
    let drawn = (
        key_type,
        vec(column, 2..=NAMES.len()),
        on_delete,
        vec(tags, 0..3),
        batches,
    );
    drawn.prop_map(|(key_type, columns, on_delete, tags, batches)| {
        let columns = columns.into_iter().enumerate();
        let columns = Vec::from_iter(columns.map(|(number, drawn)| Column::new(number, drawn)));
        let told = |(user, kind, second, values): (u8, _, _, Vec<(u8, usize, &str)>)| {
            let value = |((dice, number, odd), column): (_, &Column)| match (dice, odd) {
                (1.., _) => said(column.kind, number),
                (_, "LONG") => format!("\"zqx{}\"", " é".repeat(200)),
                _ => odd.to_owned(),
            };
            Told {
                user_id: format!("user_{user}"),
                values: values.into_iter().zip(&columns).map(value).collect(),
                kind,
                second,
            }
        };
        let batches = batches
            .into_iter()
            .map(|batch| batch.into_iter().map(told).collect());
        let sets = columns.iter().any(|column| column.on_delete.is_some());
        Case {
            batches: batches.collect(),
            key_type,
            on_delete: if sets { on_delete } else { "keep" },
            tags,
            columns,
        }
    })
}
