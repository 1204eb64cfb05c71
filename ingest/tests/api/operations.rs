//! The admin address and the health check.

use xtask::{
    clerk_payload::UserPayload, http::Http, program::Program, redis_server::RedisServer,
    wait::until,
};

use crate::helpers::{DEADLINE, Ingest};

/// HTTP: the admin address.
#[tokio::test]
async fn the_admin_address_tells_alive_from_ready() -> anyhow::Result<()> {
    let mut redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    assert_eq!(ingest.admin("/readyz").await?.status, 200);
    redis.kill();
    until("it is not ready", DEADLINE, async || {
        ingest.readiness().await == 503
    })
    .await?;
    assert_eq!(ingest.admin("/healthz").await?.status, 200);
    redis.restart()?;
    until("it is ready again", DEADLINE, async || {
        ingest.readiness().await == 200
    })
    .await?;

    assert_eq!(ingest.admin("/").await?.status, 404);
    let nothing: [(&str, &str); 0] = [];
    let url = format!("http://{}/healthz", ingest.admin_address());
    let post = Http::new().send("POST", &url, &nothing, "").await?;
    assert_eq!(
        (post.status, post.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let head = Http::new().send("HEAD", &url, &nothing, "").await?;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    Ok(())
}

/// HTTP: metrics in Prometheus' text format.
#[tokio::test]
async fn the_metrics_are_text_that_prometheus_reads() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = UserPayload::new("user_1", "a@example.com").created();
    assert_eq!(ingest.deliver("msg_1", &body).await?.status, 200);
    assert_eq!(ingest.forge().await?.status, 400);

    let metrics = ingest.admin("/metrics").await?;
    assert_eq!(metrics.status, 200);
    let content_type = metrics.header("content-type").unwrap_or_default();
    assert!(
        content_type.starts_with("text/plain; version=0.0.4"),
        "{content_type}"
    );
    for line in metrics.body.lines() {
        let is_comment = line.starts_with("# HELP ") || line.starts_with("# TYPE ");
        let is_sample = line
            .rsplit_once(' ')
            .is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        assert!(is_comment || is_sample, "{line}");
    }
    for (name, kind) in [
        ("clerk_ingest_requests_total", "counter"),
        ("clerk_ingest_verification_failures_total", "counter"),
        ("clerk_ingest_enqueue_seconds", "histogram"),
        ("clerk_ingest_open_connections", "gauge"),
    ] {
        let line = format!("# TYPE {name} {kind}");
        assert!(
            metrics.body.lines().any(|other| other == line),
            "{line}\n{}",
            metrics.body
        );
    }
    for (sample, value) in [
        ("clerk_ingest_requests_total{status=\"200\"}", 1.0),
        ("clerk_ingest_requests_total{status=\"400\"}", 1.0),
        (
            "clerk_ingest_verification_failures_total{kind=\"signature\"}",
            1.0,
        ),
        (
            "clerk_ingest_verification_failures_total{kind=\"timestamp\"}",
            0.0,
        ),
        ("clerk_ingest_enqueue_seconds_count", 1.0),
        ("clerk_ingest_enqueue_seconds_bucket{le=\"+Inf\"}", 1.0),
    ] {
        let found = ingest.metric(sample).await?;
        assert!((found - value).abs() < 0.5, "{sample} {found}");
    }
    Ok(())
}

/// Commands: the health check that an image without curl needs.
#[tokio::test]
async fn the_health_check_exits_0_only_while_the_ingest_is_ready() -> anyhow::Result<()> {
    let mut redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    // It needs no secret and no Redis of its own.
    let address = ingest.admin_address().to_owned();
    let check =
        |address: &str| Program::run("ingest", &["healthcheck"], &[("ADMIN_ADDR", address)]);
    let healthy = check(&address)?;
    assert!(healthy.status.success(), "{healthy:?}");
    let every_address = check(&address.replace("127.0.0.1", "0.0.0.0"))?;
    assert!(every_address.status.success(), "{every_address:?}");
    let by_flag = Program::run("ingest", &["healthcheck", "--admin-addr", &address], &[])?;
    assert!(by_flag.status.success(), "{by_flag:?}");

    redis.kill();
    until("it is not ready", DEADLINE, async || {
        ingest.readiness().await == 503
    })
    .await?;
    let not_ready = check(&address)?;
    assert!(!not_ready.status.success(), "{not_ready:?}");
    let reason = String::from_utf8_lossy(&not_ready.stderr).into_owned();
    assert!(
        reason.contains("503") && reason.lines().count() == 1,
        "{reason}"
    );

    ingest.program.kill();
    let gone = check(&address)?;
    assert!(!gone.status.success(), "{gone:?}");
    let reason = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(
        reason.contains(&address) && reason.lines().count() == 1,
        "{reason}"
    );
    Ok(())
}

/// P12: what lets Redis lose an event that was answered 200 is told at the start.
#[tokio::test]
async fn the_ingest_warns_of_a_redis_that_may_lose_events() -> anyhow::Result<()> {
    let redis = RedisServer::start_with(&["--appendfsync", "everysec"])?;
    let ingest = Ingest::start(&redis).await?;
    let risk = "Redis does not keep what it has acknowledged";
    until("it is told", DEADLINE, async || {
        ingest.logged("found", "appendfsync everysec") == 1
    })
    .await?;
    assert_eq!(ingest.logged("message", risk), 1);
    let body = UserPayload::new("user_1", "a@example.com").created();
    assert_eq!(ingest.deliver("msg_1", &body).await?.status, 200);
    Ok(())
}
