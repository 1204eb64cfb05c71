//! What is queued, and which answer each other request gets.

use std::fs;

use xtask::{
    clerk_payload::UserPayload,
    redis_server::RedisServer,
    sender::{milliseconds_since_epoch, seconds_since_epoch, signed_headers},
};

use crate::helpers::{Ingest, OTHER_SECRET, PATH, SECRET, backlog, entries, signed, svix_ids};

/// HTTP table; the fields of the stream.
#[tokio::test]
async fn a_signed_event_is_queued_byte_for_byte() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    // Spaces, escapes and a repeated field: whatever parses and writes JSON again would change it.
    let body = "{ \"type\":\"user.updated\",\n\t\"data\" : {\"id\":\"user_1\", \"first_name\":\"Zo\\u00eb \u{1F600}\", \"x\":1e400,\"x\":0.10}, \"object\":\"event\" }\n";
    let before = milliseconds_since_epoch()?;
    let answer = ingest.deliver("msg_1", body).await?;
    let after = milliseconds_since_epoch()?;
    assert_eq!(answer.status, 200, "{}", answer.body);

    let entries = entries(&redis).await?;
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    let fields: Vec<_> = entry.keys().map(String::as_str).collect();
    assert_eq!(fields, ["payload", "received-at", "svix-id", "type"]);
    assert_eq!(entry["svix-id"], b"msg_1");
    assert_eq!(entry["type"], b"user.updated");
    assert_eq!(entry["payload"], body.as_bytes());
    let received_at: i64 = str::from_utf8(&entry["received-at"])?.parse()?;
    assert!((before..=after).contains(&received_at), "{received_at}");
    Ok(())
}

/// HTTP table: new types of Clerk's never break anything, and dozens of unknown fields do not.
#[tokio::test]
async fn every_payload_of_clerk_is_queued() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures");
    let mut bodies = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path
            .file_name()
            .is_some_and(|name| name != "signatures.json")
        {
            bodies.push(fs::read_to_string(path)?);
        }
    }
    assert!(bodies.len() >= 7);
    bodies.push(UserPayload::new("user_1", "a@example.com").event("user.invented"));
    for (number, body) in bodies.iter().enumerate() {
        let answer = ingest.deliver(&format!("msg_{number}"), body).await?;
        assert_eq!(answer.status, 200, "{body}");
    }
    let payloads: Vec<_> = entries(&redis)
        .await?
        .into_iter()
        .map(|mut entry| entry.remove("payload").unwrap_or_default())
        .collect();
    let sent: Vec<_> = bodies.into_iter().map(String::into_bytes).collect();
    assert_eq!(payloads, sent);
    Ok(())
}

/// HTTP table: signed, with a type, and data of whatever kind or none.
#[tokio::test]
async fn a_signed_event_is_queued_whatever_its_data_is() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start_with(&redis.url(), &[("REDIS_PARTITIONS", "2")]).await?;
    let mut sent = 0;
    for event_type in ["user.created", "user.invented", "billing.invented", ""] {
        for rest in [
            "",
            ",\"data\":null",
            ",\"data\":[]",
            ",\"data\":[\"user_1\"]",
            ",\"data\":\"user_1\"",
            ",\"data\":7",
            ",\"data\":true",
            ",\"data\":{}",
            ",\"data\":{\"id\":[]}",
            ",\"data\":1,\"data\":2",
            ",\"timestamp\":1,\"timestamp\":2",
        ] {
            let body = format!("{{\"type\":\"{event_type}\"{rest}}}");
            let answer = ingest.deliver(&format!("msg_{sent}"), &body).await?;
            assert_eq!(answer.status, 200, "{body}");
            sent += 1;
        }
    }
    let queued = backlog(&redis)? + redis.cli(&["XLEN", "{clerk:1}:events"])?.parse::<u64>()?;
    assert_eq!(queued, sent);
    Ok(())
}

/// HTTP table: the unbranded twins of the headers.
#[tokio::test]
async fn the_unbranded_headers_are_understood() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = UserPayload::new("user_1", "a@example.com").created();
    let headers = signed("msg_1", &body)?.map(|(name, value)| {
        let unbranded = name.replace("svix-", "webhook-");
        (unbranded, value)
    });
    assert_eq!(ingest.post(&headers, body).await?.status, 200);
    assert_eq!(svix_ids(&redis).await?, ["msg_1"]);
    Ok(())
}

