//! How fast workers drain a backlog, beside what the database does without them.

mod drain;

use anyhow::Context as _;
use tokio::task::block_in_place;

use super::{
    backlog::Backlog,
    measurement::{Measurement, Round},
    pgbench::{self, Script},
    rows::{self, Mix, grouped},
    scale::Scale,
    stores::{Stores, Table},
};
use drain::{cpu_between, cpu_of};

const LARGE: usize = 1_000_000;
const MIXES: [Mix; 3] = [Mix::Upserts, Mix::Deletes, Mix::Refused];

/// Drains backlogs of several sizes and mixes with several numbers of workers.
pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
    let mut stores = Stores::start().await?;
    let mut rows = Row::all(*scale);
    let backlogs = build(&mut stores, &rows).await?;
    for round in 0..scale.rounds {
        for row in &mut rows {
            if round < row.rounds(scale.rounds) {
                let measured = match row.what {
                    What::Drain(size, mix, workers) => {
                        let backlog = find(&backlogs, size, mix).context("no such backlog")?;
                        let table = match mix {
                            Mix::Members => Table::Members,
                            Mix::Upserts | Mix::Deletes | Mix::Refused => Table::BuiltIn,
                        };
                        stores.drain(backlog, workers, table).await?
                    }
                    What::DrainToPrisma(size) => {
                        let backlog = find(&backlogs, size, Mix::Upserts);
                        let backlog = backlog.context("no such backlog")?;
                        stores.drain(backlog, 1, Table::Prisma).await?
                    }
                    What::Pgbench(script) => {
                        let seconds = if scale.short { 1 } else { 6 };
                        block_in_place(|| run_pgbench(&stores, script, seconds))?
                    }
                };
                row.measurement.add(measured);
            }
        }
    }
    Ok(rows.into_iter().map(|row| row.measurement).collect())
}

fn find(backlogs: &[Backlog], size: usize, mix: Mix) -> Option<&Backlog> {
    backlogs
        .iter()
        .find(|backlog| backlog.events == size && backlog.mix == mix)
}

async fn build(stores: &mut Stores, rows: &[Row]) -> anyhow::Result<Vec<Backlog>> {
    let mut backlogs = Vec::new();
    stores.begin_filling().await?;
    for row in rows {
        if let What::Drain(size, mix, _) = row.what
            && find(&backlogs, size, mix).is_none()
        {
            backlogs.push(Backlog::build(&mut stores.redis, mix, size).await?);
            eprintln!("worker: a backlog of {} stands ready", grouped(size as f64));
        }
    }
    stores.end_filling().await?;
    Ok(backlogs)
}

fn run_pgbench(stores: &Stores, script: Script, seconds: u32) -> anyhow::Result<Round> {
    let database = stores.new_database(Table::BuiltIn)?;
    let before = stores.cpu_seconds(&[])?;
    let outcome = pgbench::run(&stores.postgres, &database, script, seconds)?;
    let used = cpu_between(&before, &stores.cpu_seconds(&[])?, outcome.events);
    stores.drop_database(&database)?;
    let [.., (postgres, seconds)] = used;
    Ok(Round::new(outcome.events_per_second).detail(cpu_of(postgres), seconds))
}

#[derive(Clone, Copy)]
enum What {
    /// So many entries of this mix, by so many workers.
    Drain(usize, Mix, usize),
    /// So many upserts, by one worker, to the table of docs/tables/prisma.sql.
    DrainToPrisma(usize),
    Pgbench(Script),
}

struct Row {
    what: What,
    measurement: Measurement,
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
                // Beside the row that it is compared with.
                if (size, mix) == (many, Mix::Upserts) {
                    all.push(What::DrainToPrisma(size));
                    all.extend(
                        numbers
                            .iter()
                            .map(|&number| What::Drain(size, Mix::Members, number)),
                    );
                }
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
            What::DrainToPrisma(size) => rows::drain_to_prisma(size),
            What::Pgbench(Script::OneByOne) => rows::ONE_BY_ONE.into(),
            What::Pgbench(Script::Batched) => rows::BATCHED.into(),
        };
        Self {
            what,
            measurement: Measurement::new("worker", name, "events/s"),
        }
    }

    /// A million takes long.
    const fn rounds(&self, rounds: usize) -> usize {
        match self.what {
            What::Drain(LARGE, ..) => rounds.div_ceil(3),
            _ => rounds,
        }
    }
}
