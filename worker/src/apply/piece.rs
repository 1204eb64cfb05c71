//! Part of a transaction, behind a savepoint: what the database refuses in it is taken back without the
//! rest of the batch (P6).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::apply::winners::LeftOuts;
use crate::database::failure::Refusal;
use crate::decide::plan::name;
use crate::event::Event;
use crate::event::object::Parent;
use crate::tables::section::{Key, Section};

/// How many objects a piece has. Where the database refuses one, what was written of the others in the piece is
/// lost and written again; but each piece takes two round trips.
const OBJECTS_AT_ONCE: usize = 128;
/// How many once the database has refused something in the batch.
const OBJECTS_AFTER_A_REFUSAL: usize = 32;

/// How a transaction treats unique values that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UniqueValues {
    /// Hopes that none is.
    Assume,
    /// Finds out who has to wait and who has to make room: costs some round trips, and those who make room for
    /// each other must be in one piece.
    Settle,
}

/// Objects of one family with their events, in the order of ids: the order in which rows are locked.
pub(crate) struct Piece<'a> {
    section: &'a Arc<Section>,
    objects: Vec<Vec<&'a Event>>,
}

impl<'a> Piece<'a> {
    /// All that concerns an object, in the order in which it is to be written.
    pub(crate) fn all(events: &[&'a Event], unique_values: UniqueValues) -> Vec<Self> {
        // Parents first, because what their rows say is looked up.
        let mut sections: BTreeMap<(usize, &str), &'a Arc<Section>> = BTreeMap::new();
        let mut objects: BTreeMap<_, Vec<&'a Event>> = BTreeMap::new();
        for event in events {
            if let (Some(object), Some(name)) = (event.changed(), name(event)) {
                sections.insert((object.section.depth, name.0), &object.section);
                objects.entry(name).or_default().push(event);
            }
        }
        let pieces = sections.into_iter().flat_map(|((_, family), section)| {
            let of_family = objects.iter().filter(|((other, _), _)| *other == family);
            let objects: Vec<_> = of_family.map(|(_, events)| events.clone()).collect();
            let at_once = match (unique_values, &section.key) {
                (UniqueValues::Assume, Key::Id(_)) => OBJECTS_AT_ONCE,
                // Owners are locked after the objects of all pieces of the family.
                (UniqueValues::Settle, _) | (_, Key::Said(_)) => objects.len().max(1),
            };
            Self::pieces(section, &objects, at_once)
        });
        pieces.collect()
    }

    fn pieces(section: &'a Arc<Section>, objects: &[Vec<&'a Event>], at_once: usize) -> Vec<Self> {
        let pieces = objects.chunks(at_once).map(|objects| Self {
            section,
            objects: objects.to_vec(),
        });
        pieces.collect()
    }

