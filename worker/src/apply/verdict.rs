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
    /// Another row has a unique value that it wants, or a row that it needs is missing.
    Waiting(Awaited),
    /// The database refuses it.
    Refused(Refusal),
    /// It is another worker's by now: nothing was done about it, and nothing is to be.
    Lost,
}

/// Why an event is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// As [`Verdict::Waiting`].
    Waiting(Awaited),
    /// As [`Verdict::Refused`].
    Refused(Refusal),
    /// Its object has no row, and this section makes none.
    Ignored,
    /// Its object has no row, and none is made: the object that it belongs or refers to is deleted.
    Stale,
}

impl LeftOut {
    /// Why.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Waiting(awaited) => &awaited.reason,
            Self::Refused(refusal) => &refusal.reason,
            Self::Ignored => "it has no row",
            Self::Stale => "it refers to a deleted object",
        }
    }

    /// What the ledger says of the event, if it stands there.
    pub(crate) const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Ignored => Some(Outcome::Ignored),
            Self::Stale => Some(Outcome::Stale),
            Self::Waiting(_) | Self::Refused(_) => None,
        }
    }

    /// Whether it may be the table that is another one than it was.
    pub(crate) const fn doubts_the_table(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.doubts_the_table)
    }
}
