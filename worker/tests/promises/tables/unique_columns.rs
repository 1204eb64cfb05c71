//! Values that one row alone may have, besides e-mail addresses.

use serde_json::{Value, json};

use super::{Application, deleted, updated};
use crate::helpers::{DEAD, World};
use crate::waking::{waiting, waits_for_long};

/// A column for each type that a unique value may have.
const THINGS: &str = r#"
    create extension citext;
    create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create type mood as enum ('sad', 'glad', 'mad');
    create domain handle as citext;
    create table things (
      id text primary key, username text not null default '', "plain" varchar(20) unique, email citext unique,
      nick text collate anycase unique, short char(4) unique, handle handle unique, number int unique,
      big bigint unique, price numeric(6, 1) unique, token uuid unique, at timestamp(0) unique, day date unique,
      mood mood unique, flag boolean unique, data jsonb unique, address inet unique, made text unique)"#;

/// Of each column: two ways to write one value, and another value.
fn values() -> Vec<(&'static str, Value, Value, Value)> {
    let uuid = "0190163d-8694-739b-aea5-966c26f8ad9";
    vec![
        ("plain", json!("ada"), json!("ada"), json!("ADA")),
        (
            "email",
            json!("Ada@Example.com"),
            json!("ada@example.COM"),
            json!("a@example.com"),
        ),
        ("nick", json!("Ada"), json!("aDA"), json!("Adá")),
        ("short", json!("a"), json!("a   "), json!("A")),
        ("handle", json!("Ada"), json!("ADA"), json!("Eve")),
        ("number", json!(7), json!("7"), json!(8)),
        ("big", json!(-7), json!(-7.0), json!(-8)),
        ("price", json!("1.0"), json!(1.04), json!(1.06)),
        (
            "token",
            json!(format!("{uuid}A")),
            json!(format!("{uuid}a")),
            json!(format!("{uuid}b")),
        ),
        (
            "at",
            json!(1_716_883_200_381_i64),
            json!("2024-05-28T08:00:00Z"),
            json!(1_716_883_200_581_i64),
        ),
        (
            "day",
            json!(1_716_883_200_381_i64),
            json!("2024-05-28"),
            json!("2024-05-29"),
        ),
        ("mood", json!("sad"), json!("sad"), json!("glad")),
        ("flag", json!(true), json!("true"), json!(false)),
        (
            "data",
            json!({"a": 1, "b": []}),
            json!({"b": [], "a": 1.0}),
            json!({"a": 1, "b": [1]}),
        ),
        (
            "address",
            json!("127.0.0.1"),
            json!("127.0.0.1/32"),
            json!("127.0.0.2"),
        ),
    ]
}

fn file(columns: &[&str]) -> String {
    let column = |name: &&str| format!("{name} = \"public_metadata.{name}\"\n");
    let columns: String = columns.iter().map(column).collect();
    format!("[user]\ntable = \"things\"\nkey = \"id\"\n[user.columns]\n{columns}")
}

fn with(column: &str, value: &Value) -> Value {
    json!({"public_metadata": {column: value}})
}

fn reason(column: &str) -> String {
    format!("the value of column \"{column}\" of public.things belongs to a row of another user")
}

/// Equal is what the column says. All at once, each free again in another way.
#[test]
fn who_wants_a_taken_value_waits_and_is_woken_when_it_is_free() {
    let values = values();
    let columns: Vec<&str> = values.iter().map(|(column, ..)| *column).collect();
    let application = Application::new(THINGS, &file(&columns));
    let world = &application.world;
    let _worker = application.worker();
    for (column, value, _, other) in &values {
        world.add_next(&updated(&format!("{column}_1"), 1, &with(column, value)));
        world.add_next(&updated(&format!("{column}_2"), 1, &with(column, other)));
    }
    world.settle();
    assert_eq!(
        world.sql("select count(*) from things"),
        (2 * values.len()).to_string(),
        "{}",
        world.redis(&["XRANGE", DEAD, "-", "+"])
    );
    for (column, _, same, _) in &values {
        let svix_id = format!("msg_{column}");
        application.add_often(
            &svix_id,
            &updated(&format!("{column}_3"), 2, &with(column, same)),
        );
    }
    for (column, ..) in &values {
        let svix_id = format!("msg_{column}");
        waits_for_long(world, &svix_id);
        assert_eq!(waiting(world, &svix_id, "reason"), reason(column));
        assert_eq!(
            waiting(world, &svix_id, "awaited"),
            format!("user/{column}_1")
        );
    }
    for (place, (column, ..)) in values.iter().enumerate() {
        let id = format!("{column}_1");
        world.add_next(&if place % 2 == 0 {
            deleted(&id, 3)
        } else {
            updated(&id, 3, &json!({}))
        });
    }
    for (column, ..) in &values {
        world.wait_for(column, |world| {
            world.outcome(&format!("msg_{column}")) == "applied"
        });
    }
    world.settle();
    for (column, ..) in &values {
        let owner = format!("select count({column}) from things where id = '{column}_3'");
        assert_eq!(world.sql(&owner), "1", "{column}");
    }
}

