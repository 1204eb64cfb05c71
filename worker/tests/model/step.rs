//! What each step does to the stores and to the worker that takes it.

use crate::defects::Defect;
use crate::protocol::{Action, Phase, Protocol, unknown};
use crate::scenario::Event;
use crate::state::{Batch, Delivery, Entry, EntryId, Outcome, Set, State, Transaction, Verdict};
use crate::transaction::{record, refuse};

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
                for parker in state.unconfirmed.values_mut() {
                    if *parker == Some(worker) {
                        *parker = None;
                    }
                }
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
            | Action::Wake(worker)
            | Action::LookAgain(worker)
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
            (Action::LockTimeout(_), _) => refuse(&mut batch, Verdict::Park { for_address: None }),
            (Action::LoseDatabase(_), _) => {
                batch = Batch {
                    ring: batch.ring,
                    seen: batch.seen,
                    phase: self.phase_of(Phase::Transact),
                    ..Batch::new(batch.entries)
                };
                return Some(batch);
            }
            (Action::DeleteTags(_), _) => {
                for user in self.users(self.changed(&batch)).iter() {
                    // Somebody reads the user at once, and caches what is committed. Whoever came
                    // later could only find something newer.
                    state.cache[user] = state.users[user];
                }
                batch.phase += 1;
            }
            (Action::Wake(_), _) => {
                let changed = self.changed(&batch);
                let users = self.users(changed);
                self.wake(state, users);
                batch.phase += 1;
            }
            (Action::LookAgain(_), _) => self.look_again(state, worker, &mut batch),
            (Action::SeekRing(_), _) => self.seek_ring(state, &mut batch),
            (Action::FinishWaiting(_), _) => self.finish_ring(state, &mut batch),
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
                self.finish(state, worker, &batch);
                batch.phase += 1;
            }
            (Action::TakeBack(_), _) => {
                let taken = state.stream.iter_mut();
                let own = taken.filter(|(id, _)| batch.entries.contains(id));
                own.for_each(|(_, entry)| *entry = Entry::Pending(worker));
            }
            _ => unreachable!("{action:?} {batch:?}"),
        }
        self.go_on(batch)
    }

    /// Past what there is nothing to do for.
    fn go_on(&self, mut batch: Batch) -> Option<Batch> {
        let is_over = |batch: &Batch| match self.phases()[batch.phase] {
            Phase::Transact => batch.transaction == Transaction::None && batch.part().is_empty(),
            Phase::DeleteTags | Phase::Wake => self.known_to_be_done(batch).is_empty(),
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

    /// What has changed a user, or may have and nobody was told.
    fn changed(&self, batch: &Batch) -> Set {
        let changed = |event: &Event| match batch.verdicts[*event] {
            Some(Verdict::Duplicate) => !self.has(Defect::TagsOfAppliedOnly),
            Some(verdict) => verdict == Verdict::Recorded(Outcome::Applied),
            None => true,
        };
        self.known_to_be_done(batch)
            .iter()
            .filter(changed)
            .collect()
    }

    /// Who waits for an address waits for the other user.
    fn wake(&self, state: &mut State, users: Set) {
        let user_of = |event: Event| self.scenario.events[event].user;
        let stays = |event: Event| !users.contains(1 - user_of(event));
        state.awaited.retain(|event, _| stays(*event));
        state.unconfirmed.retain(|event, _| stays(*event));
    }

    fn look_again(&self, state: &mut State, worker: usize, batch: &mut Batch) {
        let (event, verdict) = batch.to_set_aside().unwrap();
        let other = 1 - self.scenario.events[event].user;
        if verdict != Verdict::Parked(state.versions[other]) && !self.has(Defect::NoLookAgain) {
            self.wake(state, Set::from_iter([other]));
        }
        // Only what this worker has parked itself.
        if state.unconfirmed.get(&event) == Some(&Some(worker)) {
            state.unconfirmed.remove(&event);
        }
        batch.drop_event(event);
    }

    fn seek_ring(&self, state: &State, batch: &mut Batch) {
        let (event, verdict) = batch.to_set_aside().unwrap();
        let Verdict::Waiting(seen) = verdict else {
            return;
        };
        let user_of = |event: Event| self.scenario.events[event].user;
        let of_the_holder = |waiting: &Event| user_of(*waiting) != user_of(event);
        let mut ring: Set = state.retry_objects.iter().filter(of_the_holder).collect();
        if ring.is_empty() || self.has(Defect::NoRing) {
            batch.verdicts[event] = Some(Verdict::Park {
                for_address: Some(seen),
            });
        } else {
            ring.insert(event);
            batch.ring = ring;
            batch.seen = seen;
            batch.verdicts[event] = None;
            batch.one_by_one = false;
            batch.phase = self.phase_of(Phase::Transact);
        }
    }

    /// What is recorded waits no more. The event that found the ring waits if it is not.
    fn finish_ring(&self, state: &mut State, batch: &mut Batch) {
        for event in std::mem::take(&mut batch.ring).iter() {
            let is_recorded = batch.verdicts[event].is_some_and(Verdict::is_recorded);
            if is_recorded {
                state.finish_waiting(event);
                self.drop_letter(state, event);
            }
            if !batch.events().contains(event) {
                batch.verdicts[event] = None;
            } else if !is_recorded {
                let for_address = Some(batch.seen);
                batch.verdicts[event] = Some(Verdict::Park { for_address });
            }
        }
        batch.seen = None;
    }

    /// What is recorded goes, whoever holds it, and its letter goes with it. What has a letter goes if
    /// it is still the worker's.
    fn finish(&self, state: &mut State, worker: usize, batch: &Batch) {
        for event in batch.events().iter() {
            let copies: Vec<EntryId> = batch.copies(event).collect();
            let finishes_copies = self.has(Defect::FinishesCopies) && copies.len() > 1;
            let removed = if batch.verdicts[event] == Some(Verdict::Dead) && !finishes_copies {
                self.may_remove(state, worker, batch, event)
            } else {
                self.drop_letter(state, event);
                copies
            };
            state.stream.retain(|id, _| !removed.contains(id));
        }
    }

    /// Every copy, if it is still the worker's; the first one adds to what waits.
    fn park(&self, state: &mut State, worker: usize, batch: &mut Batch) {
        let (event, verdict) = batch.to_set_aside().unwrap();
        let held = self.may_remove(state, worker, batch, event);
        let in_two_steps = self.has(Defect::ParkInTwoSteps);
        if !held.is_empty() || in_two_steps {
            state.stream.retain(|id, _| !held.contains(id));
            if in_two_steps && !held.is_empty() {
                return;
            }
            // Where one delivery of the event waits already, the other adds nothing.
            let is_first = !state.retry.contains(event);
            state.retry.insert(event);
            if let Verdict::Park {
                for_address: Some(seen),
            } = verdict
                && is_first
            {
                state.retry_objects.insert(event);
                state.awaited.insert(event, seen);
                if !self.has(Defect::DueLateAtOnce) {
                    state.unconfirmed.insert(event, Some(worker));
                }
                batch.verdicts[event] = Some(Verdict::Parked(seen));
                return;
            }
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
        let is_zombie = self.has(Defect::ZombieDeadLetters);
        let copies = batch.copies(event);
        copies
            .filter(|id| state.is_held_by(worker, id) || is_zombie && state.stream.contains_key(id))
            .collect()
    }

    fn drop_letter(&self, state: &mut State, event: Event) {
        if !self.has(Defect::FinishingLeavesLetter) {
            state.dead.remove(event);
        }
    }
}
