//! How fast workers drain a backlog, beside what the database does without them.

pub(crate) mod drain;
pub(crate) mod servers;

use std::collections::BTreeMap;

use anyhow::Context as _;
use tokio::task::block_in_place;

use super::{
    backlog::Backlog,
    measurement::{Measurement, median},
    pgbench::{self, Script},
    rows::{self, Mix, grouped},
    scale::Scale,
};
use drain::{Outcome, cpu_details};
use servers::Servers;

const LARGE: usize = 1_000_000;
const MIXES: [Mix; 3] = [Mix::Upserts, Mix::Deletes, Mix::Refused];

/// Drains backlogs of several sizes and mixes with several numbers of workers.
pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
    let mut servers = Servers::start().await?;
    let mut rows = Row::all(*scale);
    let backlogs = build(&mut servers, &rows).await?;
    for round in 0..scale.rounds {
        for row in &mut rows {
            if round < row.rounds(scale.rounds) {
                let outcome = match row.what {
                    What::Drain(size, mix, workers) => {
                        let backlog = find(&backlogs, size, mix).context("no such backlog")?;
                        servers.drain(backlog, workers).await?
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

fn find(backlogs: &[Backlog], size: usize, mix: Mix) -> Option<&Backlog> {
    backlogs
        .iter()
        .find(|backlog| backlog.events == size && backlog.mix == mix)
}

async fn build(servers: &mut Servers, rows: &[Row]) -> anyhow::Result<Vec<Backlog>> {
    let mut backlogs = Vec::new();
    servers.begin_filling().await?;
    for row in rows {
        if let What::Drain(size, mix, _) = row.what
            && find(&backlogs, size, mix).is_none()
        {
            backlogs.push(Backlog::build(&mut servers.redis, mix, size).await?);
            eprintln!("worker: a backlog of {} stands ready", grouped(size as f64));
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
    fn all(scale: Scale) -> Vec<Self> {
        let [few, many, very_many] = scale.backlogs();
        let numbers: &[usize] = if scale.short { &[1, 2] } else { &[1, 2, 4] };
        let mut all = Vec::new();
        for size in [few, many] {
            for mix in MIXES {
                all.extend(numbers.iter().map(|&number| What::Drain(size, mix, number)));
            }
        }
        all.push(What::Pgbench(Script::OneByOne));
        all.push(What::Pgbench(Script::Batched));
        // Of one mix only: each takes 3 GB of Redis, and minutes.
        let numbers = if scale.short { &numbers[..1] } else { numbers };
        all.extend(
            numbers
                .iter()
                .map(|&number| What::Drain(very_many, Mix::Upserts, number)),
        );
        all.into_iter().map(Self::new).collect()
    }

    fn new(what: What) -> Self {
        let name = match what {
            What::Drain(size, mix, workers) => rows::drain(size, mix, workers),
            What::Pgbench(Script::OneByOne) => rows::ONE_BY_ONE.into(),
            What::Pgbench(Script::Batched) => rows::BATCHED.into(),
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
