//! Whom a piece writes: the users of whom nothing newer is known.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::Transaction;
use shared::fault_point::{FaultPoint, reach};
use shared::queue::object;

use crate::apply::awaited::{Awaited, Version};
use crate::apply::storage::{self, Claim};
use crate::database::catalogue::{Catalogue, Columns, TooLong};
use crate::database::failure::{Failure, Quoted, Refusal, Remedy};
use crate::decide::address::settle;
use crate::event::Event;
use crate::event::user::{User, UserId};

/// Why a piece is not written.
pub(crate) enum Unwritten {
    /// What PostgreSQL says.
    Database(tokio_postgres::Error),
    /// It would say so of this user.
    TooLong(UserId, TooLong),
}

impl From<tokio_postgres::Error> for Unwritten {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Unwritten> for Failure {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Database(error) => error.into(),
            Unwritten::TooLong(user_id, too_long) => Self::Refused(Refusal {
                reason: too_long.to_string(),
                remedy: Remedy::GiveUp,
                quoted: Quoted::of(Some(user_id.as_str())),
            }),
        }
    }
}

/// The users who are to be written.
pub(crate) struct Winners<'a> {
    /// Rows to write, in the order of user ids.
    pub(crate) users: Vec<&'a User>,
    /// The same in the order of their events.
    oldest_first: Vec<&'a User>,
    /// Rows to delete.
    pub(crate) deleted: Vec<&'a str>,
    /// Of whom nothing was known.
    pub(crate) first_seen: Vec<&'a str>,
}

impl<'a> Winners<'a> {
    pub(crate) fn new(newest: &[&'a Event], claims: &[Claim]) -> Self {
        let claims: HashMap<&str, bool> = claims
            .iter()
            .map(|claim| (claim.user_id.as_str(), claim.first_seen))
            .collect();
        let mut winners = Self {
            users: vec![],
            oldest_first: vec![],
            deleted: vec![],
            first_seen: vec![],
        };
        let mut events = Vec::new();
        for event in newest {
            let Some(user_id) = event.user_id().map(UserId::as_str) else {
                continue;
            };
            let Some(first_seen) = claims.get(user_id) else {
                continue;
            };
            if *first_seen {
                winners.first_seen.push(user_id);
            }
            match event.upserted() {
                Some(user) => {
                    winners.users.push(user);
                    events.push(*event);
                }
                None => winners.deleted.push(user_id),
            }
        }
        events.sort_by_key(|event| event.revision());
        winners.oldest_first = events.into_iter().filter_map(Event::upserted).collect();
        winners
    }

    /// The columns, with room for all of the winners, though some values may have to be cut.
    pub(crate) async fn room(
        &self,
        transaction: &Transaction<'_>,
        catalogue: &Catalogue,
    ) -> Result<Columns, Unwritten> {
        let columns = catalogue.columns();
        if self.users.iter().all(|user| columns.take_whole(user)) {
            return Ok(columns);
        }
        // Somebody may have made them wider.
        catalogue.look(transaction).await?;
        let columns = catalogue.columns();
        for user in &self.users {
            let too_long = |reason| Unwritten::TooLong(user.id.clone(), reason);
            columns.take(user).map_err(too_long)?;
        }
        Ok(columns)
    }

    /// Lets the winners make room for each other and returns the ids of those who have to wait, and for what;
    /// if there are any, nothing was written.
    pub(crate) async fn make_room(
        &mut self,
        transaction: &Transaction<'_>,
        columns: &Columns,
    ) -> Result<HashMap<String, Awaited>, tokio_postgres::Error> {
        let present = storage::addresses_held(transaction, &self.users).await?;
        // The application's own row, newer than what we have: it will stay as it is.
        let stays = |user: &User| {
            self.first_seen.contains(&user.id.as_str())
                && present
                    .iter()
                    .any(|row| row.user_id == user.id.as_str() && row.updated_at > user.updated_at)
        };
        let held: Vec<(&str, &str)> = present
            .iter()
            .filter_map(|row| Some((row.user_id.as_str(), row.email.as_deref()?)))
            .collect();
        let wanted: Vec<(&str, &str)> = self
            .oldest_first
            .iter()
            .filter(|user| !stays(user))
            .map(|user| (user.id.as_str(), user.email.as_str()))
            .collect();
        let leaving: BTreeSet<&str> = self.deleted.iter().copied().collect();
        let settlement = settle(&wanted, &leaving, &held);
        if settlement.waiting.is_empty() && !settlement.vacating.is_empty() {
            let vacating: Vec<&str> = settlement.vacating.iter().copied().collect();
            storage::vacate_addresses(transaction, &vacating, columns).await?;
            // Their rows are known to be older, though a trigger of the application may just have said
            // otherwise: they must get their addresses.
            self.first_seen.retain(|user| !vacating.contains(user));
            reach(FaultPoint::AddressesVacated).await;
        }
        let waiting = settlement.waiting.iter().map(|(user, holder)| {
            let wanted = wanted.iter().find(|(other, _)| other == user);
            let address = wanted.map(|(_, address)| *address);
            // Who only takes the address in this transaction, or claims a version here and has to keep its row, may end
            // otherwise.
            let keeps = !settlement.waiting.contains_key(holder);
            let row = present
                .iter()
                .find(|row| keeps && row.user_id == *holder && row.email.as_deref() == address);
            let version = row.map(|row| Version::Of(row.version.clone()));
            let awaited = Awaited {
                object: object("user", holder),
                version: version.unwrap_or(Version::Uncommitted),
            };
            ((*user).to_owned(), awaited)
        });
        Ok(waiting.collect())
    }
}
