//! What is drawn: a table, a tables file for it, and events. All of it shrinks: to fewer columns and fewer events.

use std::fmt;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::types::{TYPES, Type};

/// For each column one that somebody might take for something else.
const NAMES: [&str; 8] = ["a", "Two words", "select", "it's", "n", "c0", "é", "$1"];
/// All that JSON may say; nothing, if it is empty. What a reason might quote has a mark in it.
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
const FORMS: [&str; 16] = [
    "FIELD", "FIELD", "{ from = FIELD, too_long = 'cut' }", "{ from = FIELD, too_long = 'null' }",
    "{ from = FIELD, too_long = 'dead_letter' }", "{ from = ['data.other', FIELD, 'image_url'] }", "{ generate = 'uuid' }",
    "{ from = FIELD, silent = 'keep' }", "{ from = [FIELD, 'username'], as = 'lower' }",
    "PATH", "PATH", "{ value = TOML }", "{ from = FIELD, default = TOML }", "{ from = FIELD, default = TOML, silent = 'keep' }",
    "{ from = FIELD, default = 'u{{{id:3}' }", "{ from = FIELD, map = { zqx = TOML, true = TOML }, default = TOML }",
];
const FORMS_OF_UNIQUE: usize = 9;
const TAGS: [&str; 4] = ["users", "u:{row.id}", "c:{row.clerk_id}", "a:{row.a}"];
const PARTS: [&str; 3] = ["columns", "on_create", "on_delete"];

/// A column and what the file says of it.
#[derive(Clone)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: &'static Type,
    pub(super) takes_null: bool,
    pub(super) is_unique: bool,
    /// Whether it is a field of the event, and nothing else.
    pub(super) is_simple: bool,
    /// What a deletion sets it to.
    pub(super) set: Option<String>,
    /// What the file says in each part.
    pub(super) says: [Option<String>; 3],
    sql: String,
}

/// A type; takes NULL, has a default, is unique; the part; the form; whether a deletion makes it NULL, or what.
type Drawn = (&'static Type, [bool; 3], usize, usize, Option<bool>);

impl Column {
    /// The person who says all that is wanted has nothing to fear of it.
    fn new(number: usize, (kind, flags, part, dice, to_null): Drawn, is_set: bool) -> Self {
        let (name, [takes_null, has_default, is_unique]) = (NAMES[number], flags);
        let is_filled = part < 2 || takes_null || has_default;
        let part = if is_filled { part } else { 0 };
        let is_unique = is_unique && kind.may_be_unique && part < 2;
        let forms = [FORMS.len(), FORMS_OF_UNIQUE][usize::from(is_unique)];
        let form = FORMS[dice % forms];
        let fits = match form {
            "PATH" => !kind.paths.is_empty(),
            "{ from = FIELD, silent = 'keep' }" => takes_null,
            "{ from = ['data.other', FIELD, 'image_url'] }"
            | "{ from = [FIELD, 'username'], as = 'lower' }" => kind.characters.is_some(),
            "{ generate = 'uuid' }" => part == 1 && ["uuid", "text"].contains(&kind.sql),
            _ => !(form.contains("lower") || form.contains("{id")) || kind.characters.is_some(),
        };
        let form = if fits { form } else { "FIELD" };
        let field = ["data", "public_metadata"][dice % 2];
        let path = kind.paths.get(dice % kind.paths.len().max(1));
        let form = form.replace("PATH", &format!("'{}'", path.unwrap_or(&"")));
        let constant = format!("'{}'", kind.constant);
        let set = to_null.map(|to_null| usize::from(to_null || is_unique));
        let set = set.filter(|_| is_set);
        let mut says = [
            None,
            None,
            set.map(|set| ["{ value = TOML }", "'null'"][set]),
        ];
        if part < 2 {
            says[part] = Some(form.as_str());
        }
        let field = format!("'{field}.f{number}'");
        let filled = |form: &str| form.replace("FIELD", &field).replace("TOML", kind.toml);
        let default = format!(" default {constant}");
        let default = if has_default { &default } else { "" };
        let null = if takes_null { "" } else { " not null" };
        let unique = if is_unique { " unique" } else { "" };
        Self {
            sql: format!(", \"{name}\" {}{default}{null}{unique}", kind.sql),
            is_simple: part == 0 && (form == "FIELD" || form.contains("too_long")),
            set: set.map(|set| [constant.as_str(), "null"][set].to_owned()),
            says: says.map(|form| form.map(filled)),
            name,
            kind,
            takes_null,
            is_unique,
        }
    }
}

/// An event of one of a few users.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) user_id: String,
    /// What comes behind the dot of its type.
    pub(super) kind: &'static str,
    /// One for each column, in JSON.
    pub(super) values: Vec<String>,
    pub(super) body: String,
}

