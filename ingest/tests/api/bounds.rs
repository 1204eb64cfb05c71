//! What one sender, or many, may cost.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use xtask::{clerk_payload::UserPayload, redis_server::RedisServer, wait::until};

use crate::helpers::{
    DEADLINE, Ingest, SVIX_PATIENCE, backlog, delivery, head, peak_memory, raise_file_limit,
    read_to_end, read_until, signed, statuses, svix_ids,
};

fn body() -> String {
    UserPayload::new("user_1", "a@example.com").updated()
}

/// A signed event of exactly `length` bytes.
fn body_of(length: usize) -> String {
    let (before, after) = ("{\"type\":\"user.updated\",\"data\":{\"x\":\"", "\"}}");
    format!(
        "{before}{}{after}",
        "x".repeat(length - before.len() - after.len())
    )
}

/// HTTP table: 413
#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_no_longer() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let settings = [("MAX_BODY_BYTES", "100000")];
    let ingest = Ingest::start_with(&redis.url(), &settings).await?;
    assert_eq!(
        ingest.deliver("msg_1", &body_of(100_000)).await?.status,
        200
    );
    assert_eq!(
        ingest.deliver("msg_2", &body_of(100_001)).await?.status,
        413
    );
    assert_eq!(svix_ids(&redis).await?, ["msg_1"]);

    let default = Ingest::start(&redis).await?;
    assert_eq!(
        default.deliver("msg_3", &body_of(1 << 20)).await?.status,
        200
    );
    assert_eq!(
        default
            .deliver("msg_4", &body_of((1 << 20) + 1))
            .await?
            .status,
        413
    );
    assert_eq!(svix_ids(&redis).await?, ["msg_1", "msg_3"]);
    Ok(())
}

/// HTTP table: 413 without reading it all; a sender that asks first sends nothing.
#[tokio::test]
async fn an_announced_body_that_is_too_long_is_refused_before_it_is_sent() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    for more in ["", "expect: 100-continue\r\n"] {
        let mut stream = ingest.connect().await?;
        let head = head(
            &signed("msg_1", "")?,
            &format!("content-length: 1048577\r\n{more}"),
        );
        stream.write_all(head.as_bytes()).await?;
        let answer = read_until(&mut stream, "\r\n\r\n").await?;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    Ok(())
}

/// HTTP table: 413 without reading it all, readable though the sender keeps writing.
#[tokio::test]
async fn an_endless_body_is_answered_413_and_cut_off() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let length = "content-length: 1000000000000\r\n";
    for framing in [length, "transfer-encoding: chunked\r\n"] {
        let (mut read, mut write) = ingest.connect().await?.into_split();
        let head = head(&signed("msg_1", "")?, framing);
        let writer = tokio::spawn(async move {
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            let mut written = 0_usize;
            if write.write_all(head.as_bytes()).await.is_err() {
                return written;
            }
            while write.write_all(chunk.as_bytes()).await.is_ok() {
                written += chunk.len();
            }
            written
        });
        let mut answer = vec![0; 13];
        tokio::time::timeout(DEADLINE, read.read_exact(&mut answer)).await??;
        assert_eq!(
            String::from_utf8_lossy(&answer),
            "HTTP/1.1 413 ",
            "{framing}"
        );
        let written = tokio::time::timeout(DEADLINE, writer).await??;
        // What it throws away, and what the kernels hold.
        assert!(written < 64 << 20, "{written}");
    }
    assert_eq!(backlog(&redis)?, 0);
    assert_eq!(ingest.deliver("msg_2", &body()).await?.status, 200);
    Ok(())
}

/// HTTP table: 413, also for a sender that looks for the answer only after its last byte.
#[tokio::test]
async fn a_sender_that_writes_before_it_reads_is_let_finish() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let length = 6 << 20;
    let announced = format!("content-length: {length}\r\n");
    for (framing, before) in [
        (announced, String::new()),
        (
            "transfer-encoding: chunked\r\n".into(),
            format!("{length:x}\r\n"),
        ),
    ] {
        let mut stream = ingest.connect().await?;
        let request = head(&signed("msg_1", "")?, &framing) + &before + &"x".repeat(length);
        stream.write_all(request.as_bytes()).await?;
        let answer = read_until(&mut stream, "\r\n\r\n").await?;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{framing}: {answer}");
    }
    Ok(())
}

/// HTTP table: a body without a length is as good as any.
#[tokio::test]
async fn a_chunked_body_is_put_together() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let chunks: String = body
        .as_bytes()
        .chunks(7)
        .map(|chunk| {
            format!(
                "{:x}\r\n{}\r\n",
                chunk.len(),
                String::from_utf8_lossy(chunk)
            )
        })
        .collect();
    let head = head(
        &signed("msg_1", &body)?,
        "transfer-encoding: chunked\r\nconnection: close\r\n",
    );
    let answer = ingest
        .exchange(format!("{head}{chunks}0\r\n\r\n").as_bytes())
        .await?;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(
        crate::helpers::entries(&redis).await?[0]["payload"],
        body.as_bytes()
    );
    Ok(())
}

