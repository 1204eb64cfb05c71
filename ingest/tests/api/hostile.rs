//! Senders who do not keep to HTTP, or keep to it in ways that nobody needs.

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
    DEADLINE, Ingest, PATH, SECRET, SVIX_PATIENCE, head, peak_memory, raise_file_limit,
    read_to_end, signed, svix_ids,
};

fn body() -> String {
    UserPayload::new("user_1", "a@example.com").updated()
}

/// A delivery that is right in every way; `more` are whole header lines.
fn delivery(svix_id: &str, more: &str) -> anyhow::Result<String> {
    let body = body();
    let length = format!("content-length: {}\r\n", body.len());
    Ok(head(&signed(svix_id, &body)?, &(length + more)) + &body)
}

/// The statuses of the answers, in order.
fn statuses(answers: &str) -> Vec<&str> {
    answers
        .lines()
        .filter_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3))
        .collect()
}

/// P2: where the lengths of a request are in doubt, or its head is, the connection ends with it:
/// what is written behind it, signed or not, is no request.
#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_the_last_of_its_connection() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let length = body.len();
    let signed = signed("msg_doubt", &body)?;
    let with = |more: &str, rest: &str| head(&signed, more) + rest;
    let chunked = |rest: &str| with("transfer-encoding: chunked\r\n", rest);
    let (first, second) = body.split_at(100);
    let chunk = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let cases = [
        (
            "chunked in front of a length",
            with(
                &format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
                "0\r\n\r\n",
            ),
        ),
        (
            "a length in front of chunked",
            with(
                &format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
                "0\r\n\r\n",
            ),
        ),
        (
            "chunked, but not at last",
            with("transfer-encoding: chunked, identity\r\n", &chunk),
        ),
        (
            "no encoding",
            with("transfer-encoding: identity\r\n", &chunk),
        ),
        (
            "almost chunked",
            with("transfer-encoding: xchunked\r\n", &chunk),
        ),
        (
            "chunked in two lines",
            with(
                "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
                &chunk,
            ),
        ),
        (
            "a space in front of the colon",
            with("transfer-encoding : chunked\r\n", &chunk),
        ),
        (
            "a folded encoding",
            with("transfer-encoding:\r\n chunked\r\n", &chunk),
        ),
        (
            "chunked in HTTP/1.0",
            chunked(&chunk).replacen("HTTP/1.1", "HTTP/1.0", 1),
        ),
        (
            "two lengths",
            with(
                &format!("content-length: {length}\r\ncontent-length: 0\r\n"),
                &body,
            ),
        ),
        (
            "two lengths in one line",
            with(&format!("content-length: {length}, 0\r\n"), &body),
        ),
        (
            "a length with a sign",
            with(&format!("content-length: +{length}\r\n"), &body),
        ),
        ("a negative length", with("content-length: -1\r\n", &body)),
        (
            "a length in hexadecimal",
            with(&format!("content-length: 0x{length:x}\r\n"), &body),
        ),
        (
            "a length that has no end",
            with(&format!("content-length: {}\r\n", "9".repeat(40)), &body),
        ),
        ("a chunk of no length", chunked("\r\n")),
        ("a chunk of a negative length", chunked("-1\r\n")),
        ("a chunk with a sign", chunked(&format!("+{chunk}"))),
        ("a chunk with 0x", chunked(&format!("0x{chunk}"))),
        (
            "a chunk beyond 64 bits",
            chunked("10000000000000000\r\nx\r\n0\r\n\r\n"),
        ),
        (
            "a chunk of almost 64 bits",
            chunked("ffffffffffffffff\r\nx\r\n0\r\n\r\n"),
        ),
        (
            "a chunk that is longer than it says",
            chunked(&format!("5\r\n{body}\r\n0\r\n\r\n")),
        ),
        (
            "chunks without line breaks between",
            chunked(&format!(
                "64\r\n{first}{:x}\r\n{second}\r\n0\r\n\r\n",
                second.len()
            )),
        ),
        ("line feeds alone", chunked(&chunk.replace("\r\n", "\n"))),
        (
            "a line feed in a chunk's extension",
            chunked(&chunk.replacen("\r\n", ";a\nb\r\n", 1)),
        ),
        (
            "an endless chunk extension",
            chunked(&chunk.replacen("\r\n", &format!(";{}\r\n", "x".repeat(100_000)), 1)),
        ),
        (
            "endless trailers",
            chunked(&chunk.replacen(
                "0\r\n\r\n",
                &format!("0\r\n{}\r\n", "x: y\r\n".repeat(50_000)),
                1,
            )),
        ),
        ("NUL in a header", with("x: a\0b\r\n", "")),
        ("a carriage return in a header", with("x: a\rb\r\n", "")),
        ("a folded header", with("x: a\r\n b\r\n", "")),
        ("a header without a colon", with("nothing\r\n", "")),
        ("a header without a name", with(": nothing\r\n", "")),
        ("a name that is not ASCII", with("\u{e9}: x\r\n", "")),
        ("many headers", with(&"x: y\r\n".repeat(5000), "")),
        (
            "a header of 1 MB",
            with(&format!("x: {}\r\n", "y".repeat(1 << 20)), ""),
        ),
        (
            "a path of 1 MB",
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)),
        ),
        ("a space too much", "GET  / HTTP/1.1\r\n\r\n".into()),
        ("NUL in the path", "GET /\0 HTTP/1.1\r\n\r\n".into()),
        ("no version", "GET /\r\n\r\n".into()),
        ("another version", "GET / HTTP/3.1\r\n\r\n".into()),
        (
            "HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0".into(),
        ),
        (
            "TLS",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}random\0\u{20}".into(),
        ),
        ("another protocol", "EHLO mail.example.com\r\n".into()),
    ];
    let mut senders = JoinSet::new();
    for (number, (what, request)) in cases.into_iter().enumerate() {
        let smuggled = delivery(&format!("msg_smuggled_{number}"), "")?;
        let mut stream = ingest.connect().await?;
        senders.spawn(async move {
            // Who goes on writing may find the connection closed before all is written.
            let _ = stream.write_all((request + &smuggled).as_bytes()).await;
            anyhow::Ok((what, read_to_end(&mut stream).await?))
        });
    }
    while let Some(answered) = senders.join_next().await {
        let (what, answers) = answered??;
        let statuses = statuses(&answers);
        assert!(
            statuses.len() <= 1 && statuses.iter().all(|status| status.starts_with('4')),
            "{what}: {answers}"
        );
    }
    let answers = ingest
        .exchange(delivery("msg_after", "connection: close\r\n")?.as_bytes())
        .await?;
    assert_eq!(statuses(&answers), ["200"]);
    assert_eq!(svix_ids(&redis).await?, ["msg_after"]);
    Ok(())
}