    /// The family of its objects.
    pub(crate) fn family(&self) -> &'a str {
        &self.section.family
    }

    /// Its events, those of one object after those of another.
    pub(crate) fn events(&self) -> impl Iterator<Item = &'a Event> {
        self.objects.iter().flatten().copied()
    }

    /// The objects that it has claimed, once it is written.
    pub(crate) fn claimed(&self) -> impl Iterator<Item = Parent> {
        let first = self.objects.iter().filter_map(|events| events.first());
        let ids = first.filter_map(|event| event.object_id());
        ids.map(|id| Parent {
            family: self.section.family.clone(),
            id: id.as_str().to_owned(),
        })
    }

    /// The event that is refused when this piece is: the newest one, if it is all of one object.
    pub(crate) fn alone(&self) -> Option<&'a Event> {
        let [events] = self.objects.as_slice() else {
            return None;
        };
        events.iter().copied().max_by_key(|event| event.revision())
    }

    /// The same piece without some events, if there are others.
    pub(crate) fn without(mut self, left_out: &LeftOuts<'_>) -> Option<Self> {
        for events in &mut self.objects {
            events.retain(|event| !left_out.contains_key(event.svix_id.as_str()));
        }
        self.objects.retain(|events| !events.is_empty());
        (!self.objects.is_empty()).then_some(self)
    }

    /// What to do after a refusal: the event that is refused, if that is certain, and the pieces that
    /// remain, in their order.
    pub(crate) fn split(
        mut self,
        refusal: &Refusal,
        unique_values: UniqueValues,
    ) -> (Option<&'a Event>, Vec<Self>) {
        if let Some(newest) = self.alone() {
            self.objects[0].retain(|event| event.svix_id != newest.svix_id);
            let mut remaining = vec![self];
            remaining.retain(|piece| !piece.objects[0].is_empty());
            return (Some(newest), remaining);
        }
        let is_named = |events: &Vec<&Event>| {
            events
                .first()
                .and_then(|event| event.object_id())
                .is_some_and(|object_id| refusal.names(object_id.as_str()))
        };
        let section = self.section;
        let piece = |objects| Self { section, objects };
        let place = self.objects.iter().position(is_named);
        let mut pieces: Vec<Self> = match (place, unique_values) {
            (Some(place), UniqueValues::Assume) => {
                let rest = self.objects.split_off(place + 1);
                let named = piece(self.objects.split_off(place));
                let rest = Self::pieces(section, &rest, OBJECTS_AFTER_A_REFUSAL);
                [self, named].into_iter().chain(rest).collect()
            }
            (Some(place), UniqueValues::Settle) => {
                let named = self.objects.remove(place);
                vec![self, piece(vec![named])]
            }
            (None, _) => {
                let second = self.objects.split_off(self.objects.len() / 2);
                vec![self, piece(second)]
            }
        };
        pieces.retain(|piece| !piece.objects.is_empty());
        (None, pieces)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;
    use shared::svix_id::SvixId;

    use super::*;
    use crate::database::failure::Quoted;
    use crate::event::Change;
    use crate::event::object::Object;
    use crate::event::object::ObjectId;
    use crate::event::row::Row;
    use crate::tables::Tables;

    fn event((id, user): (usize, u8)) -> Event {
        Event {
            svix_id: SvixId::parse(&format!("msg_{id}")).unwrap(),
            event_type: String::new(),
            event_at: SystemTime::UNIX_EPOCH,
            received_at: SystemTime::UNIX_EPOCH,
            change: Change::Delete(Object {
                section: Arc::clone(Tables::built_in().section("user").unwrap()),
                id: ObjectId::parse(format!("user_{user}")).unwrap(),
                updated_at: SystemTime::UNIX_EPOCH,
                row: Row {
                    cells: Vec::new(),
                    can_link: false,
                },
                parents: Vec::new(),
                occasion: None,
            }),
        }
    }

    proptest! {
        /// P5, P6: whomever PostgreSQL names, and whether that is true, every event stays, and in the
        /// end is alone.
        #[test]
        fn whatever_is_refused_no_event_is_forgotten(
            users in proptest::collection::vec(0_u8..60, 1..200),
            named in proptest::collection::vec(0_u8..70, 1..20),
            unique_values in prop_oneof![Just(UniqueValues::Assume), Just(UniqueValues::Settle)],
        ) {
            let events: Vec<Event> = users.into_iter().enumerate().map(event).collect();
            let mut pieces = Piece::all(&events.iter().collect::<Vec<_>>(), unique_values);
            let mut refused: Vec<&str> = Vec::new();
            let mut named = named.iter().cycle();
            while let Some(piece) = pieces.pop() {
                let size = piece.objects.concat().len();
                let refusal = Refusal {
                    quoted: Quoted::of(Some(&format!("(user_{})", named.next().unwrap()))),
                    ..Refusal::default()
                };
                let (event, remaining) = piece.split(&refusal, unique_values);
                for smaller in &remaining {
                    prop_assert!((1..size).contains(&smaller.objects.concat().len()));
                }
                refused.extend(event.map(|event| event.svix_id.as_str()));
                pieces.extend(remaining);
            }
            refused.sort_unstable();
            let mut all: Vec<&str> = events.iter().map(|event| event.svix_id.as_str()).collect();
            all.sort_unstable();
            prop_assert_eq!(refused, all);
        }
    }
}
