//! What a batch does to each object, decided in memory.

use std::collections::BTreeMap;

use crate::decide::outcome::Outcome;
use crate::event::object::ObjectId;
use crate::event::{Change, Event};

/// An object: its family and its id.
pub type ObjectName<'a> = (&'a str, &'a ObjectId);

/// The newest event of each object, and what that makes of every event of the batch as long as the
/// database knows nothing newer.
#[derive(Debug, PartialEq)]
pub struct Plan<'a> {
    /// The newest event of each object, in the order of families and ids: the order in which rows are locked.
    pub newest: BTreeMap<ObjectName<'a>, &'a Event>,
    /// One outcome for each event, in the order of the events.
    pub outcomes: Vec<Outcome>,
}

/// The object that an event changes.
#[must_use]
pub fn name(event: &Event) -> Option<ObjectName<'_>> {
    let object = event.changed()?;
    Some((object.section.family.as_str(), &object.id))
}

/// Decides. No two of `events` may have the same svix-id.
#[must_use]
pub fn plan<'a>(events: &[&'a Event]) -> Plan<'a> {
    let mut newest: BTreeMap<ObjectName<'a>, &Event> = BTreeMap::new();
    for event in events {
        if let Some(name) = name(event) {
            let known = newest.entry(name).or_insert(event);
            if event.revision() > known.revision() {
                *known = event;
            }
        }
    }
    let outcomes = events
        .iter()
        .map(|event| {
            match (
                &event.change,
                name(event).and_then(|name| newest.get(&name)),
            ) {
                (Change::Ignore(_), _) => Outcome::Ignored,
                (_, Some(winner)) if winner.svix_id == event.svix_id => Outcome::Applied,
                _ => Outcome::Stale,
            }
        })
        .collect();
    Plan { newest, outcomes }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;
    use shared::svix_id::SvixId;

    use super::*;
    use crate::event::reader::Reader;
    use crate::tables::Tables;

    /// Users, times and svix-ids are few, so that ties are many.
    fn event() -> impl Strategy<Value = Event> {
        let reader = Reader::new(&Tables::built_in());
        (0_u8..4, 0_u64..4, 0_u64..4, 0_u32..1000, 0_u8..8).prop_map(
            move |(user, updated, sent, id, kind)| {
                let event_type = match kind {
                    0 => "user.deleted",
                    1 => "session.created",
                    _ => "user.updated",
                };
                let payload = format!(
                    r#"{{"type":"{event_type}","timestamp":{sent},"data":{{"id":"user_{user}","updated_at":{updated}}}}}"#
                );
                let svix_id = SvixId::parse(&format!("msg_{id}")).unwrap();
                let received_at = SystemTime::UNIX_EPOCH;
                reader.read(svix_id, received_at, payload.as_bytes()).unwrap()
            },
        )
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        proptest::collection::vec(event(), 0..30).prop_map(|mut events| {
            events.sort_by(|a, b| a.svix_id.cmp(&b.svix_id));
            events.dedup_by(|a, b| a.svix_id == b.svix_id);
            events
        })
    }

    proptest! {
        /// P4
        #[test]
        fn the_order_of_the_batch_does_not_matter(events in events(), seed in any::<u64>()) {
            let one: Vec<&Event> = events.iter().collect();
            let mut other = one.clone();
            other.sort_by_key(|event| {
                use std::hash::{DefaultHasher, Hash, Hasher};
                let mut hasher = DefaultHasher::new();
                (seed, &event.svix_id).hash(&mut hasher);
                hasher.finish()
            });
            prop_assert_eq!(plan(&one).newest, plan(&other).newest);
        }

        /// P4: the newest wins, and a deletion over everything.
        #[test]
        fn the_newest_event_of_each_object_wins(events in events()) {
            let batch: Vec<&Event> = events.iter().collect();
            let plan = plan(&batch);
            for (event, outcome) in batch.iter().zip(&plan.outcomes) {
                let Some(object) = name(event) else {
                    prop_assert_eq!(*outcome, Outcome::Ignored);
                    continue;
                };
                let newest = batch
                    .iter()
                    .filter(|other| name(other) == Some(object))
                    .max_by_key(|other| other.revision())
                    .unwrap();
                prop_assert_eq!(plan.newest[&object], *newest);
                let expected = if newest == event { Outcome::Applied } else { Outcome::Stale };
                prop_assert_eq!(*outcome, expected);
                let is_deletion = |event: &Event| matches!(event.change, Change::Delete(_));
                let deleted = batch.iter().any(|other| name(other) == Some(object) && is_deletion(other));
                prop_assert_eq!(deleted, is_deletion(plan.newest[&object]));
            }
        }
    }
}
