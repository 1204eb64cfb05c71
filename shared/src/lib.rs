#![doc = include_str!("../README.md")]

pub mod admin;
mod dotenv;
pub mod envelope;
pub mod fault_point;
pub mod log_settings;
pub mod logging;
pub mod partition;
pub mod queue;
pub mod redis_durability;
pub mod redis_link;
pub mod redis_servers;
pub mod settings;
pub mod shutdown;
pub mod startup;
pub mod svix_id;
pub mod terminal;
pub mod tls;
pub mod traces;

/// What `--version` says of both programs: the version, and the commit they were built from (`unknown` where
/// neither Git nor `GIT_COMMIT` told it).
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("COMMIT"), ")");
