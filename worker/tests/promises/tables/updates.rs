//! What is written when, and by which statement.

use serde_json::json;

use super::{Application, address, updated};

/// The application has one row, and notes each insert and each update that a trigger sees.
const PEOPLE: &str = "
    create table people (
      id serial primary key, clerk_id text unique, email text, note text default 'none',
      touched int not null default 0);
    create table seen (what text, clerk_id text);
    create function note() returns trigger language plpgsql as $$
      begin insert into seen values (tg_when || ' ' || tg_op, new.clerk_id); return new; end $$;
    insert into people (clerk_id, note, touched) values ('user_0', 'ours', 7);
    create trigger before_each before insert or update on people for each row execute function note();
    create trigger after_each after insert or update on people for each row execute function note();";

#[test]
fn an_update_uses_up_no_sequence_and_fires_no_insert_trigger() {
    let application = Application::new(
        PEOPLE,
        r#"
        [user]
        table = "people"
        key = "clerk_id"
        columns = { email = "primary_email_address" }
        "#,
    );
    let world = &application.world;
    let _worker = application.worker();
    let seen = |id: &str| {
        world.sql(&format!(
            "select what, count(*) from seen where clerk_id = '{id}' group by 1 order by 1"
        ))
    };
    let last_value = || world.sql("select last_value from people_id_seq");
    // A row that was there before us.
    application.expect(
        &updated("user_0", 1, &address("0@example.com", true)),
        "applied",
    );
    assert_eq!(last_value(), "1");
    assert_eq!(seen("user_0"), "AFTER UPDATE|1\nBEFORE UPDATE|1");
    // One that we make, and then know.
    for second in 1..=3 {
        let email = format!("{second}@example.com");
        application.expect(
            &updated("user_1", second, &address(&email, true)),
            "applied",
        );
    }
    assert_eq!(last_value(), "2");
    assert_eq!(
        seen("user_1"),
        "AFTER INSERT|1\nAFTER UPDATE|2\nBEFORE INSERT|1\nBEFORE UPDATE|2"
    );
    // Columns that are not named are never touched.
    assert_eq!(
        world.sql("select id, clerk_id, email, note, touched from people order by id"),
        "1|user_0|0@example.com|ours|7\n2|user_1|3@example.com|none|0"
    );
    // One that we know, and the application has removed.
    world.sql("delete from people where clerk_id = 'user_1'");
    application.expect(
        &updated("user_1", 4, &address("4@example.com", true)),
        "applied",
    );
    assert_eq!(last_value(), "3");
}

#[test]
fn with_nothing_but_a_key_a_row_is_made_and_never_changed() {
    let application = Application::new(
        PEOPLE,
        r#"
        [user]
        table = "people"
        key = "clerk_id"
        "#,
    );
    let world = &application.world;
    let _worker = application.worker();
    for second in 1..=3 {
        for id in ["user_0", "user_1"] {
            application.expect(&updated(id, second, &json!({})), "applied");
        }
    }
    application.expect(&updated("user_1", 2, &json!({})), "stale");
    assert_eq!(
        world.sql("select clerk_id, note from people order by id"),
        "user_0|ours\nuser_1|none"
    );
    assert_eq!(
        world.sql("select what, clerk_id from seen order by 1"),
        "AFTER INSERT|user_1\nBEFORE INSERT|user_1"
    );
    assert_eq!(world.sql("select last_value from people_id_seq"), "2");
    application.expect(&super::deleted("user_0", 4), "applied");
    assert_eq!(world.sql("select clerk_id from people"), "user_1");
}

