//! The limiter of forged requests.

use tokio::{io::AsyncWriteExt as _, net::TcpSocket};
use xtask::{clerk_payload::UserPayload, redis_server::RedisServer};

use crate::helpers::{Ingest, PATH, backlog, head, read_to_end};

const FORGED_ALLOWED: usize = 60;

fn body() -> String {
    UserPayload::new("user_1", "a@example.com").updated()
}

/// HTTP table: 429 with `Retry-After` before any signature work.
#[tokio::test]
async fn an_address_that_only_forges_is_limited() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    for _ in 0..=FORGED_ALLOWED {
        assert_eq!(ingest.forge().await?.status, 400);
    }
    let limited = ingest.forge().await?;
    assert_eq!(limited.status, 429);
    let retry_after: u64 = limited.header("retry-after").unwrap_or_default().parse()?;
    assert!((1..=61).contains(&retry_after), "{retry_after}");
    // Nobody looks at the signature, not even at a good one.
    assert_eq!(ingest.deliver("msg_1", &body()).await?.status, 429);
    assert_eq!(backlog(&redis)?, 0);
    let name = "clerk_ingest_verification_failures_total{kind=\"signature\"}";
    assert!((ingest.metric(name).await? - 61.0).abs() < 0.5);
    assert_eq!(ingest.http.get(&ingest.url(PATH)).await?.status, 200);

    // From any other address everything is as before.
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse()?)?;
    let mut stream = socket
        .connect(ingest.url("").trim_start_matches("http://").parse()?)
        .await?;
    let body = body();
    let more = format!("content-length: {}\r\nconnection: close\r\n", body.len());
    let head = head(&crate::helpers::signed("msg_2", &body)?, &more);
    stream.write_all((head + &body).as_bytes()).await?;
    let answer = read_to_end(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(())
}

/// HTTP table: Clerk's deliveries are never throttled.
#[tokio::test]
async fn an_address_that_verified_is_never_limited() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    assert_eq!(ingest.deliver("msg_1", &body()).await?.status, 200);
    for _ in 0..100 {
        assert_eq!(ingest.forge().await?.status, 400);
    }
    assert_eq!(ingest.deliver("msg_2", &body()).await?.status, 200);
    assert_eq!(ingest.forge().await?.status, 400);
    Ok(())
}

/// HTTP table: the address that `TRUSTED_PROXY_HOPS` points at.
#[tokio::test]
async fn behind_a_trusted_proxy_each_forwarded_address_counts_for_itself() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let settings = [("TRUSTED_PROXY_HOPS", "1")];
    let ingest = Ingest::start_with(&redis.url(), &settings).await?;
    for number in 0..=FORGED_ALLOWED {
        // What stands further left is the sender's own invention.
        let forwarded = format!("203.0.113.{number}, 198.51.100.1");
        let answer = ingest
            .forge_with(&[("x-forwarded-for", &forwarded)])
            .await?;
        assert_eq!(answer.status, 400);
    }
    let status = async |forwarded: &str| {
        let answer = ingest.forge_with(&[("x-forwarded-for", forwarded)]).await;
        answer.map(|answer| answer.status)
    };
    assert_eq!(status("198.51.100.1").await?, 429);
    assert_eq!(status("203.0.113.99, 198.51.100.1").await?, 429);
    assert_eq!(status("198.51.100.1, 198.51.100.2").await?, 400);
    assert_eq!(ingest.forge().await?.status, 400);
    assert!(!ingest.program.output().contains("TRUSTED_PROXY_HOPS"));
    Ok(())
}

/// HTTP table: a peer that sends the header while the setting is 0 is taken for a proxy.
#[tokio::test]
async fn an_unknown_proxy_is_not_limited_and_warned_of_once() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let forwarded = [("x-forwarded-for", "198.51.100.1")];
    for _ in 0..100 {
        assert_eq!(ingest.forge_with(&forwarded).await?.status, 400);
    }
    let warnings: Vec<_> = ingest
        .log()
        .into_iter()
        .filter(|line| line["level"] == "WARN")
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let message = warnings[0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("TRUSTED_PROXY_HOPS"), "{message}");
    Ok(())
}
