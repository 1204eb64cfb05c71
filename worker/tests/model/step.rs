//! What each step does.

use std::collections::BTreeSet;

use worker::address::settle;

use crate::defects::Defect;
use crate::protocol::{Action, Phase, Protocol, unknown};
use crate::scenario::{Event, USERS};
use crate::state::{Batch, Delivery, Entry, EntryId, Outcome, Set, State, Transaction, Verdict};

impl Protocol {
    pub(crate) fn take(&self, state: &mut State, action: Action) {
        match action {
            Action::Enqueue(event) => {
                state.add(event);
                state.deliveries[event] = match state.deliveries[event] {
                    Delivery::Promised => Delivery::Answered,
                    _ => Delivery::Queued,
                };
            }
            Action::Answer(event) => {
                state.deliveries[event] = match state.deliveries[event] {
                    Delivery::Due => Delivery::Promised,
                    _ => Delivery::Answered,
                };
            }
            Action::IngestDies(event) => {
                state.deliveries[event] = match state.deliveries[event] {
                    Delivery::Promised => Delivery::Answered,
                    _ => Delivery::Due,
                };
            }
            Action::Read(worker, entries) | Action::TakeOver(worker, entries) => {
                let read = entries.iter().map(|id| (*id, Entry::Pending(worker)));
                state.stream.extend(read);
                state.workers[worker] = Some(Batch::new(entries));
            }
            Action::LoseRead(worker, id) => {
                state.stream.insert(id, Entry::Pending(worker));
            }
            Action::HandBack(worker) => {
                let unknown = unknown(state, worker).collect();
                state.put_back(unknown);
            }
            Action::WorkerDies(worker) => {
                state.workers[worker] = None;
                for entry in state.stream.values_mut() {
                    if *entry == Entry::Pending(worker) {
                        *entry = Entry::Abandoned;
                    }
                }
            }
            Action::WorkerStops(worker) => {
                let ids = state.stream.keys().copied();
                let held = ids.filter(|id| state.is_held_by(worker, id)).collect();
                state.put_back(held);
            }
            Action::Unpark(event) => {
                state.add(event);
                state.finish_waiting(event);
            }
            Action::Mend => state.mended = true,
            Action::Replay(event) => {
                state.add(event);
                state.dead.remove(event);
            }
            Action::Record(worker)
            | Action::Claim(worker)
            | Action::LockTimeout(worker)
            | Action::Commit(worker)
            | Action::RecordAfterwards(worker)
            | Action::LoseDatabase(worker)
            | Action::DeleteTags(worker)
            | Action::SeekRing(worker)
            | Action::FinishWaiting(worker)
            | Action::Park(worker)
            | Action::DeadLetter(worker)
            | Action::AskLedger(worker)
            | Action::TakeBack(worker)
            | Action::Finish(worker) => {
                let batch = state.workers[worker].take().unwrap();
                state.workers[worker] = self.work(state, worker, batch, &action);
            }
        }
    }

