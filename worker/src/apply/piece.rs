//! Part of a transaction, behind a savepoint: what the database refuses in it is taken back without the
//! rest of the batch (P6).

use std::collections::{BTreeMap, HashMap, HashSet};

use deadpool_postgres::Transaction;
use shared::fault_point::{FaultPoint, reach};
use tokio_postgres::error::SqlState;

use crate::apply::awaited::Awaited;
use crate::apply::storage;
use crate::apply::winners::{Unwritten, Winners};
use crate::database::catalogue::Catalogue;
use crate::database::failure::{Failure, Refusal};
use crate::decide::plan::plan;
use crate::event::Event;
use crate::event::user::UserId;

/// How many users a piece has. Where the database refuses one, what was written of the others in the piece is
/// lost and written again; but each piece takes two round trips.
const USERS_AT_ONCE: usize = 128;
/// How many once the database has refused something in the batch.
const USERS_AFTER_A_REFUSAL: usize = 32;

/// How a transaction treats addresses that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// Hopes that none is.
    Assume,
    /// Finds out who has to wait and who has to make room: costs a round trip, and those who make room for
    /// each other must be in one piece.
    Settle,
}

/// Users with their events, in the order of user ids: the order in which rows are locked.
pub(crate) struct Piece<'a>(Vec<Vec<&'a Event>>);

/// What writing a piece comes to.
pub(crate) enum Written<'a> {
    /// The users whose rows were written or deleted.
    Changed(HashSet<String>),
    /// Nothing is good: the newest events of these users wait for an address, and for whom.
    Waiting(HashMap<&'a str, Awaited>),
}

impl<'a> Piece<'a> {
    /// All that concerns a user, in the order in which it is to be written.
    pub(crate) fn all(events: &[&'a Event], addresses: Addresses) -> Vec<Self> {
        let mut users: BTreeMap<&UserId, Vec<&Event>> = BTreeMap::new();
        for event in events {
            if let Some(user_id) = event.user_id() {
                users.entry(user_id).or_default().push(event);
            }
        }
        let users: Vec<_> = users.into_values().collect();
        let users_at_once = match addresses {
            Addresses::Assume => USERS_AT_ONCE,
            Addresses::Settle => users.len().max(1),
        };
        Self::pieces(&users, users_at_once).collect()
    }

    fn pieces(users: &[Vec<&'a Event>], users_at_once: usize) -> impl Iterator<Item = Self> {
        users
            .chunks(users_at_once)
            .map(|users| Self(users.to_vec()))
    }

    /// Its events, those of one user after those of another.
    pub(crate) fn events(&self) -> impl Iterator<Item = &'a Event> {
        self.0.iter().flatten().copied()
    }

    /// The event that is refused when this piece is: the newest one, if it is all of one user.
    pub(crate) fn alone(&self) -> Option<&'a Event> {
        let [events] = self.0.as_slice() else {
            return None;
        };
        events.iter().copied().max_by_key(|event| event.revision())
    }