/// HTTP table: 408, or the connection is closed.
#[tokio::test]
async fn a_request_that_is_too_slow_is_cut_off() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let slow_body = async {
        let mut stream = ingest.begin("msg_1", &body).await?;
        stream.write_all(&body.as_bytes()[..100]).await?;
        read_to_end(&mut stream).await
    };
    let mut idle = ingest.connect().await?;
    let mut idle_after_a_request = ingest.connect().await?;
    let request = b"GET / HTTP/1.1\r\nhost: ingest\r\n\r\n";
    idle_after_a_request.write_all(request).await?;
    read_until(&mut idle_after_a_request, "not found\n").await?;
    let slow_second_head = async {
        let mut stream = ingest.connect().await?;
        stream.write_all(request).await?;
        read_until(&mut stream, "not found\n").await?;
        stream.write_all(&request[..20]).await?;
        read_to_end(&mut stream).await
    };
    let slow_head = async {
        let mut stream = ingest.connect().await?;
        stream
            .write_all(b"POST /api/webhooks/clerk HTTP/1.1\r\nhost: ")
            .await?;
        read_to_end(&mut stream).await
    };
    // A time-out that begins anew with every byte never ends.
    let a_byte_at_a_time = async |begin: &str| {
        let (mut read, mut write) = ingest.connect().await?.into_split();
        write.write_all(begin.as_bytes()).await?;
        let writer = tokio::spawn(async move {
            while write.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let mut answer = Vec::new();
        // It may end with a reset.
        let _ = tokio::time::timeout(DEADLINE, read.read_to_end(&mut answer)).await?;
        tokio::time::timeout(DEADLINE, writer).await??;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let trickled_head = a_byte_at_a_time("POST /api/webhooks/clerk HTTP/1.1\r\nx: ");
    let begin = head(&signed("msg_1", &body)?, "content-length: 1000000\r\n");
    let trickled_body = a_byte_at_a_time(&begin);
    let begin = head(&signed("msg_1", &body)?, "transfer-encoding: chunked\r\n");
    let (begin_chunk, begin_trailer) = (format!("{begin}5;"), format!("{begin}0\r\nx: "));
    let trickled_chunk = a_byte_at_a_time(&begin_chunk);
    let trickled_trailer = a_byte_at_a_time(&begin_trailer);

    let (
        slow_body,
        slow_head,
        trickled_head,
        trickled_body,
        trickled_chunk,
        trickled_trailer,
        slow_second_head,
    ) = tokio::try_join!(
        slow_body,
        slow_head,
        trickled_head,
        trickled_body,
        trickled_chunk,
        trickled_trailer,
        slow_second_head
    )?;
    for answer in [
        &slow_body,
        &trickled_body,
        &trickled_chunk,
        &trickled_trailer,
    ] {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    for answer in [&slow_head, &trickled_head, &slow_second_head] {
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
            "{answer}"
        );
    }
    // Meanwhile these have waited for their first request, or for the next, and are still open.
    for stream in [&mut idle, &mut idle_after_a_request] {
        let request = delivery("msg_idle", &body, "connection: close\r\n")?;
        stream.write_all(request.as_bytes()).await?;
        let answers = read_to_end(stream).await?;
        assert_eq!(statuses(&answers), ["200"], "{answers}");
    }
    assert_eq!(svix_ids(&redis).await?, ["msg_idle", "msg_idle"]);
    Ok(())
}

/// `IDLE_TIMEOUT_MS`: it counts from the last answer, or from the beginning, and not while a request is in hand.
#[tokio::test]
async fn a_connection_without_a_request_is_closed_after_the_idle_time() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let settings = [("IDLE_TIMEOUT_MS", "500")];
    let ingest = Ingest::start_with(&redis.url(), &settings).await?;
    let body = body();
    let idle = async { read_to_end(&mut ingest.connect().await?).await };
    let after_a_request = async {
        let mut stream = ingest.connect().await?;
        stream
            .write_all(delivery("msg_1", &body, "")?.as_bytes())
            .await?;
        read_to_end(&mut stream).await
    };
    let mut in_hand = ingest.begin("msg_2", &body).await?;
    let in_hand = tokio::spawn(async move { read_to_end(&mut in_hand).await });
    let (idle, after_a_request) = tokio::try_join!(idle, after_a_request)?;
    assert_eq!(idle, "");
    assert_eq!(statuses(&after_a_request), ["200"], "{after_a_request}");
    // A body has ten seconds, whatever the idle time is.
    assert!(!in_hand.is_finished());
    let in_hand = in_hand.await??;
    assert_eq!(statuses(&in_hand), ["408"], "{in_hand}");
    assert_eq!(svix_ids(&redis).await?, ["msg_1"]);
    Ok(())
}

/// P9: a sender that stalls before the last byte of a body gives way to deliveries.
#[tokio::test]
async fn bodies_that_stall_make_no_delivery_wait() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body_of(1 << 20);
    let more = format!("content-length: {}\r\n", body.len());
    let request = head(&signed("msg_stalled", &body)?, &more) + &body;
    let stall = async || {
        let mut stream = ingest.connect().await?;
        // It may be told to give way before it has written all.
        let _ = stream
            .write_all(&request.as_bytes()[..request.len() - 1])
            .await;
        anyhow::Ok(stream)
    };
    let mut stalled = Vec::new();
    for _ in 0..30 {
        stalled.push(stall().await?);
    }
    // Nobody has verified yet, and everybody has the same address.
    let small = body_of(3000);
    for number in 0..3 {
        let answer = ingest.deliver(&format!("msg_{number}"), &small).await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        stalled.push(stall().await?);
    }
    // The longest that may be, which comes in many pieces.
    assert_eq!(ingest.deliver("msg_long", &body).await?.status, 200);
    let answers = tokio::time::timeout(DEADLINE, read_to_end(&mut stalled[0])).await??;
    assert!(
        matches!(statuses(&answers)[..], ["503" | "408"]),
        "{answers}"
    );
    let accepted = ["msg_0", "msg_1", "msg_2", "msg_long"];
    assert_eq!(svix_ids(&redis).await?, accepted);
    Ok(())
}

