//! Part of a transaction, behind a savepoint: what the database refuses in it is taken back without the
//! rest of the batch (P6).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use deadpool_postgres::Transaction;
use shared::fault_point::{FaultPoint, reach};

use crate::apply::dependents;
use crate::apply::holders;
use crate::apply::makers;
use crate::apply::owners;
use crate::apply::parents::{Found, Held};
use crate::apply::rows::{self, Told};
use crate::apply::storage;
use crate::apply::tags;
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::apply::winner::Winner;
use crate::apply::winners::{LeftOuts, Winners};
use crate::database::failure::{Failure, Refusal};
use crate::decide::plan::{name, plan};
use crate::event::Event;
use crate::event::object::Parent;
use crate::tables::section::{MissingRow, OnDelete, Section};

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

/// What writing a piece comes to.
pub(crate) enum Written<'a> {
    /// The objects whose rows are as their newest events say.
    Changed(HashSet<&'a str>),
    /// Nothing is good: these events have to be left out, by svix-id.
    Without(LeftOuts<'a>),
    /// Nothing is good: nothing was known of these objects, which rows refer to, so they could not be locked.
    Unmet(Vec<Parent>),
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
            let at_once = match unique_values {
                UniqueValues::Assume => OBJECTS_AT_ONCE,
                UniqueValues::Settle => objects.len().max(1),
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

    /// Locks the objects, and writes those of which nothing newer is known. After [`Failure::Refused`] and
    /// [`Written::Without`] [`storage::give_up_piece`] lets the transaction go on.
    pub(crate) async fn write(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        unique_values: UniqueValues,
        held: &Held,
    ) -> Result<Written<'a>, Failure> {
        let newest: Vec<&Event> = plan(&self.objects.concat()).newest.into_values().collect();
        let known = match unique_values {
            UniqueValues::Assume => HashMap::new(),
            UniqueValues::Settle => {
                let mut known = storage::lock_versions(transaction, self.family(), &newest).await?;
                let ids = newest.iter().filter_map(|event| event.object_id());
                ids.map(|id| (id.as_str(), known.remove(id.as_str())))
                    .collect()
            }
        };
        let claims = storage::claim_versions(transaction, self.family(), &newest).await?;
        reach(FaultPoint::VersionsClaimed).await;
        let found = Found::look_up(transaction, target, &newest).await?;
        let unmet = found.unmet(target, held);
        if !unmet.is_empty() {
            return Ok(Written::Unmet(unmet));
        }
        let mut winners = match Winners::fit(&newest, &claims, target, &found) {
            Ok(winners) => winners,
            Err(misfits) => return Ok(Written::Without(misfits)),
        };
        let others = owners::own(transaction, target, &mut winners).await?;
        if !others.is_empty() {
            return Ok(Written::Without(others));
        }
        let row_goes = target.section.on_delete == OnDelete::Delete;
        let deleted = winners.deleted.iter();
        let deleted: Vec<&Winner<'_>> = deleted
            .filter(|winner| row_goes || !winner.is_orphan)
            .collect();
        let mut tags = dependents::release(transaction, target, &deleted).await?;
        let (before, mut told) = rows::delete(transaction, target, &deleted).await?;
        told.extend(before);
        reach(FaultPoint::RowsDeleted).await;
        if unique_values == UniqueValues::Settle {
            let waiting = winners.make_room(transaction, target, &known).await?;
            if !waiting.is_empty() {
                return Ok(Written::Without(waiting));
            }
        }
        let unwritten = write_rows(transaction, target, &winners, &mut told).await?;
        reach(FaultPoint::RowsWritten).await;
        if !unwritten.rowless.is_empty() {
            let left_out = without_row(transaction, target, &unwritten.rowless).await?;
            return Ok(Written::Without(left_out));
        }
        let asked_for = winners
            .written
            .iter()
            .filter(|winner| winner.event.is_asked_for());
        let asked_for: Vec<&Winner<'_>> = asked_for.collect();
        rows::remember_altered(transaction, target, &asked_for).await?;
        // Whose row was not written is newer, or a trigger of the application has left it out.
        let newer =
            rows::adopt(transaction, target, &first_seen(&winners, &unwritten.other)).await?;
        let newer: HashSet<&str> = newer.iter().map(|told| told.object_id.as_str()).collect();
        let all = winners.written.iter().chain(&winners.deleted);
        let is_told = |winner: &Winner<'_>| {
            told.iter()
                .any(|told| told.object_id == winner.object.id.as_str())
        };
        let changed: Vec<&Winner<'_>> = all
            .filter(|winner| !newer.contains(winner.object.id.as_str()))
            // Whose row was gone before has changed nothing.
            .filter(|winner| !winner.is_orphan || is_told(winner))
            .collect();
        if let Some(first) = changed.first() {
            tags.extend(tags::of_rows(target, &told));
            storage::keep_tags(transaction, first.event.svix_id.as_str(), &tags).await?;
        }
        let changed = changed.iter().map(|winner| winner.object.id.as_str());
        Ok(Written::Changed(changed.collect()))
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

/// Winners whose rows could not be written.
#[derive(Default)]
struct Unwritten<'w, 'a> {
    /// Who has no row, where this section makes none, or none of what is said.
    rowless: Vec<&'w Winner<'a>>,
    /// Who is newer, or was left out by a trigger of the application.
    other: Vec<&'w Winner<'a>>,
}

/// Writes the rows of the winners, and returns those whose rows it could not write. What is told of rows before and
/// after goes to `told`.
async fn write_rows<'w, 'a>(
    transaction: &Transaction<'_>,
    target: &Target,
    winners: &'w Winners<'a>,
    told: &mut Vec<Told>,
) -> Result<Unwritten<'w, 'a>, Failure> {
    let (known, first_seen) = winners.known_and_first_seen();
    let (before, written) = rows::write(transaction, target, &known, &first_seen).await?;
    told.extend(before);
    let left = self::left(&winners.written, &written);
    told.extend(written);
    if left.is_empty() {
        return Ok(Unwritten::default());
    }
    // Before they are tried again: who has no row now, and is not written then, has none for us. The application may make
    // one at any moment.
    let makes_row = |winner: &&Winner<'_>| match target.section.missing_row {
        MissingRow::Create => winner.unfit.is_none(),
        MissingRow::Wait | MissingRow::Ignore => false,
    };
    let mut rowless = left.clone();
    rowless.retain(|winner| !makes_row(winner));
    if !rowless.is_empty() {
        rowless = self::rowless(transaction, target, &rowless).await?;
    }
    let is_known = |winner: &&Winner<'_>| !winners.first_seen.contains(winner.object.id.as_str());
    let (gone, there): (Vec<_>, Vec<_>) = left.iter().copied().partition(is_known);
    let yields =
        |winner: &&Winner<'_>| target.section.newest.is_some() && !winner.event.is_asked_for();
    let (yielding, there): (Vec<_>, Vec<_>) = there.into_iter().partition(yields);
    let mut written = rows::write_again(transaction, target, &yielding, &there, &gone).await?;
    // Their rows may have come back since the first look, and were then not made.
    let gone = self::left(gone, &written);
    if !gone.is_empty() {
        written.extend(rows::write_again(transaction, target, &[], &gone, &[]).await?);
    }
    let rowless = self::left(rowless, &written);
    let mut other = self::left(left, &written);
    other.retain(|winner| {
        !rowless
            .iter()
            .any(|rowless| std::ptr::eq(*rowless, *winner))
    });
    told.extend(written);
    Ok(Unwritten { rowless, other })
}

/// Those whose rows were not told of.
fn left<'w, 'a>(
    winners: impl IntoIterator<Item = &'w Winner<'a>>,
    told: &[Told],
) -> Vec<&'w Winner<'a>>
where
    'a: 'w,
{
    let written: HashSet<&str> = told.iter().map(|told| told.object_id.as_str()).collect();
    let is_left = |winner: &&Winner<'_>| !written.contains(winner.object.id.as_str());
    winners.into_iter().filter(is_left).collect()
}

/// Those of which nothing was known.
fn first_seen<'w, 'a>(winners: &Winners<'_>, unwritten: &[&'w Winner<'a>]) -> Vec<&'w Winner<'a>> {
    let is_first = |winner: &&Winner<'_>| winners.first_seen.contains(winner.object.id.as_str());
    unwritten.iter().copied().filter(is_first).collect()
}

/// Those who have no row.
async fn rowless<'w, 'a>(
    transaction: &Transaction<'_>,
    target: &Target,
    winners: &[&'w Winner<'a>],
) -> Result<Vec<&'w Winner<'a>>, Failure> {
    let places = holders::places(transaction, target, winners).await?;
    let own = places.iter().filter(|place| place.is_own);
    let own: HashSet<&str> = own.map(|place| place.object_id.as_str()).collect();
    let has_none = |winner: &&Winner<'_>| !own.contains(winner.object.id.as_str());
    Ok(winners.iter().copied().filter(has_none).collect())
}

/// What becomes of those who have no row, where none is made.
async fn without_row<'a>(
    transaction: &Transaction<'_>,
    target: &Target,
    rowless: &[&Winner<'a>],
) -> Result<LeftOuts<'a>, Failure> {
    let ignored = |winner: &&Winner<'a>| (winner.event.svix_id.as_str(), LeftOut::Ignored);
    Ok(match target.section.missing_row {
        MissingRow::Create => rowless.iter().filter_map(|winner| winner.unfit()).collect(),
        MissingRow::Ignore => rowless.iter().map(ignored).collect(),
        MissingRow::Wait => makers::wait(&**transaction, target, rowless).await?,
    })
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
                dependents: BTreeMap::new(),
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