/// The value that the row is made with is nobody else's either; the others need it no more.
#[test]
fn a_value_of_on_create_that_is_taken_is_waited_for_too() {
    let application = Application::new(
        THINGS,
        &format!(
            "{}\n[user.on_create]\nmade = {{ value = \"user-{{id:2}}\" }}",
            file(&["email"])
        ),
    );
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&updated("user_a01", 1, &json!({})), "applied");
    application.add_often("msg_1", &updated("user_b01", 1, &json!({})));
    waits_for_long(world, "msg_1");
    assert_eq!(waiting(world, "msg_1", "reason"), reason("made"));
    let other = world.add_next(&updated(
        "user_c02",
        1,
        &with("email", &json!("c@example.com")),
    ));
    world.wait_for("the other one is there", |world| {
        world.outcome(&other) == "applied"
    });
    // Two rows change what they were made with, by the application; what Clerk says of them is written all the same.
    world.sql("update things set made = null; update things set made = case id when 'user_c02' then 'user-01' else 'user-02' end");
    let both = [("user_a01", "c@example.com"), ("user_c02", "a@example.com")];
    for (id, email) in both {
        world.add_next(&updated(id, 2, &with("email", &json!(email))));
    }
    world.wait_for("they have swapped nothing but the address", |world| {
        world.sql("select id, email, made from things order by id")
            == "user_a01|c@example.com|user-02\nuser_c02|a@example.com|user-01"
    });
    world.wait_for("it waits for the new owner", |world| {
        waiting(world, "msg_1", "awaited") == "user/user_c02"
    });
    world.add_next(&deleted("user_c02", 3));
    world.wait_for("the value is free", |world| {
        world.outcome("msg_1") == "applied"
    });
}

/// P4: two values of each go round at once, whether a batch holds all of them or one.
#[test]
fn swaps_and_rings_of_two_columns_at_once_are_resolved() {
    // Placeholders are NULL, or text.
    let kinds = [
        ("plain", "number", "", ""),
        (
            "email",
            "nick",
            "alter column email set not null",
            "alter column nick set not null",
        ),
        (
            "handle",
            "plain",
            "",
            "alter column plain set not null, alter plain type varchar(8)",
        ),
        ("token", "data", "", ""),
    ];
    let value = |column: &str, n: usize| match column {
        "number" => json!(n),
        "data" => json!({"n": n}),
        "token" => json!(format!("0190163d-8694-739b-aea5-966c26f8ad9{n}")),
        "email" => json!(format!("A{n}@x.com")),
        _ => json!(format!("A{n}")),
    };
    let ring = |(one, two, alter_one, alter_two): (&str, &str, &str, &str),
                size: usize,
                batch_size: &str| {
        let application = Application::new(THINGS, &file(&[one, two]));
        let world = &application.world;
        for alter in [alter_one, alter_two] {
            if !alter.is_empty() {
                world.sql(&format!("alter table things {alter}"));
            }
        }
        let says = |n: usize| json!({"public_metadata": {one: value(one, n), two: value(two, n)}});
        let worker = application.worker();
        for n in 0..size {
            world.add_next(&updated(&format!("user_{n}"), 1, &says(n)));
        }
        world.settle();
        let before = world.sql(&format!("select {one}, {two} from things order by id"));
        drop(worker);
        for n in 0..size {
            world.add_next(&updated(&format!("user_{n}"), 2, &says((n + 1) % size)));
        }
        let _worker = application.worker_with(&[("BATCH_SIZE", batch_size)]);
        world.settle();
        let mut expected: Vec<&str> = before.lines().collect();
        expected.rotate_left(1);
        assert_eq!(
            world.sql(&format!("select {one}, {two} from things order by id")),
            expected.join("\n"),
            "{one} {two} {size} {batch_size}"
        );
        assert_eq!(world.redis(&["XLEN", DEAD]), "0");
    };
    std::thread::scope(|scope| {
        for kind in kinds {
            for (size, batch_size) in [(2, "256"), (3, "256"), (2, "1")] {
                scope.spawn(move || ring(kind, size, batch_size));
            }
        }
    });
}