    /// Locks the users, and writes those of whom nothing newer is known. After [`Failure::Refused`]
    /// [`storage::give_up_piece`] lets the transaction go on.
    pub(crate) async fn write(
        &self,
        transaction: &Transaction<'_>,
        catalogue: &Catalogue,
        addresses: Addresses,
    ) -> Result<Written<'a>, Failure> {
        let known = catalogue.columns();
        match self.try_to_write(transaction, catalogue, addresses).await {
            Err(Unwritten::Database(error))
                if error.code() == Some(&SqlState::STRING_DATA_RIGHT_TRUNCATION) =>
            {
                storage::begin_piece_again(transaction).await?;
                catalogue.look(transaction).await?;
                if catalogue.columns() == known {
                    // It is no column of ours.
                    return Err(error.into());
                }
                storage::keep_piece(transaction).await?;
                Ok(self.try_to_write(transaction, catalogue, addresses).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn try_to_write(
        &self,
        transaction: &Transaction<'_>,
        catalogue: &Catalogue,
        addresses: Addresses,
    ) -> Result<Written<'a>, Unwritten> {
        let newest: Vec<&Event> = plan(&self.0.concat()).newest.into_values().collect();
        let claims = storage::claim_versions(transaction, &newest).await?;
        reach(FaultPoint::VersionsClaimed).await;
        let mut winners = Winners::new(&newest, &claims);
        let columns = winners.room(transaction, catalogue).await?;
        if addresses == Addresses::Settle {
            let waiting = winners.make_room(transaction, &columns).await?;
            if !waiting.is_empty() {
                let awaited = |event: &&'a Event| {
                    let awaited = waiting.get(event.upserted()?.id.as_str())?;
                    Some((event.svix_id.as_str(), awaited.clone()))
                };
                return Ok(Written::Waiting(
                    newest.iter().filter_map(awaited).collect(),
                ));
            }
        }
        storage::delete_users(transaction, &winners.deleted).await?;
        reach(FaultPoint::RowsDeleted).await;
        let (users, first_seen) = (&winners.users, &winners.first_seen);
        let written = storage::upsert_users(transaction, users, &columns, first_seen).await?;
        reach(FaultPoint::RowsWritten).await;
        // Whose row was not written is newer, or a trigger of the application has left it out.
        let ids = || users.iter().map(|user| user.id.as_str());
        let left_out = ids().filter(|id| !written.contains(*id) && first_seen.contains(id));
        let left_out: Vec<&str> = left_out.collect();
        let newer = storage::adopt_newer_rows(transaction, &left_out).await?;
        let changed = ids().filter(|id| !newer.contains(*id));
        let changed = changed.chain(winners.deleted.iter().copied());
        Ok(Written::Changed(changed.map(str::to_owned).collect()))
    }

    /// What to do after a refusal: the event that is refused, if that is certain, and the pieces that
    /// remain, in their order.
    pub(crate) fn split(
        mut self,
        refusal: &Refusal,
        addresses: Addresses,
    ) -> (Option<&'a Event>, Vec<Self>) {
        if let Some(newest) = self.alone() {
            self.0[0].retain(|event| event.svix_id != newest.svix_id);
            let mut remaining = vec![self];
            remaining.retain(|piece| !piece.0[0].is_empty());
            return (Some(newest), remaining);
        }
        let is_named = |events: &Vec<&Event>| {
            events
                .first()
                .and_then(|event| event.user_id())
                .is_some_and(|user_id| refusal.names(user_id.as_str()))
        };
        let mut pieces: Vec<Self> = match (self.0.iter().position(is_named), addresses) {
            (Some(place), Addresses::Assume) => {
                let rest = self.0.split_off(place + 1);
                let named = self.0.split_off(place);
                let rest = Self::pieces(&rest, USERS_AFTER_A_REFUSAL);
                [self, Self(named)].into_iter().chain(rest).collect()
            }
            (Some(place), Addresses::Settle) => {
                let named = self.0.remove(place);
                vec![self, Self(vec![named])]
            }
            (None, _) => {
                let second = self.0.split_off(self.0.len() / 2);
                vec![self, Self(second)]
            }
        };
        pieces.retain(|piece| !piece.0.is_empty());
        (None, pieces)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;
    use shared::svix_id::SvixId;

    use super::*;
    use crate::database::failure::{Quoted, Remedy};
    use crate::event::Change;

    fn event((id, user): (usize, u8)) -> Event {
        Event {
            svix_id: SvixId::parse(&format!("msg_{id}")).unwrap(),
            event_type: String::new(),
            event_at: SystemTime::UNIX_EPOCH,
            received_at: SystemTime::UNIX_EPOCH,
            change: Change::Delete(UserId::parse(format!("user_{user}")).unwrap()),
        }
    }

    proptest! {
        /// P5, P6: whomever PostgreSQL names, and whether that is true, every event stays, and in the
        /// end is alone.
        #[test]
        fn whatever_is_refused_no_event_is_forgotten(
            users in proptest::collection::vec(0_u8..60, 1..200),
            named in proptest::collection::vec(0_u8..70, 1..20),
            addresses in prop_oneof![Just(Addresses::Assume), Just(Addresses::Settle)],
        ) {
            let events: Vec<Event> = users.into_iter().enumerate().map(event).collect();
            let mut pieces = Piece::all(&events.iter().collect::<Vec<_>>(), addresses);
            let mut refused: Vec<&str> = Vec::new();
            let mut named = named.iter().cycle();
            while let Some(piece) = pieces.pop() {
                let size = piece.0.concat().len();
                let refusal = Refusal {
                    reason: String::new(),
                    remedy: Remedy::GiveUp,
                    quoted: Quoted::of(Some(&format!("(user_{})", named.next().unwrap()))),
                };
                let (event, remaining) = piece.split(&refusal, addresses);
                for smaller in &remaining {
                    prop_assert!((1..size).contains(&smaller.0.concat().len()));
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
