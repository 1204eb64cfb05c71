//! Who may do what when, and what it does. Each [`Action`] names the code that takes that step.

use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;

use stateright::{Model, Property};
use worker::address::settle;

use crate::defects::Defect;
use crate::promises;
use crate::scenario::{EVENTS, Event, Scenario, USERS};
use crate::state::{
    Batch, Delivery, Entry, EntryId, Outcome, Set, State, Transaction, Verdict, WORKERS,
};

/// The protocol as it is, or with one defect.
pub(crate) struct Protocol {
    pub(crate) scenario: Scenario,
    pub(crate) defect: Option<Defect>,
    /// States from which everything is finished if no more faults happen.
    pub(crate) finishing: Mutex<HashSet<u64>>,
}

/// What a worker does with a batch (worker/src/processor.rs, `Processor::process`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Transact,
    DeleteTags,
    SetAside,
    Finish,
}

/// A step. Those of a batch carry the number of the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// XADD: `Queue::push` in ingest/src/queue.rs.
    Enqueue(Event),
    /// The 2xx: ingest/src/webhook.rs.
    Answer(Event),
    /// Fault: the ingest dies between the two, or the answer does not reach Svix, which sends the
    /// event again.
    IngestDies(Event),

    /// XREADGROUP: `Queue::read` in worker/src/queue.rs.
    Read(usize, Vec<EntryId>),
    /// XAUTOCLAIM of what another worker holds: `Consumer::take_over` in worker/src/consumer.rs. A
    /// fault if that worker lives: it is slow, and goes on later with what it remembers.
    TakeOver(usize, Vec<EntryId>),
    /// Fault: the answer to XREADGROUP is lost, so the worker holds what it does not know.
    LoseRead(usize, EntryId),
    /// worker/lua/hand_back.lua, "stay": `Consumer::next_batch` after a failed read.
    HandBack(usize),

    /// BEGIN and worker/sql/record_events.sql: waits for another transaction with the same svix-id.
    Record(usize),
    /// worker/sql/claim_versions.sql: waits for another transaction with the same user, then decides.
    Claim(usize),
    /// Fault: `lock_timeout` of worker/sql/begin.sql, for who waits in one of the two.
    LockTimeout(usize),
    /// The other statements of `transact` in worker/src/apply.rs and COMMIT, or a refusal and
    /// ROLLBACK. One step: what others would see in between makes them wait.
    Commit(usize),
    /// Fault: PostgreSQL is away, closes an idle transaction, or the answer to COMMIT is lost:
    /// `Processor::until_postgres_answers` applies the batch again.
    LoseDatabase(usize),
    /// worker/lua/delete_tags.lua: `Processor::delete_tags`.
    DeleteTags(usize),
    /// worker/lua/park.lua.
    Park(usize),
    /// worker/lua/dead_letter.lua.
    DeadLetter(usize),
    /// worker/lua/finish.lua.
    Finish(usize),

    /// Fault: the worker dies. Another process begins in its place, with a consumer name of its own.
    WorkerDies(usize),
    /// Fault: the worker is told to stop and does not finish in time: `finish` in worker/src/main.rs,
    /// worker/lua/hand_back.lua, "leave".
    WorkerStops(usize),

    /// worker/lua/unpark.lua: `return_due_entries` in worker/src/retry.rs.
    Unpark(Event),
    /// An operator mends the cause of a refusal.
    Mend,
    /// worker/lua/replay.lua.
    Replay(Event),

    /// Only with [`Defect::LedgerAfterTransaction`].
    RecordAfterwards(usize),
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.beginning()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.arrivals(state, actions);
        if actions.is_empty() {
            self.work_on(state, actions);
        }
        actions.retain(|action| match action {
            Action::Unpark(_) => !self.has(Defect::NoUnpark),
            action => state.faults > 0 || !self.is_fault(state, action),
        });
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        if self.is_fault(state, &action) {
            next.faults -= 1;
        }
        self.take(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}

impl Protocol {
    pub(crate) fn new(scenario: Scenario, defect: Option<Defect>) -> Self {
        Self {
            scenario,
            defect,
            finishing: Mutex::default(),
        }
    }

