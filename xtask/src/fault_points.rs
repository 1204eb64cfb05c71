//! The test's side of the fault points of `ingest` and `worker`.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use anyhow::Context as _;

/// Holds the first process that reaches one point, and lets all others pass.
#[derive(Debug)]
pub struct FaultPoints {
    address: SocketAddr,
    held: Receiver<Held>,
}

/// A process that waits at a point. Dropping it lets the process go on.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "closing it is its only use")] TcpStream);

impl FaultPoints {
    /// Listens for processes whose `FAULT_POINTS_ADDR` is [`FaultPoints::address`]; `point` is the
    /// name of the point at which to hold.
    ///
    /// # Errors
    ///
    /// When no address is free.
    pub fn arm(point: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (hold, held) = mpsc::channel();
        let armed = format!("{point}\n");
        thread::spawn(move || {
            let mut armed = Some(armed);
            for process in listener.incoming().flatten() {
                let mut reached = String::new();
                // One that dies before it has said anything reaches nothing.
                let _ = BufReader::new(&process).read_line(&mut reached);
                if armed.as_ref() == Some(&reached) && hold.send(Held(process)).is_ok() {
                    armed = None;
                }
            }
        });
        Ok(Self { address, held })
    }

    /// For `FAULT_POINTS_ADDR`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Blocks the thread until a process waits at the point.
    ///
    /// # Errors
    ///
    /// When none has reached it after `deadline`.
    pub fn held(&self, deadline: Duration) -> anyhow::Result<Held> {
        self.held
            .recv_timeout(deadline)
            .context("no process has reached the point; were the programs built for tests?")
    }
}
