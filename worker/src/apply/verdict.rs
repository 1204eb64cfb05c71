//! What became of an event in the transaction.

use crate::apply::awaited::Awaited;
use crate::database::failure::Refusal;
use crate::decide::outcome::Outcome;

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stands in the ledger, since now.
    Recorded(Outcome),
    /// It stood in the ledger before.
    Duplicate,
    /// Another object is in its way: its address belongs to another user.
    Waiting(Awaited),
    /// The database refuses it.
    Refused(Refusal),
    /// It is another worker's by now: nothing was done about it, and nothing is to be.
    Lost,
}