impl Told {
    pub(super) fn new(id: String, kind: &'static str, second: u8, values: Vec<String>) -> Self {
        let at = 1_716_883_200_000 + i64::from(second) * 1000;
        let fields = values.iter().enumerate();
        let fields = fields.filter(|(_, value)| !value.is_empty());
        let fields = fields.map(|(number, value)| format!("\"f{number}\": {value}, "));
        let fields: String = fields.collect();
        let data = match kind {
            "deleted" => "\"deleted\": true".to_owned(),
            _ => format!(
                r#"{fields} "public_metadata": {{{fields} "a": []}}, "username": "ab", "first_name": "é", "banned": false,
                "email_addresses": [{{"id": "idn", "email_address": "{id}@example.com"}}], "primary_email_address_id": "idn",
                "created_at": 1716883200000, "updated_at": {at}"#
            ),
        };
        let body = format!(
            r#"{{"type": "user.{kind}", "timestamp": {at}, "data": {{"id": "{id}", {data}}}}}"#
        );
        Self {
            user_id: id,
            kind,
            values,
            body,
        }
    }
}

#[derive(Clone)]
pub(super) struct Case {
    pub(super) sql: String,
    pub(super) toml: String,
    pub(super) columns: Vec<Column>,
    pub(super) batches: Vec<Vec<Told>>,
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\n{}\n{}", self.sql, self.toml)?;
        let mut batches = self.batches.iter().enumerate();
        batches.try_for_each(|(number, batch)| {
            let mut bodies = batch.iter().map(|told| &told.body);
            bodies.try_for_each(|body| writeln!(formatter, "{number}: {body}"))
        })
    }
}

/// Another one for each number up to 10,000, where the type has so many.
pub(super) fn said(kind: &Type, number: usize) -> String {
    kind.said[number % kind.said.len()].replace('#', &format!("{number:04}"))
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let (part, null) = (select(&[0, 0, 0, 1, 2][..]), option::of(any::<bool>()));
    let flags = [0.5, 0.2, 0.25].map(prop::bool::weighted);
    let column = (select(&TYPES[..]), flags, part, 0..1000_usize, null);
    let columns = vec(column, 2..=NAMES.len());
    let on_delete = select(&["", "on_delete = 'keep'\n", "set"][..]);
    let tags = vec(select(&TAGS[..]), 0..3);
    // One value in ten is odd; the others are few, so that they meet.
    let values = vec((0_u8..10, 0_usize..6, select(ODD)), NAMES.len());
    let kind = select(&["created", "updated", "updated", "deleted"][..]);
    let batches = vec(vec((0_u8..4, kind, 0_u8..30, values), 1..6), 1..4);
    let key_type = select(&["text", "varchar(40)", "citext", "char(40)"][..]);
    (key_type, columns, on_delete, tags, batches).prop_map(|(key_type, columns, on_delete, tags, batches)| {
        let (columns, is_set) = (columns.into_iter().enumerate(), on_delete == "set");
        let columns = columns.map(|(number, drawn)| Column::new(number, drawn, is_set));
        let columns = Vec::from_iter(columns);
        let value = |((dice, number, odd), column): ((u8, usize, &str), &Column)| match (dice, odd) {
            (1.., _) => said(column.kind, number),
            (_, "LONG") => format!("\"zqx{}\"", " é".repeat(200)),
            _ => odd.to_owned(),
        };
        let told = |(user, kind, second, values): (u8, _, _, Vec<_>)| {
            let values = values.into_iter().zip(&columns).map(value);
            Told::new(format!("user_{user}"), kind, second, values.collect())
        };
        let batches = batches.into_iter().map(|batch| batch.into_iter().map(told).collect());
        let batches = batches.collect();
        let of_columns: String = columns.iter().map(|column| column.sql.as_str()).collect();
        let keep = if is_set { "" } else { on_delete };
        let mut toml = format!("[user]\ntable = 'mapped'\nkey = 'clerk_id'\ntags = {tags:?}\n{keep}");
        for (place, part) in PARTS.into_iter().enumerate() {
            let says = |column: &Column| Some(format!("\"{}\" = {}\n", column.name, column.says[place].as_ref()?));
            let lines: String = columns.iter().filter_map(says).collect();
            if !lines.is_empty() {
                toml += &format!("[user.{part}]\n{lines}");
            }
        }
        Case {
            sql: format!("create table mapped (id serial primary key, clerk_id {key_type} not null unique{of_columns})"),
            toml,
            columns,
            batches,
        }
    })
}
