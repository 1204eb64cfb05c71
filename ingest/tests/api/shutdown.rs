//! SIGTERM and SIGINT.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt as _;
use xtask::{clerk_payload::UserPayload, redis_server::RedisServer, wait::until};

use crate::helpers::{DEADLINE, Ingest, head, read_to_end, signed, svix_ids};

/// The default of `SHUTDOWN_GRACE_MS`.
const GRACE: Duration = Duration::from_secs(10);

fn body() -> String {
    UserPayload::new("user_1", "a@example.com").updated()
}

/// Waits until a signal has been understood.
async fn is_stopping(ingest: &Ingest) -> anyhow::Result<()> {
    until("no new connection is taken", DEADLINE, async || {
        ingest.connect().await.is_err()
    })
    .await?;
    let readiness = ingest.admin("/readyz").await?;
    assert_eq!(
        (readiness.status, readiness.body.as_str()),
        (503, "stopping\n")
    );
    Ok(())
}

async fn ends_with_0(ingest: &Ingest, deadline: Duration) -> anyhow::Result<()> {
    until("it has ended", deadline, async || {
        !ingest.program.is_running()
    })
    .await?;
    let status = ingest.program.wait(Duration::ZERO)?;
    assert_eq!(status.code(), Some(0), "{}", ingest.program.output());
    Ok(())
}

/// P10
#[tokio::test]
async fn a_request_whose_body_is_on_its_way_is_answered_after_a_signal() -> anyhow::Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let redis = RedisServer::start()?;
        let ingest = Ingest::start(&redis).await?;
        let body = body();
        let (first_half, second_half) = body.split_at(body.len() / 2);
        let mut stream = ingest.begin("msg_1", &body).await?;
        stream.write_all(first_half.as_bytes()).await?;
        let mut idle = ingest.connect().await?;

        ingest.program.signal(signal)?;
        is_stopping(&ingest).await?;
        assert_eq!(read_to_end(&mut idle).await?, "");
        assert!(ingest.program.is_running());
        stream.write_all(second_half.as_bytes()).await?;
        let answer = read_to_end(&mut stream).await?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{signal}: {answer}");
        ends_with_0(&ingest, GRACE).await?;
        assert_eq!(svix_ids(&redis).await?, ["msg_1"]);
    }
    Ok(())
}

/// P10
#[tokio::test]
async fn a_request_that_waits_for_redis_is_answered_after_a_signal() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    assert_eq!(ingest.deliver("msg_1", &body).await?.status, 200);
    redis.pause()?;
    let mut stream = ingest.begin("msg_2", &body).await?;
    stream.write_all(body.as_bytes()).await?;

    ingest.program.signal(Signal::SIGTERM)?;
    is_stopping(&ingest).await?;
    assert!(ingest.program.is_running());
    redis.resume()?;
    let answer = read_to_end(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    ends_with_0(&ingest, GRACE).await?;
    assert_eq!(svix_ids(&redis).await?, ["msg_1", "msg_2"]);
    Ok(())
}

/// P10; HTTP table: 503 with `Retry-After` when shutting down.
#[tokio::test]
async fn a_request_that_begins_after_a_signal_is_not_accepted() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let whole = head(
        &signed("msg_1", &body)?,
        &format!("content-length: {}\r\n", body.len()),
    ) + &body;
    let (first_part, rest) = whole.split_at(60);
    let mut stream = ingest.connect().await?;
    stream.write_all(first_part.as_bytes()).await?;
    // The connection is served, so its head counts as begun.
    until("the connection is open", DEADLINE, async || {
        ingest
            .metric("clerk_ingest_open_connections")
            .await
            .is_ok_and(|open| open > 0.5)
    })
    .await?;
    ingest.program.signal(Signal::SIGTERM)?;
    is_stopping(&ingest).await?;
    // Where the ingest had not read the first part yet it has closed the connection.
    let _ = stream.write_all(rest.as_bytes()).await;
    let answer = read_to_end(&mut stream).await?;
    let refused = answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: ");
    assert!(answer.is_empty() || refused, "{answer}");
    ends_with_0(&ingest, GRACE).await?;
    assert_eq!(svix_ids(&redis).await?, [""; 0]);
    Ok(())
}

/// P10: exit 0 within the grace period.
#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_end() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let settings = [("SHUTDOWN_GRACE_MS", "500")];
    let ingest = Ingest::start_with(&redis.url(), &settings).await?;
    let mut stream = ingest.begin("msg_1", &body()).await?;
    ingest.program.signal(Signal::SIGTERM)?;
    // Less than the time-out of a body, which would end it too.
    ends_with_0(&ingest, Duration::from_secs(8)).await?;
    assert_eq!(read_to_end(&mut stream).await?, "");
    Ok(())
}

/// P10
#[tokio::test]
async fn an_ingest_without_redis_and_without_requests_ends_at_once() -> anyhow::Result<()> {
    let mut redis = RedisServer::start()?;
    redis.kill();
    let ingest = Ingest::start(&redis).await?;
    assert_eq!(ingest.deliver("msg_1", &body()).await?.status, 503);
    // Its client keeps this connection open.
    ingest.program.signal(Signal::SIGINT)?;
    ends_with_0(&ingest, Duration::from_secs(8)).await
}
