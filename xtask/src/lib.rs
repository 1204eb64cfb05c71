//! Private Redis and PostgreSQL servers, clusters and Sentinels, certificates for them, a connection pooler,
//! the programs under test, histories of events and a sender of signed ones: what the development tasks
//! (`cargo xtask`) and the integration tests of the other crates share.
//!
//! Everything here starts on a free port of 127.0.0.1 with its data in a temporary folder, stops
//! when it is dropped, and dies with the process that started it, even if that one is killed. Calls
//! that are not `async` block their thread.

pub mod certificates;
mod child_process;
pub mod clerk_payload;
pub mod fault_points;
pub mod free_port;
pub mod history;
pub mod http;
pub mod organization_payload;
pub mod packages;
pub mod pgbouncer;
pub mod postgres_server;
pub mod postgres_user;
pub mod program;
pub mod prometheus_server;
pub mod proxy;
pub mod python_packages;
pub mod redis_cluster;
pub mod redis_sentinels;
pub mod redis_server;
pub mod sender;
pub mod server_programs;
pub mod wait;
