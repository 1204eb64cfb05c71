//! pgbench, PostgreSQL's own load generator: what the database does without us.

use std::{io::Write as _, process::Command};

use anyhow::{Context as _, ensure};
use xtask::{postgres_server::PostgresServer, server_programs};

/// What pgbench repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// An upsert of one user, 8 clients.
    OneByOne,
    /// The worker's three writes in batches, one client.
    Batched,
}

impl Script {
    /// Events in one of its transactions.
    const fn batch(self) -> usize {
        match self {
            Self::OneByOne => 1,
            Self::Batched => 256,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::OneByOne => include_str!("sql/upsert_one.sql"),
            Self::Batched => include_str!("sql/batched_ceiling.sql"),
        }
    }

    const fn clients(self) -> usize {
        match self {
            Self::OneByOne => 8,
            Self::Batched => 1,
        }
    }

    /// How many rows `users` has after so many transactions, at least and at the most.
    fn users(self, transactions: usize) -> (usize, usize) {
        match self {
            Self::OneByOne => (transactions / 2, transactions / 2 + 8),
            // The first twenty batches "change" users who are not there yet.
            Self::Batched => (128 * transactions, 128 * (transactions + 20)),
        }
    }
}

/// What pgbench came to.
pub(crate) struct Outcome {
    pub(crate) events: usize,
    pub(crate) events_per_second: f64,
}

/// Runs a script for some seconds on a database that has our tables and nothing in them.
pub(crate) fn run(
    postgres: &PostgresServer,
    database: &str,
    script: Script,
    seconds: u32,
) -> anyhow::Result<Outcome> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(script.text().as_bytes())?;
    let program = server_programs::postgres_binaries()?.join("pgbench");
    let output = Command::new(&program)
        .args(["--no-vacuum", "--protocol=prepared"])
        .args(["--define=event=0", "--define=batch=0"])
        .arg(format!("--client={}", script.clients()))
        .arg(format!("--jobs={}", script.clients().min(2)))
        .arg(format!("--time={seconds}"))
        .arg("--file")
        .arg(file.path())
        .arg(database)
        .output()
        .with_context(|| format!("{} (of the package postgresql)", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "pgbench: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let transactions: usize =
        number(&text, "number of transactions actually processed: ").context("pgbench's output")?;
    let rate: f64 = number(&text, "tps = ").context("pgbench's output")?;
    let users: usize = postgres
        .psql(database, "select count(*) from users")?
        .parse()?;
    let (least, most) = script.users(transactions);
    ensure!(
        (least..=most).contains(&users),
        "{script:?}: {users} users after {transactions} transactions"
    );
    Ok(Outcome {
        events: transactions * script.batch(),
        events_per_second: rate * script.batch() as f64,
    })
}

/// The number behind a label.
fn number<T: std::str::FromStr>(text: &str, label: &str) -> Option<T> {
    let (_, behind) = text.split_once(label)?;
    behind
        .split(|character: char| character != '.' && !character.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_what_pgbench_prints() {
        let text = "number of transactions actually processed: 77081\nnumber of failed transactions: 0 (0.000%)\ntps = 12850.264 (without initial connection time)\n";
        assert_eq!(
            number(text, "number of transactions actually processed: "),
            Some(77_081)
        );
        assert_eq!(number(text, "tps = "), Some(12_850.264));
        assert_eq!(number::<f64>(text, "latency = "), None);
    }
}
