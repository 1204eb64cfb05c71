use proptest::prelude::*;

use super::*;
use crate::tables::path::{Computed, EventField, Path};
use crate::tables::section::{
    Column, Constant, Content, From, Gone, Key, MissingRow, OnDelete, TableName, TooLong,
};
use crate::tables::tag::{self, Tag};
use crate::tables::template::{Part, Template};
use crate::tables::value::Value;

/// What most files here begin with.
const HEAD: &str = "[user]\ntable = \"t\"\nkey = \"id\"\n";

/// A file with much in it.
const BIGGER: &str = r#"
[user]
table = "app.User"
key = "clerkId"
link_by = "email"                        # a row invited by e-mail, without a clerkId yet, becomes this user's
tags = ["users", "user:{row.id}"]        # id: the application's own

[user.columns]
email = "primary_email_address"
name = { from = ["full_name", "username", "primary_email_local_part"], default = "Unknown" }
phone = "primary_phone_number"
role = { from = "public_metadata.role", map = { admin = "ADMIN", editor = "EDITOR" }, default = "MEMBER" }
locale = { from = "locale", silent = "keep" }
metadata = "public_metadata"             # jsonb
createdAt = "created_at"
updatedAt = "now"                        # the application's clock, not Clerk's

[user.on_create]                         # only when the row is made
id = { generate = "uuid" }               # Prisma fills it in the application, nobody in the database
plan = { value = "free" }
handle = { value = "user-{id:8}" }

[user.on_delete]                         # in place of deleting the row
deletedAt = "event.timestamp"
email = { value = "deleted-{id}@users.invalid" }
clerkId = "null"
"#;

fn report(text: &str) -> Report {
    Tables::parse("f", text).unwrap_or_else(|mistakes| panic!("{mistakes}\nin\n{text}"))
}

fn section_of(tables: &Tables) -> Section {
    Section::clone(tables.section("user").unwrap())
}

/// The columns of a file that has these lines below `[user.columns]`.
fn columns_of(lines: &str) -> Vec<Column> {
    let text = format!("{HEAD}[user.columns]\n{lines}");
    section_of(&report(&text).tables).columns
}

