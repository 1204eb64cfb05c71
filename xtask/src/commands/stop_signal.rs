//! Ctrl-C and SIGTERM, for commands that have something to remove before they end.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What tells a command to stop, from when this is made.
pub(crate) struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits until the command is told to stop.
    pub(crate) async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// What comes of `work`; `None` when the command was told to stop before.
    pub(crate) async fn unless_told<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.told() => None,
        }
    }
}

/// What a command says and returns that was told to stop.
pub(crate) fn stopped() -> ExitCode {
    eprintln!("Stopped before the end; everything is removed.");
    ExitCode::FAILURE
}
