//! Types of columns, and what each of them takes.

/// A type, and how JSON, TOML and SQL write what it takes.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) sql: &'static str,
    /// In JSON; `#` is a number of four digits.
    pub(super) said: &'static [&'static str],
    pub(super) toml: &'static str,
    /// The same between the quotes of SQL.
    pub(super) constant: &'static str,
    /// Whether it is another value for each number.
    pub(super) may_be_unique: bool,
    /// Of a type that takes any text: how many characters.
    pub(super) characters: Option<usize>,
    /// Where Clerk says what fits.
    pub(super) paths: &'static [&'static str],
}

const NAMES: &[&str] = &["first_name", "username"];
const TEXTS: &[&str] = &[
    "full_name",
    "primary_email_address",
    "primary_email_local_part",
    "event.id",
    "id",
];
const TIMES: &[&str] = &[
    "created_at",
    "updated_at",
    "now",
    "event.timestamp",
    "event.received_at",
];

macro_rules! types {
    ($($sql:literal: $said:expr, $toml:literal = $constant:literal, $unique:literal, $characters:expr, $paths:expr;)*) => {
        pub(super) const TYPES: [&Type; [$($sql),*].len()] = [$(&Type {
            sql: $sql, said: $said, toml: $toml, constant: $constant, may_be_unique: $unique, characters: $characters, paths: $paths,
        }),*];
    };
}

types! {
    "text": &["\"z#\""], "\"left\"" = "left", true, Some(usize::MAX), TEXTS;
    "varchar(5)": &["\"z#\""], "\"left\"" = "left", true, Some(5), NAMES;
    "varchar(300)": &["\"z#\""], "\"left\"" = "left", true, Some(300), TEXTS;
    "char(5)": &["\"z#\""], "\"left\"" = "left", true, Some(5), NAMES;
    "citext": &["\"z#\""], "\"left\"" = "left", true, Some(usize::MAX), TEXTS;
    "handle": &["\"z#\""], "\"left\"" = "left", true, Some(5), NAMES;
    "role": &["\"admin\"", "\"EDITOR\""], "\"EDITOR\"" = "EDITOR", false, None, &[];
    "timestamptz": &["171688#000", "\"2024-05-28T08:00:00.#Z\""], "2024-01-02T03:04:05Z" = "2024-01-02 03:04:05+00", true, None, TIMES;
    "timestamp(3)": &["171688#000"], "2024-01-02T03:04:05Z" = "2024-01-02 03:04:05", true, None, TIMES;
    "date": &["171688#000", "\"2024-02-29\""], "2024-01-02" = "2024-01-02", false, None, TIMES;
    "boolean": &["true", "false", "\"true\""], "false" = "false", false, None, &["banned", "primary_email_verified"];
    "smallint": &["1#"], "7" = "7", true, None, &[];
    "integer": &["-1#"], "7" = "7", true, None, &[];
    "bigint": &["\"1#000000000\""], "7" = "7", true, None, &["created_at", "event.timestamp"];
    "numeric": &["1#.50"], "7.5" = "7.5", true, None, &["created_at", "event.timestamp"];
    "numeric(6,2)": &["1#e-1"], "7.25" = "7.25", true, None, &[];
    "real": &["1#e-1"], "0.5" = "0.5", false, None, &["created_at"];
    "uuid": &["\"00000000-0000-4000-8000-00000000#\""], "\"00000000-0000-4000-8000-0000000000ff\"" = "00000000-0000-4000-8000-0000000000ff", true, None, &[];
    "json": &[r#"{"a": ["\u0000", 1#]}"#, "1#.50", r#""z\n#""#], "{ a = [1] }" = "{\"a\":[1]}", false, None, &["public_metadata", "data"];
    "jsonb": &[r#"{"a": ["\ud83d", 1#]}"#, "1#.50", r#""z\n#""#], "{ a = [1] }" = "{\"a\":[1]}", false, None, &["public_metadata", "data"];
    "text[]": &[r#"["a#", "{,\""]"#, "[]"], "[\"b\"]" = "{b}", false, None, &[];
}
