//! How fast workers drain a backlog, beside what the database does without them.

pub(crate) mod drain;
pub(crate) mod servers;

use std::collections::BTreeMap;

use tokio::task::block_in_place;

use super::{
    backlog::{Backlog, Mix},
    measurement::{Measurement, median},
    pgbench::{self, Script},
    scale::Scale,
};
use drain::{Outcome, cpu_details};
use servers::Servers;

const SMALL: usize = 10_000;
const MEDIUM: usize = 100_000;
const LARGE: usize = 1_000_000;
const MIXES: [Mix; 3] = [Mix::Upserts, Mix::Deletions, Mix::Refusals];

/// Drains backlogs of several sizes and mixes with several numbers of workers.
pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
    let mut servers = Servers::start().await?;
    let mut rows = Row::all(scale.short);
    let backlogs = build(&mut servers, &rows).await?;
    for round in 0..scale.rounds {
        for row in &mut rows {
            if round < row.rounds(scale.rounds) {
                let outcome = match row.what {
                    What::Drain(size, mix, workers) => {
                        servers.drain(&backlogs[&(size, mix)], workers).await?
                    }
                    What::Pgbench(script) => {
                        let seconds = if scale.short { 1 } else { 6 };
                        block_in_place(|| run_pgbench(&servers, script, seconds))?
                    }
                };
                row.add(outcome);
            }
        }
    }
    Ok(rows.into_iter().map(Row::finish).collect())
}

type Backlogs = BTreeMap<(usize, Mix), Backlog>;

async fn build(servers: &mut Servers, rows: &[Row]) -> anyhow::Result<Backlogs> {
    let mut backlogs = Backlogs::new();
    servers.begin_filling().await?;
    for row in rows {
        if let What::Drain(size, mix, _) = row.what
            && !backlogs.contains_key(&(size, mix))
        {
            let backlog = Backlog::build(&mut servers.redis, mix, size).await?;
            eprintln!(
                "worker: a backlog of {} stands ready ({mix})",
                thousands(size)
            );
            backlogs.insert((size, mix), backlog);
        }
    }
    servers.end_filling().await?;
    Ok(backlogs)
}

fn run_pgbench(servers: &Servers, script: Script, seconds: u32) -> anyhow::Result<Outcome> {
    let database = servers.new_database()?;
    let before = servers.cpu_seconds(&[])?;
    let outcome = pgbench::run(&servers.postgres, &database, script, seconds)?;
    let mut details = cpu_details(&before, &servers.cpu_seconds(&[])?, outcome.events);
    details.retain(|name, _| name.contains("PostgreSQL"));
    servers.drop_database(&database)?;
    Ok(Outcome {
        events_per_second: outcome.events_per_second,
        details,
    })
}

#[derive(Clone, Copy)]
enum What {
    /// So many entries of this mix, by so many workers.
    Drain(usize, Mix, usize),
    Pgbench(Script),
}

struct Row {
    what: What,
    measurement: Measurement,
    details: BTreeMap<String, Vec<f64>>,
}

impl Row {
    /// In the order in which they take turns.
    fn all(short: bool) -> Vec<Self> {
        let mut all = Vec::new();
        let (medium, numbers): (usize, &[usize]) = if short {
            (600, &[1, 2])
        } else {
            all.push(What::Drain(SMALL, Mix::Upserts, 1));
            (MEDIUM, &[1, 2, 4])
        };
        for mix in MIXES {
            all.extend(
                numbers
                    .iter()
                    .map(|&number| What::Drain(medium, mix, number)),
            );
        }
        all.push(What::Pgbench(Script::OneByOne));
        all.push(What::Pgbench(Script::Batched));
        if !short {
            all.push(What::Drain(LARGE, Mix::Upserts, 1));
            all.push(What::Drain(LARGE, Mix::Upserts, 4));
        }
        all.into_iter().map(Self::new).collect()
    }

    fn new(what: What) -> Self {
        let name = match what {
            What::Drain(size, mix, workers) => {
                let plural = if workers == 1 { "" } else { "s" };
                format!(
                    "drain of {}, {mix}, {workers} worker{plural}",
                    thousands(size)
                )
            }
            What::Pgbench(Script::OneByOne) => "pgbench, one upsert a statement, 8 clients".into(),
            What::Pgbench(Script::Batched) => {
                "pgbench, the same three writes in batches of 256, 1 client".into()
            }
        };
        Self {
            what,
            measurement: Measurement::new("worker", name, "events/s"),
            details: BTreeMap::new(),
        }
    }

    /// A million takes long.
    const fn rounds(&self, rounds: usize) -> usize {
        match self.what {
            What::Drain(LARGE, ..) => rounds.div_ceil(3),
            _ => rounds,
        }
    }

    fn add(&mut self, outcome: Outcome) {
        let Measurement { part, name, .. } = &self.measurement;
        eprintln!("{part}: {name}: {:.0} events/s", outcome.events_per_second);
        self.measurement.rounds.push(outcome.events_per_second);
        for (name, value) in outcome.details {
            self.details.entry(name).or_default().push(value);
        }
    }

    fn finish(mut self) -> Measurement {
        self.measurement.details = self
            .details
            .into_iter()
            .filter_map(|(name, values)| Some((name, median(&values)?)))
            .collect();
        self.measurement
    }
}

/// A number with commas between the thousands.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(600), "600");
        assert_eq!(thousands(10_000), "10,000");
        assert_eq!(thousands(1_000_000), "1,000,000");
    }
}