/// Two who swap where nothing can stand in between: they wait for each other, and are tried again and again.
fn swap_that_waits(alter: &str, column: &str, values: [Value; 2], frees: &str) {
    let application = Application::new(THINGS, &file(&[column]));
    let world = &application.world;
    let worker = application.worker();
    for (id, value) in ["user_a", "user_b"].iter().zip(&values) {
        application.expect(&updated(id, 1, &with(column, value)), "applied");
    }
    world.sql(alter);
    drop(worker);
    let neighbour = world.add_next(&updated("user_c", 2, &with(column, &json!("700"))));
    let swapping = ["user_a", "user_b"].iter().zip(values.iter().rev());
    let swapping: Vec<String> = swapping
        .map(|(id, value)| world.add_next(&updated(id, 2, &with(column, value))))
        .collect();
    let worker = application.worker();
    world.wait_for("the neighbour is applied", |world| {
        world.outcome(&neighbour) == "applied"
    });
    world.wait_for("both have been tried again", |world| {
        let attempts = |svix_id| waiting(world, svix_id, "attempts").parse().unwrap_or(0);
        swapping.iter().all(|svix_id| attempts(svix_id) >= 2)
    });
    for svix_id in &swapping {
        waits(world, svix_id, column);
    }
    assert!(
        !worker.program.output().contains("moving"),
        "{}",
        worker.program.output()
    );
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
    world.sql(frees);
    world.settle();
    let row = |id: &str| world.sql(&format!("select {column} from things where id = '{id}'"));
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    assert_eq!(
        [row("user_a"), row("user_b")],
        [text(&values[1]), text(&values[0])],
        "{alter}"
    );
}

#[test]
fn a_swap_waits_where_nothing_can_stand_in_between_and_is_never_refused_for_that() {
    let refuse = |code: &str| {
        format!(
            "create function refuse() returns trigger language plpgsql as $$ begin
               if new.email like '%moving%' then raise 'no %', new.email using errcode = '{code}'; end if;
               return new; end $$;
             create trigger refuse before update on things for each row execute function refuse();
             alter table things alter email set not null"
        )
    };
    let addresses = || [json!("a@example.com"), json!("b@example.com")];
    let gone = "drop trigger refuse on things";
    let cases = [
        ("alter table things alter short set not null".to_owned(), "short", [json!("aaaa"), json!("bbbb")],
            "update things set short = 'cccc' where id = 'user_b'"),
        ("alter table things alter number set not null".to_owned(), "number", [json!(1), json!(2)],
            "update things set number = 9 where id = 'user_b'"),
        ("alter table things alter email set not null,
            add constraint no_placeholder check (email not like '%moving%')".to_owned(), "email", addresses(),
            "alter table things drop constraint no_placeholder"),
        ("alter table things add constraint filled check (email is not null)".to_owned(), "email", addresses(),
            "alter table things drop constraint filled"),
        (refuse("P0001"), "email", addresses(), gone),
        (refuse("23514"), "email", addresses(), gone),
        (refuse("ZZ999"), "email", addresses(), gone),
        (refuse("53100"), "email", addresses(), gone),
        ("create table followers (email citext references things (email)); insert into followers values ('a@example.com')".to_owned(),
            "email", addresses(), "drop table followers"),
    ];
    std::thread::scope(|scope| {
        for (alter, column, values, frees) in cases {
            scope.spawn(move || swap_that_waits(&alter, column, values, frees));
        }
    });
}