/// P9: connections that do nothing.
#[tokio::test]
async fn thousands_of_idle_connections_do_not_stop_a_delivery() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    raise_file_limit()?;
    // More than the ingest holds open.
    let mut connections = Vec::new();
    for _ in 0..3000 {
        connections.push(ingest.connect().await?);
    }
    let answer = tokio::time::timeout(SVIX_PATIENCE, ingest.deliver("msg_1", &body())).await??;
    assert_eq!(answer.status, 200);
    assert_eq!(ingest.admin("/healthz").await?.status, 200);
    Ok(())
}

/// P9: a process that may not open more files waits for some to be closed.
#[tokio::test]
async fn an_ingest_without_file_descriptors_recovers() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let pid = ingest.program.pid().to_string();
    let limited = std::process::Command::new("prlimit")
        .args(["--nofile=64", "--pid", &pid])
        .status()?;
    assert!(limited.success());
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(ingest.connect().await?);
    }
    until("it has no file descriptor left", DEADLINE, async || {
        ingest.logged("message", "a connection could not be accepted") > 0
    })
    .await?;
    drop(connections);
    assert_eq!(ingest.deliver("msg_1", &body()).await?.status, 200);
    Ok(())
}

/// P9: memory stays bounded; what does not fit is told to come again.
#[tokio::test]
async fn a_hundred_large_bodies_at_once_take_bounded_memory() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body_of(1 << 20);
    let request = head(
        &signed("msg_1", &body)?,
        &format!("content-length: {}\r\n", body.len()),
    ) + &body;
    let mut senders = JoinSet::new();
    for _ in 0..100 {
        let mut stream: TcpStream = ingest.connect().await?;
        // None of them comes to an end, so they are all held at the same time.
        let unfinished = request.as_bytes()[..request.len() - 1].to_vec();
        senders.spawn(async move {
            let _ = stream.write_all(&unfinished).await;
            read_until(&mut stream, "\r\n\r\n").await
        });
    }
    let (mut refused, mut slow) = (0, 0);
    while let Some(answer) = senders.join_next().await {
        let answer = answer??;
        if answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: ") {
            refused += 1;
        } else if answer.starts_with("HTTP/1.1 408 ") {
            slow += 1;
        } else {
            panic!("{answer}");
        }
    }
    assert!(refused >= 70, "{refused} refused, {slow} too slow");
    let peak = peak_memory(&ingest)?;
    assert!(peak < 100, "{peak} MiB");
    assert_eq!(ingest.deliver("msg_2", &body).await?.status, 200);
    Ok(())
}

/// P9: the smallest pieces must not cost a multiple of what they hold.
#[tokio::test]
async fn a_body_in_chunks_of_one_byte_takes_bounded_memory() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let request = head(
        &signed("msg_1", "")?,
        "transfer-encoding: chunked\r\nconnection: close\r\n",
    ) + &"1\r\nx\r\n".repeat(200_000)
        + "0\r\n\r\n";
    let before = peak_memory(&ingest)?;
    let mut senders = JoinSet::new();
    for _ in 0..4 {
        let mut stream = ingest.connect().await?;
        let request = request.clone();
        senders.spawn(async move {
            stream.write_all(request.as_bytes()).await?;
            read_until(&mut stream, "\r\n\r\n").await
        });
    }
    while let Some(answer) = senders.join_next().await {
        let answer = answer??;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    // They hold 800 kB in all.
    let more = peak_memory(&ingest)? - before;
    assert!(more < 16, "{more} MiB more");
    Ok(())
}
