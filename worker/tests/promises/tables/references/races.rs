//! A row that refers to an object, and the deletion of that object, at the same moment.

use shared::fault_point::FaultPoint;
use xtask::fault_points::FaultPoints;

use super::{FILE, ROWS, member, organization, organization_deleted, tables, user};
use crate::helpers::{DEADLINE, World};
use crate::tables::Application;

/// `first` is held at `point`, and `other` meets it. Nothing is left of the organization.
fn race(point: FaultPoint, foreign_keys: Option<&str>, is_known: bool, is_deletion_first: bool) {
    let application = Application::new(&tables(foreign_keys), FILE);
    let world = &application.world;
    world.migrate();
    if is_known {
        let _worker = application.worker();
        application.expect(&organization(1), "applied");
        application.expect(&user(1), "applied");
    } else {
        // Of these no event has told yet.
        world.sql(
            "insert into organizations (clerk_org_id) values ('org_1');
             insert into users (clerk_id) values ('user_1')",
        );
    }
    let (deletion, member) = (
        organization_deleted(3),
        member("created", "m_1", 2, "admin"),
    );
    let (first, other) = match is_deletion_first {
        true => (&deletion, &member),
        false => (&member, &deletion),
    };
    let points = FaultPoints::arm(&format!("{point:?}")).unwrap();
    let _worker = application.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
    world.add("msg_first", first);
    let held = points.held(DEADLINE).unwrap();
    world.add("msg_other", other);
    world.wait_for("the other one waits or is done", |world| {
        let is_locked = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        world.sql(is_locked) != "0" || !world.outcome("msg_other").is_empty()
    });
    drop(held);
    world.settle();
    let what = format!("{point:?} {foreign_keys:?} {is_known} {is_deletion_first}");
    assert_eq!(world.sql(ROWS), "", "{what}");
    assert_eq!(
        world.sql("select count(*) from organizations"),
        "0",
        "{what}"
    );
    let deletion = if is_deletion_first {
        "msg_first"
    } else {
        "msg_other"
    };
    assert_eq!(application.became(deletion), "applied", "{what}");
    let member = if is_deletion_first {
        "msg_other"
    } else {
        "msg_first"
    };
    assert!(
        ["applied", "stale"].contains(&application.became(member).as_str()),
        "{what}"
    );
    assert_eq!(dead(world), "0", "{what}");
}

fn dead(world: &World) -> String {
    world.redis(&["XLEN", crate::helpers::DEAD])
}

/// P4
#[test]
fn a_child_that_is_just_being_inserted_does_not_escape_the_deletion_of_its_parent() {
    let points = [
        FaultPoint::Begun,
        FaultPoint::LedgerWritten,
        FaultPoint::ParentsLocked,
        FaultPoint::VersionsClaimed,
        FaultPoint::RowsDeleted,
        FaultPoint::BeforeCommit,
    ];
    for foreign_keys in [None, Some("")] {
        for is_known in [true, false] {
            std::thread::scope(|scope| {
                for point in points {
                    for is_deletion_first in [true, false] {
                        scope.spawn(move || race(point, foreign_keys, is_known, is_deletion_first));
                    }
                }
            });
        }
    }
}
