//! Many senders at once, none of whom means well.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use xtask::{
    clerk_payload::UserPayload, free_port::free_port, redis_server::RedisServer, wait::until,
};

use crate::helpers::{
    DEADLINE, Ingest, PATH, SECRET, SVIX_PATIENCE, delivery, peak_memory, raise_file_limit,
    read_to_end, read_until, statuses, svix_ids,
};

fn body() -> String {
    UserPayload::new("user_1", "a@example.com").updated()
}

/// P9: heads that never come to their end, as long as they may be, on as many connections as there are
/// places.
#[tokio::test]
async fn two_thousand_unfinished_heads_take_bounded_memory() -> anyhow::Result<()> {
    raise_file_limit()?;
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let mut connections = Vec::new();
    for number in 0..2000 {
        let length = if number < 1000 { 60_000 } else { 8_000 };
        let unfinished = format!("POST {PATH} HTTP/1.1\r\nx: {}", "y".repeat(length));
        let mut stream = ingest.connect().await?;
        // So many may be long; the others are closed.
        let _ = stream.write_all(unfinished.as_bytes()).await;
        connections.push(stream);
    }
    let answer = tokio::time::timeout(SVIX_PATIENCE, ingest.deliver("msg_1", &body())).await??;
    assert_eq!(answer.status, 200);
    let peak = peak_memory(&ingest)?;
    // 256 may have 64 KiB and the others 8, and buffers grow by doubling.
    assert!(peak < 128, "{peak} MiB");
    assert_eq!(svix_ids(&redis).await?, ["msg_1"]);
    Ok(())
}

/// A connection from `from` to `to`: all of 127.0.0.0/8 is this machine.
async fn connect_from(from: &str, to: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(format!("{from}:0").parse()?)?;
    Ok(socket.connect(to).await?)
}

/// P9: an address that has verified has memory of its own. Its slow body does not give way to those of others.
#[tokio::test]
async fn a_slow_body_of_a_verified_address_outlasts_a_flood_from_others() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let address: SocketAddr = ingest.url("").trim_start_matches("http://").parse()?;
    assert_eq!(ingest.deliver("msg_before", &body()).await?.status, 200);
    let slow_body = body();
    let (first, rest) = slow_body.split_at(100);
    let mut slow = ingest.begin("msg_slow", &slow_body).await?;
    slow.write_all(first.as_bytes()).await?;
    let stalled = delivery("msg_stalled", &"x".repeat(1 << 20), "")?;
    let mut others = Vec::new();
    for _ in 0..30 {
        let mut stream = connect_from("127.0.0.2", address).await?;
        // It may be told to give way before it has written all.
        let _ = stream
            .write_all(&stalled.as_bytes()[..stalled.len() - 1])
            .await;
        others.push(stream);
    }
    // More of them than there is memory for have come.
    let answer = read_until(&mut others[0], "\r\n\r\n").await?;
    assert_eq!(statuses(&answer), ["503"], "{answer}");
    slow.write_all(rest.as_bytes()).await?;
    let answer = read_until(&mut slow, "queued\n").await?;
    assert_eq!(statuses(&answer), ["200"], "{answer}");
    assert_eq!(svix_ids(&redis).await?, ["msg_before", "msg_slow"]);
    Ok(())
}

/// Sends a wrongly signed delivery, and again and again, and returns the statuses that it got, each
/// with how often. `new_connections`: each time over a new one.
async fn flood(
    from: String,
    to: SocketAddr,
    new_connections: bool,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
) -> anyhow::Result<Vec<String>> {
    // Several in one write, so that none waits for the answer to the one before.
    let burst = if new_connections { 1 } else { 16 };
    let forged = delivery("msg_forged", &body(), "")?.replacen("v1,", "v1,AAAA", 1);
    let mut seen: Vec<String> = Vec::new();
    let mut stream = connect_from(&from, to).await?;
    while !stop.load(Ordering::Relaxed) {
        if new_connections {
            stream = connect_from(&from, to).await?;
        }
        stream.write_all(forged.repeat(burst).as_bytes()).await?;
        let mut answers = String::new();
        while statuses(&answers).len() < burst || !answers.ends_with('\n') {
            let mut part = [0; 8192];
            let length = tokio::time::timeout(DEADLINE, stream.read(&mut part)).await??;
            anyhow::ensure!(length > 0, "closed after {answers}");
            answers += &String::from_utf8_lossy(&part[..length]);
        }
        for status in statuses(&answers) {
            if !seen.iter().any(|known| known == status) {
                seen.push(status.into());
            }
        }
        sent.fetch_add(burst, Ordering::Relaxed);
    }
    Ok(seen)
}

