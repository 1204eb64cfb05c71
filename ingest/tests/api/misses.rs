//! Deliveries that miss the endpoint, and connections that never become a request: neither leaves an error
//! anywhere else.

use tokio::io::AsyncWriteExt as _;
use xtask::{clerk_payload::UserPayload, redis_server::RedisServer};

use crate::helpers::{Ingest, PATH, backlog, delivery, read_to_end, signed, statuses};

const MISSED: &str = "clerk_ingest_missed_deliveries_total";

fn body() -> String {
    UserPayload::new("user_1", "a@example.com").updated()
}

/// HTTP table, P13: a POST with Svix headers to another path.
#[tokio::test]
async fn a_delivery_to_another_path_is_counted_and_logged_once_a_minute() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    assert!(ingest.metric(MISSED).await?.abs() < 0.5);
    // Not Svix, or not a delivery.
    let nothing: [(&str, &str); 0] = [];
    let url = ingest.url("/webhooks/clerk");
    let signed = signed("msg_1", &body)?;
    for (method, headers) in [("POST", &[][..]), ("GET", &signed[..])] {
        let answer = ingest
            .http
            .send(method, &url, headers, body.clone())
            .await?;
        assert_eq!(answer.status, 404);
    }
    assert!(ingest.metric(MISSED).await?.abs() < 0.5);
    let unbranded = signed.clone().map(|(name, value)| {
        let unbranded = name.replace("svix-", "webhook-");
        (unbranded, value)
    });
    let strange = format!("/{}?token=hunter2", "w%0A".repeat(100));
    for (number, path) in [&strange, "/webhooks/clerk", "/", "/api/webhooks/clerk//"]
        .into_iter()
        .enumerate()
    {
        for _ in 0..2 {
            let url = ingest.url(path);
            let answer = if number % 2 == 0 {
                ingest
                    .http
                    .send("POST", &url, &signed, body.clone())
                    .await?
            } else {
                ingest
                    .http
                    .send("POST", &url, &unbranded, body.clone())
                    .await?
            };
            assert_eq!(answer.status, 404, "{path}");
        }
    }
    assert!((ingest.metric(MISSED).await? - 8.0).abs() < 0.5);
    let log = ingest.log();
    let paths: Vec<_> = log
        .iter()
        .filter_map(|line| line["path"].as_str())
        .collect();
    let paths: Vec<_> = paths.into_iter().filter(|path| *path != PATH).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    assert!(paths[0].starts_with("/w%0Aw%0A"), "{paths:?}");
    assert!(paths[0].len() < 210 && paths[0].ends_with('…'), "{paths:?}");
    assert!(!ingest.program.output().contains("hunter2"));
    assert!(!ingest.admin("/metrics").await?.body.contains("w%0A"));
    assert_eq!(ingest.post(&nothing, body).await?.status, 400);
    assert_eq!(backlog(&redis)?, 0);
    Ok(())
}

/// HTTP table, P13: what is not HTTP/1.1, and a head that is too much.
#[tokio::test]
async fn what_never_becomes_a_request_is_counted_by_kind_and_logged_with_what_it_looks_like()
-> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = body();
    let good = delivery("msg_1", &body, "connection: close\r\n")?;
    let with = |more: &str| delivery("msg_1", &body, more).map(String::into_bytes);
    let in_front = |line: &[u8]| [line, good.as_bytes()].concat();
    let cases = [
        (
            "head_too_long",
            "a head of more than 64 KiB",
            with(&format!("x: {}\r\n", "y".repeat(100_000)))?,
        ),
        (
            "head_too_long",
            "a head of more than 64 KiB",
            with(&format!("x: {}\r\n", "y".repeat(65_536)))?,
        ),
        (
            "too_many_headers",
            "a head of more than 256 headers",
            with(&"x: y\r\n".repeat(300))?,
        ),
        (
            "http2",
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        ),
        ("http2", "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM".to_vec()),
        (
            "proxy_protocol",
            "a PROXY protocol line",
            in_front(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n"),
        ),
        (
            "proxy_protocol",
            "a PROXY protocol line",
            in_front(b"PROXY UNKNOWN\r\n"),
        ),
        (
            "proxy_protocol",
            "a PROXY protocol line",
            in_front(
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x13\x88\x01\xbb",
            ),
        ),
        (
            "tls",
            "TLS",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03random\0\x20".to_vec(),
        ),
        (
            "other",
            "something else",
            b"EHLO mail.example.com\r\n".to_vec(),
        ),
        ("other", "something else", b"\0\x01\x02".to_vec()),
    ];
    for (_, what, bytes) in &cases {
        let mut stream = ingest.connect().await?;
        // The ingest may refuse it before all is written.
        let _ = stream.write_all(bytes).await;
        let answers = read_to_end(&mut stream).await?;
        assert!(
            statuses(&answers)
                .iter()
                .all(|status| status.starts_with('4')),
            "{what}: {answers}"
        );
    }
    for (kind, what, _) in &cases {
        let sent = cases.iter().filter(|case| case.0 == *kind).count();
        let name = format!("clerk_ingest_refused_connections_total{{kind=\"{kind}\"}}");
        let counted = ingest.metric(&name).await?;
        assert!((counted - sent as f64).abs() < 0.5, "{kind}: {counted}");
        assert_eq!(ingest.logged("looks_like", what), 1, "{what}");
    }
    // A request that goes wrong in other ways, or ends early, is none of these.
    drop(ingest.connect().await?);
    let mut stream = ingest.connect().await?;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: ").await?;
    stream.shutdown().await?;
    read_to_end(&mut stream).await?;
    assert_eq!(ingest.deliver("msg_2", &body).await?.status, 200);
    let name = "clerk_ingest_refused_connections_total{kind=\"other\"}";
    assert!((ingest.metric(name).await? - 2.0).abs() < 0.5);
    assert_eq!(backlog(&redis)?, 1);
    Ok(())
}
