//! `docs/monitoring/`: Prometheus' own judgement of the alarms, and whether the dashboard shows anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{fs, time::Duration};

use serde_json::Value;
use xtask::clerk_payload::UserPayload;
use xtask::free_port::free_port;
use xtask::http::Http;
use xtask::postgres_server::PostgresServer;
use xtask::program::Program;
use xtask::prometheus_server::{PrometheusServer, promtool};
use xtask::redis_server::RedisServer;
use xtask::sender::Sender;
use xtask::wait;

use crate::world::{DEADLINE, SECRET};

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn read(file: &str) -> String {
    fs::read_to_string(documents().join(file)).unwrap()
}

/// What stands behind `key` in the alarms.
fn values(key: &str) -> BTreeSet<String> {
    let alarms = read("monitoring/alerts.yaml");
    let values = alarms.lines().filter_map(|line| {
        let value = line.trim().trim_start_matches("- ").strip_prefix(key)?;
        Some(value.trim().to_owned())
    });
    values.collect()
}

#[test]
fn each_alarm_goes_off_when_it_should_and_not_otherwise() {
    let folder = documents().join("monitoring");
    let (is_content, said) = promtool(&folder, &["test", "rules", "alerts.test.yaml"]).unwrap();
    assert!(is_content, "{said}");
    let tests = read("monitoring/alerts.test.yaml");
    for alarm in values("alert:") {
        let of_this: Vec<_> = tests
            .split(&format!("alertname: {alarm}\n"))
            .skip(1)
            .collect();
        let fires = |test: &&&str| test.trim_start().starts_with("exp_alerts:\n");
        let going_off = of_this.iter().filter(fires).count();
        assert!(going_off > 0, "{alarm} is not seen going off");
        assert!(of_this.len() > going_off, "{alarm} is not seen at rest");
    }
}

#[test]
fn each_alarm_has_a_section_that_begins_with_a_command() {
    let runbook = read("runbook.md");
    let mut sections = BTreeSet::new();
    for section in runbook.split("\n## ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap();
        assert!(text.starts_with("\n```sh\n"), "{title}");
        let anchor = title.to_lowercase().replace(' ', "-").replace('?', "");
        sections.insert(format!("docs/runbook.md#{anchor}"));
    }
    let linked = values("runbook_url:");
    assert_eq!(linked.len(), values("alert:").len());
    let missing: Vec<_> = linked.difference(&sections).collect();
    assert!(missing.is_empty(), "{missing:?} of {sections:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_has_data_and_the_rules_are_loaded() {
    let redis = RedisServer::start().unwrap();
    let postgres = PostgresServer::shared().unwrap();
    let database_url = postgres.create_database().unwrap();
    let address = || format!("127.0.0.1:{}", free_port().unwrap());
    let (endpoint, ingest_admin, worker_admin) = (address(), address(), address());
    let _ingest = Program::start(
        "ingest",
        &[
            ("CLERK_WEBHOOK_SIGNING_SECRET", SECRET),
            ("INGEST_ADDR", &endpoint),
            ("ADMIN_ADDR", &ingest_admin),
            ("REDIS_URL", &redis.url()),
        ],
    )
    .unwrap();
    let _worker = Program::start(
        "worker",
        &[
            ("REDIS_URL", &redis.url()),
            ("DATABASE_URL", &database_url),
            ("ADMIN_ADDR", &worker_admin),
        ],
    )
    .unwrap();
    let rules = documents().join("monitoring/alerts.yaml");
    let targets = [ingest_admin.as_str(), worker_admin.as_str()];
    let prometheus = PrometheusServer::start(&targets, &rules.canonicalize().unwrap())
        .await
        .unwrap();
    let url = format!("http://{endpoint}/api/webhooks/clerk");
    wait::until("both programs are ready", DEADLINE, async || {
        let ready = async |admin: &str| {
            let answer = Http::new().get(&format!("http://{admin}/readyz")).await;
            answer.is_ok_and(|answer| answer.status == 200)
        };
        ready(&ingest_admin).await && ready(&worker_admin).await
    })
    .await
    .unwrap();

    let dashboard: Value = serde_json::from_str(&read("monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: BTreeSet<String> = targets
        .map(|target| target["expr"].as_str().unwrap())
        .map(|query| query.replace("$__rate_interval", "1m"))
        .collect();
    assert!(queries.len() > 15);
    let without_data = Mutex::new(queries);
    // One of each kind, again and again: a rate needs two readings of a series.
    let sender = Sender::new(&url, SECRET).unwrap();
    let forger = Sender::new(&url, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
    let mut number = 0;
    let all_have_data = wait::until("every query has data", 2 * DEADLINE, async || {
        number += 1;
        let payload = UserPayload::new(&format!("user_{number}"), &format!("{number}@example.com"));
        let sent = sender
            .send(&format!("msg_{number}"), &payload.created())
            .await;
        assert_eq!(sent.unwrap().status, 200);
        let bad = "{\"type\":\"user.created\",\"data\":{}}";
        sender
            .send(&format!("msg_bad_{number}"), bad)
            .await
            .unwrap();
        forger.send("msg_forged", "{}").await.unwrap();
        let left: Vec<String> = without_data.lock().unwrap().iter().cloned().collect();
        for query in left {
            let series = prometheus.query(&query).await.unwrap();
            let is_number = |series: &Value| series["value"][1] != "NaN";
            if series.iter().any(is_number) {
                without_data.lock().unwrap().remove(&query);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        without_data.lock().unwrap().is_empty()
    });
    let outcome = all_have_data.await;
    assert!(outcome.is_ok(), "{:?}", without_data.lock().unwrap());

    let loaded: BTreeSet<String> = prometheus
        .rules()
        .await
        .unwrap()
        .iter()
        .inspect(|rule| assert_ne!(rule["health"], "err", "{rule}"))
        .map(|rule| rule["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(loaded, values("alert:"));
}
