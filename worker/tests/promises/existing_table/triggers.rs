//! A trigger that leaves a change out has the last word about the row, and about nothing else.

use super::with_table;
use crate::helpers::{World, user};

const REDUNDANT: &str = "create trigger redundant before update on users \
     for each row execute function suppress_redundant_updates_trigger()";

/// A trigger that leaves out what `when` says.
fn refusing(event: &str, when: &str) -> String {
    format!(
        "create function leave_{event}() returns trigger language plpgsql as $$ begin return null; end $$; \
         create trigger leave_{event} before {event} on users for each row when ({when}) \
           execute function leave_{event}();"
    )
}

fn version(world: &World, id: &str) -> String {
    world.sql(&format!(
        "select to_char(updated_at at time zone 'UTC', 'SS') || ' ' || svix_id || ' ' || deleted \
           from clerk_sync.versions where object_id = '{id}'"
    ))
}

/// P4: the known version never goes back to the time of the row that stayed.
#[test]
fn an_update_that_a_trigger_leaves_out_is_applied_and_nothing_older_is_after_it() {
    let world = with_table(&refusing(
        "update",
        "old.name = 'Kept' or new.name like 'Keep %'",
    ));
    let _worker = world.worker();
    world.add_next(&user("user_1", "one@example.com", 1).created());
    world.settle();
    let left_out = world.add_next(
        &user("user_1", "five@example.com", 5)
            .first_name("Keep")
            .updated(),
    );
    world.settle();
    assert_eq!(world.outcome(&left_out), "applied");
    assert_eq!(world.users(), "user_1 Ada Lovelace one@example.com");
    assert_eq!(version(&world, "user_1"), format!("05 {left_out} false"));
    let older = world.add_next(&user("user_1", "three@example.com", 3).updated());
    world.settle();
    assert_eq!(world.outcome(&older), "stale");
    assert_eq!(world.users(), "user_1 Ada Lovelace one@example.com");
    let newer = world.add_next(&user("user_1", "six@example.com", 6).updated());
    world.settle();
    assert_eq!(world.outcome(&newer), "applied");
    assert_eq!(world.users(), "user_1 Ada Lovelace six@example.com");
}

/// P4
#[test]
fn an_update_that_changes_nothing_is_applied_where_a_trigger_leaves_such_out() {
    let world = with_table(REDUNDANT);
    let _worker = world.worker();
    world.add_next(&user("user_1", "one@example.com", 1).created());
    world.settle();
    // The same row, in an event that Clerk sent later.
    let same = world.add_next(
        &user("user_1", "one@example.com", 1)
            .timestamp(1_716_883_209_000)
            .updated(),
    );
    world.settle();
    assert_eq!(world.outcome(&same), "applied");
    assert_eq!(version(&world, "user_1"), format!("01 {same} false"));
}

/// P4: an older row of the application that a trigger keeps is not newer; a newer one is.
#[test]
fn a_row_that_was_there_before_us_counts_as_newer_only_if_it_is() {
    let world = with_table(&format!(
        "{} insert into users values \
           ('user_1', 'Kept', '1@example.com', null, '2020-01-01', '2024-05-28 08:00:02+00'), \
           ('user_2', 'Kept', '2@example.com', null, '2020-01-01', '2024-05-28 08:00:08+00')",
        refusing("update", "old.name = 'Kept'")
    ));
    let _worker = world.worker();
    let [older_row, newer_row] = ["1", "2"].map(|number| {
        let (id, email) = (format!("user_{number}"), format!("{number}@example.com"));
        world.add_next(&user(&id, &email, 5).updated())
    });
    world.settle();
    assert_eq!(world.outcome(&older_row), "applied");
    assert_eq!(version(&world, "user_1"), format!("05 {older_row} false"));
    assert_eq!(world.outcome(&newer_row), "stale");
    assert_eq!(version(&world, "user_2"), "08  false");
}

/// P4, P6: with its neighbours in the same batch.
#[test]
fn inserts_and_deletions_that_a_trigger_leaves_out_are_applied() {
    let world = with_table(&format!(
        "{}{}",
        refusing("insert", "new.id = 'user_1'"),
        refusing("delete", "old.id = 'user_2'")
    ));
    world.migrate();
    world.sql(
        "insert into users values ('user_2', 'Kept', '2@example.com', null, '2020-01-01', '2020-01-01')",
    );
    let inserted = world.add_next(&user("user_1", "1@example.com", 5).created());
    let older = world.add_next(&user("user_1", "older@example.com", 4).updated());
    let deleted = world.add_next(&user("user_2", "2@example.com", 5).deleted());
    let neighbour = world.add_next(&user("user_3", "3@example.com", 5).created());
    let _worker = world.worker();
    world.settle();
    for svix_id in [&inserted, &deleted, &neighbour] {
        assert_eq!(world.outcome(svix_id), "applied");
    }
    assert_eq!(world.outcome(&older), "stale");
    let late = world.add_next(&user("user_2", "2@example.com", 9).updated());
    world.settle();
    assert_eq!(world.outcome(&late), "stale");
    assert_eq!(version(&world, "user_1"), format!("05 {inserted} false"));
    assert_eq!(
        world.users(),
        "user_2 Kept 2@example.com\nuser_3 Ada Lovelace 3@example.com"
    );
}
