//! A private Redis Cluster.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};

use crate::{
    certificates::Authority, free_port::free_port, redis_server::RedisServer, wait::block_until,
};

const MASTERS: u16 = 3;
const SLOTS: u16 = 16_384;
const DEADLINE: Duration = Duration::from_secs(60);

/// Three masters that share all slots, each with a replica that takes its place when it is gone for two
/// seconds.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    /// Where each speaks TLS, if they do.
    tls_ports: Vec<u16>,
}

impl RedisCluster {
    /// Starts six servers, joins them, and waits until all slots are served.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`], or when they do not come together.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_in(&std::env::temp_dir(), &[])
    }

    /// The same with the data in new folders inside `parent`, and with more arguments for each server.
    ///
    /// # Errors
    ///
    /// As [`RedisCluster::start`].
    pub fn start_in(parent: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        Self::launch(parent, arguments, None)
    }

    /// The same, and all nodes speak TLS with each other and with clients, with a certificate for 127.0.0.1
    /// that `authority` signs.
    ///
    /// # Errors
    ///
    /// As [`RedisCluster::start`], or when no certificate can be made.
    pub fn start_encrypted(authority: &Authority) -> anyhow::Result<Self> {
        Self::launch(&std::env::temp_dir(), &[], Some(authority))
    }

    fn launch(
        parent: &Path,
        arguments: &[&str],
        authority: Option<&Authority>,
    ) -> anyhow::Result<Self> {
        let mut of_tls = Vec::new();
        if let Some(authority) = authority {
            let certificate = authority.server(&["127.0.0.1"])?;
            // To the others a node is a client.
            let of_a_client = authority.client("node")?;
            for (name, file) in [
                ("--tls-cert-file", certificate.certificate),
                ("--tls-key-file", certificate.key),
                ("--tls-client-cert-file", of_a_client.certificate),
                ("--tls-client-key-file", of_a_client.key),
                ("--tls-ca-cert-file", authority.file()),
            ] {
                of_tls.extend([name.to_owned(), file.to_string_lossy().into_owned()]);
            }
            for (name, value) in [
                ("--tls-auth-clients", "no"),
                ("--tls-cluster", "yes"),
                ("--tls-replication", "yes"),
            ] {
                of_tls.extend([name.to_owned(), value.to_owned()]);
            }
        }
        let mut tls_ports = Vec::new();
        let mut bus_ports = Vec::new();
        let mut nodes = Vec::new();
        for _ in 0..2 * MASTERS {
            let bus_port = free_port()?.to_string();
            let of_a_node = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus_port,
                "--cluster-node-timeout",
                "2000",
                // However old a replica's data are: a master that was told to wait for it has not gone on without.
                "--cluster-replica-validity-factor",
                "0",
                "--repl-diskless-sync-delay",
                "0",
            ];
            let mut arguments = [&of_a_node, arguments].concat();
            let tls_port = free_port()?;
            let port = tls_port.to_string();
            if authority.is_some() {
                tls_ports.push(tls_port);
                arguments.extend(of_tls.iter().map(String::as_str));
                arguments.extend(["--tls-port", &port]);
            }
            nodes.push(RedisServer::start_in(parent, &arguments)?);
            bus_ports.push(bus_port);
        }
        let cluster = Self { nodes, tls_ports };
        let (masters, replicas) = cluster.nodes.split_at(MASTERS.into());
        for (place, (node, bus_port)) in cluster.nodes.iter().zip(&bus_ports).enumerate() {
            // Each its own epoch, or masters that meet would first have to settle whose slots are whose.
            let epoch = (place + 1).to_string();
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])?;
            let port = cluster.port(place).to_string();
            masters[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &port, bus_port])?;
        }
        for (number, master) in (0..).zip(masters) {
            let first = SLOTS / MASTERS * number;
            let last = if number + 1 == MASTERS {
                SLOTS - 1
            } else {
                SLOTS / MASTERS * (number + 1) - 1
            };
            let (first, last) = (first.to_string(), last.to_string());
            master.cli(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
        }
        for (master, replica) in masters.iter().zip(replicas) {
            let id = master.cli(&["CLUSTER", "MYID"])?;
            block_until("the nodes know each other", DEADLINE, || {
                replica.cli(&["CLUSTER", "REPLICATE", &id]).is_ok()
            })?;
        }
        cluster.settle()?;
        Ok(cluster)
    }

    /// `redis://127.0.0.1:PORT,127.0.0.1:PORT`, two of the nodes, or the same with `rediss`.
    pub fn url(&self) -> String {
        let scheme = if self.tls_ports.is_empty() {
            "redis"
        } else {
            "rediss"
        };
        let (first, second) = (self.port(0), self.port(1));
        format!("{scheme}://127.0.0.1:{first},127.0.0.1:{second}")
    }

    /// The port by which a node is known to the others and to clients.
    fn port(&self, node: usize) -> u16 {
        let tls_port = self.tls_ports.get(node);
        tls_port.copied().unwrap_or_else(|| self.nodes[node].port())
    }

    /// All its servers.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Waits until every node that runs sees all slots served, and every master that runs has a replica,
    /// unless nodes are missing.
    ///
    /// # Errors
    ///
    /// When that does not come to be.
    pub fn settle(&self) -> anyhow::Result<()> {
        block_until("all slots are served and replicated", DEADLINE, || {
            self.nodes
                .iter()
                .all(|node| !node.is_running() || is_settled(node))
        })
    }

    /// Runs redis-cli for a key: against the master of its slot.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`], or when nobody serves the slot.
    pub fn cli(&self, key: &str, arguments: &[&str]) -> anyhow::Result<String> {
        self.nodes[self.master_of(key)?].cli(arguments)
    }

    /// Which of the nodes is the master of the slot of `key`.
    ///
    /// # Errors
    ///
    /// When nobody is.
    pub fn master_of(&self, key: &str) -> anyhow::Result<usize> {
        let is_master = |node: &RedisServer| {
            node.cli(&["ROLE"])
                .is_ok_and(|role| role.starts_with("master"))
                // A redirection is an error to redis-cli.
                && node.cli(&["EXISTS", key]).is_ok()
        };
        let found = self
            .nodes
            .iter()
            .position(|node| node.is_running() && is_master(node));
        found.with_context(|| format!("no node serves the slot of {key}"))
    }

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

fn is_settled(node: &RedisServer) -> bool {
    let is_ok = node
        .cli(&["CLUSTER", "INFO"])
        .is_ok_and(|info| info.contains("cluster_state:ok"));
    let is_replicated = node.cli(&["INFO", "replication"]).is_ok_and(|info| {
        info.contains("master_link_status:up") || !info.contains("connected_slaves:0")
    });
    is_ok && is_replicated
}