    pub(crate) fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// What is done with a batch, in the order that the promises rest on.
    fn phases(&self) -> [Phase; 4] {
        use Phase::{DeleteTags, Finish, SetAside, Transact};
        match self.defect {
            Some(Defect::AcknowledgeBeforeCommit) => [Finish, Transact, DeleteTags, SetAside],
            Some(Defect::TagsBeforeCommit) => [DeleteTags, Transact, SetAside, Finish],
            _ => [Transact, DeleteTags, SetAside, Finish],
        }
    }

    /// The past has been applied; all else is still to be sent.
    fn beginning(&self) -> State {
        let mut state = State::new(self.scenario.faults);
        for event in 0..self.scenario.events.len() {
            if event < self.scenario.past {
                let (new, winners) = (Set::from_iter([event]), Set::from_iter([event]));
                self.write(&mut state, winners);
                record(&mut state, new, winners);
            } else {
                state.deliveries[event] = Delivery::Due;
            }
        }
        state.cache = state.users;
        state
    }

    pub(crate) fn is_fault(&self, state: &State, action: &Action) -> bool {
        match action {
            Action::TakeOver(_, entries) => entries
                .iter()
                .any(|id| state.stream.get(id) != Some(&Entry::Abandoned)),
            Action::IngestDies(_)
            | Action::LoseRead(..)
            | Action::LockTimeout(_)
            | Action::LoseDatabase(_)
            | Action::WorkerDies(_)
            | Action::WorkerStops(_) => true,
            _ => false,
        }
    }

    /// All events arrive before the first one is read: an entry that nobody reads yet changes nothing
    /// for the others, and workers read in any order.
    fn arrivals(&self, state: &State, actions: &mut Vec<Action>) {
        let is_open = |event: &Event| state.deliveries[*event] != Delivery::Answered;
        let Some(event) = (0..EVENTS).find(is_open) else {
            return;
        };
        let answers = self.has(Defect::AnswerBeforeXadd);
        actions.push(match state.deliveries[event] {
            Delivery::Due if answers => Action::Answer(event),
            Delivery::Due | Delivery::Promised => Action::Enqueue(event),
            Delivery::Queued | Delivery::Answered => Action::Answer(event),
        });
        if state.deliveries[event] != Delivery::Due {
            actions.push(Action::IngestDies(event));
        }
    }

    fn work_on(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(state.retry.iter().map(Action::Unpark));
        if state.mended {
            let dead = (0..EVENTS).filter(|event| state.dead[*event] > 0);
            actions.extend(dead.map(Action::Replay));
        } else if self.scenario.refused.is_some() {
            actions.push(Action::Mend);
        }
        for worker in 0..WORKERS {
            match &state.workers[worker] {
                None => self.readings(state, worker, actions),
                Some(batch) => self.steps(state, worker, batch, actions),
            }
            if unknown(state, worker).next().is_some() {
                actions.push(Action::HandBack(worker));
            }
        }
    }

    /// What a worker without a batch may begin with.
    fn readings(&self, state: &State, worker: usize, actions: &mut Vec<Action>) {
        let with = |wanted: Entry| {
            let entries = state.stream.iter().filter(|(_, entry)| **entry == wanted);
            entries.map(|(id, _)| *id).collect()
        };
        let unread: Vec<EntryId> = with(Entry::Unread);
        actions.extend(unread.iter().map(|id| Action::LoseRead(worker, *id)));
        let size = self.scenario.batch_size;
        actions.extend(batches(unread, size).map(|batch| Action::Read(worker, batch)));
        if !self.has(Defect::NoTakeOver) {
            for holder in [Entry::Abandoned, Entry::Pending(1 - worker)] {
                let batches = batches(with(holder), size);
                actions.extend(batches.map(|batch| Action::TakeOver(worker, batch)));
            }
        }
    }

