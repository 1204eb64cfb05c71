//! What a transaction decides and writes.

use worker::decide::settlement::settle;

use crate::defects::Defect;
use crate::protocol::Protocol;
use crate::scenario::{Event, USERS};
use crate::state::{Batch, Outcome, Set, State, Transaction, Verdict};

impl Protocol {
    /// New events that are another worker's by now, or do not wait any more. Of several copies the
    /// worker asks for one.
    pub(crate) fn lost(&self, state: &State, worker: usize, batch: &Batch, new: Set) -> Set {
        if self.has(Defect::NoFence) || self.has(Defect::AcknowledgeBeforeCommit) {
            return Set::default();
        }
        let is_lost = |event: &Event| match batch.entries.iter().find(|id| id.event == *event) {
            Some(id) => !state.is_held_by(worker, id),
            None => !state.retry.contains(*event),
        };
        new.iter().filter(is_lost).collect()
    }

    /// `plan` in worker/src/decide/plan.rs: the newest event of each user.
    pub(crate) fn newest(&self, events: Set) -> Set {
        let newest_of = |user: usize| {
            let own = events
                .iter()
                .filter(move |event| self.scenario.events[*event].user == user);
            own.max_by_key(|event| (self.is_deletion(*event), *event))
        };
        (0..USERS).filter_map(newest_of).collect()
    }

    /// WHERE of worker/src/apply/claim_versions.sql.
    pub(crate) fn wins(&self, state: &State, event: Event) -> bool {
        state.versions[self.scenario.events[event].user].is_none_or(|known| {
            !self.is_deletion(known) && (self.is_deletion(event) || event > known)
        })
    }

    pub(crate) fn is_deletion(&self, event: Event) -> bool {
        self.scenario.events[event].address.is_none()
    }

    pub(crate) fn commit(&self, state: &mut State, batch: &mut Batch) {
        let Transaction::Claimed { new, winners } = batch.transaction else {
            return;
        };
        let part = batch.part();
        batch.transaction = Transaction::None;
        if self
            .scenario
            .refused
            .is_some_and(|event| winners.contains(event))
            && !state.mended
        {
            return refuse(batch, Verdict::CannotHeal);
        }
        let waiting = self.waiting(state, winners);
        if !waiting.is_empty() {
            for event in waiting.iter() {
                let other = 1 - self.scenario.events[event].user;
                batch.verdicts[event] = Some(Verdict::Waiting(state.versions[other]));
            }
            return;
        }
        self.write(state, winners);
        if self.has(Defect::LedgerAfterTransaction) {
            batch.transaction = Transaction::Unrecorded { new, winners };
        } else {
            record(state, new, winners);
        }
        for event in part.iter() {
            batch.verdicts[event] = Some(match state.ledger[event] {
                Some(outcome) if new.contains(event) => Verdict::Recorded(outcome),
                _ => Verdict::Duplicate,
            });
        }
    }

    /// Winners whose address belongs to somebody who keeps it: `make_room` in worker/src/apply/winners.rs.
    fn waiting(&self, state: &State, winners: Set) -> Set {
        const NAMES: [&str; USERS] = ["0", "1"];
        let address = |event: Event| {
            let change = self.scenario.events[event];
            let value = |address: &str| (0, address.bytes().map(i64::from).sum());
            change
                .address
                .map(|address| (NAMES[change.user], value(address)))
        };
        let wanted: Vec<_> = winners.iter().filter_map(address).collect();
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|(user, value)| (user, vec![value]))
            .collect();
        // Rows of deleted users go first.
        let goes = |event: &Event| {
            let user = self.scenario.events[*event].user;
            let mut deletions = winners.iter().filter(|event| self.is_deletion(*event));
            deletions.any(|event| self.scenario.events[event].user == user)
        };
        let present = state.users.iter().flatten().filter(|event| !goes(event));
        let held: Vec<_> = present.filter_map(|event| address(*event)).collect();
        let waiting = settle(&wanted, &held).waiting;
        let waits =
            |event: &Event| address(*event).is_some_and(|(name, _)| waiting.contains_key(name));
        winners.iter().filter(waits).collect()
    }

    pub(crate) fn write(&self, state: &mut State, winners: Set) {
        for event in winners.iter() {
            let user = self.scenario.events[event].user;
            let deleted = self.is_deletion(event);
            state.users[user] = (!deleted).then_some(event);
            state.versions[user] = (!deleted || !self.has(Defect::NoTombstone)).then_some(event);
            state.effects[event] += 1;
        }
    }
}

/// Writes events into the ledger.
pub(crate) fn record(state: &mut State, new: Set, winners: Set) {
    for event in new.iter() {
        let applied = winners.contains(event);
        state.ledger[event] = Some(if applied {
            Outcome::Applied
        } else {
            Outcome::Stale
        });
    }
}

/// The database has refused the transaction: its events one by one, or a verdict on the only one.
pub(crate) fn refuse(batch: &mut Batch, verdict: Verdict) {
    let part = batch.part();
    batch.transaction = Transaction::None;
    if part.iter().count() > 1 {
        batch.one_by_one = true;
    } else {
        part.iter()
            .for_each(|event| batch.verdicts[event] = Some(verdict));
    }
}
