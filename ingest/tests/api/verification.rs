//! What is not accepted, and what the log says of it.

use xtask::{
    clerk_payload::UserPayload,
    redis_server::RedisServer,
    sender::{seconds_since_epoch, signed_headers},
};

use crate::helpers::{Ingest, OTHER_SECRET, SECRET, backlog, signed, svix_ids};

const MINUTES: i64 = 60;

type Headers = Vec<(&'static str, String)>;

/// P2
#[tokio::test]
async fn nothing_but_a_fresh_signed_clerk_event_reaches_redis() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = UserPayload::new("user_1", "a@example.com").created();
    let other_body = UserPayload::new("user_2", "a@example.com").created();
    let now = seconds_since_epoch()?;
    let good = signed("msg_1", &body)?;
    let [id, timestamp, signature] = good.clone();
    let with = |header: &(&'static str, String), value: &str| {
        good.clone().map(|(name, old)| {
            if name == header.0 {
                (name, value.to_owned())
            } else {
                (name, old)
            }
        })
    };
    let cases: Vec<(&str, Headers, Vec<u8>)> = vec![
        ("unsigned", vec![], body.clone().into()),
        (
            "no svix-id",
            vec![timestamp.clone(), signature.clone()],
            body.clone().into(),
        ),
        (
            "no svix-timestamp",
            vec![id.clone(), signature.clone()],
            body.clone().into(),
        ),
        (
            "no svix-signature",
            vec![id.clone(), timestamp.clone()],
            body.clone().into(),
        ),
        (
            "empty signature",
            with(&signature, "").into(),
            body.clone().into(),
        ),
        (
            "forged",
            with(&signature, "v1,Zm9yZ2Vk").into(),
            body.clone().into(),
        ),
        (
            "an unknown version of the signature",
            with(&signature, &signature.1.replace("v1,", "v2,")).into(),
            body.clone().into(),
        ),
        (
            "another secret",
            signed_headers(OTHER_SECRET, "msg_1", now, &body)?.into(),
            body.clone().into(),
        ),
        (
            "another svix-id",
            with(&id, "msg_2").into(),
            body.clone().into(),
        ),
        (
            "another timestamp",
            with(&timestamp, &(now - 10).to_string()).into(),
            body.clone().into(),
        ),
        (
            "no number",
            with(&timestamp, "now").into(),
            body.clone().into(),
        ),
        (
            "too old",
            signed_headers(SECRET, "msg_1", now - 5 * MINUTES - 5, &body)?.into(),
            body.clone().into(),
        ),
        (
            "from the future",
            signed_headers(SECRET, "msg_1", now + 6 * MINUTES, &body)?.into(),
            body.clone().into(),
        ),
        ("another body", good.clone().into(), other_body.into()),
        (
            "a byte more",
            good.clone().into(),
            format!("{body} ").into(),
        ),
        ("no body", good.clone().into(), vec![]),
        ("not UTF-8", good.clone().into(), vec![b'{', 0xff, b'}']),
        (
            "empty svix-id",
            signed("", &body)?.into(),
            body.clone().into(),
        ),
        (
            "endless svix-id",
            signed(&"m".repeat(300), &body)?.into(),
            body.clone().into(),
        ),
    ];
    let not_events = [
        "",
        "no JSON",
        "{}",
        "[]",
        "null",
        "\"user.created\"",
        "{\"type\":7,\"data\":{}}",
        "{\"type\":null,\"data\":{}}",
        "[\"user.created\",{}]",
        "{\"data\":{}}",
        "{\"type\":\"user.created\",\"data\":{}",
        "{\"type\":\"user.created\",\"data\":{}}{}",
    ]
    .map(|body| {
        anyhow::Ok((
            "not an event",
            signed("msg_1", body)?.to_vec(),
            body.as_bytes().to_vec(),
        ))
    });

    let mut bodies = Vec::new();
    for case in cases.into_iter().map(Ok).chain(not_events) {
        let (what, headers, body) = case?;
        let answer = ingest.post(&headers, body.clone()).await?;
        assert_eq!(
            answer.status,
            400,
            "{what}: {}",
            String::from_utf8_lossy(&body)
        );
        bodies.push(answer.body);
        assert_eq!(
            backlog(&redis)?,
            0,
            "{what}: {}",
            String::from_utf8_lossy(&body)
        );
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "an answer tells what is wrong: {bodies:?}");

    // The very request that each of them was made from is accepted.
    assert_eq!(ingest.post(&good, body).await?.status, 200);
    assert_eq!(svix_ids(&redis).await?, ["msg_1"]);
    Ok(())
}

/// HTTP table: the log tells which.
#[tokio::test]
async fn the_log_and_the_metrics_tell_why_a_request_was_refused() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let nothing: [(&str, &str); 0] = [];
    let old = signed_headers(SECRET, "msg_1", seconds_since_epoch()? - 6 * MINUTES, "{}")?;
    ingest.post(&nothing, "{}").await?;
    ingest.post(&old, "{}").await?;
    ingest.post(&signed("msg_1", "{}")?, "[]").await?;
    ingest.post(&signed("msg_1", "{}")?, vec![0xff]).await?;
    ingest.post(&signed("msg_1", "{}")?, "{}").await?;
    ingest.post(&signed("msg_1", "no JSON")?, "no JSON").await?;

    for reason in ["header", "timestamp", "signature", "body", "not JSON"] {
        assert_eq!(
            ingest.logged("reason", reason),
            1,
            "{reason}:\n{}",
            ingest.program.output()
        );
    }
    assert!(ingest.program.output().contains("not a Clerk event"));
    for (kind, count) in [
        ("header", 1.0),
        ("timestamp", 1.0),
        ("signature", 1.0),
        ("body", 1.0),
        ("event", 2.0),
    ] {
        let name = format!("clerk_ingest_verification_failures_total{{kind=\"{kind}\"}}");
        assert!((ingest.metric(&name).await? - count).abs() < 0.5, "{kind}");
    }
    Ok(())
}
