//! What the official packages sign is accepted and applied, and nothing else is.

use serde_json::{Value, json};
use xtask::clerk_payload::UserPayload;
use xtask::http::Http;
use xtask::sender::{seconds_since_epoch, signed_headers};

use crate::node::Node;
use crate::python::Python;
use crate::world::{SECRET, World};

const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// Seconds; more than the five minutes that are allowed.
const SIX_MINUTES: i64 = 360;

/// P2 and its other side
#[test]
fn the_official_javascript_package_is_understood() {
    let Some(node) = Node::present() else { return };
    let world = World::new();
    let sent = node.ask("svix_sender.mjs", &deliveries(&world));
    the_good_ones_are_applied(&world, &sent);
}

/// P2 and its other side
#[test]
fn the_official_python_package_is_understood() {
    let Some(python) = Python::present() else {
        return;
    };
    let world = World::new();
    let sent = python.ask("svix_sender.py", &deliveries(&world));
    the_good_ones_are_applied(&world, &sent);
}

/// P2 and its other side
#[tokio::test]
async fn the_official_rust_crate_is_understood() {
    let world = World::new();
    let http = Http::new();
    let question = deliveries(&world);
    let mut sent = Vec::new();
    for delivery in question["deliveries"].as_array().unwrap() {
        let text = |field: &str| delivery[field].as_str().unwrap();
        let headers = signed_headers(
            text("secret"),
            text("svixId"),
            seconds_since_epoch().unwrap() - delivery["age"].as_i64().unwrap(),
            text("signed"),
        )
        .unwrap()
        .map(|(name, value)| (name.replace("svix", text("prefix")), value));
        let answer = http
            .send("POST", &world.url(), &headers, text("sent").to_owned())
            .await
            .unwrap();
        sent.push(json!({ "status": answer.status }));
    }
    the_good_ones_are_applied(&world, &json!(sent));
}

/// P2: an application that moves to us from a route of its own loses no delivery, and gets none more.
#[test]
fn clerks_own_package_accepts_what_the_ingest_accepts() {
    let Some(node) = Node::present() else { return };
    let world = World::new();
    let mut question = deliveries(&world);
    // Clerk's package knows the branded headers only.
    question["deliveries"]
        .as_array_mut()
        .unwrap()
        .retain(|delivery| delivery["prefix"] == "svix");
    let sent = node.ask("svix_sender.mjs", &question);
    let (sent, deliveries) = (
        sent.as_array().unwrap(),
        question["deliveries"].as_array().unwrap(),
    );
    let requests: Vec<Value> = sent
        .iter()
        .zip(deliveries)
        .map(|(sent, delivery)| json!({ "headers": sent["headers"], "body": delivery["sent"] }))
        .collect();
    let accepted = node.ask(
        "clerk_verifier.mjs",
        &json!({ "secret": SECRET, "requests": requests }),
    );
    assert_eq!(accepted, json!(["user_good", null, null, null, null]));
    assert_eq!(statuses(&json!(sent)), [200, 400, 400, 400, 400]);
}

/// Two good deliveries and four bad ones, each about another user.
fn deliveries(world: &World) -> Value {
    let delivery = |what: &str| {
        let body = UserPayload::new(&format!("user_{what}"), &format!("{what}@example.com"))
            .first_name("Zoë")
            .created();
        json!({
            "svixId": format!("msg_{what}"), "prefix": "svix", "secret": SECRET, "age": 0,
            "signed": body, "sent": body,
        })
    };
    let mut unbranded = delivery("unbranded");
    unbranded["prefix"] = json!("webhook");
    let mut forged = delivery("forged");
    forged["secret"] = json!(OTHER_SECRET);
    let mut old = delivery("old");
    old["age"] = json!(SIX_MINUTES);
    let mut future = delivery("future");
    future["age"] = json!(-SIX_MINUTES);
    let mut changed = delivery("changed");
    changed["sent"] = json!(format!("{} ", changed["signed"].as_str().unwrap()));
    json!({
        "url": world.url(),
        "deliveries": [delivery("good"), unbranded, forged, old, future, changed],
    })
}

fn the_good_ones_are_applied(world: &World, sent: &Value) {
    assert_eq!(statuses(sent), [200, 200, 400, 400, 400, 400]);
    let _worker = world.worker();
    world.settle();
    assert_eq!(
        world.sql("select id || ' ' || name || ' ' || email from users order by id"),
        "user_good Zoë Lovelace good@example.com\n\
         user_unbranded Zoë Lovelace unbranded@example.com"
    );
    assert_eq!(
        world.sql("select svix_id || ' ' || outcome from clerk_sync.events order by 1"),
        "msg_good applied\nmsg_unbranded applied"
    );
}

fn statuses(sent: &Value) -> Vec<i64> {
    let sent = sent.as_array().unwrap();
    sent.iter()
        .map(|answer| answer["status"].as_i64().unwrap())
        .collect()
}
