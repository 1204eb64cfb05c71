//! A private Redis Cluster.

mod faults;

use std::{path::Path, time::Duration};

use anyhow::Context as _;

use crate::{
    certificates::Authority, free_port::free_port, redis_server::RedisServer, wait::block_until,
};

const MASTERS: u16 = 3;
const SLOTS: u16 = 16_384;
const DEADLINE: Duration = Duration::from_secs(60);
const ARGUMENTS: [&str; 8] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "2000",
    // However old a replica's data are: a master that was told to wait for it has not gone on without.
    "--cluster-replica-validity-factor",
    "0",
    "--repl-diskless-sync-delay",
    "0",
];

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
        let of_tls = authority.map_or_else(|| Ok(Vec::new()), arguments_of_tls)?;
        let mut arguments = arguments.to_vec();
        arguments.extend(of_tls.iter().map(String::as_str));
        let mut cluster = Self {
            nodes: Vec::new(),
            tls_ports: Vec::new(),
        };
        let mut bus_ports = Vec::new();
        for _ in 0..2 * MASTERS {
            let (bus_port, tls_port) = (free_port()?, free_port()?);
            let [bus, tls] = [bus_port, tls_port].map(|port| port.to_string());
            let mut arguments =
                [&ARGUMENTS, arguments.as_slice(), &["--cluster-port", &bus]].concat();
            if authority.is_some() {
                cluster.tls_ports.push(tls_port);
                arguments.extend(["--tls-port", &tls]);
            }
            cluster
                .nodes
                .push(RedisServer::start_in(parent, &arguments)?);
            bus_ports.push(bus);
        }
        let (masters, replicas) = cluster.nodes.split_at(MASTERS.into());
        cluster.introduce(&bus_ports)?;
        share_slots(masters)?;
        replicate(masters, replicas)?;
        cluster.settle()?;
        Ok(cluster)
    }

    /// Tells the first node of all others, who then hear of each other.
    fn introduce(&self, bus_ports: &[String]) -> anyhow::Result<()> {
        for (place, (node, bus_port)) in self.nodes.iter().zip(bus_ports).enumerate() {
            // Each its own epoch, or masters that meet would first have to settle whose slots are whose.
            let epoch = (place + 1).to_string();
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])?;
            let port = self.port(place).to_string();
            self.nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &port, bus_port])?;
        }
        Ok(())
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
}

/// With which each node speaks TLS.
fn arguments_of_tls(authority: &Authority) -> anyhow::Result<Vec<String>> {
    let certificate = authority.server(&["127.0.0.1"])?;
    // To the others a node is a client.
    let of_a_client = authority.client("node")?;
    let files = [
        ("--tls-cert-file", certificate.certificate),
        ("--tls-key-file", certificate.key),
        ("--tls-client-cert-file", of_a_client.certificate),
        ("--tls-client-key-file", of_a_client.key),
        ("--tls-ca-cert-file", authority.file()),
    ];
    let files = files.map(|(name, file)| [name.into(), file.to_string_lossy().into_owned()]);
    let switches = [
        ["--tls-auth-clients", "no"],
        ["--tls-cluster", "yes"],
        ["--tls-replication", "yes"],
    ];
    let switches = switches.map(|words| words.map(str::to_owned));
    Ok([files.as_flattened(), switches.as_flattened()].concat())
}

/// Gives each of the masters as many slots as the others.
fn share_slots(masters: &[RedisServer]) -> anyhow::Result<()> {
    for (number, master) in (0..).zip(masters) {
        // The last one has what does not divide.
        let last = if number + 1 == MASTERS {
            SLOTS
        } else {
            SLOTS / MASTERS * (number + 1)
        };
        let (first, last) = (SLOTS / MASTERS * number, last - 1);
        let (first, last) = (first.to_string(), last.to_string());
        master.cli(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
    }
    Ok(())
}

/// Gives each of the masters a replica.
fn replicate(masters: &[RedisServer], replicas: &[RedisServer]) -> anyhow::Result<()> {
    for (master, replica) in masters.iter().zip(replicas) {
        let id = master.cli(&["CLUSTER", "MYID"])?;
        block_until("the nodes know each other", DEADLINE, || {
            replica.cli(&["CLUSTER", "REPLICATE", &id]).is_ok()
        })?;
    }
    Ok(())
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
