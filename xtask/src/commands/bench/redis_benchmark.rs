//! Redis alone: the real redis-benchmark sends the XADD that the ingest sends.

use std::process::Command;

use anyhow::{Context as _, ensure};
use xtask::redis_server::RedisServer;

use super::rows::CONNECTIONS;

/// What it reports.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) per_second: f64,
    /// In milliseconds.
    pub(crate) p50: f64,
    /// In milliseconds.
    pub(crate) p99: f64,
}

/// Adds `count` entries with this payload, `pipeline` of them in a round trip, over as many
/// connections as the ingest has in the row that this is compared with. The ingest itself sends
/// everything over one.
///
/// # Errors
/// When redis-benchmark is missing or fails, or not all entries are there afterwards.
pub(crate) fn run(
    redis: &RedisServer,
    payload: &str,
    count: usize,
    pipeline: usize,
) -> anyhow::Result<Report> {
    const STREAM: &str = "{clerk:0}:events";
    let mut command = Command::new("redis-benchmark");
    command
        .args(["-h", "127.0.0.1", "-p", &redis.port().to_string(), "--csv"])
        .args(["-c", &CONNECTIONS.to_string(), "-P", &pipeline.to_string()])
        .args(["-n", &count.to_string()])
        .args(["XADD", STREAM, "*"])
        .args(["svix-id", "msg_2abcdefghijklmnopqrstuvwxyz"])
        .args(["type", "user.created"])
        .args(["payload", payload])
        .args(["received-at", "1716883200420"]);
    let output = command
        .output()
        .context("cannot run redis-benchmark (of the package redis-tools)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "redis-benchmark: {text}");
    let added: usize = redis.cli(&["XLEN", STREAM])?.parse()?;
    ensure!(
        added >= count,
        "redis-benchmark has added {added} of {count}"
    );
    parse(&text).with_context(|| format!("cannot read what redis-benchmark says: {text}"))
}

/// The last line: the command, not escaped, then requests a second, and of the latencies mean,
/// minimum, p50, p95, p99 and maximum in milliseconds, all in quotes.
fn parse(text: &str) -> Option<Report> {
    let line = text.trim_end().lines().last()?.strip_suffix('"')?;
    let mut numbers = line.rsplit("\",\"").map(str::parse::<f64>);
    let mut skip_to = |index: usize| numbers.nth(index)?.ok();
    let p99 = skip_to(1)?;
    let p50 = skip_to(1)?;
    let per_second = skip_to(2)?;
    Some(Report {
        per_second,
        p50,
        p99,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_benchmark_prints_is_read() {
        let text = concat!(
            r#""test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms""#,
            "\n",
            r#""XADD x * payload {"a","b"}","14084.51","4.327","1.168","4.207","6.359","9.303","30.079""#,
            "\n"
        );
        let report = Report {
            per_second: 14084.51,
            p50: 4.207,
            p99: 9.303,
        };
        assert_eq!(parse(text), Some(report));
        assert_eq!(parse("ERR unknown command"), None);
    }
}