/// Every kind of constant, in `columns` and in `on_create`.
#[test]
fn what_is_written_when_the_row_is_made_is_never_written_again() {
    let application = Application::new(
        r#"create table people (
             "clerkId" varchar(64) primary key, name text,
             kind text, active boolean, seats int, big bigint, ratio numeric(6, 3), weight real, born date, at timestamptz,
             settings jsonb, words text[], "braced" text, short text, whole text, joined timestamp(3), email text,
             id uuid unique, code text unique,
             always_on boolean, always_seven smallint, always_text text)"#,
        r#"
        [user]
        table = "people"
        key = "clerkId"

        [user.columns]
        name = "first_name"
        always_on = true
        always_seven = 7
        always_text = { value = "{last_name} of {id:2}" }

        [user.on_create]
        kind = { value = "free" }
        active = false
        seats = 1
        big = { value = -9223372036854775808 }
        ratio = 1.5
        weight = { value = 0.25 }
        born = { value = 2001-02-03 }
        at = { value = 2001-02-03T04:05:06+01:00 }
        settings = { value = { theme = "dark", list = [1, "{id}", true], none = {} } }
        words = { value = ["a", "b,c", "{id}", '"\'] }
        braced = { value = "{{id}} {id} }}{{" }
        short = { value = "user-{id:8}" }
        whole = { value = "{username}/{first_name:2}/{public_metadata.plan.seats}/{last_name:9}" }
        joined = "created_at"
        email = { from = "primary_email_address", as = "lower" }
        id = { generate = "uuid" }
        code = { generate = "uuid" }
        "#,
    );
    let world = &application.world;
    let _worker = application.worker();
    let says = |name: &str, plan: i32| {
        let mut says = address("ADA@Example.com", true);
        says["first_name"] = json!(name);
        says["last_name"] = json!("Lovelace");
        says["created_at"] = json!(1_716_883_200_381_i64);
        says["public_metadata"] = json!({"plan": {"seats": plan}});
        says
    };
    application.expect(&updated("user_é2345678", 1, &says("Ada", 3)), "applied");
    let row = "select name, kind, active, seats, big, ratio, weight, born, at at time zone 'UTC', settings, words,
        braced, short, whole, joined, email, always_on, always_seven, always_text from people";
    let made = r#"Ada|free|f|1|-9223372036854775808|1.500|0.25|2001-02-03|2001-02-03 03:05:06|{"list": [1, "{id}", true], "none": {}, "theme": "dark"}|{a,"b,c","{id}","\"\\"}|{id} user_é2345678 }{|user-é2345678|/da/3/Lovelace|2024-05-28 08:00:00.381|ada@example.com|t|7|Lovelace of 78"#;
    assert_eq!(world.sql(row), made);
    let generated = world.sql("select id, code from people");
    assert_eq!(
        world.sql("select id::text <> code and code ~ '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}$' from people"),
        "t"
    );
    // What the application makes of them stays, NULL too.
    world.sql("update people set kind = 'paid', seats = null, active = true, always_on = false");
    application.expect(&updated("user_é2345678", 2, &says("Augusta", 4)), "applied");
    let updated_row = made.replacen("Ada|free|f|1|", "Augusta|paid|t||", 1);
    assert_eq!(world.sql(row), updated_row);
    assert_eq!(world.sql("select id, code from people"), generated);
    // Each row has its own.
    for second in 1..=2 {
        for n in 0..5 {
            world.add_next(&updated(&format!("user_{n}"), second, &says("Ada", 3)));
        }
        world.settle();
    }
    assert_eq!(
        world.sql("select count(distinct id), count(distinct code), count(id) from people"),
        "6|6|6"
    );
}

/// P4: the time of an object that has none is that of its event, and else that of its arrival.
#[test]
fn an_object_without_a_time_is_as_new_as_its_event() {
    let application = Application::new(
        "create table people (id text primary key, name text)",
        "[user]\ntable = \"people\"\nkey = \"id\"\ncolumns = { name = \"first_name\" }",
    );
    let world = &application.world;
    let _worker = application.worker();
    let without_time = |timestamp: Option<i64>, name: &str| {
        let data = json!({"id": "user_1", "first_name": name});
        json!({"type": "user.updated", "timestamp": timestamp, "data": data}).to_string()
    };
    for (event, outcome) in [
        (
            updated("user_1", 5, &json!({"first_name": "five"})),
            "applied",
        ),
        (without_time(Some(super::milliseconds(4)), "four"), "stale"),
        (
            without_time(Some(super::milliseconds(7)), "seven"),
            "applied",
        ),
        (updated("user_1", 6, &json!({"first_name": "six"})), "stale"),
        // It arrives now, long after those.
        (without_time(None, "now"), "applied"),
        (without_time(Some(super::milliseconds(8)), "eight"), "stale"),
    ] {
        application.expect(&event, outcome);
    }
    assert_eq!(world.sql("select name from people"), "now");
}

/// Rows of a partitioned table lie in several tables.
#[test]
fn a_partitioned_table_is_written() {
    let application = Application::new(
        "create table people (id text primary key, name text, stamped timestamptz, gone boolean) partition by hash (id);
         create table people_0 partition of people for values with (modulus 2, remainder 0);
         create table people_1 partition of people for values with (modulus 2, remainder 1);
         insert into people (id, name, stamped) select 'user_' || n, 'ours', case when n < 5 then timestamptz '2030-01-01' end
           from generate_series(0, 9) as n",
        r#"
        [user]
        table = "people"
        key = "id"
        newest = "stamped"
        tags = ["t:{row.name}"]
        on_delete = { gone = true }
        columns = { name = "first_name" }
        "#,
    );
    let world = &application.world;
    let worker = application.worker();
    let add_all = |second: i64, name: &str| {
        for n in 0..20 {
            world.add_next(&updated(
                &format!("user_{n}"),
                second,
                &json!({"first_name": name}),
            ));
        }
        world.settle();
    };
    let count =
        || world.sql("select name, count(*), count(gone) from people group by 1 order by 1");
    add_all(1, "first");
    assert_eq!(count(), "first|15|0\nours|5|0");
    add_all(2, "second");
    assert_eq!(count(), "ours|5|0\nsecond|15|0");
    for n in 0..20 {
        world.add_next(&super::deleted(&format!("user_{n}"), 3));
    }
    world.settle();
    add_all(4, "late");
    assert_eq!(count(), "ours|5|5\nsecond|15|15");
    drop(worker);
}

/// What is written only when a row is made refuses nothing else: neither the update of a row that is there, nor its
/// neighbours.
#[test]
fn a_value_of_on_create_that_does_not_fit_is_in_the_way_of_new_rows_alone() {
    let application = Application::new(
        "create table people (id text primary key, email text, seats int not null); \
         insert into people values ('user_1', 'old@example.com', 7)",
        r#"
        [user]
        table = "people"
        key = "id"
        [user.columns]
        email = "primary_email_address"
        [user.on_create]
        seats = { from = "public_metadata.seats" }
        "#,
    );
    let world = &application.world;
    let _worker = application.worker();
    let says = |email: &str| crate::helpers::user("user_1", email, 2).updated();
    let there =
        application.apply(&says("new@example.com").replace("\"public_metadata\"", "\"other\""));
    assert_eq!(world.outcome(&there), "applied");
    assert_eq!(
        world.sql("select * from people"),
        "user_1|new@example.com|7"
    );
    let new = crate::helpers::user("user_2", "two@example.com", 2).created();
    let none = application.apply(&new.replace("\"public_metadata\"", "\"other\""));
    let reason = world.reason(&none).unwrap();
    assert!(
        reason.contains("data.public_metadata.seats says nothing"),
        "{reason}"
    );
}