fn constant_of(value: &str) -> Constant {
    let columns = columns_of(&format!("x = {{ value = {value} }}"));
    match &columns[0].content {
        Content::Constant(constant, None) => constant.clone(),
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Constant {
    Constant::Text(Template(vec![Part::Text(text.to_owned())]))
}

fn field(text: &str) -> Path {
    Path::Field(text.split('.').map(str::to_owned).collect())
}

fn from(paths: &[Path]) -> From {
    From {
        paths: paths.to_vec(),
        as_lower: false,
        map: None,
        default: None,
        keeps_when_silent: false,
        too_long: None,
    }
}

fn column(name: &str, content: Content) -> Column {
    let name = name.to_owned();
    Column { name, content }
}

fn tag(parts: &[tag::Part]) -> Tag {
    Tag(parts.to_vec())
}

/// The cases stand in mistakes.txt, behind each line what is told of it. Each file tells all of its mistakes, and in the
/// order of its lines.
#[test]
fn each_mistake_is_told_with_its_line_and_what_is_expected() {
    let cases = include_str!("mistakes.txt").split("---\n");
    let (mut kinds, mut different) = (0, Vec::new());
    for case in cases {
        let head = if case.starts_with("# whole") {
            ""
        } else {
            HEAD
        };
        let file = format!("{head}{case}");
        let mut expected = Vec::new();
        for (line, text) in file.lines().enumerate() {
            let told = text.split(" #! ").skip(1);
            expected.extend(told.map(|told| format!("f:{}: {told}", line + 1)));
        }
        let told = match Tables::parse("f", &file) {
            Ok(_) => String::new(),
            Err(mistakes) => mistakes.to_string(),
        };
        let told: Vec<_> = told.lines().collect();
        kinds += expected.len();
        if told != expected {
            different.push(format!("{file}\ntells\n{}", told.join("\n")));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
    assert!(kinds > 100);
}

#[test]
fn the_files_in_the_text_of_the_documentation_have_no_mistake() {
    let pages = [
        include_str!("../../../../docs/tables.md"),
        include_str!("../../../../docs/from-a-route.md"),
    ];
    for page in pages {
        let blocks = page.split("```toml\n").skip(1);
        let files = blocks.filter(|block| block.starts_with("[user]\n"));
        let files: Vec<_> = files.map(|block| block.split("```").next()).collect();
        assert!(!files.is_empty());
        for file in files.into_iter().flatten() {
            let told = Tables::parse("f", file).map(|report| report.warnings);
            assert_eq!(told.map_err(|mistakes| mistakes.to_string()), Ok(vec![]));
        }
    }
}

#[test]
fn the_built_in_file_is_read() {
    let tables = Tables::built_in();
    assert!(tables.is_built_in());
    assert_eq!(tables.sections().count(), 1);
    let name = From {
        default: Some(text("User")),
        too_long: Some(TooLong::Cut),
        ..from(&[Path::Computed(Computed::FullName)])
    };
    let plain = |name, path| column(name, Content::From(from(&[path])));
    let section = Section {
        family: "user".to_owned(),
        table: TableName {
            schema: None,
            name: "users".to_owned(),
        },
        key: Key::Id("id".to_owned()),
        columns: vec![
            column("name", Content::From(name)),
            plain("email", Path::Computed(Computed::PrimaryEmailAddress)),
            plain("imageUrl", field("image_url")),
            plain("createdAt", field("created_at")),
            plain("updatedAt", field("updated_at")),
        ],
        on_create: Vec::new(),
        on_delete: OnDelete::Delete,
        missing_row: MissingRow::Create,
        link_by: None,
        newest: Some("updatedAt".to_owned()),
        tags: vec![
            tag(&[tag::Part::Text("global:users".to_owned())]),
            tag(&[
                tag::Part::Text("id:".to_owned()),
                tag::Part::Column("id".to_owned()),
                tag::Part::Text(":users".to_owned()),
            ]),
        ],
        depth: 0,
        is_found: false,
        touches_tags: false,
    };
    assert_eq!(section_of(&tables), section);
    let as_a_file = report(BUILT_IN);
    assert!(!as_a_file.tables.is_built_in());
    assert!(as_a_file.warnings.is_empty());
}

#[test]
fn a_file_with_much_in_it_is_read() {
    let report = report(BIGGER);
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let section = section_of(&report.tables);
    let table = TableName {
        schema: Some("app".to_owned()),
        name: "User".to_owned(),
    };
    assert_eq!(section.table, table);
    assert_eq!(section.key, Key::Id("clerkId".to_owned()));
    assert_eq!(section.link_by, Some(0));
    let names: Vec<_> = section.columns.iter().map(|column| &column.name).collect();
    let expected = "email name phone role locale metadata createdAt updatedAt";
    assert_eq!(names, expected.split(' ').collect::<Vec<_>>());
    let content = |place: usize| section.columns[place].content.clone();
    let names = From {
        default: Some(text("Unknown")),
        ..from(&[
            Path::Computed(Computed::FullName),
            field("username"),
            Path::Computed(Computed::PrimaryEmailLocalPart),
        ])
    };
    assert_eq!(content(1), Content::From(names));
    let words = [("admin", "ADMIN"), ("editor", "EDITOR")];
    let role = From {
        map: Some(
            words
                .map(|(word, means)| (word.to_owned(), text(means)))
                .into(),
        ),
        default: Some(text("MEMBER")),
        ..from(&[field("public_metadata.role")])
    };
    assert_eq!(content(3), Content::From(role));
    let locale = From {
        keeps_when_silent: true,
        ..from(&[field("locale")])
    };
    assert_eq!(content(4), Content::From(locale));
    assert_eq!(content(7), Content::From(from(&[Path::Now])));
    let id = |last| Part::Path(field("id"), last);
    let with_id = |parts: Vec<Part>| Content::Constant(Constant::Text(Template(parts)), None);
    let handle = with_id(vec![Part::Text("user-".to_owned()), id(Some(8))]);
    let on_create = [
        column("id", Content::Uuid),
        column("plan", Content::Constant(text("free"), None)),
        column("handle", handle),
    ];
    assert_eq!(section.on_create, on_create);
    let email = with_id(vec![
        Part::Text("deleted-".to_owned()),
        id(None),
        Part::Text("@users.invalid".to_owned()),
    ]);
    let at = from(&[Path::Event(EventField::Timestamp)]);
    let on_delete = vec![
        column("deletedAt", Content::From(at)),
        column("email", email),
        column("clerkId", Content::From(from(&[Path::Null]))),
    ];
    assert_eq!(section.on_delete, OnDelete::Set(on_delete));
}

/// Parents first.
#[test]
fn a_section_stands_behind_those_that_it_finds_in() {
    let file = r#"
        [organization]
        table = "organizations"
        key = "clerk_id"
        columns = { owner = { find = "user", id = "created_by", gone = "keep" } }

        [organizationMembership]
        table = "memberships"
        key = ["organization", "user"]
        [organizationMembership.columns]
        role = "role"
        user = { find = "user", id = "public_user_data.user_id" }
        organization = { find = "organization", id = "organization.id", column = "uuid" }
        [organizationMembership.on_create]
        inviter = { find = "user", id = "public_metadata.inviter" }

        [user]
        table = "users"
        key = "clerk_id"
    "#;
    let tables = report(file).tables;
    let (keep, delete) = (Some(Gone::Keep), Some(Gone::Delete));
    for (family, depth, expected) in [
        ("user", 0, vec![]),
        ("organization", 1, vec![(0, "user", None, keep)]),
        (
            "organizationMembership",
            2,
            vec![
                // What the key refers to takes the row along.
                (1, "user", None, delete),
                (2, "organization", Some("uuid"), delete),
                (3, "user", None, None),
            ],
        ),
    ] {
        let section = tables.section(family).unwrap();
        assert_eq!(section.depth, depth, "{family}");
        let told = section.finds();
        let told = told.map(|(place, find)| {
            let (family, column) = (find.family.as_str(), find.column.as_deref());
            (place, family, column, find.gone)
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{family}");
    }
}

#[test]
fn a_constant_is_what_toml_has() {
    let json = |text: &str| Constant::Value(Value::Json(text.to_owned()));
    let number = |text: &str| Constant::Value(Value::Number(text.to_owned()));
    for (value, constant) in [
        ("true", Constant::Value(Value::Boolean(true))),
        ("-7", Constant::Value(Value::Integer(-7))),
        ("0x1_f", Constant::Value(Value::Integer(31))),
        ("+1_0.50", number("10.5")),
        ("1e2", number("100.0")),
        (
            "2020-01-02T03:04:05Z",
            Constant::Value(Value::Text("2020-01-02T03:04:05Z".to_owned())),
        ),
        ("\"null\"", text("null")),
        ("\"\"", Constant::Text(Template(Vec::new()))),
        ("\"a\\u0000b\"", text("ab")),
        ("\"{{a}}\"", text("{a}")),
        ("[]", json("[]")),
        (
            "[\"{id}\", 1, 2020-01-02, \"a\\u0000\"]",
            json("[\"{id}\",1,\"2020-01-02\",\"a\u{fffd}\"]"),
        ),
        ("{ a = { b = 1.5 } }", json(r#"{"a":{"b":1.5}}"#)),
    ] {
        assert_eq!(constant_of(value), constant, "{value}");
    }
    let bare = columns_of("a = true\nb = 1\nc = 1.5\nd = 2020-01-02");
    let constants = bare
        .iter()
        .filter(|column| matches!(column.content, Content::Constant(Constant::Value(_), None)));
    assert_eq!(constants.count(), 4);
}

#[test]
fn a_path_below_data_is_the_same_without_it() {
    for (path, same) in [
        ("data", Path::Data),
        ("data.username", field("username")),
        ("data.full_name", Path::Computed(Computed::FullName)),
        ("data.new_field.x", field("new_field.x")),
        ("data.now", field("now")),
        (
            "email_addresses.0.email_address",
            field("email_addresses.0.email_address"),
        ),
    ] {
        let columns = columns_of(&format!("x = \"{path}\""));
        assert_eq!(columns[0].content, Content::From(from(&[same])), "{path}");
    }
}

#[test]
fn the_key_may_be_a_list_of_one_and_be_said_to_hold_clerks_id() {
    let section = |key: &str, columns: &str| {
        let text = format!("[user]\ntable = \"t\"\nkey = {key}\n[user.columns]\n{columns}");
        section_of(&report(&text).tables)
    };
    let expected = section(r#""c""#, r#"e = "username""#);
    for (key, columns) in [
        (r#"["c"]"#, r#"e = "username""#),
        (r#""c""#, "c = \"id\"\ne = \"username\""),
        (r#"["c"]"#, "c = { from = \"data.id\" }\ne = \"username\""),
    ] {
        assert_eq!(section(key, columns), expected, "{key} {columns}");
    }
}

#[test]
fn a_key_of_other_columns_is_told_by_their_places() {
    for (key, columns, expected, count) in [
        (r#""c""#, r#"c = "external_id""#, vec![0], 1),
        (r#"["c", "d"]"#, "d = \"username\"", vec![1, 0], 2),
        (
            r#"["c", "d"]"#,
            "a = \"locale\"\nc = \"id\"\nd = \"username\"",
            vec![1, 2],
            3,
        ),
    ] {
        let text = format!("[user]\ntable = \"t\"\nkey = {key}\n[user.columns]\n{columns}");
        let section = section_of(&report(&text).tables);
        assert_eq!(section.key, Key::Said(expected), "{key} {columns}");
        assert_eq!(section.columns.len(), count, "{key} {columns}");
    }
}

#[test]
fn any_name_that_postgresql_takes_may_be_a_column() {
    for name in [
        "a.b", "a\"b", "{a}", "100%", "a b", "'", "\\", "\n", "ñ", "a;--",
    ] {
        let columns = columns_of(&format!("{} = \"id\"", serde_json::json!(name)));
        assert_eq!(columns[0].name, name);
    }
}

#[test]
fn an_editor_of_windows_changes_nothing() {
    let file = format!("\u{feff}{BIGGER}").replace('\n', "\r\n");
    assert_eq!(
        section_of(&report(&file).tables),
        section_of(&report(BIGGER).tables)
    );
    let told = Tables::parse("f", &file.replace("link_by", "linkBy")).map(|_| ());
    assert!(told.unwrap_err().to_string().starts_with("f:5: "));
}

#[test]
fn a_section_that_makes_no_rows_deletes_none() {
    for (lines, on_delete) in [
        ("missing_row = \"wait\"", OnDelete::Keep),
        ("missing_row = \"ignore\"", OnDelete::Keep),
        ("missing_row = \"create\"", OnDelete::Delete),
        ("on_delete = \"keep\"", OnDelete::Keep),
        ("", OnDelete::Delete),
    ] {
        let section = section_of(&report(&format!("{HEAD}{lines}")).tables);
        assert_eq!(section.on_delete, on_delete, "{lines}");
    }
    // A row that is linked takes what on_create says.
    let linked =
        "missing_row = \"wait\"\nlink_by = \"a\"\ncolumns = { a = \"id\" }\non_create = { b = 1 }";
    assert_eq!(
        section_of(&report(&format!("{HEAD}{linked}")).tables)
            .on_create
            .len(),
        1
    );
}

#[test]
fn what_may_be_a_mistake_is_told_as_a_warning() {
    let lines = [
        (r#"a = "unsafe_metadata.theme""#, false),
        (r#"b = "unsafe_metadata.role""#, true),
        (r#"c = "unsafe_metadata.isAdmin""#, true),
        (
            r#"d = { value = "{data.unsafe_metadata.plan.name}" }"#,
            true,
        ),
        (
            r#"role = { from = ["public_metadata.role", "unsafe_metadata.kind"] }"#,
            true,
        ),
        (r#"e = "public_metadata.role""#, false),
        (r#"f = "data""#, true),
        (r#"g = "data.id""#, false),
        (r#"h = "private_metadata.crm""#, true),
    ];
    let text = lines.map(|(line, _)| line).join("\n");
    let warnings = report(&format!("{HEAD}[user.columns]\n{text}")).warnings;
    let told = |line: usize| format!("f:{}: ", line + 5);
    let expected = lines.iter().enumerate().filter(|(_, (_, warns))| *warns);
    let expected: Vec<_> = expected.map(|(line, _)| told(line)).collect();
    assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
    for (warning, line) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(&line), "{warning}");
    }
}

/// P11
#[test]
fn what_somebody_can_sign_in_with_is_told_as_a_warning() {
    for (family, path, warns) in [
        ("organizationInvitation", "url", true),
        ("organizationInvitation", "data.url", true),
        ("organizationInvitation", "status", false),
        ("waitlistEntry", "invitation", true),
        ("waitlistEntry", "invitation.url", true),
        ("waitlistEntry", "invitation.id", false),
        ("email", "subject", true),
        ("email", "body_plain", true),
        ("email", "data.data.otp_code", true),
        ("email", "slug", false),
        ("email", "data", true),
        ("sms", "message", true),
        ("sms", "to_phone_number", false),
        ("session", "url", false),
    ] {
        let table = format!("[{family}]\ntable = \"t\"\nkey = \"id\"\n");
        let read = report(&format!("{table}columns = {{ c = {path:?} }}"));
        assert_eq!(
            read.warnings.len(),
            usize::from(warns),
            "{family} {path}: {:?}",
            read.warnings
        );
    }
}

proptest! {
    /// And what is told of it is told in lines that say where.
    #[test]
    fn no_damaged_file_panics(
        place in 0..BIGGER.len(),
        length in 0_usize..40,
        instead in r#"[\[\]{}="'.,:#\\\n a-z0-9_+é\x00-]{0,8}"#,
    ) {
        let mut bytes = BIGGER.as_bytes().to_vec();
        let end = (place + length).min(bytes.len());
        bytes.splice(place..end, instead.bytes());
        let text = String::from_utf8_lossy(&bytes);
        for text in [text.as_ref(), text.get(..place).unwrap_or_default()] {
            let Err(mistakes) = Tables::parse("f", text) else { continue };
            let last = text.split('\n').count();
            for line in mistakes.to_string().split('\n') {
                let line = line.strip_prefix("f:").and_then(|line| line.split_once(": "));
                let (number, told) = line.unwrap();
                prop_assert!((1..=last).contains(&number.parse().unwrap()), "{number}");
                prop_assert!(told.contains(", expected "), "{told}");
            }
        }
    }
}