/// P2: a body that is not all of it, and heads that are too much.
#[tokio::test]
async fn a_delivery_that_is_cut_short_or_too_much_is_refused() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let close = "connection: close\r\n";
    let post = |more: &str| anyhow::Ok(head(&signed("msg_1", &body)?, more) + &body);
    let too_short = format!("content-length: {}\r\n{close}", body.len() - 1);
    let long = format!("x: {}\r\n", "x".repeat(20_000));
    for (what, request, status) in [
        ("no length at all", post(close)?, "400"),
        ("a length too short", post(&too_short)?, "400"),
        ("a long header", post(&long)?, "431"),
        ("many headers", post(&"x: y\r\n".repeat(100))?, "431"),
    ] {
        let answers = ingest.exchange(request.as_bytes()).await?;
        assert_eq!(statuses(&answers), [status], "{what}");
    }
    // A length too long: the sender ends first, or is gone.
    let too_long = format!("content-length: {}\r\n", body.len() + 1);
    let mut stream = ingest.connect().await?;
    stream.write_all(post(&too_long)?.as_bytes()).await?;
    stream.shutdown().await?;
    let answers = read_to_end(&mut stream).await?;
    assert!(matches!(statuses(&answers)[..], [] | ["400"]), "{answers}");
    let mut stream = ingest.begin("msg_1", &body).await?;
    stream.write_all(&body.as_bytes()[1..]).await?;
    drop(stream);
    assert_eq!(ingest.deliver("msg_2", &body).await?.status, 200);
    assert_eq!(svix_ids(&redis).await?, ["msg_2"]);
    Ok(())
}

