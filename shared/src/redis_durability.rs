//! Whether Redis is set to keep what it has acknowledged (P1): told in the log, and never a reason to stop.

mod finding;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::{FromRedisValue, RedisResult, Value};
use tokio_util::sync::CancellationToken;

use self::finding::{Finding, add_info, findings, names};
use crate::redis_link::RedisLink;

/// How often to look: a failover, or an operator, may have changed it.
const LOOK: Duration = Duration::from_secs(600);
/// How long to wait for a Redis that is away.
const RETRY: Duration = Duration::from_secs(5);
/// What a server answers to anything while it is away.
const AWAY: [&str; 7] = [
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "NOAUTH",
    "WRONGPASS",
];

/// Looks at the server, or at every master of the cluster, now and every ten minutes until `stop` is cancelled, and
/// warns of each setting with which it may lose what it has acknowledged. What was said is not said again while it is
/// so.
pub async fn watch(link: RedisLink, stop: CancellationToken) {
    let mut told = BTreeSet::new();
    loop {
        let wait = match look(&link).await {
            Ok(findings) => {
                for (server, finding) in findings.difference(&told) {
                    finding.tell(server);
                }
                told = findings;
                LOOK
            }
            // The next one that uses the store logs it.
            Err(_) => RETRY,
        };
        let waited = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        if waited.is_none() {
            return;
        }
    }
}

async fn look(link: &RedisLink) -> RedisResult<BTreeSet<(String, Finding)>> {
    let mut get = redis::cmd("CONFIG");
    get.arg("GET");
    for name in names() {
        get.arg(name);
    }
    let mut servers: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (server, answer) in link.ask_masters(&get).await? {
        servers.insert(server, told(answer)?.unwrap_or_default());
    }
    let is_told = |settings: &BTreeMap<String, String>| {
        let mut names = names();
        names.all(|name| settings.contains_key(name))
    };
    // A managed Redis has no CONFIG, or tells a part.
    if !servers.values().all(is_told) {
        for (server, answer) in link.ask_masters(&redis::cmd("INFO")).await? {
            let info: String = told(answer)?.unwrap_or_default();
            add_info(servers.entry(server).or_default(), &info);
        }
    }
    let findings = servers.into_iter().flat_map(|(server, settings)| {
        let findings = findings(&settings).into_iter();
        findings.map(move |finding| (server.clone(), finding))
    });
    Ok(findings.collect())
}

/// What a server tells; nothing where it refuses.
///
/// # Errors
/// When it is away.
fn told<T: FromRedisValue>(answer: Value) -> RedisResult<Option<T>> {
    match answer {
        Value::ServerError(error) if AWAY.contains(&error.code()) => Err(error.into()),
        Value::ServerError(_) => Ok(None),
        answer => Ok(T::from_redis_value(answer).ok()),
    }
}
