//! Who may do what when. Each [`Action`] names the code that takes that step.

use std::collections::HashSet;
use std::sync::Mutex;

use stateright::{Model, Property};

use crate::defects::Defect;
use crate::promises;
use crate::scenario::{EVENTS, Event, Scenario};
use crate::state::{Batch, Delivery, Entry, EntryId, Set, State, Transaction, Verdict, WORKERS};
use crate::transaction::record;

/// The protocol as it is, or with one defect.
pub(crate) struct Protocol {
    pub(crate) scenario: Scenario,
    pub(crate) defect: Option<Defect>,
    /// States from which everything is finished if no more faults happen.
    pub(crate) finishing: Mutex<HashSet<u64>>,
}

/// What a worker does with a batch (worker/src/processor/mod.rs, `Processor::process`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Transact,
    DeleteTags,
    Wake,
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

    /// XREADGROUP: `Queue::read` in worker/src/source/queue.rs.
    Read(usize, Vec<EntryId>),
    /// worker/src/source/take_over.lua: `Consumer::take_over` in worker/src/source/consumer.rs. A
    /// fault if that worker lives: it is slow, and goes on later with what it remembers.
    TakeOver(usize, Vec<EntryId>),
    /// Fault: the answer to XREADGROUP is lost, so the worker holds what it does not know.
    LoseRead(usize, EntryId),
    /// worker/src/source/hand_back.lua, "stay": `Consumer::next_batch` after a failed read.
    HandBack(usize),

    /// BEGIN and worker/src/apply/record_events.sql: waits for another transaction with the same svix-id.
    Record(usize),
    /// worker/src/source/lost.lua, the fence: whoever takes an entry over from now on has to wait for the
    /// ledger's key. Then worker/src/apply/claim_versions.sql: waits for another transaction with the same
    /// user, then decides.
    Claim(usize),
    /// Fault: `lock_timeout` of worker/src/apply/begin.sql, for who waits in one of the two.
    LockTimeout(usize),
    /// The other statements of `transact` in worker/src/apply/transaction.rs and COMMIT, or a refusal and
    /// ROLLBACK. One step: what others would see in between makes them wait.
    Commit(usize),
    /// Fault: PostgreSQL is away, closes an idle transaction, or the answer to COMMIT is lost:
    /// `Processor::until_postgres_answers` applies the batch again.
    LoseDatabase(usize),
    /// worker/src/finish/cache_tags/delete_tags.lua: `Processor::delete_tags`.
    DeleteTags(usize),
    /// A look at all partitions, then worker/src/finish/wake.lua: `Processor::look_who_waits` and `Processor::wake`. One
    /// step: who is registered after the look is not woken, or might as well have come after both.
    Wake(usize),
    /// worker/src/finish/waiting_of.lua: `Processor::close_ring`. With those that wait for each other's
    /// addresses, the event is applied in a transaction of its own.
    SeekRing(usize),
    /// worker/src/finish/finish_waiting.lua.
    FinishWaiting(usize),
    /// worker/src/finish/park.lua.
    Park(usize),
    /// worker/src/apply/changed_since.sql, then worker/src/finish/wake.lua or worker/src/finish/put_off.lua:
    /// `Processor::look_again`.
    LookAgain(usize),
    /// worker/src/finish/dead_letter.lua: the letter is written, and the entry stays.
    DeadLetter(usize),
    /// Is what has a letter now in the ledger? Another copy may have been applied since the refusal.
    /// Then it is a duplicate, with its tags.
    AskLedger(usize),
    /// worker/src/finish/finish.lua, and worker/src/finish/discard.lua for what has a letter.
    Finish(usize),

    /// Fault: the worker dies. Another process begins in its place, with a consumer name of its own.
    WorkerDies(usize),
    /// Fault: the worker is told to stop and does not finish in time: `leave` in worker/src/source/mod.rs,
    /// worker/src/source/hand_back.lua, "leave". Until the process is gone it may go on with its batch.
    WorkerStops(usize),

    /// worker/src/finish/unpark.lua: `return_due_entries` in worker/src/finish/retry.rs.
    Unpark(Event),
    /// An operator mends the cause of a refusal.
    Mend,
    /// worker/lua/replay.lua.
    Replay(Event),

    /// Only with [`Defect::LedgerAfterTransaction`].
    RecordAfterwards(usize),
    /// Only with [`Defect::TakesBackItsOwn`].
    TakeBack(usize),
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
    pub(crate) fn phases(&self) -> [Phase; 5] {
        use Phase::{DeleteTags, Finish, SetAside, Transact, Wake};
        match self.defect {
            Some(Defect::AcknowledgeBeforeCommit) => [Finish, Transact, DeleteTags, Wake, SetAside],
            Some(Defect::TagsBeforeCommit) => [DeleteTags, Transact, Wake, SetAside, Finish],
            Some(Defect::WakingAfterFinish) => [Transact, DeleteTags, SetAside, Finish, Wake],
            _ => [Transact, DeleteTags, Wake, SetAside, Finish],
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
            actions.extend(state.dead.iter().map(Action::Replay));
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
            (Phase::Wake, _) => Action::Wake(worker),
            (Phase::SetAside, _) if !batch.ring.is_empty() => Action::FinishWaiting(worker),
            (Phase::SetAside, _) => match batch.to_set_aside() {
                Some((_, Verdict::Waiting(_))) => Action::SeekRing(worker),
                Some((_, Verdict::Park { .. })) => Action::Park(worker),
                Some((_, Verdict::Parked(_))) => Action::LookAgain(worker),
                Some((_, Verdict::CannotHeal)) => Action::DeadLetter(worker),
                _ => Action::AskLedger(worker),
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
        let is_lost = |id: &EntryId| !state.is_held_by(worker, id) && state.stream.contains_key(id);
        if self.has(Defect::TakesBackItsOwn) && batch.entries.iter().any(is_lost) {
            actions.push(Action::TakeBack(worker));
        }
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

    pub(crate) fn users(&self, events: Set) -> Set {
        events
            .iter()
            .map(|event| self.scenario.events[event].user)
            .collect()
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
pub(crate) fn unknown(state: &State, worker: usize) -> impl Iterator<Item = EntryId> + '_ {
    let known = move |id: &EntryId| {
        let batch = state.workers[worker].as_ref();
        batch.is_some_and(|batch| batch.entries.contains(id))
    };
    let ids = state.stream.keys().copied();
    ids.filter(move |id| state.is_held_by(worker, id) && !known(id))
}
