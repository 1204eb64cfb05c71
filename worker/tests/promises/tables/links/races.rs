//! Many who meet at one row.

use serde_json::json;
use shared::fault_point::FaultPoint;
use xtask::fault_points::FaultPoints;

use super::{FILE, OF_ANOTHER, PEOPLE, invite};
use crate::helpers::{DEAD, DEADLINE};
use crate::tables::{Application, address, deleted, updated};
use crate::waking::waiting;

/// At the critical point: `first` is held there, and `other` meets it. Whoever of the two wins, the other one is applied
/// once the address is free.
fn race(point: FaultPoint, first: &str, other: &str, winner: Option<&str>) {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    invite(world, "ada@example.com");
    let points = FaultPoints::arm(&format!("{point:?}")).unwrap();
    let _worker = application.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
    world.add("msg_first", first);
    let held = points.held(DEADLINE).unwrap();
    world.add("msg_other", other);
    world.wait_for("the other one has met it", |world| {
        let waiting_for_a_lock = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        world.outcome("msg_other") == "applied"
            || !waiting(world, "msg_other", "reason").is_empty()
            || world.sql(waiting_for_a_lock) != "0"
    });
    drop(held);
    world.wait_for("one waits for the other", |world| {
        ["msg_first", "msg_other"].iter().any(|svix_id| {
            waiting(world, svix_id, "reason") == OF_ANOTHER && world.outcome(svix_id).is_empty()
        })
    });
    let row = world.sql("select id, clerk_id, email from people");
    let of = |id: &str| format!("1|{id}|ada@example.com");
    match winner {
        Some(winner) => assert_eq!(row, of(winner), "{point:?}"),
        None => assert!([of("user_1"), of("user_2")].contains(&row), "{row}"),
    }
    let (winner, loser) = match row == of("user_1") {
        true => ("user_1", "user_2"),
        false => ("user_2", "user_1"),
    };
    application.expect(&deleted(winner, 9), "applied");
    world.settle();
    let row = world.sql("select clerk_id, email from people");
    assert_eq!(row, format!("{loser}|ada@example.com"), "{point:?}");
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

#[test]
fn of_two_who_meet_at_one_row_one_gets_it_and_nobody_makes_a_second() {
    let one = [true, false]
        .map(|is_verified| updated("user_1", 1, &address("ada@example.com", is_verified)));
    let two = [true, false]
        .map(|is_verified| updated("user_2", 2, &address("ada@example.com", is_verified)));
    let points = [
        FaultPoint::Begun,
        FaultPoint::VersionsClaimed,
        FaultPoint::RowsWritten,
        FaultPoint::BeforeCommit,
    ];
    std::thread::scope(|scope| {
        for point in points {
            let (one, two) = (&one, &two);
            scope.spawn(move || race(point, &one[0], &two[0], None));
            scope.spawn(move || race(point, &one[0], &two[1], Some("user_1")));
        }
        // One who cannot link writes nothing.
        for point in [
            FaultPoint::Begun,
            FaultPoint::VersionsClaimed,
            FaultPoint::RowsDeleted,
        ] {
            let (one, two) = (&one, &two);
            scope.spawn(move || race(point, &one[1], &two[0], Some("user_2")));
        }
    });
}

/// P4: a row that is free because its object is deleted is taken over by its key and linked by its address at once. Who
/// links sees to whom it belongs by then.
#[test]
fn a_row_that_is_being_taken_over_by_its_key_is_not_linked() {
    let application = Application::new(
        "create table desks (id serial primary key, desk text unique, name text, email text unique)",
        r#"
        [user]
        table = "desks"
        key = "desk"
        link_by = "email"
        on_delete = "keep"
        [user.columns]
        desk = "external_id"
        name = "first_name"
        email = "primary_email_address"
        "#,
    );
    let world = &application.world;
    let at = |desk: &str, id: &str, second: i64| {
        let mut user = address("ada@example.com", true);
        user["external_id"] = json!(desk);
        user["first_name"] = json!(id);
        updated(id, second, &user)
    };
    let worker = application.worker();
    application.expect(&at("d1", "user_1", 1), "applied");
    application.expect(&deleted("user_1", 2), "applied");
    drop(worker);
    let points = FaultPoints::arm(&format!("{:?}", FaultPoint::RowsWritten)).unwrap();
    let _worker = application.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
    world.add("msg_first", &at("d1", "user_2", 3));
    let held = points.held(DEADLINE).unwrap();
    world.add("msg_other", &at("d2", "user_3", 4));
    world.wait_for("the other one waits for it", |world| {
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        world.sql(waiting) != "0"
    });
    drop(held);
    world.wait_for("both have been decided", |world| {
        world.outcome("msg_first") == "applied"
            && (world.outcome("msg_other") == "applied"
                || waiting(world, "msg_other", "reason").ends_with("a row of another user"))
    });
    let row = world.sql("select id, desk, name from desks");
    assert_eq!(row, "1|d1|user_2");
}

/// Three for each of twelve rows, over three workers.
#[test]
fn however_many_meet_each_invited_row_becomes_one_verified_user_s() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    world.migrate();
    for row in 0..12 {
        invite(world, &format!("{row}@example.com"));
    }
    for (n, kind) in ["a", "unverified", "b"].iter().enumerate() {
        for row in 0..12 {
            let says = address(&format!("{row}@example.com"), *kind != "unverified");
            let second = i64::try_from(n).unwrap();
            world.add_next(&updated(&format!("user_{kind}_{row}"), second, &says));
        }
    }
    let settings = [("BATCH_SIZE", "4"), ("MAX_ATTEMPTS", "3")];
    let _workers = [(); 3].map(|()| application.worker_with(&settings));
    world.settle();
    assert_eq!(
        world.sql(
            "select count(*), count(distinct email), max(id) from people
              where clerk_id ~ '^user_[ab]_' and email = split_part(clerk_id, '_', 3) || '@example.com'"
        ),
        "12|12|12"
    );
    assert_eq!(world.sql("select count(*) from people"), "12");
    assert_eq!(world.redis(&["XLEN", DEAD]), "24");
}
