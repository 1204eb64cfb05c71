#![doc = include_str!("../README.md")]

pub mod backlog;
pub mod body;
pub mod forgery_limiter;
pub mod metrics;
pub mod open_files;
pub mod queue;
pub mod replication;
pub mod server;
pub mod settings;
pub mod signature;
pub mod source_address;
pub mod webhook;
