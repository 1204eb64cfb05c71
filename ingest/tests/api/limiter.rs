//! The limiter of forged requests.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, net::TcpSocket};
use xtask::{clerk_payload::UserPayload, redis_server::RedisServer, wait::until};

use crate::helpers::{Ingest, PATH, backlog, delivery, head, read_to_end, statuses};

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
    // Nobody looks at the signature, not even at a good one, where another request came just before it.
    let good = delivery("msg_1", &body(), "connection: close\r\n")?;
    let forged = delivery("msg_1", &body(), "")?.replacen("v1,", "v1,AAAA", 1);
    let answers = ingest.exchange((forged + &good).as_bytes()).await?;
    assert_eq!(statuses(&answers).last(), Some(&"429"), "{answers}");
    let (_, limited) = answers.rsplit_once("HTTP/1.1 429 ").unwrap_or_default();
    let retry_after: u64 = limited
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: "))
        .unwrap_or_default()
        .parse()?;
    assert!((1..=61).contains(&retry_after), "{retry_after}");
    assert_eq!(backlog(&redis)?, 0);
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

/// HTTP table: one request a second of a limited address is looked at, so that Clerk comes through where
/// everybody has the same address, as long as the flood lasts.
#[tokio::test]
async fn clerk_comes_through_a_flood_from_its_own_address() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let closes = "connection: close\r\n";
    let forged = delivery("msg_forged", &body(), closes)?.replacen("v1,", "v1,AAAA", 1);
    for _ in 0..=FORGED_ALLOWED {
        assert_eq!(ingest.forge().await?.status, 400);
    }
    // Shorter than the minute after which an address that keeps quiet is no longer limited.
    let deadline = Duration::from_secs(40);
    until("a delivery comes through", deadline, async || {
        let good = delivery("msg_1", &body(), "").unwrap_or_default();
        let answers = ingest.exchange((good + &forged).as_bytes()).await;
        statuses(&answers.unwrap_or_default()).first() == Some(&"200")
    })
    .await?;
    // From then on the address is Clerk's.
    for _ in 0..=FORGED_ALLOWED {
        assert_eq!(ingest.forge().await?.status, 400);
    }
    assert_eq!(ingest.deliver("msg_2", &body()).await?.status, 200);
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
    assert!(!ingest.program.output().contains("TRUSTED_PROXY_HOPS"));
    Ok(())
}

/// HTTP table: a peer that sends the header while the setting is 0, or a shorter one than the setting says, is
/// taken for a proxy; and so is one that does not say whom it speaks for.
#[tokio::test]
async fn a_proxy_that_the_setting_does_not_fit_is_not_limited_and_warned_of_once()
-> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    for (hops, forwarded) in [
        ("0", &[("x-forwarded-for", "198.51.100.1")][..]),
        ("2", &[("x-forwarded-for", "198.51.100.1")]),
        ("3", &[("x-forwarded-for", "198.51.100.1, 198.51.100.2")]),
        ("1", &[("x-forwarded-for", "unknown")]),
        ("1", &[("x-forwarded-for", "")]),
        ("1", &[]),
    ] {
        let settings = [("TRUSTED_PROXY_HOPS", hops)];
        let ingest = Ingest::start_with(&redis.url(), &settings).await?;
        for _ in 0..100 {
            let answer = ingest.forge_with(forwarded).await?;
            assert_eq!(answer.status, 400, "{hops}: {forwarded:?}");
        }
        let warnings: Vec<_> = ingest
            .log()
            .into_iter()
            .filter(|line| line["level"] == "WARN")
            .collect();
        assert_eq!(warnings.len(), 1, "{hops}: {warnings:?}");
        let message = warnings[0]["message"].as_str().unwrap_or_default();
        assert!(message.contains("TRUSTED_PROXY_HOPS"), "{message}");
    }
    Ok(())
}
