//! The ingest from outside: the real binary, asked over HTTP, in front of a real Redis. Every test
//! has servers of its own.

mod answers;
mod bounds;
mod encryption;
mod fault_points;
mod flood;
mod helpers;
mod hostile;
mod limiter;
mod misses;
mod operations;
mod outages;
mod partitions;
mod replicas;
mod secrets;
mod settings;
mod shutdown;
mod verification;
