//! Who waits for a row is woken when it may have it.

use super::{FILE, PEOPLE, invite, unverified, verified, waiting_for};
use crate::helpers::RETRY;
use crate::tables::{Application, deleted};
use crate::waking::waits_for_long;

/// Within a second of the event that frees it, however far away the next attempt is: a row that may be linked is free.
#[test]
fn who_waits_for_a_row_is_woken_when_it_may_be_linked() {
    let unlinks = r#"on_delete = { clerk_id = "null" }"#;
    let application = Application::new(
        PEOPLE,
        &FILE.replace("newest", &format!("{unlinks}\nnewest")),
    );
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&verified("user_1", 1, "ada@example.com"), "applied");
    application.add_often("msg_2", &verified("user_2", 2, "ada@example.com"));
    waits_for_long(world, "msg_2");
    application.add_often("msg_3", &unverified("user_3", 3, "ada@example.com"));
    waits_for_long(world, "msg_3");
    world.add("msg_gone", &deleted("user_1", 4));
    world.wait_for("the row is the next one's", |world| {
        world.outcome("msg_2") == "applied"
    });
    assert_eq!(world.sql("select id, clerk_id from people"), "1|user_2");
    // The last one follows the row, and may not have it.
    waits_for_long(world, "msg_3");
    world.add("msg_moves", &verified("user_2", 5, "new@example.com"));
    world.wait_for("the address is free", |world| {
        world.outcome("msg_3") == "applied"
    });
    assert_eq!(
        world.sql("select clerk_id, email from people order by id"),
        "user_2|new@example.com\nuser_3|ada@example.com"
    );
}

/// It waits for a row that is nobody's, and the row becomes somebody's.
#[test]
fn who_waits_for_an_invited_row_follows_it() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    invite(world, "ada@example.com");
    let _worker = application.worker();
    application.add_often("msg_1", &unverified("user_1", 1, "ada@example.com"));
    waits_for_long(world, "msg_1");
    assert_eq!(waiting_for(world, "msg_1"), "user/");
    world.add("msg_2", &verified("user_2", 2, "ada@example.com"));
    world.wait_for("it waits for the new owner", |world| {
        waiting_for(world, "msg_1") == "user/user_2"
    });
    waits_for_long(world, "msg_1");
    world.add("msg_gone", &deleted("user_2", 3));
    world.wait_for("the address is free", |world| {
        world.outcome("msg_1") == "applied"
    });
    assert_eq!(world.sql("select clerk_id from people"), "user_1");
    assert_eq!(world.redis(&["ZCARD", RETRY]), "0");
}
