//! `cargo xtask COMMAND`: the development tasks.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to whoever typed the command"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod commands;

/// Development tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(commands::bench::Arguments),
    #[command(hide = true)]
    BenchServer(commands::bench::baseline_server::Arguments),
    Chaos(commands::chaos::Arguments),
    Demo(commands::demo::Arguments),
    Fuzz(commands::fuzz::Arguments),
    Instructions(commands::instructions::Arguments),
    Send(commands::send::Arguments),
    Test(commands::test::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Bench(arguments) => commands::bench::run(&arguments).await,
        Command::BenchServer(arguments) => commands::bench::baseline_server::run(arguments).await,
        Command::Chaos(arguments) => commands::chaos::run(&arguments).await,
        Command::Demo(arguments) => commands::demo::run(&arguments).await,
        Command::Fuzz(arguments) => commands::fuzz::run(&arguments),
        Command::Instructions(arguments) => commands::instructions::run(&arguments),
        Command::Send(arguments) => commands::send::run(arguments).await,
        Command::Test(arguments) => commands::test::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("Error: {error:#}");
        ExitCode::FAILURE
    })
}
