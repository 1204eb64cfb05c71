//! `cargo xtask bench`

mod backlog;
pub(crate) mod baseline_server;
mod cost;
mod events;
mod ingest;
mod load;
mod machine;
mod measurement;
mod node;
mod pgbench;
mod process_usage;
mod ratio;
mod ratios;
mod redis_benchmark;
mod report;
mod rows;
mod scale;
mod server;
mod stores;
mod template;
mod together;
mod worker;

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};
use xtask::packages;

use self::{measurement::Measurement, report::Report, scale::Scale};
use super::{
    cargo::{build_programs, cargo},
    stop_signal::{StopSignal, stopped},
};

/// Measures ingest and worker beside what people would use instead, on private servers, and prints
/// a table. The files table.json and chart.svg go to --output.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Runs everything once, briefly, with the development build: shows that the benchmark works,
    /// and nothing of speed
    #[arg(long)]
    short: bool,
    /// Only these parts
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// How often each thing is measured, in turn with the others; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Where table.json and chart.svg go
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Ingest,
    Worker,
    Together,
    Cost,
}

impl Part {
    async fn run(self, scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
        match self {
            Self::Ingest => ingest::run(scale).await,
            Self::Worker => worker::run(scale).await,
            Self::Together => together::run(scale).await,
            Self::Cost => cost::run(scale).await,
        }
    }
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut stop = StopSignal::new()?;
    install();
    packages::ensure_installed(|what| eprintln!("{what}"))?;
    if cfg!(debug_assertions) && !arguments.short {
        return Err(replace_by_release_build());
    }
    build_programs()?;
    match stop.unless_told(measure(arguments)).await {
        Some(measured) => measured.map(|()| ExitCode::SUCCESS),
        None => Ok(stopped()),
    }
}

/// Some baselines are made of Node.
fn install() {
    if let Err(error) = packages::ensure_languages_installed(|what| eprintln!("{what}")) {
        eprintln!("The rows that need Node.js will not be run: {error:#}");
    }
}

/// Returns only when that is not possible.
fn replace_by_release_build() -> anyhow::Error {
    let replace = || {
        eprintln!("Building for release ...");
        let built = cargo(&["build", "--release", "--workspace", "--bins"])?;
        ensure!(built.success(), "cargo build --release: {built}");
        let program = env::current_exe()?;
        let target = program.ancestors().nth(2);
        let release = target
            .context("this program is in no folder")?
            .join("release/xtask");
        let arguments = env::args_os().skip(1);
        anyhow::Ok(Command::new(&release).args(arguments).exec())
    };
    replace()
        .map(anyhow::Error::from)
        .unwrap_or_else(|error| error)
        .context("cannot run the release build")
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let scale = Scale {
        short: arguments.short,
        rounds: if arguments.short {
            1
        } else {
            usize::from(arguments.rounds)
        },
    };
    let parts = [Part::Ingest, Part::Worker, Part::Together, Part::Cost];
    let chosen = |part: &Part| arguments.only.is_empty() || arguments.only.contains(part);
    fs::create_dir_all(&arguments.output)
        .with_context(|| format!("cannot create {}", arguments.output.display()))?;
    let mut report = Report::new(scale);
    report.print_machine();
    for part in parts.into_iter().filter(chosen) {
        let measured = part
            .run(&scale)
            .await
            .with_context(|| format!("{part:?} cannot be measured"))?;
        report.add(measured);
        // After each part: an hour's numbers must not be lost because the next part fails.
        write(&report, &arguments.output)?;
    }
    report.print_ratios();
    println!("\nWritten to {}", arguments.output.display());
    let orphans = report.orphaned_ratios();
    ensure!(
        !arguments.only.is_empty() || orphans.is_empty(),
        "nothing of this run is called as these ratios expect it: {}",
        orphans.join("; ")
    );
    Ok(())
}

fn write(report: &Report, output: &Path) -> anyhow::Result<()> {
    for (name, text) in [
        ("table.json", report.json()?),
        ("chart.svg", report.chart()),
    ] {
        let file = output.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
