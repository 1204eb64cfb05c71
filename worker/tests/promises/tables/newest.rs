//! A row that was there before us, and says how new it is.

use serde_json::json;

use super::{Application, updated};

/// Events of second 10, then of others; what becomes of them, and of the row.
fn check(sql_type: &str, newest: Option<&str>, stamped: &str, steps: &[(i64, &str)], name: &str) {
    let newest = newest.map_or(String::new(), |column| format!("newest = \"{column}\""));
    let application = Application::new(
        &format!(
            r#"create table people (id text primary key, name text, "Stamped" {sql_type}, "updatedAt" timestamptz);
               insert into people values ('user_1', 'Ours', {stamped}, '2030-01-01')"#
        ),
        &format!(
            r#"
            [user]
            table = "people"
            key = "id"
            {newest}
            columns = {{ name = "first_name" }}
            "#
        ),
    );
    let _worker = application.worker();
    for (second, outcome) in steps {
        let says = json!({"first_name": second.to_string()});
        let svix_id = application.apply(&updated("user_1", *second, &says));
        assert_eq!(
            application.became(&svix_id),
            *outcome,
            "{sql_type} {stamped} {second}"
        );
    }
    let world = &application.world;
    assert_eq!(
        world.sql("select name from people"),
        name,
        "{sql_type} {stamped}"
    );
    let kept =
        format!(r#"select "Stamped" is not distinct from ({stamped})::{sql_type} from people"#);
    assert_eq!(world.sql(&kept), "t", "the column is not ours");
}

/// The column's type, its name if the file names it, the row's time, events with their outcomes, and the row in the end.
type Case<'a> = (
    &'a str,
    Option<&'a str>,
    &'a str,
    &'a [(i64, &'a str)],
    &'a str,
);

#[test]
fn a_row_that_is_newer_is_left_until_clerk_says_something_newer() {
    let (stale, applied) = ("stale", "applied");
    let day = 24 * 60 * 60;
    let cases: [Case<'_>; 16] = [
        (
            "timestamptz",
            Some("Stamped"),
            "'2024-05-28 10:00:20+02'",
            &[(10, stale), (19, stale), (21, applied)],
            "21",
        ),
        (
            "timestamptz",
            Some("Stamped"),
            "'2024-05-28 08:00:10+00'",
            &[(10, applied)],
            "10",
        ),
        (
            "timestamptz",
            Some("Stamped"),
            "'2024-05-28 08:00:09+00'",
            &[(10, applied), (9, stale)],
            "10",
        ),
        (
            "timestamptz",
            Some("Stamped"),
            "null",
            &[(10, applied)],
            "10",
        ),
        (
            "timestamptz",
            Some("Stamped"),
            "'infinity'",
            &[(10, stale), (11, stale)],
            "Ours",
        ),
        (
            "timestamptz",
            Some("Stamped"),
            "'-infinity'",
            &[(10, applied)],
            "10",
        ),
        (
            "timestamp",
            Some("Stamped"),
            "'2024-05-28 08:00:20'",
            &[(10, stale), (19, stale), (21, applied)],
            "21",
        ),
        (
            "timestamp(0)",
            Some("Stamped"),
            "'2024-05-28 08:00:10'",
            &[(10, applied)],
            "10",
        ),
        (
            "timestamp",
            Some("Stamped"),
            "'infinity'",
            &[(10, stale)],
            "Ours",
        ),
        ("timestamp", Some("Stamped"), "null", &[(10, applied)], "10"),
        (
            "date",
            Some("Stamped"),
            "'2024-05-28'",
            &[(10, applied)],
            "10",
        ),
        (
            "date",
            Some("Stamped"),
            "'2024-05-29'",
            &[
                (10, stale),
                (day - 8 * 3600 - 1, stale),
                (day - 8 * 3600 + 1, applied),
            ],
            "57601",
        ),
        ("date", Some("Stamped"), "null", &[(10, applied)], "10"),
        (
            "date",
            Some("Stamped"),
            "'infinity'",
            &[(10, stale)],
            "Ours",
        ),
        // The column of the built-in file is one like others, and not said is not said.
        (
            "timestamptz",
            None,
            "'2030-01-01'",
            &[(10, applied), (9, stale)],
            "10",
        ),
        (
            "timestamptz",
            Some("updatedAt"),
            "'2001-01-01'",
            &[(10, stale)],
            "Ours",
        ),
    ];
    std::thread::scope(|scope| {
        for (sql_type, newest, stamped, steps, name) in cases {
            scope.spawn(move || check(sql_type, newest, stamped, steps, name));
        }
    });
}
