//! Users who swap addresses, two or more in a ring. Each waits for an address that the next one still holds, so none of
//! them can be applied alone, and their events may come hours apart, to different workers, in batches of one. Where a
//! table has two unique columns, a user may be in two rings at once.
//!
//! So an event that waits for an address says which object holds it. When the next one is refused, the worker looks
//! among the events that wait, beginning with those of the holder, for a way that leads back to its own user. It looks at
//! 64 users at most. If two workers try the last two of a ring at the same moment, neither finds the other waiting; both wait, with
//! jitter, and the next attempt of either closes the ring.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shared::queue::field;
use shared::traces::TraceContext;

use crate::event::Event;
use crate::event::entry::Entry;
use crate::event::reader::Reader;
use crate::source::raw_entry::{RawEntry, text};

/// How many users are looked at before a search is given up; each is a round trip.
const LONGEST_SEARCH: usize = 64;

/// An event that waits until another object is out of its way.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The event.
    pub event: Event,
    /// How many attempts have failed so far.
    pub failed_attempts: u32,
    /// The step of a trace that put it there, if there is one.
    pub trace: Option<TraceContext>,
    /// The object that was in its way when it was last tried, as [`shared::queue::object`] names it.
    pub awaited: String,
    /// The partition in which it waits.
    pub partition: u32,
}

impl Waiting {
    /// Reads an entry that waits in `partition`; `None` if it waits for no other object.
    #[must_use]
    pub fn parse(entry: &RawEntry, partition: u32, reader: &Reader) -> Option<Self> {
        let awaited = text(entry, field::AWAITED)?.to_owned();
        let entry = Entry::parse(entry, reader);
        Some(Self {
            partition,
            awaited,
            failed_attempts: entry.failed_attempts,
            trace: entry.trace,
            event: entry.event.ok()?,
        })
    }
}

/// Looks, step by step, for ways from the objects that are in the way back to those that wait for them.
#[derive(Debug)]
pub struct Search {
    /// The objects of the ring: at first the one that waits.
    ring: BTreeSet<String>,
    /// Objects to ask about next, each with the one that waits for it.
    next: VecDeque<(String, Option<String>)>,
    /// Objects asked about, each with the one that waits for it and what of its own waits.
    seen: BTreeMap<String, (Option<String>, Vec<Waiting>)>,
    /// A way that leads back to itself.
    circle: Option<Vec<String>>,
    asked: usize,
}

impl Search {
    /// For `object`, which waits for `awaited`.
    #[must_use]
    pub fn new(object: &str, awaited: &str) -> Self {
        let mut search = Self {
            ring: BTreeSet::from([object.to_owned()]),
            next: VecDeque::new(),
            seen: BTreeMap::new(),
            circle: None,
            asked: 0,
        };
        search.go_on(awaited);
        search
    }

    /// The ring waits for another object, too: who wants two values may be in two rings, and no one of them can be closed
    /// without the other.
    pub fn go_on(&mut self, awaited: &str) {
        if !self.ring.contains(awaited) {
            self.next.push_back((awaited.to_owned(), None));
        }
    }

    /// What to ask about: [`Search::found`] wants to know what waits of this object. `None` if there is
    /// no ring.
    pub fn what_to_ask(&mut self) -> Option<String> {
        let seen = &self.seen;
        self.next.retain(|(object, _)| !seen.contains_key(object));
        let (object, _) = self.next.front()?;
        (self.asked < LONGEST_SEARCH).then(|| object.clone())
    }

    /// Takes what waits of the object that [`Search::what_to_ask`] named. Returns all events that wait on the way, once
    /// it leads back to the ring. Where none does, one that leads back to itself will do: its events would not wait any
    /// more if they could be applied without the ring.
    pub fn found(&mut self, waiting: Vec<Waiting>) -> Option<Vec<Waiting>> {
        let (current, waits_for_it) = self.next.pop_front()?;
        self.asked += 1;
        let awaited: Vec<String> = waiting.iter().map(|one| one.awaited.clone()).collect();
        for awaited in &awaited {
            self.next
                .push_back((awaited.clone(), Some(current.clone())));
        }
        self.seen.insert(current.clone(), (waits_for_it, waiting));
        let mut way = self.way_to(&current);
        if !awaited.iter().any(|awaited| self.ring.contains(awaited)) {
            if awaited.iter().any(|awaited| way.contains(awaited)) {
                self.circle.get_or_insert(way);
            }
            let is_seen = |(object, _): &(String, _)| self.seen.contains_key(object);
            way = self.circle.take_if(|_| self.next.iter().all(is_seen))?;
        }
        let mut events = Vec::new();
        for object in way {
            let (_, waiting) = self.seen.remove(&object).unwrap_or_default();
            events.extend(waiting);
            self.ring.insert(object);
        }
        self.next.clear();
        self.seen.clear();
        self.circle = None;
        Some(events)
    }

