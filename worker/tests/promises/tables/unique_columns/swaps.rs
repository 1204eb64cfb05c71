//! Rows that exchange their values.

use serde_json::{Value, json};

use super::{THINGS, file, waits, with};
use crate::helpers::DEAD;
use crate::tables::{Application, updated};
use crate::waking::waiting;

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
