//! What the worker promises, through the real binary, on a real Redis and PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod addresses;
mod applications;
mod cache;
mod catalogue;
mod clerk_server;
mod convergence;
mod crash;
mod dead_letters;
mod dropping;
mod encryption;
mod entry;
mod events;
mod existing_table;
mod explain;
mod failover;
mod fault_points;
mod helpers;
mod histories;
mod hostile_payloads;
mod ingest;
mod isolation;
mod mappings;
mod operation;
mod outages;
mod partitions;
mod pooler;
mod reconcile;
mod retries;
mod second_deletion;
mod secrets;
mod several_servers;
mod shutdown;
mod status;
mod tables;
mod take_over;
mod traces;
mod upgrade;
mod values;
mod waking;
