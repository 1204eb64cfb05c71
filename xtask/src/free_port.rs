//! Ports for private servers.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpListener},
    sync::{Mutex, PoisonError},
};

use anyhow::bail;

/// Below 32768, where Linux begins to take the ports of *outgoing* connections. A server that is
/// killed must find its port free again, and a client that knocks at a dead port of that range may
/// be given the very same port and end up connected to itself.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

static HANDED_OUT: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port of 127.0.0.1 that nobody listens on and that this process has not handed out before.
/// Chosen at random, so that processes that ask at the same time hardly ever meet.
///
/// # Errors
///
/// When no free port was found in a hundred attempts.
pub fn free_port() -> anyhow::Result<u16> {
    let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..100 {
        let port = rand::random_range(RANGE);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && handed_out.insert(port) {
            return Ok(port);
        }
    }
    bail!(
        "found no free port on 127.0.0.1 between {} and {}",
        RANGE.start,
        RANGE.end
    )
}

/// The same port with its address.
///
/// # Errors
///
/// As [`free_port`].
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)))
}