/// HTTP/1.1: what is odd but right is a delivery like any other.
#[tokio::test]
async fn a_request_that_is_odd_but_right_is_accepted() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let close = "connection: close\r\n";
    let chunked = format!("{close}transfer-encoding: chunked\r\n");
    let chunk = format!("{:X}\r\n{body}\r\n0\r\n\r\n", body.len());
    let plain = |more: &str| delivery("msg_1", &format!("{close}{more}"));
    let in_chunks =
        |more: &str, chunks: &str| anyhow::Ok(head(&signed("msg_1", &body)?, more) + chunks);
    let length = format!("content-length: {}\r\n", body.len());
    for (what, request) in [
        (
            "the whole URL",
            plain("")?.replacen(PATH, &format!("http://anywhere{PATH}"), 1),
        ),
        ("HTTP/1.0", plain("")?.replacen("HTTP/1.1", "HTTP/1.0", 1)),
        ("no host", plain("")?.replacen("host: ingest\r\n", "", 1)),
        (
            "names in capitals",
            plain("")?.replacen("svix-id", "SVIX-ID", 1),
        ),
        ("empty lines in front", format!("\r\n\r\n{}", plain("")?)),
        (
            "a query",
            plain("")?.replacen(PATH, &format!("{PATH}?x={PATH}"), 1),
        ),
        ("the same length twice", plain(&length)?),
        ("an empty header", plain("x:\r\n")?),
        ("a header that is not ASCII", plain("x: \u{e9}\r\n")?),
        ("another svix-id behind", plain("svix-id: msg_2\r\n")?),
        ("an unknown expectation", plain("expect: a-miracle\r\n")?),
        (
            "an upgrade that is declined",
            plain("upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n")?,
        ),
        (
            "a chunk's extension",
            in_chunks(&chunked, &chunk.replacen("\r\n", ";name=\"value\"\r\n", 1))?,
        ),
        (
            "trailers",
            in_chunks(
                &chunked,
                &chunk.replacen("0\r\n", "0\r\nsvix-id: msg_2\r\nx: y\r\n", 1),
            )?,
        ),
        (
            "zeros in front of a chunk's length",
            in_chunks(&chunked, &format!("000{chunk}"))?,
        ),
        (
            "CHUNKED",
            in_chunks(&chunked.replacen("chunked", "CHUNKED", 1), &chunk)?,
        ),
    ] {
        let answers = ingest.exchange(request.as_bytes()).await?;
        let last = statuses(&answers.replace("HTTP/1.0 ", "HTTP/1.1 "))
            .last()
            .map(|status| (*status).to_owned());
        assert_eq!(last.as_deref(), Some("200"), "{what}: {answers}");
        assert_eq!(svix_ids(&redis).await?, ["msg_1"], "{what}");
        redis.cli(&["FLUSHALL"])?;
    }
    Ok(())
}

/// P2: requests may be sent before the answers to earlier ones, and cut anywhere on the way. Each is
/// answered, in order, and the good ones alone are accepted.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order_wherever_they_are_cut() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let length = format!("content-length: {}\r\n", body.len());
    let (mut requests, mut expected, mut accepted) = (String::new(), Vec::new(), Vec::new());
    for number in 0..10 {
        let svix_id = format!("msg_{number}");
        let good = delivery(&svix_id, "")?;
        let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        for (request, status) in [
            (good.clone(), "200"),
            (good.replacen("svix-id: msg", "svix-id: other", 1), "400"),
            // A good one inside the body of a bad one.
            (
                head(&[], &format!("content-length: {}\r\n", good.len())) + &good,
                "400",
            ),
            (good.replacen("POST", "PUT", 1), "405"),
            (good.replacen(PATH, "/", 1), "404"),
            (
                head(&signed(&svix_id, &body)?, "transfer-encoding: chunked\r\n") + &chunk,
                "200",
            ),
            (head(&[], &length) + &body, "400"),
            (
                format!("GET {PATH} HTTP/1.1\r\nhost: ingest\r\n\r\n"),
                "200",
            ),
        ] {
            requests += &request;
            expected.push(status);
        }
        accepted.extend([svix_id.clone(), svix_id]);
    }
    requests += &delivery("msg_last", "connection: close\r\n")?;
    expected.push("200");
    accepted.push("msg_last".into());
    for piece in [usize::MAX, 997, 131] {
        redis.cli(&["FLUSHALL"])?;
        let (mut read, mut write) = ingest.connect().await?.into_split();
        let requests = requests.clone().into_bytes();
        let writer = tokio::spawn(async move {
            for part in requests.chunks(piece.min(requests.len())) {
                write.write_all(part).await?;
                tokio::task::yield_now().await;
            }
            std::io::Result::Ok(write)
        });
        let mut answers = String::new();
        tokio::time::timeout(DEADLINE, read.read_to_string(&mut answers)).await??;
        writer.await??;
        assert_eq!(statuses(&answers), expected, "in pieces of {piece}");
        assert_eq!(svix_ids(&redis).await?, accepted, "in pieces of {piece}");
    }
    Ok(())
}

/// P9: heads that never come to their end, as long as they may be, on as many connections as there are
/// places.
#[tokio::test]
async fn two_thousand_unfinished_heads_take_bounded_memory() -> anyhow::Result<()> {
    raise_file_limit()?;
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let unfinished = format!("POST {PATH} HTTP/1.1\r\nx: {}", "y".repeat(15_000));
    let mut connections = Vec::new();
    for _ in 0..2000 {
        let mut stream = ingest.connect().await?;
        stream.write_all(unfinished.as_bytes()).await?;
        connections.push(stream);
    }
    let answer = tokio::time::timeout(SVIX_PATIENCE, ingest.deliver("msg_1", &body())).await??;
    assert_eq!(answer.status, 200);
    let peak = peak_memory(&ingest)?;
    // 16 KiB each are 32 MiB, and buffers grow by doubling.
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
    let forged = delivery("msg_forged", "")?.replacen("v1,", "v1,AAAA", 1);
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
            let request = delivery(&svix_id, "connection: close\r\n")?;
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