    /// What a worker with a batch does next, and what may happen to it.
    fn steps(&self, state: &State, worker: usize, batch: &Batch, actions: &mut Vec<Action>) {
        let phase = self.phases()[batch.phase];
        let step = match (phase, batch.transaction) {
            (Phase::Transact, Transaction::None) => Action::Record(worker),
            (Phase::Transact, Transaction::Recorded { .. }) => Action::Claim(worker),
            (Phase::Transact, Transaction::Claimed { .. }) => Action::Commit(worker),
            (Phase::Transact, Transaction::Unrecorded { .. }) => Action::RecordAfterwards(worker),
            (Phase::DeleteTags, _) => Action::DeleteTags(worker),
            (Phase::SetAside, _) => match batch.to_set_aside() {
                Some((_, Verdict::MayHeal)) => Action::Park(worker),
                _ => Action::DeadLetter(worker),
            },
            (Phase::Finish, _) => Action::Finish(worker),
        };
        if self.is_locked_out(state, worker, batch) {
            actions.push(Action::LockTimeout(worker));
        } else {
            actions.push(step);
        }
        let committed = batch.phase > 0 && self.phases()[batch.phase - 1] == Phase::Transact;
        if committed || batch.transaction != Transaction::None {
            actions.push(Action::LoseDatabase(worker));
        }
        actions.push(Action::WorkerDies(worker));
        actions.push(Action::WorkerStops(worker));
    }

    /// Whether another transaction holds what this one needs next.
    fn is_locked_out(&self, state: &State, worker: usize, batch: &Batch) -> bool {
        let others = state.workers.iter().enumerate();
        let mut others = others
            .filter(|(other, _)| *other != worker)
            .filter_map(|(_, other)| other.as_ref());
        if self.phases()[batch.phase] != Phase::Transact {
            return false;
        }
        match batch.transaction {
            Transaction::None => others.any(|other| match other.transaction {
                Transaction::Recorded { new } | Transaction::Claimed { new, .. } => {
                    self.ledger_is_inside() && new.meets(batch.part())
                }
                _ => false,
            }),
            Transaction::Recorded { new } => others.any(|other| match other.transaction {
                Transaction::Claimed { new: locked, .. } => {
                    !self.has(Defect::NoRowLock) && self.users(locked).meets(self.users(new))
                }
                _ => false,
            }),
            _ => false,
        }
    }

    fn ledger_is_inside(&self) -> bool {
        !self.has(Defect::LedgerBeforeTransaction) && !self.has(Defect::LedgerAfterTransaction)
    }

    fn users(&self, events: Set) -> Set {
        events
            .iter()
            .map(|event| self.scenario.events[event].user)
            .collect()
    }

