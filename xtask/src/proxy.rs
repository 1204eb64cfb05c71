//! A network that can be broken: a TCP proxy between a program and a store.

use std::{
    io, net,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    runtime::{self, Runtime},
    sync::watch,
    time::sleep,
};

const CHUNK_BYTES: usize = 64 * 1024;

/// Passes connections on, until told otherwise. It has a thread of its own, so that asynchronous and
/// blocking tests can use it alike; no call waits for the network. Dropping it ends all connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// How often all connections have been cut.
    cuts: u64,
    refused: bool,
    held: bool,
    delay: Duration,
    ended: bool,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1. The target, on the same machine, is looked for anew with
    /// each connection; while nobody listens there, a connection is closed as soon as it is made.
    ///
    /// # Errors
    ///
    /// When no port or no thread can be had.
    pub fn start(target_port: u16) -> anyhow::Result<Self> {
        let listener = net::TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (state, of_thread) = watch::channel(State::default());
        let thread = thread::Builder::new()
            .name("proxy".into())
            .spawn(move || serve(&runtime, listener, target_port, of_thread))?;
        Ok(Self {
            port,
            state,
            thread: Some(thread),
        })
    }

    /// The port that programs connect to, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Resets every connection that is open now, losing what is under way. New ones work.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// While `true`, open connections are reset, and each new one as soon as it is made.
    pub fn refuse(&self, refused: bool) {
        self.state.send_modify(|state| {
            state.refused = refused;
            state.cuts += u64::from(refused);
        });
    }

    /// While `true`, connections stay open and can be made, but no byte passes in either direction;
    /// afterwards all of them do.
    pub fn hold(&self, held: bool) {
        self.state.send_modify(|state| state.held = held);
    }

    /// How long each chunk of either direction is held from now on; zero is off.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.ended = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Until the proxy has ended. Then the runtime is dropped, and all connections with it.
fn serve(
    runtime: &Runtime,
    listener: net::TcpListener,
    target_port: u16,
    mut state: watch::Receiver<State>,
) {
    let connections = state.clone();
    runtime.block_on(async {
        tokio::select! {
            _ = state.wait_for(|state| state.ended) => {}
            _ = accept(listener, target_port, connections) => {}
        }
    });
}

async fn accept(
    listener: net::TcpListener,
    target_port: u16,
    state: watch::Receiver<State>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        // A client that has gone again is no reason to end.
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, target_port, state.clone()));
        }
    }
}

/// One connection, until both directions have ended or it is cut.
async fn pass(
    mut client: TcpStream,
    target_port: u16,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let State { cuts, refused, .. } = *state.borrow();
    if refused {
        return client.set_zero_linger();
    }
    let mut target = TcpStream::connect(("127.0.0.1", target_port)).await?;
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let (upstream, downstream) = (state.clone(), state.clone());
    let (from_client, to_client) = client.split();
    let (from_target, to_target) = target.split();
    let both = async {
        tokio::try_join!(
            pump(from_client, to_target, upstream),
            pump(from_target, to_client, downstream),
        )
    };
    let was_cut = tokio::select! {
        _ = state.wait_for(|state| state.cuts != cuts) => true,
        done = both => done.is_err(),
    };
    if was_cut {
        client.set_zero_linger()?;
        target.set_zero_linger()?;
    }
    Ok(())
}

/// One direction, until its end.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        let delay = state.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        // Fails only when the proxy has ended.
        let _ = state.wait_for(|state| !state.held).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..length]).await?;
    }
}
