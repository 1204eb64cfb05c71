//! What nobody gets to see.

use nix::sys::signal::Signal;
use serde_json::Value;
use xtask::{
    clerk_payload::UserPayload,
    free_port::free_port,
    http::Answer,
    redis_server::RedisServer,
    sender::{seconds_since_epoch, signed_headers},
    wait::until,
};

use crate::helpers::{DEADLINE, EVENTS, Ingest, OTHER_SECRET, PATH, SECRET, head, signed};

const PASSWORD: &str = "hunter2-of-redis";
const EMAIL: &str = "ada.secret@example.com";

/// What an event holds that is nobody's business: every text of it that is long enough to be told
/// from others, but not its type and its ids.
fn confidential(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.extend((text.len() >= 8).then(|| text.clone())),
        Value::Array(values) => values.iter().for_each(|value| confidential(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| confidential(value, into)),
        _ => {}
    }
}

/// P11: whatever is asked and whatever goes wrong, at the highest level of detail.
#[tokio::test]
async fn no_answer_log_or_metric_tells_a_secret() -> anyhow::Result<()> {
    let redis = RedisServer::start_with(&["--requirepass", ""])?;
    redis.cli(&[
        "ACL",
        "SETUSER",
        "clerk",
        "on",
        &format!(">{PASSWORD}"),
        "~*",
        "&*",
        "+@all",
    ])?;
    let redis_url = format!("redis://clerk:{PASSWORD}@127.0.0.1:{}", redis.port());
    let secrets = format!("{SECRET} {OTHER_SECRET}");
    let ingest = Ingest::start_with(
        &redis_url,
        &[
            ("CLERK_WEBHOOK_SIGNING_SECRET", &secrets),
            ("MAX_BODY_BYTES", "100000"),
            ("MAX_BACKLOG", "5"),
            ("RUST_LOG", "trace"),
        ],
    )
    .await?;
    let event = UserPayload::new("user_1", EMAIL)
        .first_name("Adaconfidential")
        .last_name("Lovelacesecret");
    let body = event.created();
    let not_an_event = body.replace("\"type\"", "\"kind\"");
    let now = seconds_since_epoch()?;

    let mut answers = vec![
        ingest.deliver("msg_1", &body).await?,
        ingest.deliver("msg_2", &not_an_event).await?,
        ingest.deliver("msg_3", &body[..body.len() / 2]).await?,
        ingest
            .post(&signed("msg_4", &not_an_event)?, body.clone())
            .await?,
        ingest
            .post(
                &signed_headers(SECRET, "msg_5", now - 1000, &body)?,
                body.clone(),
            )
            .await?,
        ingest
            .post(&signed("msg_6", &body)?[..2], body.clone())
            .await?,
        ingest
            .post(
                &signed("msg_7", &body)?,
                [body.as_bytes(), &[0xff]].concat(),
            )
            .await?,
        ingest
            .deliver(
                "msg_8",
                &event.clone().image_url(&*"x".repeat(200_000)).created(),
            )
            .await?,
        ingest.forge_with(&[("x-forwarded-for", EMAIL)]).await?,
        ingest
            .http
            .get(&ingest.url(&format!("{PATH}?email={EMAIL}")))
            .await?,
        ingest
            .http
            .get(&ingest.url(&format!("/{EMAIL}/{SECRET}")))
            .await?,
        ingest
            .http
            .send(
                "PUT",
                &ingest.url(PATH),
                &signed("msg_9", &body)?,
                body.clone(),
            )
            .await?,
    ];
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(
        statuses,
        [200, 400, 400, 400, 400, 400, 400, 413, 400, 200, 404, 405]
    );
    let broken = ingest
        .exchange(format!("{EMAIL}\r\n{body}\r\n\r\n").as_bytes())
        .await?;
    let broken_head = ingest
        .exchange(head(&[("x y", EMAIL.into())], "").as_bytes())
        .await?;

    let nobody = free_port()?.to_string();
    for (harm, cure) in [
        (
            &["CONFIG", "SET", "maxmemory", "1"][..],
            &["CONFIG", "SET", "maxmemory", "0"][..],
        ),
        (
            &["REPLICAOF", "127.0.0.1", &nobody],
            &["REPLICAOF", "NO", "ONE"],
        ),
        (&["SET", EVENTS, "not a stream"], &["DEL", EVENTS]),
    ] {
        redis.cli(harm)?;
        answers.push(ingest.deliver("msg_10", &body).await?);
        redis.cli(cure)?;
    }
    for _ in 0..6 {
        answers.push(ingest.deliver("msg_11", &body).await?);
    }
    // The password is wrong from now on.
    redis.cli(&["ACL", "SETUSER", "clerk", "resetpass", ">another"])?;
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
    until("Redis refuses the password", DEADLINE, async || {
        ingest
            .deliver("msg_12", &body)
            .await
            .is_ok_and(|answer| answer.status == 503)
            && ingest.program.output().contains("AuthenticationFailed")
    })
    .await?;
    assert_eq!(ingest.readiness().await, 503);
    answers.push(ingest.admin("/readyz").await?);
    answers.push(ingest.admin("/metrics").await?);
    answers.push(ingest.admin(&format!("/{EMAIL}")).await?);
    ingest.program.signal(Signal::SIGTERM)?;
    until("it has ended", DEADLINE, async || {
        !ingest.program.is_running()
    })
    .await?;

    let told: String = answers
        .iter()
        .map(|Answer { headers, body, .. }| format!("{headers:?}\n{body}\n"))
        .chain([broken, broken_head, ingest.program.output()])
        .collect();
    let mut hidden: Vec<String> = vec![
        PASSWORD.into(),
        SECRET.trim_start_matches("whsec_").into(),
        OTHER_SECRET.trim_start_matches("whsec_").into(),
        "Adaconfidential".into(),
        "Lovelacesecret".into(),
        EMAIL.into(),
        "email_address".into(),
        // Every signature begins so.
        "v1,".into(),
    ];
    confidential(&serde_json::from_str::<Value>(&body)?["data"], &mut hidden);
    assert!(hidden.len() > 15, "{hidden:?}");
    for text in hidden {
        assert!(!told.contains(&text), "{text} is told in\n{told}");
    }
    // It is told which events they were.
    assert!(told.contains("msg_1") && told.contains("msg_10"));
    Ok(())
}

/// P11
#[tokio::test]
async fn no_setting_is_logged_at_the_start() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let redis_url = format!("redis://127.0.0.1:{}/0?x={PASSWORD}", redis.port());
    let ingest =
        Ingest::start_with(&redis_url, &[("RUST_LOG", "trace"), ("LOG_FORMAT", "text")]).await?;
    let output = ingest.program.output();
    assert!(output.contains("ingest is listening"), "{output}");
    assert!(
        !output.contains(PASSWORD) && !output.contains(SECRET),
        "{output}"
    );
    Ok(())
}