    /// The objects on the way, from the last to the first.
    fn way_to(&self, object: &str) -> Vec<String> {
        let mut way = Vec::new();
        let mut step = Some(object);
        while let Some(object) = step
            && let Some((waits_for_it, _)) = self.seen.get(object)
        {
            way.push(object.to_owned());
            step = waits_for_it.as_deref();
        }
        way
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use shared::svix_id::SvixId;

    use super::*;
    use crate::tables::Tables;

    /// The svix-ids of the ring; `waiting` are svix-id, object and awaited object of all that waits.
    fn ring(waiting: &[(&str, &str, &str)], object: &str, awaited: &str) -> Vec<String> {
        let mut search = Search::new(object, awaited);
        while let Some(next) = search.what_to_ask() {
            let of_next = waiting.iter().filter(|(_, object, _)| *object == next);
            let found = of_next.map(|(svix_id, object, awaited)| Waiting {
                event: deletion(svix_id, object),
                failed_attempts: 1,
                trace: None,
                awaited: (*awaited).to_owned(),
                partition: 0,
            });
            if let Some(ring) = search.found(found.collect()) {
                let mut ring: Vec<String> = ring
                    .iter()
                    .map(|waiting| waiting.event.svix_id.to_string())
                    .collect();
                ring.sort();
                return ring;
            }
        }
        Vec::new()
    }

    fn deletion(svix_id: &str, user: &str) -> Event {
        let payload = format!(r#"{{"type":"user.deleted","data":{{"id":"{user}"}}}}"#);
        let svix_id = SvixId::parse(svix_id).unwrap();
        let reader = Reader::new(&Tables::built_in());
        reader
            .read(svix_id, SystemTime::now(), payload.as_bytes())
            .unwrap()
    }

    #[test]
    fn two_who_swap_find_each_other() {
        assert_eq!(ring(&[("1", "b", "a")], "a", "b"), ["1"]);
    }

    #[test]
    fn all_events_of_a_longer_ring_come_and_nobody_else_s() {
        let waiting = [
            ("1", "b", "x"),
            ("2", "b", "c"),
            ("3", "c", "a"),
            ("4", "x", "b"),
            ("5", "d", "b"),
        ];
        assert_eq!(ring(&waiting, "a", "b"), ["1", "2", "3"]);
    }

    #[test]
    fn a_chain_that_does_not_come_back_is_no_ring() {
        assert!(ring(&[("1", "b", "c")], "a", "b").is_empty());
        assert!(ring(&[("1", "b", "c"), ("2", "b", "d")], "a", "b").is_empty());
    }

    /// They may wait for this one besides: of two who are in the way one is told.
    #[test]
    fn who_waits_for_a_ring_that_is_not_closed_may_belong_to_it() {
        let waiting = [("1", "b", "c"), ("2", "c", "b"), ("3", "d", "b")];
        assert_eq!(ring(&waiting, "a", "b"), ["1", "2"]);
    }

    #[test]
    fn a_ring_that_waits_for_another_object_is_looked_for_again() {
        let waiting = |svix_id, object, awaited: &str| Waiting {
            event: deletion(svix_id, object),
            failed_attempts: 1,
            trace: None,
            awaited: awaited.to_owned(),
            partition: 0,
        };
        let ids = |ring: Option<Vec<Waiting>>| {
            let ring = ring.unwrap_or_default().into_iter();
            Vec::from_iter(ring.map(|waiting| waiting.event.svix_id.to_string()))
        };
        let mut search = Search::new("a", "b");
        assert_eq!(search.what_to_ask().unwrap(), "b");
        assert_eq!(ids(search.found(vec![waiting("1", "b", "a")])), ["1"]);
        assert_eq!(search.what_to_ask(), None);
        search.go_on("b");
        assert_eq!(search.what_to_ask(), None);
        search.go_on("c");
        assert_eq!(search.what_to_ask().unwrap(), "c");
        assert!(search.found(vec![waiting("2", "c", "d")]).is_none());
        assert_eq!(search.what_to_ask().unwrap(), "d");
        let ring = search.found(vec![waiting("3", "d", "b")]);
        assert_eq!(ids(ring), ["3", "2"]);
        search.go_on("e");
        assert_eq!(search.what_to_ask().unwrap(), "e");
        assert!(search.found(Vec::new()).is_none());
        assert_eq!(search.what_to_ask(), None);
    }
}
