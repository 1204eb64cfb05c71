//! What Svix, Redis, PostgreSQL, the cache and the workers hold at one moment.

use std::collections::BTreeMap;

use crate::scenario::{EVENTS, Event, USERS};

/// How many worker processes run at the same time.
pub(crate) const WORKERS: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct State {
    /// How many faults may still happen.
    pub(crate) faults: u8,
    pub(crate) deliveries: [Delivery; EVENTS],

    /// `{clerk:0}:events` with its pending entries list. It has no order here: workers read any of
    /// its entries.
    pub(crate) stream: BTreeMap<EntryId, Entry>,
    /// `{clerk:0}:retry` and `{clerk:0}:retry:entries`.
    pub(crate) retry: Set,
    /// `{clerk:0}:retry:objects`: those of them that wait for an address. With two users it is clear
    /// whose.
    pub(crate) retry_objects: Set,
    /// `{clerk:0}:retry:awaited`: those of them that were not woken, each with the version that the other user had when
    /// the event found the address taken.
    pub(crate) awaited: BTreeMap<Event, Option<Event>>,
    /// Those that are due soon, because nobody has looked again, and the worker that is about to.
    pub(crate) unconfirmed: BTreeMap<Event, Option<usize>>,
    /// `{clerk:0}:dead`: an event has one letter at the most.
    pub(crate) dead: Set,

    /// `clerk_sync.events`.
    pub(crate) ledger: [Option<Outcome>; EVENTS],
    /// `clerk_sync.versions`: the newest event of each user. A deletion is the tombstone.
    pub(crate) versions: [Option<Event>; USERS],
    /// `users`: each row by the event that wrote it.
    pub(crate) users: [Option<Event>; USERS],
    /// How often each event has changed `users`.
    pub(crate) effects: [u8; EVENTS],
    /// The cause of a refusal is mended.
    pub(crate) mended: bool,

    /// What the readers of each user's cached row see.
    pub(crate) cache: [Option<Event>; USERS],

    pub(crate) workers: [Option<Batch>; WORKERS],
}

/// One event between Svix and the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Delivery {
    /// Svix is going to send it, for the first time or again.
    Due,
    /// It is on the stream, and Svix has no answer yet.
    Queued,
    /// Svix has its 2xx, although it is not on the stream. Only with [`crate::defects::Defect`].
    Promised,
    /// Svix has its 2xx.
    Answered,
}

/// An entry of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Entry {
    Unread,
    /// In the pending list of a worker.
    Pending(usize),
    /// In the pending list of a worker that has died.
    Abandoned,
}

/// Names an entry. The name is given again only when no worker remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EntryId {
    pub(crate) event: Event,
    pub(crate) copy: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Applied,
    Stale,
}

