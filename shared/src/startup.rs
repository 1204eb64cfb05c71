//! From the command line to a process that runs, or to the one line that says why it does not.

use std::net::SocketAddr;
use std::process::{ExitCode, Termination};

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::dotenv;
use crate::settings::{SettingError, hidden};
use crate::terminal::escaped;

/// clap would not say which variable it is.
fn check_encoding(command: &clap::Command) -> Result<(), String> {
    let not_utf_8 = command
        .get_arguments()
        .filter_map(clap::Arg::get_env)
        .find(|name| std::env::var_os(name).is_some_and(|value| value.to_str().is_none()));
    match not_utf_8 {
        Some(name) => Err(format!(
            "{}: found text that is not UTF-8 (hidden), expected UTF-8",
            name.display()
        )),
        None => Ok(()),
    }
}

/// The first line of clap's message. It quotes what it does not know, and where that is no flag it
/// may be a secret that has lost its own.
fn mistake(error: &clap::Error) -> String {
    let unknown = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand]
        .into_iter()
        .find_map(|kind| error.get(kind));
    match (error.kind(), unknown) {
        (
            ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand,
            Some(ContextValue::String(text)),
        ) if !text.starts_with('-') => {
            format!(
                "command line: found {}, expected what --help lists",
                hidden(text)
            )
        }
        _ => {
            let message = error.to_string();
            let line = message.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    }
}

/// All that a `main` does: reads the command line and the environment into settings, runs what they
/// ask for, and says in one line what went wrong.
pub fn start<A: Parser, T, R: Termination, F: Future<Output = Result<R, String>>>(
    task: impl FnOnce(&A) -> Result<T, SettingError>,
    run: impl FnOnce(T) -> F,
) -> ExitCode {
    let arguments: A = match arguments() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let task = match task(&arguments) {
        Ok(task) => task,
        Err(SettingError::InFile(lines)) => return refuse_file(&lines),
        Err(error) => return refuse(&error),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("the runtime cannot be started: {error}")),
    };
    let outcome = runtime.block_on(run(task));
    // Whatever still runs has had its time.
    runtime.shutdown_background();
    match outcome {
        Ok(done) => done.report(),
        Err(error) => refuse(&error),
    }
}

/// Half of the cores: Redis, PostgreSQL and the kernel's part of each connection need the others. A single
/// thread is a runtime of its own kind: a task that it wakes runs after those that are ready
/// already, so what these have to send goes out together.
fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = if cores < 4 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder
        .worker_threads((cores / 2).max(1))
        .enable_all()
        .build()
}

/// The command line and the environment, `.env` included, as `A` has it. Where that cannot be had
/// the process is to end with the returned code: clap has printed its help, or what is wrong has
/// been said in one line.
///
/// # Errors
/// The exit code to end with.
fn arguments<A: Parser>() -> Result<A, ExitCode> {
    let command = A::command();
    let is_setting = |word: &str| {
        let mut variables = command.get_arguments().filter_map(clap::Arg::get_env);
        variables.any(|name| name == word)
    };
    dotenv::load(&is_setting).map_err(|error| refuse(&error))?;
    check_encoding(&command).map_err(|error| refuse(&error))?;
    A::try_parse().map_err(|error| {
        if error.use_stderr() {
            refuse(&mistake(&error))
        } else {
            let _ = error.print();
            ExitCode::SUCCESS
        }
    })
}

/// Listens on `address`, the value of `variable`.
///
/// # Errors
/// Names the variable when the address cannot be listened on.
pub async fn listen(variable: &'static str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let expected = format!("an address that this process can listen on ({error})");
        SettingError::new(variable, format!("\"{address}\""), expected).to_string()
    })
}

/// The same for a file with mistakes: a line for each, as compilers write it.
#[allow(
    clippy::print_stderr,
    reason = "the log does not exist before the settings are known"
)]
fn refuse_file(lines: &str) -> ExitCode {
    for line in lines.lines() {
        eprintln!("{}", escaped(line));
    }
    ExitCode::from(2)
}

/// Says in one line on standard error why the process ends, and returns the code to end with.
#[allow(
    clippy::print_stderr,
    reason = "the log does not exist before the settings are known"
)]
fn refuse(reason: &(impl std::fmt::Display + ?Sized)) -> ExitCode {
    let reason = reason.to_string();
    let lines: Vec<_> = reason.lines().map(escaped).collect();
    eprintln!("error: {}", lines.join("\n"));
    ExitCode::from(2)
}
