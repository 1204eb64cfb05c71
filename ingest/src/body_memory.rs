//! The memory that bodies may take together, and who gives way when it is short.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Memory for bodies, for the bytes of them that have come.
///
/// When it is short, the body that has been on its way for longest gives way. A delivery arrives in a moment, so senders
/// that stall give way to it, however many there are.
pub struct BodyMemory {
    /// One permit a byte.
    free: Arc<Semaphore>,
    unfinished: Mutex<Unfinished>,
}

/// The bodies that are on their way.
#[derive(Default)]
struct Unfinished {
    /// How many there have been.
    begun: u64,
    /// The memory of each, oldest first. The guard tells a body to give way when it is removed from here.
    bodies: BTreeMap<u64, (OwnedSemaphorePermit, DropGuard)>,
}

/// A body that is on its way. Its memory is free again when this is dropped.
pub struct UnfinishedBody<'a> {
    memory: &'a BodyMemory,
    number: u64,
    gives_way: CancellationToken,
}

/// There is no memory left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMemory;

impl BodyMemory {
    /// `bytes` of it, or the most that can be counted.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))),
            unfinished: Mutex::default(),
        }
    }

    /// Memory for `bytes` that have come.
    ///
    /// # Errors
    /// When there is none, and none that an unfinished body could give.
    pub fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, NoMemory> {
        match self.free(bytes) {
            Some(memory) => Ok(memory),
            None => self.take_from_others(&mut self.unfinished(), bytes, u64::MAX),
        }
    }

    /// Goes on with a body of which only the bytes of `memory` have come.
    pub fn begin(&self, memory: OwnedSemaphorePermit) -> UnfinishedBody<'_> {
        let gives_way = CancellationToken::new();
        let mut unfinished = self.unfinished();
        unfinished.begun += 1;
        let number = unfinished.begun;
        let guard = gives_way.clone().drop_guard();
        unfinished.bodies.insert(number, (memory, guard));
        UnfinishedBody {
            memory: self,
            number,
            gives_way,
        }
    }

    fn free(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).ok()?;
        Arc::clone(&self.free).try_acquire_many_owned(permits).ok()
    }

    /// Takes the memory of bodies that are older than `number` until there is enough.
    fn take_from_others(
        &self,
        unfinished: &mut Unfinished,
        bytes: usize,
        number: u64,
    ) -> Result<OwnedSemaphorePermit, NoMemory> {
        loop {
            if let Some(memory) = self.free(bytes) {
                return Ok(memory);
            }
            let oldest = unfinished.bodies.first_entry();
            match oldest.filter(|oldest| *oldest.key() < number) {
                Some(oldest) => drop(oldest.remove()),
                None => return Err(NoMemory),
            }
        }
    }

    fn unfinished(&self) -> MutexGuard<'_, Unfinished> {
        self.unfinished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnfinishedBody<'_> {
    /// Memory for `bytes` more.
    ///
    /// # Errors
    /// When there is none, or the body had to give way.
    pub fn grow(&self, bytes: usize) -> Result<(), NoMemory> {
        let mut unfinished = self.memory.unfinished();
        let more = self
            .memory
            .take_from_others(&mut unfinished, bytes, self.number)?;
        let (memory, _) = unfinished.bodies.get_mut(&self.number).ok_or(NoMemory)?;
        memory.merge(more);
        Ok(())
    }

    /// Returns once the body has to give way.
    pub async fn gives_way(&self) {
        self.gives_way.cancelled().await;
    }

    /// The memory of the whole body.
    ///
    /// # Errors
    /// When it had to give way.
    pub fn finish(self) -> Result<OwnedSemaphorePermit, NoMemory> {
        let finished = self.memory.unfinished().bodies.remove(&self.number);
        finished.map(|(memory, _)| memory).ok_or(NoMemory)
    }
}

impl Drop for UnfinishedBody<'_> {
    fn drop(&mut self) {
        self.memory.unfinished().bodies.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unfinished_body_gives_way() {
        let memory = BodyMemory::new(10);
        let bodies: Vec<_> = (0..3)
            .map(|_| memory.begin(memory.take(3).unwrap()))
            .collect();
        let whole = memory.take(1).unwrap();
        let another = memory.take(2).unwrap();
        assert!(bodies[0].gives_way.is_cancelled());
        assert!(!bodies[1].gives_way.is_cancelled());
        assert_eq!(bodies[0].grow(1), Err(NoMemory));
        assert_eq!(bodies[1].grow(1), Ok(()));
        // It is the oldest now, so nobody gives way to it.
        assert_eq!(bodies[1].grow(1), Err(NoMemory));
        assert_eq!(bodies[2].grow(1), Ok(()));
        assert!(bodies[1].gives_way.is_cancelled());
        drop((whole, another, bodies));
        assert_eq!(memory.free.available_permits(), 10);
    }

    #[test]
    fn a_whole_body_keeps_its_memory() {
        let memory = BodyMemory::new(10);
        let body = memory.begin(memory.take(5).unwrap());
        body.grow(5).unwrap();
        let whole = body.finish().unwrap();
        assert_eq!(memory.take(1).err(), Some(NoMemory));
        drop(whole);
        assert!(memory.take(10).is_ok());
        assert_eq!(memory.take(11).err(), Some(NoMemory));
    }
}
