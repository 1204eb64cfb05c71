//! What can go wrong.

use std::{fmt, ops::RangeInclusive, time::Duration};

use rand::{RngExt as _, rngs::StdRng};

use super::system::{INGESTS, WORKERS};

/// A kind of fault. "Away" is what a program sees when the proxy in between resets every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    KillRedis,
    KillPostgres,
    KillIngest,
    KillWorker,
    KillEverything,
    /// A worker that has committed cannot delete the tags, and dies.
    KillWorkersWhileRedisIsAway,
    /// A worker that has read cannot commit, and dies.
    KillWorkersWhilePostgresIsAway,
    StopIngest,
    StopWorker,
    PauseIngest,
    PauseWorker,
    CutRedis,
    CutPostgres,
    RefuseRedis,
    RefusePostgres,
    HoldRedis,
    HoldPostgres,
    DelayRedis,
    DelayPostgres,
    FillRedis,
    TerminateSessions,
    ReplayDeadLetters,
}

/// Each kind, what it is called, and how many milliseconds it may last.
#[rustfmt::skip]
const KINDS: [(Kind, &str, RangeInclusive<u64>); 22] = [
    (Kind::KillRedis, "kill -9 Redis", 0..=2_000),
    (Kind::KillPostgres, "kill -9 PostgreSQL", 0..=2_000),
    (Kind::KillIngest, "kill -9 an ingest", 0..=2_000),
    (Kind::KillWorker, "kill -9 a worker", 0..=2_000),
    (Kind::KillEverything, "kill -9 everything at once", 0..=1_000),
    (Kind::KillWorkersWhileRedisIsAway, "kill -9 all workers while Redis is away", 300..=1_500),
    (Kind::KillWorkersWhilePostgresIsAway, "kill -9 all workers while PostgreSQL is away", 300..=1_500),
    (Kind::StopIngest, "SIGTERM an ingest", 0..=0),
    (Kind::StopWorker, "SIGTERM a worker", 0..=0),
    // Past the time after which a worker's entries are taken over.
    (Kind::PauseIngest, "SIGSTOP an ingest", 3_000..=5_000),
    (Kind::PauseWorker, "SIGSTOP a worker", 3_000..=5_000),
    (Kind::CutRedis, "cut the connections to Redis", 0..=0),
    (Kind::CutPostgres, "cut the connections to PostgreSQL", 0..=0),
    (Kind::RefuseRedis, "refuse connections to Redis", 1_500..=3_500),
    (Kind::RefusePostgres, "refuse connections to PostgreSQL", 1_500..=3_500),
    // Past the 5 s after which a program takes Redis to hang.
    (Kind::HoldRedis, "let nothing through to Redis", 5_500..=7_000),
    (Kind::HoldPostgres, "let nothing through to PostgreSQL", 2_000..=5_000),
    (Kind::DelayRedis, "delay the connections to Redis", 2_000..=4_000),
    (Kind::DelayPostgres, "delay the connections to PostgreSQL", 2_000..=4_000),
    (Kind::FillRedis, "fill Redis", 1_500..=3_500),
    (Kind::TerminateSessions, "terminate the sessions of PostgreSQL", 0..=0),
    (Kind::ReplayDeadLetters, "replay the dead letters", 0..=0),
];

impl Kind {
    /// In the order of the enum.
    pub(crate) fn all() -> Vec<Self> {
        KINDS.map(|(kind, ..)| kind).into()
    }

    pub(crate) fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// How many processes it may happen to.
    const fn processes(self) -> usize {
        match self {
            Self::KillIngest | Self::StopIngest | Self::PauseIngest => INGESTS,
            Self::KillWorker | Self::StopWorker | Self::PauseWorker => WORKERS,
            _ => 1,
        }
    }
}

/// A fault with all that makes it happen the same way again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Which of the ingests or workers it happens to, counted from 0.
    pub(crate) process: usize,
    pub(crate) lasting: Duration,
}

impl Fault {
    pub(crate) fn of(kind: Kind, random: &mut StdRng) -> Self {
        Self {
            kind,
            process: random.random_range(0..kind.processes()),
            lasting: Duration::from_millis(random.random_range(KINDS[kind as usize].2.clone())),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.name())?;
        if self.kind.processes() > 1 {
            write!(formatter, ", number {}", self.process + 1)?;
        }
        if !self.lasting.is_zero() {
            write!(formatter, ", for {:.1} s", self.lasting.as_secs_f64())?;
        }
        Ok(())
    }
}