    /// A step of a batch; returns what is left of it.
    fn work(
        &self,
        state: &mut State,
        worker: usize,
        mut batch: Batch,
        action: &Action,
    ) -> Option<Batch> {
        match (action, batch.transaction) {
            (Action::Record(_), _) => {
                let part = batch.part().iter();
                let new = part
                    .filter(|event| state.ledger[*event].is_none())
                    .collect();
                if self.has(Defect::LedgerBeforeTransaction) {
                    record(state, new, self.newest(new));
                }
                batch.transaction = Transaction::Recorded { new };
            }
            (Action::Claim(_), Transaction::Recorded { new }) => {
                let lost = self.lost(state, worker, &batch, new);
                if !lost.is_empty() {
                    batch.transaction = Transaction::None;
                    lost.iter().for_each(|event| batch.drop_event(event));
                    return self.go_on(batch);
                }
                let newest = self.newest(new).iter();
                let winners = newest.filter(|event| self.wins(state, *event)).collect();
                batch.transaction = Transaction::Claimed { new, winners };
            }
            (Action::Commit(_), _) => {
                self.commit(state, &mut batch);
            }
            (Action::RecordAfterwards(_), Transaction::Unrecorded { new, winners }) => {
                record(state, new, winners);
                batch.transaction = Transaction::None;
            }
            (Action::LockTimeout(_), _) => refuse(&mut batch, Verdict::Park { for_address: false }),
            (Action::LoseDatabase(_), _) => {
                batch = Batch {
                    ring: batch.ring,
                    phase: self.phase_of(Phase::Transact),
                    ..Batch::new(batch.entries)
                };
                return Some(batch);
            }
            (Action::DeleteTags(_), _) => {
                let changed = self.known_to_be_done(&batch).iter();
                let changed = changed.filter(|event| match batch.verdicts[*event] {
                    Some(Verdict::Duplicate) => !self.has(Defect::TagsOfAppliedOnly),
                    Some(verdict) => verdict == Verdict::Recorded(Outcome::Applied),
                    None => true,
                });
                for user in self.users(changed.collect()).iter() {
                    // Somebody reads the user at once, and caches what is committed. Whoever came
                    // later could only find something newer.
                    state.cache[user] = state.users[user];
                }
                batch.phase += 1;
            }
            (Action::SeekRing(_), _) => self.seek_ring(state, &mut batch),
            (Action::FinishWaiting(_), _) => {
                for event in std::mem::take(&mut batch.ring).iter() {
                    if batch.verdicts[event].is_some_and(Verdict::is_recorded) {
                        state.finish_waiting(event);
                        self.drop_letter(state, event);
                    } else {
                        batch.verdicts[event] = Some(Verdict::Park { for_address: true });
                    }
                    if !batch.events().contains(event) {
                        batch.verdicts[event] = None;
                    }
                }
            }
            (Action::Park(_), _) => self.park(state, worker, &mut batch),
            (Action::DeadLetter(_), _) => {
                let (event, _) = batch.to_set_aside().unwrap();
                if self.may_remove(state, worker, &batch, event).is_empty() {
                    batch.drop_event(event);
                } else {
                    state.dead.insert(event);
                    batch.verdicts[event] = Some(Verdict::Lettered);
                }
            }
            (Action::AskLedger(_), _) => {
                let (event, _) = batch.to_set_aside().unwrap();
                if state.ledger[event].is_some() && !self.has(Defect::NoSecondLook) {
                    batch.verdicts[event] = Some(Verdict::Duplicate);
                    batch.phase = self.phase_of(Phase::DeleteTags);
                } else {
                    batch.verdicts[event] = Some(Verdict::Dead);
                }
            }
            (Action::Finish(_), _) => {
                for event in batch.events().iter() {
                    let mut copies = batch.entries.iter().filter(|id| id.event == event);
                    let is_dead = batch.verdicts[event] == Some(Verdict::Dead)
                        && !(self.has(Defect::FinishesCopies) && copies.nth(1).is_some());
                    if is_dead {
                        for id in self.may_remove(state, worker, &batch, event) {
                            state.stream.remove(&id);
                        }
                    } else {
                        state
                            .stream
                            .retain(|id, _| id.event != event || !batch.entries.contains(id));
                        self.drop_letter(state, event);
                    }
                }
                batch.phase += 1;
            }
            (Action::TakeBack(_), _) => {
                for (_, entry) in state
                    .stream
                    .iter_mut()
                    .filter(|(id, _)| batch.entries.contains(id))
                {
                    *entry = Entry::Pending(worker);
                }
            }
            _ => unreachable!("{action:?} {batch:?}"),
        }
        self.go_on(batch)
    }

    /// Past what there is nothing to do for.
    fn go_on(&self, mut batch: Batch) -> Option<Batch> {
        let is_over = |batch: &Batch| match self.phases()[batch.phase] {
            Phase::Transact => batch.transaction == Transaction::None && batch.part().is_empty(),
            Phase::DeleteTags => self.known_to_be_done(batch).is_empty(),
            Phase::SetAside => batch.ring.is_empty() && batch.to_set_aside().is_none(),
            Phase::Finish => batch.entries.is_empty(),
        };
        while batch.phase < self.phases().len() && is_over(&batch) {
            batch.phase += 1;
        }
        (batch.phase < self.phases().len()).then_some(batch)
    }

    fn phase_of(&self, wanted: Phase) -> usize {
        let mut phases = self.phases().into_iter();
        phases.position(|phase| phase == wanted).unwrap()
    }

    /// What is in the ledger, as far as the worker knows.
    fn known_to_be_done(&self, batch: &Batch) -> Set {
        let all = batch.events().iter().chain(batch.ring.iter());
        all.filter(|event| match batch.verdicts[*event] {
            Some(verdict) => verdict.is_recorded(),
            None => self.has(Defect::TagsBeforeCommit),
        })
        .collect()
    }

