//! States that differ in names alone are checked once.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use stateright::Representative;

use crate::state::{Batch, Entry, EntryId, State};

/// It does not matter which worker is which, nor which copy of an event.
impl Representative for State {
    fn representative(&self) -> Self {
        let shape = |batch: &Option<Batch>| {
            let batch = batch.as_ref()?;
            Some((
                batch.phase,
                batch.transaction,
                batch.verdicts,
                batch.events(),
            ))
        };
        match shape(&self.workers[0]).cmp(&shape(&self.workers[1])) {
            Ordering::Less => self.swap_workers().number_copies(),
            Ordering::Equal => self
                .swap_workers()
                .number_copies()
                .min(self.number_copies()),
            Ordering::Greater => self.number_copies(),
        }
    }
}

impl State {
    fn swap_workers(&self) -> Self {
        let mut state = self.clone();
        state.workers.swap(0, 1);
        for entry in state.stream.values_mut() {
            if let Entry::Pending(worker) = entry {
                *worker = 1 - *worker;
            }
        }
        for worker in state.unconfirmed.values_mut().flatten() {
            *worker = 1 - *worker;
        }
        state
    }

    /// Numbers the copies of each event by where they are.
    fn number_copies(&self) -> Self {
        let in_batches = self.workers.iter().flatten();
        let in_batches = in_batches.flat_map(|batch| &batch.entries);
        let ids = self.stream.keys().chain(in_batches).copied();
        let mut state = self.clone();
        if ids.clone().all(|id| id.copy == 0) {
            return state;
        }
        let place_of = |id: &EntryId| {
            let place = |batch: &Option<Batch>| {
                let mut entries = batch.as_ref()?.entries.iter();
                entries.position(|entry| entry == id)
            };
            (
                id.event,
                self.stream.get(id),
                self.workers.each_ref().map(place),
            )
        };
        let ids: BTreeSet<EntryId> = ids.collect();
        let mut ids: Vec<EntryId> = ids.into_iter().collect();
        ids.sort_by_key(place_of);
        let number = |id: &EntryId| {
            let copies = ids.iter().filter(|copy| copy.event == id.event);
            let copy = copies.take_while(|copy| *copy != id).count();
            EntryId { copy, ..*id }
        };
        let stream = self.stream.iter();
        state.stream = stream.map(|(id, entry)| (number(id), *entry)).collect();
        for batch in state.workers.iter_mut().flatten() {
            batch.entries.iter_mut().for_each(|id| *id = number(id));
        }
        state
    }
}
