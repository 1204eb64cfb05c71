//! Whom a piece writes: the objects of which nothing newer is known.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::Transaction;

use crate::apply::holders::{self, Place};
use crate::apply::parents::Found;
use crate::apply::storage::Claim;
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::apply::winner::Winner;
use crate::apply::wishes::Wishes;
use crate::database::failure::Failure;
use crate::event::Event;

/// The objects that are to be written.
pub(crate) struct Winners<'a> {
    /// Rows to write, in the order of ids.
    pub(crate) written: Vec<Winner<'a>>,
    /// Of deleted objects, and of those whose rows go because they refer to a deleted one.
    pub(crate) deleted: Vec<Winner<'a>>,
    /// Of which nothing was known.
    pub(crate) first_seen: HashSet<&'a str>,
    /// Those of `written` whose rows had gone along with those of others.
    pub(crate) returning: Vec<&'a str>,
}

/// The svix-ids of the newest events that were known of objects before this piece claimed them, by object.
pub(crate) type Known<'a> = HashMap<&'a str, Option<String>>;

/// Who does not get what it wants, by svix-id.
pub(crate) type LeftOuts<'a> = HashMap<&'a str, LeftOut>;

impl<'a> Winners<'a> {
    /// Fits what `newest` say to the columns of `target`, where the claims say that they have won. The error tells whose
    /// values do not fit, and who has to wait for a row that it refers to.
    pub(crate) fn fit(
        newest: &[&'a Event],
        claims: &[Claim],
        target: &Target,
        found: &Found,
    ) -> Result<Self, LeftOuts<'a>> {
        let claims: HashMap<&str, &Claim> = claims
            .iter()
            .map(|claim| (claim.object_id.as_str(), claim))
            .collect();
        let mut winners = Self {
            written: Vec::with_capacity(newest.len()),
            deleted: Vec::new(),
            first_seen: HashSet::new(),
            returning: Vec::new(),
        };
        let mut misfits = HashMap::new();
        for event in newest {
            let Some(object) = event.changed() else {
                continue;
            };
            let Some(claim) = claims.get(object.id.as_str()) else {
                continue;
            };
            if claim.first_seen {
                winners.first_seen.insert(object.id.as_str());
            }
            match Winner::fit(event, object, target, found) {
                Ok(winner) if winner.fate.is_none() => {
                    if claim.went_along {
                        winners.returning.push(object.id.as_str());
                    }
                    winners.written.push(winner);
                }
                // What has gone along already is as it is to be.
                Ok(winner) if winner.goes_along() && claim.went_along => {}
                Ok(winner) => winners.deleted.push(winner),
                Err(left_out) => {
                    misfits.insert(event.svix_id.as_str(), left_out);
                }
            }
        }
        if misfits.is_empty() {
            Ok(winners)
        } else {
            Err(misfits)
        }
    }

    /// The rows to write of those that most likely have one, and of those that most likely have none.
    pub(crate) fn known_and_first_seen(&self) -> (Vec<&Winner<'a>>, Vec<&Winner<'a>>) {
        let is_known = |winner: &&Winner<'_>| !self.first_seen.contains(winner.object.id.as_str());
        self.written.iter().partition(is_known)
    }

    /// Lets the winners make room for each other in unique columns. Tells who has to wait, and for whom; then nothing
    /// that was written is good. `known` is the svix-id of the newest event of each object, without this piece.
    pub(crate) async fn make_room(
        &mut self,
        transaction: &Transaction<'_>,
        target: &Target,
        known: &Known<'_>,
    ) -> Result<LeftOuts<'a>, Failure> {
        let mut oldest_first: Vec<&Winner<'_>> = self.written.iter().collect();
        oldest_first.sort_by_key(|winner| winner.event.revision());
        let places = holders::places(transaction, target, &oldest_first).await?;
        let has_place = |winner: &Winner<'_>| {
            let id = winner.object.id.as_str();
            places.iter().any(|place| place.object_id == id)
        };
        let unfit = self.written.iter().filter(|winner| !has_place(winner));
        let unfit: LeftOuts<'_> = unfit.filter_map(Winner::unfit).collect();
        if !unfit.is_empty() {
            return Ok(unfit);
        }
        // The application's own row, newer than what we have: it will stay as it is. Every other one that is there is
        // written, though a trigger of the application may say meanwhile that it is newer: it must get its values.
        let stay: HashSet<String> = places
            .iter()
            .filter(|place| place.is_newer && self.first_seen.contains(place.object_id.as_str()))
            .map(|place| place.object_id.clone())
            .collect();
        for place in places
            .iter()
            .filter(|place| place.is_own && !stay.contains(&place.object_id))
        {
            self.first_seen.remove(place.object_id.as_str());
        }
        let mut oldest_first: Vec<&Winner<'_>> = self.written.iter().collect();
        oldest_first.sort_by_key(|winner| winner.event.revision());
        oldest_first.retain(|winner| !stay.contains(winner.object.id.as_str()));
        let rows: HashMap<&str, &Place> = places
            .iter()
            .map(|place| (place.object_id.as_str(), place))
            .collect();
        let mut wishes = Wishes::new(&oldest_first, &rows);
        for holders in &target.statements.holders {
            let held = holders::holders(transaction, holders, target, &oldest_first).await?;
            wishes.add(target, holders.0, held, known);
        }
        let (waiting, vacating) = wishes.settle(target);
        if !waiting.is_empty() {
            return Ok(waiting);
        }
        wishes.vacate(transaction, target, &vacating).await
    }
}
