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
    Chaos(commands::chaos::Arguments),
    Demo(commands::demo::Arguments),
    Fuzz(commands::fuzz::Arguments),
    Send(commands::send::Arguments),
    Test(commands::test::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Chaos(arguments) => commands::chaos::run(&arguments).await,
        Command::Demo(arguments) => commands::demo::run(&arguments).await,
        Command::Fuzz(arguments) => commands::fuzz::run(&arguments),
        Command::Send(arguments) => commands::send::run(arguments).await,
        Command::Test(arguments) => commands::test::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("Error: {error:#}");
        ExitCode::FAILURE
    })
}