/// HTTP table: of several signatures in one header one valid one is enough.
#[tokio::test]
async fn one_valid_signature_among_several_is_enough() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = UserPayload::new("user_1", "a@example.com").created();
    let [id, timestamp, (name, signature)] = signed("msg_1", &body)?;
    let (_, other) =
        signed_headers(OTHER_SECRET, "msg_1", seconds_since_epoch()?, &body)?[2].clone();
    for signatures in [
        format!("{other} {signature}"),
        format!("{signature} {other}"),
        format!("v1a,bm90IG91cnM= {other} v1,??? {signature}"),
    ] {
        let headers = [id.clone(), timestamp.clone(), (name, signatures)];
        assert_eq!(ingest.post(&headers, body.clone()).await?.status, 200);
    }
    assert_eq!(backlog(&redis)?, 3);
    let headers = [id, timestamp, (name, format!("{other} {other}"))];
    assert_eq!(ingest.post(&headers, body).await?.status, 400);
    assert_eq!(backlog(&redis)?, 3);
    Ok(())
}

/// Settings: several secrets, while one is rotated.
#[tokio::test]
async fn both_secrets_are_accepted_during_a_rotation() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    for separator in [" ", ",", ", "] {
        let secrets = format!("{OTHER_SECRET}{separator}{SECRET}");
        let settings = [("CLERK_WEBHOOK_SIGNING_SECRET", secrets.as_str())];
        let ingest = Ingest::start_with(&redis.url(), &settings).await?;
        let body = UserPayload::new("user_1", "a@example.com").created();
        for secret in [SECRET, OTHER_SECRET] {
            let headers = signed_headers(secret, "msg_1", seconds_since_epoch()?, &body)?;
            assert_eq!(ingest.post(&headers, body.clone()).await?.status, 200);
        }
    }
    Ok(())
}

/// HTTP table
#[tokio::test]
async fn the_endpoint_tells_a_browser_that_it_is_reachable() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let nothing: [(&str, &str); 0] = [];
    let get = ingest.http.get(&ingest.url(PATH)).await?;
    assert_eq!(get.status, 200);
    assert!(
        get.body.contains("the endpoint is reachable"),
        "{}",
        get.body
    );
    let with_query = ingest.http.get(&ingest.url(&format!("{PATH}?x=1"))).await?;
    assert_eq!(with_query.status, 200);
    let head = ingest
        .http
        .send("HEAD", &ingest.url(PATH), &nothing, "")
        .await?;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(backlog(&redis)?, 0);
    Ok(())
}

/// HTTP table: a slash at its end, or its lack, makes no difference, on the setting and on the request.
#[tokio::test]
async fn the_path_is_the_setting_with_or_without_a_slash_at_its_end() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let body = UserPayload::new("user_1", "a@example.com").created();
    let mut queued = 0;
    for (setting, paths) in [
        ("", ["/api/webhooks/clerk", "/api/webhooks/clerk/"]),
        ("/hooks/clerk/", ["/hooks/clerk", "/hooks/clerk/"]),
        ("/hooks/clerk", ["/hooks/clerk", "/hooks/clerk/"]),
        ("/", ["/", "/?x=1"]),
    ] {
        let settings = [("WEBHOOK_PATH", setting)];
        let ingest = Ingest::start_with(&redis.url(), &settings).await?;
        for path in paths {
            let url = ingest.url(path);
            let headers = signed("msg_1", &body)?;
            let sent = ingest
                .http
                .send("POST", &url, &headers, body.clone())
                .await?;
            assert_eq!(sent.status, 200, "{setting}: {path}");
            assert_eq!(
                ingest.http.get(&url).await?.status,
                200,
                "{setting}: {path}"
            );
            let put = ingest
                .http
                .send("PUT", &url, &headers, body.clone())
                .await?;
            assert_eq!(put.status, 405, "{setting}: {path}");
            queued += 1;
        }
        let other = ingest.url(&format!("{}/x", paths[0].trim_end_matches('/')));
        assert_eq!(ingest.http.get(&other).await?.status, 404, "{setting}");
        assert_eq!(backlog(&redis)?, queued, "{setting}");
    }
    Ok(())
}

/// HTTP table
#[tokio::test]
async fn other_methods_and_other_paths_are_refused() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    let body = UserPayload::new("user_1", "a@example.com").created();
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"] {
        let answer = ingest
            .http
            .send(
                method,
                &ingest.url(PATH),
                &signed("msg_1", &body)?,
                body.clone(),
            )
            .await?;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"), "{method}");
    }
    for path in [
        "/",
        "/api/webhooks",
        "/api/webhooks/clerk/x",
        "/API/webhooks/clerk",
        "/api/webhooks/%63lerk",
        "//api/webhooks/clerk",
        "/healthz",
        "/metrics",
    ] {
        for method in ["GET", "POST", "PUT"] {
            let answer = ingest
                .http
                .send(
                    method,
                    &ingest.url(path),
                    &signed("msg_1", &body)?,
                    body.clone(),
                )
                .await?;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
    assert_eq!(backlog(&redis)?, 0);
    Ok(())
}