    /// New events that are another worker's by now, or do not wait any more. Of several copies the
    /// worker asks for one.
    fn lost(&self, state: &State, worker: usize, batch: &Batch, new: Set) -> Set {
        if self.has(Defect::NoFence) || self.has(Defect::AcknowledgeBeforeCommit) {
            return Set::default();
        }
        let is_lost = |event: &Event| match batch.entries.iter().find(|id| id.event == *event) {
            Some(id) => !state.is_held_by(worker, id),
            None => !state.retry.contains(*event),
        };
        new.iter().filter(is_lost).collect()
    }

    /// `plan` in worker/src/plan.rs: the newest event of each user.
    fn newest(&self, events: Set) -> Set {
        let newest_of = |user: usize| {
            let own = events
                .iter()
                .filter(move |event| self.scenario.events[*event].user == user);
            own.max_by_key(|event| (self.is_deletion(*event), *event))
        };
        (0..USERS).filter_map(newest_of).collect()
    }

    /// WHERE of worker/sql/claim_versions.sql.
    fn wins(&self, state: &State, event: Event) -> bool {
        state.versions[self.scenario.events[event].user].is_none_or(|known| {
            !self.is_deletion(known) && (self.is_deletion(event) || event > known)
        })
    }

    pub(crate) fn is_deletion(&self, event: Event) -> bool {
        self.scenario.events[event].address.is_none()
    }

    fn commit(&self, state: &mut State, batch: &mut Batch) {
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
                batch.verdicts[event] = Some(Verdict::Waiting);
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

    /// Winners whose address belongs to somebody who keeps it: `make_room` in worker/src/apply.rs.
    fn waiting(&self, state: &State, winners: Set) -> Set {
        const NAMES: [&str; USERS] = ["0", "1"];
        let address = |event: Event| {
            let change = self.scenario.events[event];
            change.address.map(|address| (NAMES[change.user], address))
        };
        let wanted: Vec<_> = winners.iter().filter_map(address).collect();
        let held: Vec<_> = state
            .users
            .iter()
            .flatten()
            .filter_map(|event| address(*event))
            .collect();
        let deletions = winners.iter().filter(|event| self.is_deletion(*event));
        let leaving: BTreeSet<_> = deletions
            .map(|event| NAMES[self.scenario.events[event].user])
            .collect();
        let waiting = settle(&wanted, &leaving, &held).waiting;
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

    fn seek_ring(&self, state: &State, batch: &mut Batch) {
        let (event, _) = batch.to_set_aside().unwrap();
        let user_of = |event: Event| self.scenario.events[event].user;
        let of_the_holder = |waiting: &Event| user_of(*waiting) != user_of(event);
        let mut ring: Set = state.retry_users.iter().filter(of_the_holder).collect();
        if ring.is_empty() {
            batch.verdicts[event] = Some(Verdict::Park { for_address: true });
        } else {
            ring.insert(event);
            batch.ring = ring;
            batch.verdicts[event] = None;
            batch.one_by_one = false;
            batch.phase = self.phase_of(Phase::Transact);
        }
    }

    /// Every copy, if it is still the worker's; the first one adds to what waits.
    fn park(&self, state: &mut State, worker: usize, batch: &mut Batch) {
        let (event, verdict) = batch.to_set_aside().unwrap();
        let held = state.held(worker, batch, event);
        let in_two_steps = self.has(Defect::ParkInTwoSteps);
        if !held.is_empty() || in_two_steps {
            for id in &held {
                state.stream.remove(id);
            }
            if in_two_steps && !held.is_empty() {
                return;
            }
            // Where one delivery of the event waits already, the other adds nothing.
            if verdict == (Verdict::Park { for_address: true }) && !state.retry.contains(event) {
                state.retry_users.insert(event);
            }
            state.retry.insert(event);
        }
        batch.drop_event(event);
    }

    /// Which copies the worker may take off the stream.
    fn may_remove(
        &self,
        state: &State,
        worker: usize,
        batch: &Batch,
        event: Event,
    ) -> Vec<EntryId> {
        let copies = batch.entries.iter().filter(|id| id.event == event);
        let is_zombie = self.has(Defect::ZombieDeadLetters);
        copies
            .filter(|id| state.is_held_by(worker, id) || is_zombie && state.stream.contains_key(id))
            .copied()
            .collect()
    }

    fn drop_letter(&self, state: &mut State, event: Event) {
        if !self.has(Defect::FinishingLeavesLetter) {
            state.dead.remove(event);
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
fn refuse(batch: &mut Batch, verdict: Verdict) {
    let part = batch.part();
    batch.transaction = Transaction::None;
    if part.iter().count() > 1 {
        batch.one_by_one = true;
    } else {
        part.iter()
            .for_each(|event| batch.verdicts[event] = Some(verdict));
    }
}
