//! Through the streams, over several workers.

use std::collections::BTreeSet;
use std::io::Write as _;

use proptest::prelude::*;
use shared::partition::partition_of;
use shared::queue::Keys;
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;
use xtask::history::HistoryEvent;
use xtask::wait;

use super::{FOREIGN_KEYS, Members};
use crate::helpers::{Worker, World};
use crate::histories::destination::{Destination as _, QUERY_WRITES};
use crate::histories::{DEADLINE, add_to, for_scenarios, scenario};

/// Where workers write, and through which streams.
pub(super) struct Streams<'a> {
    pub(super) world: &'a World,
    pub(super) partitions: u32,
    file: NamedTempFile,
    batch_size: String,
}

impl<'a> Streams<'a> {
    pub(super) fn new(
        world: &'a World,
        members: &Members,
        partitions: u32,
        batch_size: usize,
    ) -> Self {
        let mut file = NamedTempFile::with_suffix(".toml").unwrap();
        file.write_all(members.file().as_bytes()).unwrap();
        Runtime::new().unwrap().block_on(members.create(world));
        Self {
            world,
            partitions,
            file,
            batch_size: batch_size.to_string(),
        }
    }

    pub(super) fn worker(&self) -> Worker {
        let partitions = self.partitions.to_string();
        self.world.worker_with(&[
            ("TABLES_FILE", self.file.path().to_str().unwrap()),
            ("REDIS_PARTITIONS", &partitions),
            ("BATCH_SIZE", &self.batch_size),
            ("RECLAIM_AFTER_MS", "1000"),
            ("RUST_LOG", "info"),
        ])
    }

    /// Each event to the partition of its object, as the ingest does it: parents and children are in different ones.
    pub(super) fn add(&self, group: &[&HistoryEvent]) {
        for partition in 0..self.partitions {
            let is_of_it = |event: &&&HistoryEvent| {
                partition_of(&event.object_id, self.partitions) == partition
            };
            let of_it: Vec<&HistoryEvent> = group.iter().filter(is_of_it).copied().collect();
            add_to(self.world, &Keys::of(partition).events, &of_it);
        }
    }

    /// What is not finished yet.
    pub(super) fn unfinished(&self) -> Vec<String> {
        let script = "local left = redis.call('ZRANGE', KEYS[2], 0, -1)
            for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do left[#left + 1] = entry[2][2] end
            return left";
        let left = (0..self.partitions).flat_map(|partition| {
            let keys = Keys::of(partition);
            let left = self
                .world
                .redis(&["EVAL", script, "2", &keys.events, &keys.retry]);
            left.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        left.filter(|svix_id| !svix_id.is_empty()).collect()
    }

    pub(super) fn dead_letters(&self) -> String {
        let dead = (0..self.partitions).map(|partition| {
            let dead = Keys::of(partition).dead;
            self.world.redis(&["XRANGE", &dead, "-", "+"])
        });
        dead.collect()
    }
}

/// P3, P4, P5: one to four workers, one to four partitions, and in some of the runs a worker is killed.
#[test]
fn any_history_of_members_over_several_workers_and_partitions_ends_as_its_reference() {
    for_scenarios(scenario::of_members, 12, 6, |scenario| {
        // A bit of what is drawn anyway.
        let foreign_keys = FOREIGN_KEYS[scenario.batch_size % FOREIGN_KEYS.len()];
        let members = match scenario.batch_size % 3 {
            0 => Members::with_ids_of_clerk(foreign_keys),
            _ => Members::with_own_ids(foreign_keys),
        };
        let world = World::new();
        let history = scenario.history();
        let streams = Streams::new(&world, &members, scenario.partitions, scenario.batch_size);
        world.sql(&members.before(&scenario));
        let groups = scenario.groups(&history);
        let killed_after = scenario.killed_after.map(|after| after.index(groups.len()));
        let mut workers = Vec::new();
        for (number, group) in groups.iter().enumerate() {
            streams.add(group);
            while workers.len() < scenario.hands {
                workers.push(streams.worker());
            }
            if killed_after == Some(number) {
                workers.remove(0).program.kill();
            }
        }
        while workers.len() < scenario.hands {
            workers.push(streams.worker());
        }
        let finished = wait::block_until("all events are finished", DEADLINE, || {
            streams.unfinished().is_empty()
        });
        prop_assert!(finished.is_ok(), "left: {:?}", streams.unfinished());
        drop(workers);
        prop_assert_eq!(streams.dead_letters(), "");
        members.check(&scenario, &history, &world.sql(&members.query()))?;
        let applied = world.sql("select svix_id from clerk_sync.events where outcome = 'applied'");
        let applied: BTreeSet<&str> = applied.lines().collect();
        let writes = world.sql(QUERY_WRITES);
        members.check_writes(&history, &|svix_id| applied.contains(svix_id), &writes)
    });
}
