//! Columns that hold less than ours.

use super::with_table;
use crate::helpers::{DEAD, EVENTS, World, user};

const NARROW: &str = r#"
    create domain short as varchar(20); create domain label as short;
    create table users (
      id varchar(40) primary key, name label not null, email varchar(25) not null unique,
      "imageUrl" varchar(30), "createdAt" timestamptz not null, "updatedAt" timestamptz not null);"#;
const LONG_URL: &str = "https://img.clerk.com/ada-1234567.jpeg";

fn row(world: &World, id: &str) -> String {
    world.sql(&format!(
        r#"select name, email, coalesce("imageUrl", 'none') from users where id = '{id}'"#
    ))
}

/// P5, P6: only what cannot be shortened is dead-lettered, at once, and its neighbours are applied.
#[test]
fn a_value_that_the_column_has_no_room_for_never_costs_the_user_its_row() {
    let world = World::new();
    world.sql(NARROW);
    world.migrate();
    let long = |n: u8| {
        user(&format!("user_{n}"), &format!("{n}@example.com"), 1)
            .first_name("Wolfeschlegelsteinhausen")
            .image_url(LONG_URL)
    };
    for n in 1..=3 {
        world.add_next(&long(n).created());
    }
    let no_room = world.add_next(
        &long(4)
            .email("a-name-of-many-letters@example.com")
            .created(),
    );
    let long_id = format!("user_{:036}", 5);
    let no_id = world.add_next(&user(&long_id, "5@example.com", 1).created());
    world.add_next(&user("user_6", "6@example.com", 1).created());
    let _worker = world.worker();
    world.settle();
    for n in 1..=3 {
        let expected = format!("Wolfeschlegelsteinha|{n}@example.com|none");
        assert_eq!(row(&world, &format!("user_{n}")), expected);
    }
    assert_eq!(
        row(&world, "user_6"),
        "Ada Lovelace|6@example.com|https://img.clerk.com/ada.jpeg"
    );
    for (svix_id, column) in [(&no_room, "email"), (&no_id, "id")] {
        let reason = world.reason(svix_id).unwrap();
        assert!(
            reason.contains(&format!("column \"{column}\" ")),
            "{reason}"
        );
        assert_eq!(world.dead_letter(svix_id, "attempts").unwrap(), "1");
    }
    assert_eq!(world.redis(&["XLEN", DEAD]), "2");
}

/// A dead letter that is replayed after the column was widened is applied, by workers that have not been
/// started again.
#[test]
fn columns_that_become_wider_or_narrower_are_noticed_while_workers_run() {
    let world =
        with_table("alter table users alter name type varchar(4), alter email type varchar(20)");
    let _worker = world.worker();
    let next = |second: i64, email: &str| {
        let svix_id = world.add_next(&user("user_1", email, second).updated());
        world.settle();
        svix_id
    };
    next(1, "one@example.com");
    assert_eq!(
        row(&world, "user_1"),
        "Ada |one@example.com|https://img.clerk.com/ada.jpeg"
    );
    world.sql(r#"alter table users alter name type varchar(6), alter email type text"#);
    next(2, "an-address-of-some-length@example.com");
    assert!(row(&world, "user_1").starts_with("Ada Lo|an-address"));
    world.sql(
        r#"alter table users alter name type char(8) using left(name, 2),
             alter "imageUrl" type varchar(9) using null"#,
    );
    next(3, "one@example.com");
    assert_eq!(row(&world, "user_1"), "Ada Love|one@example.com|none");
    // Narrower again, though the worker has just looked.
    world.sql("alter table users alter name type varchar(5) using left(name, 5)");
    next(4, "one@example.com");
    assert_eq!(row(&world, "user_1"), "Ada L|one@example.com|none");
    world.sql("alter table users alter email type varchar(15)");
    let refused = next(5, "an-address-of-some-length@example.com");
    assert!(world.reason(&refused).unwrap().contains("column \"email\""));
    world.sql("alter table users alter email type varchar(100)");
    // Because of a value that does not fit the catalogue is read once a second.
    let replay = include_str!("../../../lua/replay.lua");
    world.wait_for("it is applied", |world| {
        world.redis(&["EVAL", replay, "2", DEAD, EVENTS, &refused]);
        world.settle();
        world.outcome(&refused) == "applied"
    });
}

/// A name that is only spaces where the column ends is none.
#[test]
fn a_name_that_is_cut_to_nothing_is_the_one_of_users_without_names() {
    let world = with_table("alter table users alter name type char(3)");
    let _worker = world.worker();
    let blank = user("user_1", "one@example.com", 1).first_name("    Ada");
    world.add_next(&blank.created());
    world.settle();
    assert!(row(&world, "user_1").starts_with("Use|"));
}

/// P4: they make room for each other with an address that no one is to see, and the column takes.
#[test]
fn users_swap_their_addresses_where_the_column_takes_few_characters() {
    for email in ["varchar(13)", "char(13)", "varchar(30)"] {
        let world = with_table(&format!(
            r#"alter table users alter email type {email};
               insert into users values
                 ('user_a', 'A', 'a@example.com', null, '2020-01-01', '2020-01-01'),
                 ('user_b', 'B', 'b@example.com', null, '2020-01-01', '2020-01-01')"#
        ));
        world.add_next(&user("user_a", "b@example.com", 2).updated());
        world.add_next(&user("user_b", "a@example.com", 2).updated());
        let _worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
        world.settle();
        assert_eq!(
            world.sql("select id, trim(email) from users order by id"),
            "user_a|b@example.com\nuser_b|a@example.com"
        );
    }
}