/// What a worker is working on, and how far it has come. What is parked, lost or dead is not in it
/// any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<EntryId>,
    /// An event of the batch and those that wait, which are to be applied together.
    pub(crate) ring: Set,
    /// The version that the other user had when the event of the batch found the ring.
    pub(crate) seen: Option<Event>,
    /// Which of [`crate::protocol::Protocol::phases`].
    pub(crate) phase: usize,
    pub(crate) transaction: Transaction,
    /// The database has refused the batch: its events are tried one by one (bisection).
    pub(crate) one_by_one: bool,
    pub(crate) verdicts: [Option<Verdict>; EVENTS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Transaction {
    None,
    /// It has claimed the svix-ids of these events.
    Recorded {
        new: Set,
    },
    /// It has also locked the users of these events, and the winners are to be written.
    Claimed {
        new: Set,
        winners: Set,
    },
    /// It is over, but its events are not in the ledger. Only with [`crate::defects::Defect`].
    Unrecorded {
        new: Set,
        winners: Set,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Recorded(Outcome),
    Duplicate,
    /// Its address belongs to another user, who has this version: perhaps there is a ring.
    Waiting(Option<Event>),
    /// To be parked, until an address is free or because a lock did not come.
    Park {
        for_address: Option<Option<Event>>,
    },
    /// Parked until an address is free. Has the other user still this version?
    Parked(Option<Event>),
    /// To be dead-lettered.
    CannotHeal,
    /// Its letter is written, and the entry is still there.
    Lettered,
    /// The ledger did not know it when the letter was there.
    Dead,
}

impl Verdict {
    pub(crate) fn is_recorded(self) -> bool {
        matches!(self, Self::Recorded(_) | Self::Duplicate)
    }
}

impl Batch {
    pub(crate) fn new(entries: Vec<EntryId>) -> Self {
        Self {
            entries,
            ring: Set::default(),
            seen: None,
            phase: 0,
            transaction: Transaction::None,
            one_by_one: false,
            verdicts: [None; EVENTS],
        }
    }

    pub(crate) fn events(&self) -> Set {
        self.entries.iter().map(|entry| entry.event).collect()
    }

    pub(crate) fn copies(&self, event: Event) -> impl Iterator<Item = EntryId> + '_ {
        let entries = self.entries.iter().copied();
        entries.filter(move |entry| entry.event == event)
    }

    /// The events of the present or next transaction.
    pub(crate) fn part(&self) -> Set {
        let all = self.events().iter().chain(self.ring.iter());
        let open = all.filter(|event| self.verdicts[*event].is_none());
        open.take(if self.one_by_one { 1 } else { usize::MAX })
            .collect()
    }

    /// The first event that is still to be parked or dead-lettered.
    pub(crate) fn to_set_aside(&self) -> Option<(Event, Verdict)> {
        self.events().iter().find_map(|event| {
            let verdict = self.verdicts[event]?;
            let is_done = verdict.is_recorded() || verdict == Verdict::Dead;
            (!is_done).then_some((event, verdict))
        })
    }

    /// There is nothing more to do about an event.
    pub(crate) fn drop_event(&mut self, event: Event) {
        self.entries.retain(|entry| entry.event != event);
        self.ring.remove(event);
        self.verdicts[event] = None;
    }
}

impl State {
    /// XADD.
    pub(crate) fn add(&mut self, event: Event) {
        let is_free = |id: &EntryId| {
            let mut batches = self.workers.iter().flatten();
            !self.stream.contains_key(id) && !batches.any(|batch| batch.entries.contains(id))
        };
        let mut ids = (0..).map(|copy| EntryId { event, copy });
        self.stream
            .extend(ids.find(is_free).map(|id| (id, Entry::Unread)));
    }

    pub(crate) fn is_held_by(&self, worker: usize, id: &EntryId) -> bool {
        self.stream.get(id) == Some(&Entry::Pending(worker))
    }

    /// They get new ids.
    pub(crate) fn put_back(&mut self, ids: Vec<EntryId>) {
        for id in ids {
            self.add(id.event);
            self.stream.remove(&id);
        }
    }

    /// An event does not wait any more.
    pub(crate) fn finish_waiting(&mut self, event: Event) {
        self.retry.remove(event);
        self.retry_objects.remove(event);
        self.awaited.remove(&event);
        self.unconfirmed.remove(&event);
    }

    /// Nothing waits and nothing is being worked on, as far as Svix and Redis know. A slow worker may
    /// still be at what others have finished.
    pub(crate) fn is_settled(&self) -> bool {
        self.retry.is_empty()
            && self.stream.is_empty()
            && self
                .deliveries
                .iter()
                .all(|delivery| *delivery == Delivery::Answered)
    }
}

/// A set of events or users.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Set(u8);

impl Set {
    pub(crate) fn contains(self, member: usize) -> bool {
        self.0 & (1 << member) != 0
    }

    pub(crate) fn insert(&mut self, member: usize) {
        self.0 |= 1 << member;
    }

    pub(crate) fn remove(&mut self, member: usize) {
        self.0 &= !(1 << member);
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..8).filter(move |member| self.contains(*member))
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<usize> for Set {
    fn from_iter<T: IntoIterator<Item = usize>>(members: T) -> Self {
        let mut set = Self::default();
        members.into_iter().for_each(|member| set.insert(member));
        set
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

impl State {
    pub(crate) fn new(faults: u8) -> Self {
        Self {
            faults,
            deliveries: [Delivery::Answered; EVENTS],
            stream: BTreeMap::new(),
            retry: Set::default(),
            retry_objects: Set::default(),
            awaited: BTreeMap::new(),
            unconfirmed: BTreeMap::new(),
            dead: Set::default(),
            ledger: [None; EVENTS],
            versions: [None; USERS],
            users: [None; USERS],
            effects: [0; EVENTS],
            mended: false,
            cache: [None; USERS],
            workers: [None, None],
        }
    }
}
