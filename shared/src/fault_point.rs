//! Named points between two effects, at which a test can let a fault happen.
//!
//! In builds for tests only (the feature `fault-points`, which nothing but `[dev-dependencies]` turns
//! on) a process that reaches a point tells so to the address in `FAULT_POINTS_ADDR`, if that is set,
//! and waits there until it is let go. In the meantime the test kills it, stops it, or cuts its
//! connections. In any other build a point is nothing.

macro_rules! fault_points {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Says what has just happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FaultPoint { $($(#[$doc])* $name,)* }

        impl FaultPoint {
            /// Every point.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

fault_points! {
    /// Ingest: the request is verified, and nothing has been said to Redis.
    Verified,
    /// Ingest: Redis has the entry, and the sender has no answer.
    Queued,
    /// Worker: it alone may migrate the database.
    MigrationLocked,
    /// Worker: the database is migrated, and the lock still held.
    Migrated,
    /// Worker: what it held and did not know of is back on the stream.
    HandedBack,
    /// Worker: Redis has given it entries.
    Read,
    /// Worker: it has taken over entries of another one.
    TakenOver,
    /// Worker: a transaction has begun.
    Begun,
    /// Worker: the events stand in the ledger, uncommitted, as does all that follows until the commit.
    LedgerWritten,
    /// Worker: the objects that rows refer to are locked.
    ParentsLocked,
    /// Worker: the users are locked, their versions written.
    VersionsClaimed,
    /// Worker: users who swap addresses have let go of theirs.
    AddressesVacated,
    /// Worker: rows are deleted.
    RowsDeleted,
    /// Worker: rows are written.
    RowsWritten,
    /// Worker: the transaction is complete but for the commit.
    BeforeCommit,
    /// Worker: the transaction is committed, and nobody else knows.
    Committed,
    /// Worker: the transaction is rolled back, because an event has to wait for its address.
    RolledBack,
    /// Worker: the cache tags are deleted, and the entries still pending.
    TagsDeleted,
    /// Worker: those who waited for what was changed are due, and the entries still pending.
    Woken,
    /// Worker: an entry is parked, and nobody has looked yet whether what it waits for has changed meanwhile.
    /// Others of its batch are still pending.
    Parked,
    /// Worker: what waits of a batch waits as long as it is to.
    LookedAgain,
    /// Worker: an event is with the dead letters, and its entry still pending.
    DeadLettered,
    /// Worker: of users who swap addresses all are applied, and nobody else knows.
    RingCommitted,
    /// Worker: their cache tags are deleted too.
    RingTagsDeleted,
    /// Worker: of users who swap addresses all are applied, and what waited is removed.
    RingClosed,
    /// Worker: of users who swap addresses those who could not be applied wait as long as they were to.
    RingPutOff,
    /// Worker: the batch is acknowledged and removed.
    Finished,
    /// Worker: entries that were due are back on the stream.
    Unparked,
    /// Worker: it stops, and has handed back what it held.
    Left,
}

/// Nothing, outside of tests.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub async fn reach(_: FaultPoint) {}

/// Waits until whoever listens at `FAULT_POINTS_ADDR` lets the process go on. Goes on at once if
/// nobody does.
#[cfg(feature = "fault-points")]
pub async fn reach(point: FaultPoint) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let Ok(address) = std::env::var("FAULT_POINTS_ADDR") else {
        return;
    };
    let Ok(mut listener) = tokio::net::TcpStream::connect(address).await else {
        return;
    };
    if listener
        .write_all(format!("{point:?}\n").as_bytes())
        .await
        .is_ok()
    {
        // The end of the connection is the sign to go on.
        let _ = listener.read_u8().await;
    }
}
