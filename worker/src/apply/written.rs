//! Writing a piece: the objects are locked, then their rows are written.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::Transaction;
use shared::fault_point::{FaultPoint, reach};

use crate::apply::dependents::{self, Released};
use crate::apply::holders;
use crate::apply::makers;
use crate::apply::owners;
use crate::apply::parents::{Found, Held};
use crate::apply::piece::{Piece, UniqueValues};
use crate::apply::rows::{self, Told};
use crate::apply::statements::references::Fate;
use crate::apply::storage;
use crate::apply::tags;
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::apply::winner::Winner;
use crate::apply::winners::{LeftOuts, Winners};
use crate::database::failure::Failure;
use crate::decide::plan::plan;
use crate::event::Event;
use crate::event::object::Parent;
use crate::tables::section::MissingRow;

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
    /// Locks the objects, and writes those of which nothing newer is known. After [`Failure::Refused`] and
    /// [`Written::Without`] [`storage::give_up_piece`] lets the transaction go on.
    pub(crate) async fn write(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        unique_values: UniqueValues,
        held: &Held,
    ) -> Result<Written<'a>, Failure> {
        let events: Vec<&Event> = self.events().collect();
        let newest: Vec<&Event> = plan(&events).newest.into_values().collect();
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
        let (released, mut told) = delete_rows(transaction, target, &winners).await?;
        if !released.left_out.is_empty() {
            return Ok(Written::Without(released.left_out));
        }
        reach(FaultPoint::RowsDeleted).await;
        if unique_values == UniqueValues::Settle {
            let waiting = winners.make_room(transaction, target, &known).await?;
            if !waiting.is_empty() {
                return Ok(Written::Without(waiting));
            }
        }
        let unwritten = write_rows(transaction, target, &winners, &mut told).await?;
        storage::return_versions(transaction, self.family(), &winners.returning).await?;
        reach(FaultPoint::RowsWritten).await;
        if !unwritten.rowless.is_empty() {
            let left_out = without_row(transaction, target, &unwritten.rowless).await?;
            return Ok(Written::Without(left_out));
        }
        let changed = settle_versions(transaction, target, &winners, &unwritten.other).await?;
        // A winner that goes along and had no row has changed nothing, unless others' rows have gone with it.
        let is_told = |winner: &&Winner<'_>| {
            let id = winner.object.id.as_str();
            let has_row = told.iter().any(|told| told.object_id == id);
            !winner.goes_along() || has_row || released.parents.contains(id)
        };
        let changed: Vec<&Winner<'_>> = changed.into_iter().filter(is_told).collect();
        if let Some(first) = changed.first() {
            let mut tags = released.tags;
            tags.extend(tags::of_rows(target, &told));
            storage::keep_tags(transaction, first.event.svix_id.as_str(), &tags).await?;
        }
        let changed = changed.iter().map(|winner| winner.object.id.as_str());
        Ok(Written::Changed(changed.collect()))
    }
}

/// Does what deletions want of rows: first of those that refer to others. Returns what is told of rows before and after.
async fn delete_rows<'a>(
    transaction: &Transaction<'_>,
    target: &Target,
    winners: &Winners<'a>,
) -> Result<(Released<'a>, Vec<Told>), Failure> {
    let with = |fate: Fate| -> Vec<&Winner<'a>> {
        let deleted = winners.deleted.iter();
        let is_so = |winner: &&Winner<'_>| winner.fate == Some(fate);
        deleted.filter(is_so).collect()
    };
    let (gone, left) = (with(Fate::Goes), with(Fate::IsSet));
    let go_along = winners.deleted.iter().filter(|winner| winner.goes_along());
    let by = go_along.clone().next();
    let ids = go_along.map(|winner| winner.object.id.as_str().to_owned());
    let ids: Vec<String> = ids.collect();
    let by = by.map(|winner| winner.event.svix_id.as_str());
    let family = &target.section.family;
    storage::touch_versions(transaction, family, &ids, by, true).await?;

    let references = &target.references;
    let mut staying: Vec<&Winner<'_>> = left.iter().copied().chain(with(Fate::Stays)).collect();
    staying.retain(|winner| !winner.goes_along());
    let mut released = dependents::release(transaction, &references.when_it_goes, &gone).await?;
    let others = dependents::release(transaction, &references.when_it_stays, &staying).await?;
    released.tags.extend(others.tags);
    released.parents.extend(others.parents);
    released.left_out.extend(others.left_out);
    if !released.left_out.is_empty() {
        return Ok((released, Vec::new()));
    }
    let told = rows::delete(transaction, target, &gone, &left).await?;
    Ok((released, told))
}

/// Remembers what the rows say that were not written as their events do, and returns the winners that nothing newer was
/// found of.
async fn settle_versions<'w, 'a>(
    transaction: &Transaction<'_>,
    target: &Target,
    winners: &'w Winners<'a>,
    unwritten: &[&'w Winner<'a>],
) -> Result<Vec<&'w Winner<'a>>, Failure> {
    let written = winners.written.iter();
    let asked_for = written.filter(|winner| winner.event.is_asked_for());
    let asked_for: Vec<&Winner<'_>> = asked_for.collect();
    rows::remember_altered(transaction, target, &asked_for).await?;
    // A row that was not written is newer, or a trigger of the application has left it out.
    let newer = rows::adopt(transaction, target, &first_seen(winners, unwritten)).await?;
    let newer: HashSet<&str> = newer.iter().map(|told| told.object_id.as_str()).collect();
    let all = winners.written.iter().chain(&winners.deleted);
    Ok(all
        .filter(|winner| !newer.contains(winner.object.id.as_str()))
        .collect())
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
