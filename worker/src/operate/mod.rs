//! What people ask a worker: whether it is ready, how it goes, what became of an event, and what one would write.
//!
//! Nothing here changes anything, and nothing waits for it: the status page has its own connection to PostgreSQL.

pub mod explain;
pub mod health;
pub mod preview;
pub mod status;
