//! What becomes of an event, as the ledger records it.

/// The outcomes that the ledger records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The event is, or was, what the row shows.
    Applied,
    /// Something newer of the same user was there already.
    Stale,
    /// The event asks for nothing.
    Ignored,
}

impl Outcome {
    /// The word in `clerk_sync.events.outcome`, in logs and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Stale => "stale",
            Self::Ignored => "ignored",
        }
    }
}
