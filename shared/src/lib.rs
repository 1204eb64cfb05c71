#![doc = include_str!("../README.md")]

pub mod admin;
pub mod envelope;
pub mod fault_point;
pub mod logging;
pub mod partition;
pub mod queue;
pub mod redis_link;
pub mod redis_servers;
pub mod settings;
pub mod shutdown;
pub mod startup;
pub mod svix_id;
pub mod tls;
