//! Objects that say another key than before.

use worker::apply;
use worker::event::Event;

use super::{DESKS, FILE, ROWS, at, desks};
use crate::helpers::{Unfenced, World, event_of};
use crate::tables::{Application, deleted};

/// Of two in one batch the one leaves a row to the other and says another key.
#[tokio::test(flavor = "multi_thread")]
async fn who_loses_a_row_in_a_batch_may_get_another_one_in_it() {
    let world = World::migrated();
    let (database, reader, targets) = desks(&world);
    let events: Vec<Event> = [
        at("d1", "ada", 1, "Ada"),
        at("d1", "bob", 2, "Bob"),
        at("d2", "ada", 3, "Ada"),
    ]
    .iter()
    .enumerate()
    .map(|(number, payload)| event_of(&reader, &format!("msg_{number}"), payload))
    .collect();
    for batch in [vec![&events[0]], vec![&events[1], &events[2]]] {
        apply::apply(&database, &targets, &Unfenced, &batch)
            .await
            .unwrap();
    }
    assert_eq!(world.sql(ROWS), "d1|Bob|none\nd2|Ada|none");
}

#[test]
fn an_object_whose_row_has_another_key_is_refused() {
    let application = Application::new(DESKS, FILE);
    let _worker = application.worker();
    application.expect(&at("d1", "user_1", 1, "Ada"), "applied");
    application.expect(
        &at("d2", "user_1", 2, "Ada"),
        "dead: column \"desk\" is to say another key than its row has (table public.desks)",
    );
    assert_eq!(application.world.sql(ROWS), "d1|Ada|none");
    // Its row is another's by now, so it has none, and may come back elsewhere.
    application.expect(&at("d1", "user_2", 3, "Bob"), "applied");
    application.expect(&at("d2", "user_1", 4, "Ada"), "applied");
    application.expect(&deleted("user_1", 5), "applied");
    assert_eq!(application.world.sql(ROWS), "d1|Bob|none");
}

/// P5: it has a row no more, and makes one as an object that was never seen.
#[test]
fn an_object_whose_row_the_application_has_deleted_makes_one_with_another_key() {
    let application = Application::new(DESKS, FILE);
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&at("d1", "user_1", 1, "Ada"), "applied");
    application.expect(&at("d1", "user_2", 2, "Bob"), "applied");
    world.sql("delete from desks");
    application.expect(&at("d2", "user_2", 3, "Bob"), "applied");
    assert_eq!(world.sql(ROWS), "d2|Bob|none");
    application.expect(&at("d1", "user_3", 4, "Cem"), "applied");
    application.expect(&deleted("user_2", 5), "applied");
    assert_eq!(world.sql(ROWS), "d1|Cem|none");
}

/// P4: one of two has no row, and the other one's is taken over.
#[tokio::test(flavor = "multi_thread")]
async fn two_swap_their_keys_in_a_batch_where_the_row_of_one_is_gone() {
    let world = World::migrated();
    let (database, reader, targets) = desks(&world);
    let events: Vec<Event> = [
        at("d1", "ada", 1, "Ada"),
        at("d2", "bob", 2, "Bob"),
        at("d2", "ada", 3, "Ada"),
        at("d1", "bob", 4, "Bob"),
    ]
    .iter()
    .enumerate()
    .map(|(number, payload)| event_of(&reader, &format!("msg_{number}"), payload))
    .collect();
    for batch in [[&events[0], &events[1]], [&events[2], &events[3]]] {
        apply::apply(&database, &targets, &Unfenced, &batch)
            .await
            .unwrap();
        world.sql("delete from desks where name = 'Ada' and desk = 'd1'");
    }
    assert_eq!(world.sql(ROWS), "d1|Bob|none\nd2|Ada|none");
}