    fn take(&self, state: &mut State, action: Action) {
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
                state.delivered_again.insert(event);
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
                for id in unknown(state, worker).collect::<Vec<_>>() {
                    state.add(id.event);
                    state.stream.remove(&id);
                }
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
                state.workers[worker] = None;
                self.take(state, Action::HandBack(worker));
            }
            Action::Unpark(event) => {
                state.add(event);
                state.retry.remove(event);
            }
            Action::Mend => state.mended = true,
            Action::Replay(event) => {
                for _ in 0..std::mem::take(&mut state.dead[event]) {
                    state.add(event);
                }
            }
            Action::Record(worker)
            | Action::Claim(worker)
            | Action::LockTimeout(worker)
            | Action::Commit(worker)
            | Action::RecordAfterwards(worker)
            | Action::LoseDatabase(worker)
            | Action::DeleteTags(worker)
            | Action::Park(worker)
            | Action::DeadLetter(worker)
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
                let newest = self.newest(new).iter();
                let winners = newest.filter(|event| self.wins(state, *event)).collect();
                batch.transaction = Transaction::Claimed { new, winners };
            }
            (Action::Commit(_), _) => {
                self.commit(state, worker, &mut batch);
            }
            (Action::RecordAfterwards(_), Transaction::Unrecorded { new, winners }) => {
                record(state, new, winners);
                batch.transaction = Transaction::None;
            }
            (Action::LockTimeout(_), _) => refuse(&mut batch, Verdict::MayHeal),
            (Action::LoseDatabase(_), _) => {
                let phases = self.phases();
                batch = Batch::new(batch.entries);
                batch.phase = phases
                    .iter()
                    .position(|phase| *phase == Phase::Transact)
                    .unwrap();
                return Some(batch);
            }
            (Action::DeleteTags(_), _) => {
                let changed = batch
                    .entries
                    .iter()
                    .filter(|id| match batch.verdicts[id.event] {
                        Some(Verdict::Duplicate) => !self.has(Defect::TagsOfAppliedOnly),
                        Some(verdict) => verdict == Verdict::Recorded(Outcome::Applied),
                        None => self.has(Defect::TagsBeforeCommit),
                    });
                for user in self.users(changed.map(|id| id.event).collect()).iter() {
                    // Somebody reads the user at once, and caches what is committed. Whoever came
                    // later could only find something newer.
                    state.cache[user] = state.users[user];
                }
                batch.phase += 1;
            }
            (Action::Park(_) | Action::DeadLetter(_), _) => {
                self.set_aside(state, worker, &mut batch);
            }
            (Action::Finish(_), _) => {
                for id in &batch.entries {
                    state.stream.remove(id);
                }
                batch.phase += 1;
            }
            _ => unreachable!("{action:?} {batch:?}"),
        }
        let is_over = |batch: &Batch| match self.phases()[batch.phase] {
            Phase::Transact => batch.transaction == Transaction::None && batch.part().is_empty(),
            Phase::SetAside => batch.to_set_aside().is_none(),
            Phase::DeleteTags | Phase::Finish => false,
        };
        while batch.phase < self.phases().len() && is_over(&batch) {
            batch.phase += 1;
        }
        (batch.phase < self.phases().len()).then_some(batch)
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

    fn commit(&self, state: &mut State, worker: usize, batch: &mut Batch) {
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
                batch.verdicts[event] = Some(Verdict::MayHeal);
            }
            return;
        }
        let lost = batch
            .entries
            .iter()
            .filter(|id| !state.is_held_by(worker, id));
        let lost: Set = lost.map(|id| id.event).collect();
        let overtaken = new.iter().filter(|event| lost.contains(*event));
        overtaken.for_each(|event| state.overtaken.insert(event));
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
        let waits = |event: &Event| address(*event).is_some_and(|(name, _)| waiting.contains(name));
        winners.iter().filter(waits).collect()
    }

    fn write(&self, state: &mut State, winners: Set) {
        for event in winners.iter() {
            let user = self.scenario.events[event].user;
            let deleted = self.is_deletion(event);
            state.users[user] = (!deleted).then_some(event);
            state.versions[user] = (!deleted || !self.has(Defect::NoTombstone)).then_some(event);
            state.effects[event] += 1;
        }
    }

    /// Both scripts look first whether the worker still holds the entry.
    fn set_aside(&self, state: &mut State, worker: usize, batch: &mut Batch) {
        let (id, verdict) = batch.to_set_aside().unwrap();
        let in_two_steps = self.has(Defect::ParkInTwoSteps);
        if in_two_steps && state.is_held_by(worker, &id) {
            state.stream.remove(&id);
            return;
        }
        let zombies = self.has(Defect::ZombieDeadLetters) && state.stream.contains_key(&id);
        if state.is_held_by(worker, &id) || in_two_steps || zombies {
            match verdict {
                // Where one delivery of the event waits already, the other adds nothing.
                Verdict::MayHeal => state.retry.insert(id.event),
                _ => state.dead[id.event] += 1,
            }
            state.stream.remove(&id);
        }
        batch.entries.retain(|entry| *entry != id);
        batch.verdicts[id.event] = Some(Verdict::SetAside);
    }
}

/// Writes events into the ledger.
fn record(state: &mut State, new: Set, winners: Set) {
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

/// All batches of up to `size` of these entries, in their order.
fn batches(entries: Vec<EntryId>, size: usize) -> impl Iterator<Item = Vec<EntryId>> {
    let subsets =
        (1_usize..1 << entries.len()).filter(move |subset| subset.count_ones() as usize <= size);
    subsets.map(move |subset| {
        let chosen = entries
            .iter()
            .enumerate()
            .filter(|(place, _)| subset & (1 << place) != 0);
        chosen.map(|(_, id)| *id).collect()
    })
}

/// What a worker holds without knowing of it.
fn unknown(state: &State, worker: usize) -> impl Iterator<Item = EntryId> + '_ {
    let known = move |id: &EntryId| {
        let batch = state.workers[worker].as_ref();
        batch.is_some_and(|batch| batch.entries.contains(id))
    };
    let ids = state.stream.keys().copied();
    ids.filter(move |id| state.is_held_by(worker, id) && !known(id))
}
