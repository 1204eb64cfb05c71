//! `cargo xtask bench`

mod backlog;
mod cost;
mod measurement;
mod pgbench;
mod process_usage;
mod rows;
mod scale;
mod worker;

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

/// Measures ingest and worker beside what people would use instead, on private servers, and prints
/// a table. The files table.json and chart.svg go to --output.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Runs everything once, briefly, with the build that is there: shows that the benchmark works,
    /// and nothing of speed.
    #[arg(long)]
    short: bool,
    /// Only these parts: ingest, worker, together, cost. Others are left out.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// How often each thing is measured, in turn with the others; medians are shown.
    #[arg(long, default_value = "3")]
    rounds: usize,
    /// Where table.json and chart.svg go.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Part {
    Ingest,
    Worker,
    Together,
    Cost,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let _parts: BTreeSet<Part> = arguments.only.iter().copied().collect();
    let scale = scale::Scale {
        short: arguments.short,
        rounds: arguments.rounds,
    };
    let mut all = Vec::new();
    if arguments.only.is_empty() || arguments.only.contains(&Part::Worker) {
        all.extend(worker::run(&scale).await?);
    }
    if arguments.only.is_empty() || arguments.only.contains(&Part::Cost) {
        all.extend(cost::run(&scale).await?);
    }
    for m in all {
        println!(
            "{}: {}: {:.1?} {} {:.2?}",
            m.part, m.name, m.rounds, m.unit, m.details
        );
    }
    Ok(ExitCode::SUCCESS)
}
