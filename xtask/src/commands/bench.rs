//! `cargo xtask bench`

mod measurement;

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
    todo!()
}
