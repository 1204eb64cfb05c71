//! What a column does not take.

use serde_json::{Value, json};

use crate::helpers::DEAD;
use crate::tables::{Application, updated};

/// P11: the reason names the field and the column, and nobody tells the value.
#[test]
fn what_does_not_fit_is_dead_lettered_at_once_with_field_and_column() {
    let secret = "s3cret-value";
    let table = "
        create type mood as enum ('sad');
        create domain short as varchar(4);
        create table things (
          id varchar(20) primary key, number int, small smallint, amount numeric, weight real, mood mood, token uuid,
          flag boolean, at timestamptz, day date, words text[], data jsonb, label text, code varchar(4) unique, nick varchar(4) unique,
          short short not null default '', cut varchar(4), must text not null default '', address inet)";
    let application = Application::new(
        table,
        r#"
        [user]
        table = "things"
        key = "id"

        [user.columns]
        number = "public_metadata.number"
        small = "public_metadata.small"
        amount = "public_metadata.amount"
        weight = "public_metadata.weight"
        mood = { from = ["public_metadata.mood", "username"] }
        token = "public_metadata.token"
        flag = "public_metadata.flag"
        at = "public_metadata.at"
        day = "public_metadata.day"
        words = "public_metadata.words"
        data = "public_metadata.data"
        label = "public_metadata.label"
        code = "public_metadata.code"
        nick = "public_metadata.name"
        short = { from = "public_metadata.short", default = "" }
        cut = { from = "public_metadata.cut", too_long = "dead_letter" }
        must = { from = ["first_name", "public_metadata.must"] }
        address = "public_metadata.address"
        "#,
    );
    let world = &application.world;
    let worker = application.worker();
    let unreadable = |field: &str, expected: &str| {
        format!(
            "data.public_metadata.{field} does not read as {expected}, which column \"{field}\" takes"
        )
    };
    let number = "a whole number from -2147483648 to 2147483647";
    let cases = [
        ("number", json!(secret), unreadable("number", number)),
        ("number", json!(2_147_483_648_i64), unreadable("number", number)),
        ("number", json!(1.5), unreadable("number", number)),
        ("number", json!(true), unreadable("number", number)),
        ("small", json!(32768), unreadable("small", "a whole number from -32768 to 32767")),
        ("amount", json!(secret), unreadable("amount", "a decimal number")),
        ("amount", json!("NaN"), unreadable("amount", "a decimal number")),
        ("weight", json!(1e300), unreadable("weight", "a floating-point number")),
        ("mood", json!(secret), "data.public_metadata.mood is none of the words that column \"mood\" takes".to_owned()),
        ("mood", json!(["sad"]), "data.public_metadata.mood is none of the words that column \"mood\" takes".to_owned()),
        ("token", json!(secret), unreadable("token", "a UUID")),
        ("flag", json!("yes"), unreadable("flag", "true or false")),
        ("flag", json!(1), unreadable("flag", "true or false")),
        ("at", json!(secret), unreadable("at", "a time")),
        ("at", json!("28/05/2024"), unreadable("at", "a time")),
        ("at", json!(1e300), unreadable("at", "a time")),
        ("day", json!(secret), unreadable("day", "a time")),
        ("words", json!(secret), unreadable("words", "a list of texts")),
        ("words", json!([secret, 7]), unreadable("words", "a list of texts")),
        ("label", json!({"a": secret}), unreadable("label", "text")),
        ("label", json!([secret]), unreadable("label", "text")),
        ("code", json!(secret), "data.public_metadata.code is too long for column \"code\"".to_owned()),
        ("name", json!(secret), "data.public_metadata.name is too long for column \"nick\"".to_owned()),
        ("short", json!(secret), "data.public_metadata.short is too long for column \"short\"".to_owned()),
        ("cut", json!(secret), "data.public_metadata.cut is too long for column \"cut\"".to_owned()),
        ("must", json!(" "), "data.first_name or data.public_metadata.must says nothing, and column \"must\" takes no NULL".to_owned()),
    ];
    let fits = |field: &str, value: &Value| {
        let mut says = json!({"public_metadata": {"must": "x"}});
        says["public_metadata"][field] = value.clone();
        says
    };
    let svix_ids: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(n, (field, value, _))| {
            world.add_next(&updated(&format!("user_{n}"), 1, &fits(field, value)))
        })
        .collect();
    let neighbour = world.add_next(&updated("user_neighbour", 1, &fits("number", &json!(1))));
    let long_id = world.add_next(&updated(
        "user_567890123456789x",
        1,
        &fits("number", &json!(1)),
    ));
    let address = world.add_next(&updated(
        "user_address",
        1,
        &fits("address", &json!(secret)),
    ));
    world.settle();
    for (svix_id, (field, value, reason)) in svix_ids.iter().zip(&cases) {
        let expected = format!("dead: {reason} (table public.things)");
        assert_eq!(application.became(svix_id), expected, "{field} {value}");
        assert_eq!(world.dead_letter(svix_id, "attempts").as_deref(), Some("1"));
    }
    assert_eq!(
        application.became(&long_id),
        "dead: data.id is too long for column \"id\" (table public.things)"
    );
    // Of a type that we do not know PostgreSQL says it.
    assert_eq!(
        application.became(&address),
        "dead: data.public_metadata.address does not read as inet, which column \"address\" takes (table public.things)"
    );
    assert_eq!(application.became(&neighbour), "applied");
    assert_eq!(world.sql("select id from things"), "user_neighbour");
    let reasons = world.redis(&["XRANGE", DEAD, "-", "+"]);
    let reasons: Vec<&str> = reasons
        .lines()
        .filter(|line| !line.contains("\"data\":"))
        .collect();
    for told in [worker.program.output(), reasons.join("\n")] {
        assert!(!told.contains(secret), "{told}");
    }
}

/// Clerk says nothing, and the column takes no NULL; a user who has only a phone is none where it does.
#[test]
fn somebody_without_an_address_is_dead_lettered_only_where_the_column_takes_no_null() {
    let file =
        "[user]\ntable = \"people\"\nkey = \"id\"\ncolumns = { email = \"primary_email_address\" }";
    let phone = include_str!("../../../../../shared/fixtures/user.created.phone-only.json");
    for (column, became) in [
        ("text", "applied"),
        (
            "text not null",
            "dead: data.primary_email_address says nothing, and column \"email\" takes no NULL (table public.people)",
        ),
        (
            "filled",
            "dead: data.primary_email_address says nothing, and column \"email\" takes no NULL (table public.people)",
        ),
    ] {
        let sql = format!(
            "create domain filled as text not null; create table people (id text primary key, email {column})"
        );
        let application = Application::new(&sql, file);
        let _worker = application.worker();
        application.expect(phone, became);
    }
}
