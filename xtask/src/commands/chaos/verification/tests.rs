//! What the judge finds, and what not.

use std::{collections::BTreeMap, time::SystemTime};

use super::*;
use crate::commands::chaos::{
    cache::tag_of,
    deliveries::Cached,
    remains::{DeadLetter, Recorded, Written},
};

/// Two updates of one user, each answered 2xx, and an entry of the cache before each.
fn delivered() -> (Vec<Event>, Vec<Delivered>) {
    let events = ["msg_1", "msg_2"].map(|svix_id| Event {
        svix_id: svix_id.to_owned(),
        body: String::new(),
        family: "user",
        object_id: "user_1".to_owned(),
        parents: Vec::new(),
        fate: Fate::Upserted,
    });
    let delivered = events.iter().map(|event| Delivered {
        svix_id: event.svix_id.clone(),
        cached: Some(Cached {
            at: Instant::now(),
            tag: tag_of("user", "user_1"),
        }),
        begun: Instant::now(),
        accepted: Some(SystemTime::now()),
        answers: BTreeMap::new(),
    });
    let delivered = delivered.collect();
    (events.into(), delivered)
}

/// Both as they should be: the first one applied, the second one found to be stale.
fn remains() -> Remains {
    let recorded = |outcome: &str| Recorded {
        outcome: outcome.to_owned(),
        processed_at: 0.0,
    };
    Remains {
        ledger: BTreeMap::from([
            ("msg_1".to_owned(), recorded("applied")),
            ("msg_2".to_owned(), recorded("stale")),
        ]),
        witness: vec![written("INSERT")],
        ..Remains::default()
    }
}

fn written(operation: &str) -> Written {
    Written {
        operation: operation.to_owned(),
        object_id: "user_1".to_owned(),
        row: "a row".into(),
    }
}

/// Names of the findings that have offenders.
fn found(remains: &Remains) -> Vec<&'static str> {
    let (events, delivered) = delivered();
    let events = events
        .iter()
        .map(|event| (event.svix_id.as_str(), event))
        .collect();
    let findings = verify(&events, &delivered, &Expected::default(), remains);
    let wrong = findings
        .iter()
        .filter(|finding| !finding.offenders.is_empty());
    wrong.map(|finding| finding.name).collect()
}

fn found_after(change: impl FnOnce(&mut Remains)) -> Vec<&'static str> {
    let mut remains = remains();
    change(&mut remains);
    found(&remains)
}

#[test]
fn nothing_is_found_where_all_is_as_it_should_be() {
    assert!(found(&remains()).is_empty());
}

#[test]
fn an_event_that_was_accepted_and_is_nowhere_is_lost() {
    let wrong = found_after(|remains| drop(remains.ledger.remove("msg_2")));
    assert_eq!(wrong, ["lost"]);
}

#[test]
fn an_event_that_waits_still_is_unfinished_and_one_that_is_recorded_too_is_in_two_places() {
    let wrong = found_after(|remains| remains.waiting.push("msg_1".to_owned()));
    assert_eq!(wrong, ["unfinished", "in two places"]);
}

#[test]
fn a_dead_letter_of_an_event_that_can_be_applied_is_found() {
    let wrong = found_after(|remains| {
        remains.ledger.remove("msg_2");
        remains.dead_letters.push(DeadLetter {
            svix_id: "msg_2".to_owned(),
            reason: "any".to_owned(),
        });
    });
    assert_eq!(wrong, ["with another fate than they should"]);
}

#[test]
fn a_row_that_is_written_once_more_or_not_at_all_is_found() {
    let wrong = found_after(|remains| remains.witness.push(written("UPDATE")));
    assert_eq!(wrong, ["applied twice"]);
    let wrong = found_after(|remains| remains.witness.clear());
    assert_eq!(wrong, ["recorded as applied, but not written"]);
}

#[test]
fn an_entry_of_the_cache_may_stay_if_only_stale_events_came_after_it() {
    let wrong = found_after(|remains| remains.cached.extend(["msg_2".to_owned()]));
    assert!(wrong.is_empty());
    let wrong = found_after(|remains| remains.cached.extend(["msg_1".to_owned()]));
    assert_eq!(wrong, ["tags left"]);
}
