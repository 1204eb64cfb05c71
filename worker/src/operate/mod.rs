//! What people ask a worker: whether it is ready, how it goes, what became of an event, what one would write, and
//! whether the tables file fits the database.
//!
//! Nothing here changes anything, and nothing waits for it: the status page has its own connection to PostgreSQL.

pub mod check;
pub mod explain;
pub mod health;
pub mod preview;
pub mod status;