/// P6: where no plain index is in the way the event waits for its next attempt, and its neighbours do not.
#[test]
fn under_any_other_unique_index_it_waits_and_is_retried() {
    let cases = [
        (
            "create unique index taken on things (plain, number)",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "create unique index taken on things (plain) where number > 0",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "create unique index taken on things (lower(plain))",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "create unique index taken on things (plain) nulls not distinct",
            ("number", json!(2)),
            ("number", json!(2)),
        ),
        (
            "alter table things add constraint taken unique (plain) deferrable initially immediate",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "alter table things add constraint taken unique (plain) deferrable initially deferred",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
        (
            "alter table things add constraint taken exclude (plain with =)",
            ("plain", json!("a")),
            ("number", json!(1)),
        ),
    ];
    let check = |(index, one, two): (&str, (&str, Value), (&str, Value))| {
        let application = Application::new(THINGS, &file(&["plain", "number"]));
        let world = &application.world;
        world.sql("alter table things drop constraint things_plain_key, drop constraint things_number_key");
        world.sql(index);
        let worker = application.worker();
        let says =
            |number: i64| json!({"public_metadata": {one.0: one.1, two.0: two.1, "seen": number}});
        application.expect(&updated("user_a", 1, &says(1)), "applied");
        drop(worker);
        let waits = world.add_next(&updated("user_b", 2, &says(2)));
        let neighbours: Vec<String> = (0..10)
            .map(|n| {
                let says = json!({"public_metadata": {"plain": format!("neighbour {n}"), "number": 100 + n}});
                world.add_next(&updated(&format!("neighbour_{n}"), 2, &says))
            })
            .collect();
        let _worker = application.worker();
        for svix_id in &neighbours {
            world.wait_for("the neighbours are applied", |world| {
                world.outcome(svix_id) == "applied"
            });
        }
        world.wait_for("it has been tried again", |world| {
            waiting(world, &waits, "attempts").as_str() >= "2"
        });
        let reason = waiting(world, &waits, "reason");
        assert!(reason.contains("constraint taken"), "{index}: {reason}");
        world.sql("delete from things where id = 'user_a'");
        world.settle();
        assert_eq!(application.became(&waits), "applied", "{index}");
        assert_eq!(
            world.sql("select count(*) from things where id = 'user_b'"),
            "1"
        );
    };
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || check(case));
        }
    });
}

fn waits(world: &World, svix_id: &str, column: &str) {
    // It may be tried again just now.
    world.wait_for("it waits, and says why", |world| {
        waiting(world, svix_id, "reason") == reason(column)
    });
}

/// NULL is nobody's, and nobody waits for it.
#[test]
fn any_number_of_rows_say_nothing_in_a_unique_column() {
    let application = Application::new(THINGS, &file(&["email", "number"]));
    let world = &application.world;
    world.migrate();
    for n in 0..5 {
        world.add_next(&updated(&format!("user_{n}"), 1, &json!({})));
    }
    // One whose address is taken, so that all is settled.
    world.sql("insert into things (id, email) values ('ours', 'a@example.com')");
    let waiting = world.add_next(&updated(
        "user_9",
        1,
        &with("email", &json!("A@example.com")),
    ));
    let _worker = application.worker();
    world.wait_for("the others are there", |world| {
        world.sql("select count(*) from things") == "6"
    });
    waits(world, &waiting, "email");
}

/// P4: one of two who swap in one batch has no row yet, but one that it is to be linked to.
#[test]
fn a_row_that_is_being_linked_swaps_like_others() {
    let application = Application::new(
        "create table things (id serial primary key, key text unique, email text unique, nick text not null unique);
         insert into things (key, email, nick) values (null, 'a@example.com', 'ada'), ('user_b', 'b@example.com', 'bob')",
        r#"
        [user]
        table = "things"
        key = "key"
        link_by = "email"
        columns = { email = "external_id", nick = "username" }
        "#,
    );
    let world = &application.world;
    world.migrate();
    for (id, email, nick) in [
        ("user_a", "a@example.com", "bob"),
        ("user_b", "b@example.com", "ada"),
    ] {
        let says = json!({"external_id": email, "username": nick});
        world.add_next(&updated(id, 1, &says));
    }
    let _worker = application.worker();
    world.settle();
    assert_eq!(
        world.sql("select key, email, nick from things order by id"),
        "user_a|a@example.com|bob\nuser_b|b@example.com|ada"
    );
}