/// P2, P9: forged requests as fast as they can be sent, from the sender's own address and from others,
/// do not keep genuine events from being answered, cost no memory, and none of them is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn genuine_events_are_answered_in_a_flood_of_forged_ones() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let address: SocketAddr = ingest.url("").trim_start_matches("http://").parse()?;
    assert_eq!(ingest.deliver("msg_before", &body()).await?.status, 200);
    let (stop, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut floods = JoinSet::new();
    for (from, connections) in [
        ("127.0.0.1", 2),
        ("127.0.0.2", 2),
        ("127.0.0.3", 2),
        ("127.0.0.4", 2),
    ] {
        for number in 0..connections {
            floods.spawn(flood(
                from.into(),
                address,
                number % 2 == 1,
                Arc::clone(&stop),
                Arc::clone(&sent),
            ));
        }
    }
    until("the flood has begun", DEADLINE, async || {
        sent.load(Ordering::Relaxed) > 1000
    })
    .await?;
    let before = peak_memory(&ingest)?;
    let mut expected = vec!["msg_before".to_owned()];
    for number in 0..300 {
        // Every other one comes from an address that the ingest has not heard of.
        let svix_id = format!("msg_{number}");
        let answer = async {
            if number % 2 == 0 {
                return Ok(ingest.deliver(&svix_id, &body()).await?.status == 200);
            }
            let from = format!("127.0.1.{}", number % 250 + 1);
            let mut stream = connect_from(&from, address).await?;
            let request = delivery(&svix_id, &body(), "connection: close\r\n")?;
            stream.write_all(request.as_bytes()).await?;
            anyhow::Ok(statuses(&read_to_end(&mut stream).await?) == ["200"])
        };
        let queued = tokio::time::timeout(SVIX_PATIENCE, answer).await??;
        assert!(queued, "{svix_id}");
        expected.push(svix_id);
    }
    let during = sent.load(Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    while let Some(flood) = floods.join_next().await {
        seen.extend(flood??);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["400", "429"], "after {during} forged requests");
    let more = peak_memory(&ingest)? - before;
    assert!(more < 16, "{more} MiB more");
    assert_eq!(ingest.admin("/healthz").await?.status, 200);
    assert_eq!(ingest.readiness().await, 200);
    assert_eq!(svix_ids(&redis).await?, expected);
    Ok(())
}

/// Kills its process when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// P9: the usual soft limit of 1024 files comes before the 2048 connections that it has places for.
#[tokio::test]
async fn the_ingest_raises_its_limit_of_open_files() -> anyhow::Result<()> {
    for (hard, soft_after, warnings) in [("4096", "2176", 0), ("1024", "1024", 1)] {
        let process = Command::new("prlimit")
            .arg(format!("--nofile=512:{hard}"))
            .arg(env!("CARGO_BIN_EXE_ingest"))
            .env_clear()
            .env("CLERK_WEBHOOK_SIGNING_SECRET", SECRET)
            .env("INGEST_ADDR", format!("127.0.0.1:{}", free_port()?))
            .env("ADMIN_ADDR", format!("127.0.0.1:{}", free_port()?))
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut process = Killed(process);
        let stdout = process.0.stdout.take().context("no standard output")?;
        let mut output = String::new();
        for line in BufReader::new(stdout).lines() {
            output += &line?;
            if output.contains("ingest is listening") {
                break;
            }
        }
        let limits = fs::read_to_string(format!("/proc/{}/limits", process.0.id()))?;
        let soft = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))
            .and_then(|line| line.split_whitespace().nth(3));
        assert_eq!(soft, Some(soft_after), "{output}");
        assert_eq!(output.matches("\"WARN\"").count(), warnings, "{output}");
    }
    Ok(())
}
