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

impl Kind {
    pub(crate) const ALL: [Self; 22] = [
        Self::KillRedis,
        Self::KillPostgres,
        Self::KillIngest,
        Self::KillWorker,
        Self::KillEverything,
        Self::KillWorkersWhileRedisIsAway,
        Self::KillWorkersWhilePostgresIsAway,
        Self::StopIngest,
        Self::StopWorker,
        Self::PauseIngest,
        Self::PauseWorker,
        Self::CutRedis,
        Self::CutPostgres,
        Self::RefuseRedis,
        Self::RefusePostgres,
        Self::HoldRedis,
        Self::HoldPostgres,
        Self::DelayRedis,
        Self::DelayPostgres,
        Self::FillRedis,
        Self::TerminateSessions,
        Self::ReplayDeadLetters,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KillRedis => "kill -9 Redis",
            Self::KillPostgres => "kill -9 PostgreSQL",
            Self::KillIngest => "kill -9 an ingest",
            Self::KillWorker => "kill -9 a worker",
            Self::KillEverything => "kill -9 everything at once",
            Self::KillWorkersWhileRedisIsAway => "kill -9 all workers while Redis is away",
            Self::KillWorkersWhilePostgresIsAway => "kill -9 all workers while PostgreSQL is away",
            Self::StopIngest => "SIGTERM an ingest",
            Self::StopWorker => "SIGTERM a worker",
            Self::PauseIngest => "SIGSTOP an ingest",
            Self::PauseWorker => "SIGSTOP a worker",
            Self::CutRedis => "cut the connections to Redis",
            Self::CutPostgres => "cut the connections to PostgreSQL",
            Self::RefuseRedis => "refuse connections to Redis",
            Self::RefusePostgres => "refuse connections to PostgreSQL",
            Self::HoldRedis => "let nothing through to Redis",
            Self::HoldPostgres => "let nothing through to PostgreSQL",
            Self::DelayRedis => "delay the connections to Redis",
            Self::DelayPostgres => "delay the connections to PostgreSQL",
            Self::FillRedis => "fill Redis",
            Self::TerminateSessions => "terminate the sessions of PostgreSQL",
            Self::ReplayDeadLetters => "replay the dead letters",
        }
    }

    /// How long it may last, in milliseconds.
    const fn lasting(self) -> RangeInclusive<u64> {
        match self {
            Self::KillRedis | Self::KillPostgres | Self::KillIngest | Self::KillWorker => 0..=2_000,
            Self::KillEverything => 0..=1_000,
            Self::KillWorkersWhileRedisIsAway | Self::KillWorkersWhilePostgresIsAway => 300..=1_500,
            // Past the time after which a worker's entries are taken over.
            Self::PauseIngest | Self::PauseWorker => 3_000..=5_000,
            Self::RefuseRedis | Self::RefusePostgres | Self::FillRedis => 1_500..=3_500,
            // Past the 5 s after which a program takes Redis to hang.
            Self::HoldRedis => 5_500..=7_000,
            Self::HoldPostgres => 2_000..=5_000,
            Self::DelayRedis | Self::DelayPostgres => 2_000..=4_000,
            Self::StopIngest
            | Self::StopWorker
            | Self::CutRedis
            | Self::CutPostgres
            | Self::TerminateSessions
            | Self::ReplayDeadLetters => 0..=0,
        }
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
            lasting: Duration::from_millis(random.random_range(kind.lasting())),
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
