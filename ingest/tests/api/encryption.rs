//! TLS to Redis, against a real server with certificates of every kind.

use xtask::{
    certificates::Authority, clerk_payload::UserPayload, redis_server::RedisServer, wait::until,
};

use crate::helpers::{DEADLINE, EVENTS, Ingest};

/// The user that the ingest is, with a password that has to be written with percent signs.
const USER: [&str; 6] = ["ACL", "SETUSER", "ingest", "on", ">hunter/2@", "~*"];

async fn becomes_ready(ingest: &Ingest) -> anyhow::Result<()> {
    until("the ingest is ready", DEADLINE, async || {
        ingest.readiness().await == 200
    })
    .await
}

/// The server is not trusted: nothing is sent to it, and the log says why.
async fn is_refused(url: &str, authority: Option<&Authority>, reason: &str) -> anyhow::Result<()> {
    let file = authority.map(|authority| authority.file().to_string_lossy().into_owned());
    let settings = file.as_deref().map(|file| ("REDIS_CA_FILE", file));
    let ingest = Ingest::start_with(url, settings.as_slice()).await?;
    until(reason, DEADLINE, async || {
        let status = ingest.readiness().await;
        assert_eq!(status, 503, "{reason}");
        ingest.logged("reason", reason) > 0
    })
    .await
    .map_err(|error| error.context(ingest.program.output()))?;
    let body = UserPayload::new("user_1", "a@example.com").created();
    let answer = ingest.deliver("msg_refused", &body).await?;
    assert_eq!(
        (answer.status, answer.header("retry-after").is_some()),
        (503, true)
    );
    Ok(())
}

/// The user, the password and the number of the database go over TLS, to a server that a private
/// authority has signed for.
#[tokio::test]
async fn events_are_queued_over_tls() -> anyhow::Result<()> {
    let authority = Authority::new("ours")?;
    let mut redis = RedisServer::start()?;
    redis.encrypt(&authority.server(&["localhost"])?)?;
    redis.cli(&[&USER[..], &["+@all"]].concat())?;
    let url = redis.tls_url()?.replace("//", "//ingest:hunter%2F2%40@") + "/3";
    let file = authority.file();
    let settings = [("REDIS_CA_FILE", file.to_str().unwrap_or_default())];
    let ingest = Ingest::start_with(&url, &settings).await?;
    becomes_ready(&ingest).await?;
    let body = UserPayload::new("user_1", "a@example.com").created();
    assert_eq!(ingest.deliver("msg_1", &body).await?.status, 200);
    assert_eq!(redis.cli(&["-n", "3", "XLEN", EVENTS])?, "1");
    let clients = redis.cli(&["CLIENT", "LIST"])?;
    assert!(clients.contains("user=ingest"), "{clients}");
    assert!(!ingest.program.output().contains("hunter"));
    Ok(())
}

/// P8, P12: each wrong one is told by its reason, and the process goes on: when the certificate is right
/// it is used.
#[tokio::test]
async fn a_redis_that_is_not_what_it_should_be_is_refused() -> anyhow::Result<()> {
    let (ours, theirs) = (Authority::new("ours")?, Authority::new("theirs")?);
    let right = ours.server(&["localhost", "127.0.0.1"])?;
    let mut redis = RedisServer::start()?;
    redis.encrypt(&right)?;
    let url = redis.tls_url()?;
    let unknown = "the server's certificate was signed by an unknown authority";
    is_refused(&url, Some(&theirs), unknown).await?;
    // What the system trusts has not signed it either.
    is_refused(&url, None, unknown).await?;
    let without_tls = redis.url().replace("redis://", "rediss://");
    is_refused(&without_tls, Some(&ours), "the server does not do TLS").await?;
    redis.encrypt(&ours.expired_server(&["localhost"])?)?;
    let expired = "the server's certificate has expired";
    is_refused(&url, Some(&ours), expired).await?;
    redis.encrypt(&ours.server(&["redis.example.com"])?)?;
    let wrong_host = "the server's certificate is not for localhost";
    is_refused(&url, Some(&ours), wrong_host).await?;

    let file = ours.file();
    let settings = [("REDIS_CA_FILE", file.to_str().unwrap_or_default())];
    let ingest = Ingest::start_with(&url.replace("localhost", "127.0.0.1"), &settings).await?;
    assert_eq!(ingest.readiness().await, 503);
    assert_eq!(
        ingest.logged("reason", "the server's certificate is not for 127.0.0.1"),
        1
    );
    redis.encrypt(&right)?;
    becomes_ready(&ingest).await
}
