//! The obvious wrong orders, and that the checker finds what each of them breaks.

/// One thing done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// XACK and XDEL, then the transaction.
    AcknowledgeBeforeCommit,
    /// Tags are deleted, then the transaction.
    TagsBeforeCommit,
    /// The ledger is written in a transaction of its own, before the change.
    LedgerBeforeTransaction,
    /// The ledger is written in a transaction of its own, after the change.
    LedgerAfterTransaction,
    /// A deletion removes the user's version.
    NoTombstone,
    /// Who is newer is decided from a snapshot, without the row lock.
    NoRowLock,
    /// 2xx, then XADD.
    AnswerBeforeXadd,
    /// No tags are deleted for what stands in the ledger already.
    TagsOfAppliedOnly,
    /// The entry is removed from the stream, then added to those that wait.
    ParkInTwoSteps,
    /// dead_letter.lua without looking who holds the entry.
    ZombieDeadLetters,
    /// Nobody claims what a dead worker has read.
    NoTakeOver,
    /// Nobody puts back what waits.
    NoUnpark,
}
