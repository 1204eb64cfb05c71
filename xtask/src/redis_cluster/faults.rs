//! What can happen to a cluster.

use anyhow::{Context as _, ensure};

use super::{DEADLINE, RedisCluster};
use crate::{redis_server::RedisServer, wait::block_until};

impl RedisCluster {
    /// SIGKILL for the master of the slot of `key`; returns which node it was.
    ///
    /// # Errors
    ///
    /// When nobody is.
    pub fn kill_master_of(&mut self, key: &str) -> anyhow::Result<usize> {
        let master = self.master_of(key)?;
        self.nodes[master].kill();
        Ok(master)
    }

    /// SIGKILL for all of them.
    pub fn kill_all(&mut self) {
        self.nodes.iter_mut().for_each(RedisServer::kill);
    }

    /// Starts every node that is not running; one whose place another has taken becomes its replica.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::restart`].
    pub fn restart_killed(&mut self) -> anyhow::Result<()> {
        let mut killed = self.nodes.iter_mut().filter(|node| !node.is_running());
        killed.try_for_each(RedisServer::restart)
    }

    /// Waits until a node serves the slot of `key` again.
    ///
    /// # Errors
    ///
    /// When none does.
    pub fn wait_for_master_of(&self, key: &str) -> anyhow::Result<()> {
        block_until("a replica has become master", DEADLINE, || {
            self.master_of(key).is_ok()
        })
    }

    /// Moves the slot of `key`, with all that is in it, to another master, by the steps of
    /// <https://redis.io/docs/latest/commands/cluster-setslot/>.
    ///
    /// # Errors
    ///
    /// When a node refuses.
    pub fn move_slot_of(&self, key: &str) -> anyhow::Result<()> {
        let source = self.master_of(key)?;
        let is_other_master = |number: &usize| {
            *number != source
                && self.nodes[*number]
                    .cli(&["ROLE"])
                    .is_ok_and(|role| role.starts_with("master"))
        };
        let target = (0..self.nodes.len())
            .find(is_other_master)
            .context("there is no other master")?;
        let port = self.port(target).to_string();
        let (source, target) = (&self.nodes[source], &self.nodes[target]);
        let slot = source.cli(&["CLUSTER", "KEYSLOT", key])?;
        let source_id = source.cli(&["CLUSTER", "MYID"])?;
        let target_id = target.cli(&["CLUSTER", "MYID"])?;
        target.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id])?;
        source.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id])?;
        loop {
            let keys = source.cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"])?;
            if keys.is_empty() {
                break;
            }
            for key in keys.lines() {
                source.cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"])?;
            }
        }
        for node in [target, source] {
            node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id])?;
        }
        ensure!(
            target.cli(&["EXISTS", key]).is_ok(),
            "the slot has not moved"
        );
        Ok(())
    }
}
