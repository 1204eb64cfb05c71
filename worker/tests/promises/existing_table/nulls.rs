//! Rows that were there may say nothing, or times that no program can hold.

use crate::helpers::{World, user};

/// A table that takes everything.
pub(crate) const LOOSE_TABLE: &str = r#"create table users (
    id text unique, name text, email text unique, "imageUrl" text,
    "createdAt" timestamp, "updatedAt" timestamptz);"#;

/// Rows without anything, and with times that are none.
pub(crate) const ODD_ROWS: &str = r#"insert into users values
    ('user_00000', null, '0@example.com', null, '2020-01-01', '2020-01-01'),
    ('user_00001', 'A', null, null, '2020-01-01', '2020-01-01'),
    ('user_00002', 'A', '2@example.com', null, null, '2020-01-01'),
    ('user_00003', 'A', '3@example.com', null, '2020-01-01', null),
    ('user_00004', null, null, null, null, null),
    ('user_00005', 'A', '5@example.com', null, '-infinity', '-infinity'),
    ('user_00006', 'A', '6@example.com', null, 'infinity', '2020-01-01'),
    ('user_00007', 'A', '7@example.com', null, '4000-01-01 BC', '4000-01-01 BC'),
    ('user_00008', 'A', '8@example.com', null, '290000-01-01', '2020-01-01'),
    (null, 'A', 'held@example.com', null, null, null);"#;

const ODD_USERS: usize = 9;

/// P4, P6: a time that is missing is not newer. Each of them is the first to be told of, then takes part in a
/// batch whose addresses are settled.
#[test]
fn a_row_with_nulls_holds_up_nothing_and_is_overwritten() {
    let world = World::new();
    world.sql(&format!("{LOOSE_TABLE}{ODD_ROWS}"));
    world.migrate();
    let id = |n: usize| format!("user_{n:05}");
    for n in 0..ODD_USERS {
        world.add_next(&user(&id(n), &format!("{n}@example.com"), 1).updated());
    }
    let _worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    world.settle();
    let rows = (0..ODD_USERS).map(|n| format!("{} Ada Lovelace {n}@example.com", id(n)));
    let rows: Vec<String> = rows.collect();
    let users =
        "select id || ' ' || name || ' ' || email from users where id is not null order by id";
    assert_eq!(world.sql(users), rows.join("\n"));
    assert_eq!(world.redis(&["XLEN", crate::helpers::DEAD]), "0");
}

/// P4, P5: they swap addresses, one wants that of a row which has no id.
#[test]
fn addresses_are_settled_among_rows_with_nulls() {
    let world = World::new();
    world.sql(&format!("{LOOSE_TABLE}{ODD_ROWS}"));
    world.migrate();
    let id = |n: usize| format!("user_{n:05}");
    for n in 0..ODD_USERS {
        let email = format!("{}@example.com", (n + 1) % ODD_USERS);
        world.add_next(&user(&id(n), &email, 1).updated());
    }
    let waiting = world.add_next(&user("user_waiting", "held@example.com", 1).created());
    let _worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    world.settle();
    let rows = (0..ODD_USERS).map(|n| format!("{} {}@example.com", id(n), (n + 1) % ODD_USERS));
    let rows: Vec<String> = rows.collect();
    let users = "select id || ' ' || email from users where id is not null order by id";
    assert_eq!(world.sql(users), rows.join("\n"));
    let reason = world.reason(&waiting).unwrap();
    assert_eq!(
        reason,
        "the value of column \"email\" of public.users belongs to a row of no user"
    );
    assert_eq!(world.redis(&["XLEN", crate::helpers::DEAD]), "1");
}
