//! What the types of columns refuse.

use serde_json::{Value, json};

use super::{Application, updated};

/// Of some types only PostgreSQL knows what they take, and does not name the column when it refuses a row. What can be known
/// before is refused before. A neighbour of the same batch is applied.
#[test]
fn what_only_postgresql_can_refuse_is_refused_with_field_and_column_too() {
    let secret = "s3cret";
    let application = Application::new(
        "create type mood as enum ('sad', 'glad');
         create type pair as (a int, b text);
         create domain even as int check (value % 2 = 0);
         create domain lower_text as text constraint is_lower check (value = lower(value));
         create domain said as text check (value is not null);
         create domain named as text not null;
         create domain short_words as varchar(3)[];
         create domain clerk_id as text check (value like 'user_%');
         create table things (
           id clerk_id primary key, amount numeric(6, 2), tiny numeric(2, 4), weight real, codes varchar(3)[], marks char(3)[],
           moods mood[], address inet, span interval, range int4range, bits bit(3), flags varbit(3), page macaddr, even even,
           lower_text lower_text, numbers int[], pair pair, bytes bytea, clock time(0), evens even[], short_words short_words,
           always named default 'x', said said, net cidr, pages money, upper text check (upper = upper(upper)))",
        r#"
        [user]
        table = "things"
        key = "id"
        on_delete = { address = "external_id", lower_text = { value = "gone" } }

        [user.columns]
        amount = "public_metadata.amount"
        tiny = "public_metadata.tiny"
        weight = "public_metadata.weight"
        codes = "public_metadata.codes"
        marks = "public_metadata.marks"
        moods = { from = "public_metadata.moods", default = ["glad"] }
        address = { from = ["public_metadata.address", "public_metadata.host"] }
        span = "public_metadata.span"
        range = "public_metadata.range"
        bits = "public_metadata.bits"
        flags = "public_metadata.flags"
        page = "public_metadata.page"
        even = "public_metadata.even"
        lower_text = { from = "public_metadata.lower_text", default = "X" }
        numbers = "public_metadata.numbers"
        pair = "public_metadata.pair"
        bytes = "public_metadata.bytes"
        clock = "public_metadata.clock"
        evens = "public_metadata.evens"
        short_words = "public_metadata.short_words"
        said = "public_metadata.said"
        upper = "public_metadata.upper"

        [user.on_create]
        net = { value = "{public_metadata.net}" }
        pages = { from = "public_metadata.pages", default = 1 }
        "#,
    );
    let world = &application.world;
    let worker = application.worker();
    let unreadable = |field: &str, sql_type: &str, column: &str| {
        format!(
            "data.public_metadata.{field} does not read as {sql_type}, which column \"{column}\" takes"
        )
    };
    let same = |field: &str, sql_type: &str| unreadable(field, sql_type, field);
    let checked = |field: &str, check: &str| {
        format!(
            "data.public_metadata.{field} is refused by the check {check} of the type of column \"{field}\""
        )
    };
    let number = |field: &str, sql_type: &str| {
        same(field, &format!("a decimal number that {sql_type} holds"))
    };
    let real = "a floating-point number";
    let long = |field: &str| {
        format!("data.public_metadata.{field} has a text that is too long for column \"{field}\"")
    };
    let cases = [
        ("amount", json!(10000), number("amount", "numeric(6,2)")),
        (
            "amount",
            json!("-9999.995"),
            number("amount", "numeric(6,2)"),
        ),
        ("tiny", json!(0.01), number("tiny", "numeric(2,4)")),
        ("weight", json!(3.5e38), same("weight", real)),
        ("weight", json!("1e-50"), same("weight", real)),
        ("codes", json!(["a", secret]), long("codes")),
        ("marks", json!(["abc   ", secret]), long("marks")),
        (
            "moods",
            json!(["glad", secret]),
            "data.public_metadata.moods has a word that column \"moods\" does not take".to_owned(),
        ),
        ("address", json!(secret), same("address", "inet")),
        (
            "host",
            json!("300.0.0.1"),
            unreadable("host", "inet", "address"),
        ),
        ("span", json!(secret), same("span", "interval")),
        ("range", json!("[3,1]"), same("range", "int4range")),
        ("bits", json!("1010"), same("bits", "bit(3)")),
        ("flags", json!("1010"), same("flags", "bit varying(3)")),
        ("page", json!("<a"), same("page", "macaddr")),
        ("even", json!(7), checked("even", "even_check")),
        (
            "lower_text",
            json!(secret.to_uppercase()),
            checked("lower_text", "is_lower"),
        ),
        ("numbers", json!([1]), same("numbers", "integer[]")),
        ("pair", json!("(x,y)"), same("pair", "public.pair")),
        ("bytes", json!("\\xzz"), same("bytes", "bytea")),
        (
            "clock",
            json!("25:61"),
            same("clock", "time(0) without time zone"),
        ),
        ("evens", json!("{2,3}"), checked("evens", "even_check")),
        ("short_words", json!(["abcd"]), long("short_words")),
        (
            "net",
            json!(secret),
            "its value does not read as cidr, which column \"net\" takes".to_owned(),
        ),
        ("pages", json!(secret), same("pages", "money")),
    ];
    let says = |field: &str, value: &Value| {
        let mut says =
            json!({"public_metadata": {"lower_text": "x", "said": "x", "net": "10.0.0.0/8"}});
        says["public_metadata"][field] = value.clone();
        says
    };
    let add =
        |id: &str, field: &str, value: &Value| world.add_next(&updated(id, 1, &says(field, value)));
    let ids: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(n, (field, value, _))| add(&format!("user_{n}"), field, value))
        .collect();
    let neighbour = add("user_neighbour", "bits", &json!("101"));
    let key = add("person_1", "bits", &json!("101"));
    let nothing = add("user_nothing", "said", &json!(""));
    let default = add("user_default", "lower_text", &json!(""));
    // The row's own check is not about a type.
    let row = add("user_row", "upper", &json!(secret));
    world.settle();
    let dead = |what: &str| format!("dead: {what} (table public.things)");
    for (svix_id, (field, value, reason)) in ids.iter().zip(&cases) {
        assert_eq!(application.became(svix_id), dead(reason), "{field} {value}");
        assert_eq!(world.dead_letter(svix_id, "attempts").as_deref(), Some("1"));
    }
    for (svix_id, reason) in [
        (
            &key,
            "data.id is refused by the check clerk_id_check of the type of column \"id\"",
        ),
        (
            &nothing,
            "data.public_metadata.said says nothing, and column \"said\" takes no NULL",
        ),
        (
            &default,
            "its default is refused by the check is_lower of the type of column \"lower_text\"",
        ),
    ] {
        assert_eq!(application.became(svix_id), dead(reason));
    }
    let reason = "dead: a check of the application refuses the row (SQLSTATE 23514, constraint things_upper_check, table things)";
    assert_eq!(application.became(&row), reason);
    assert_eq!(application.became(&neighbour), "applied");
    let deletion =
        r#"{"type":"user.deleted","data":{"id":"user_neighbour","external_id":"s3cret"}}"#;
    let reason = "data.external_id does not read as inet, which column \"address\" takes";
    application.expect(deletion, &dead(reason));
    assert_eq!(
        world.sql("select id, bits from things"),
        "user_neighbour|101"
    );
    let log = worker.program.output();
    assert!(!log.to_lowercase().contains(secret), "{log}");
}
