//! What is answered while Redis cannot take an event, and after.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use xtask::{
    clerk_payload::UserPayload, free_port::free_port, http::Answer, redis_server::RedisServer,
    wait::until,
};

use crate::helpers::{DEADLINE, EVENTS, Ingest, SVIX_PATIENCE, backlog, svix_ids};

/// How soon work must have resumed by itself (P8: "within seconds").
const SOON: Duration = Duration::from_secs(10);

pub(crate) fn body() -> String {
    UserPayload::new("user_1", "a@example.com").updated()
}

/// Delivers `count` events at the same time and returns the answers, each of which must come before
/// Svix gives up.
pub(crate) async fn crowd(
    ingest: &Arc<Ingest>,
    count: usize,
) -> anyhow::Result<Vec<(String, Answer)>> {
    let mut deliveries = JoinSet::new();
    for _ in 0..count {
        let ingest = Arc::clone(ingest);
        deliveries.spawn(async move {
            let svix_id = format!("msg_{}", free_id());
            let delivery = ingest.deliver(&svix_id, &body()).await;
            delivery.map(|answer| (svix_id, answer))
        });
    }
    let answers = async {
        let mut answers = Vec::new();
        while let Some(answer) = deliveries.join_next().await {
            answers.push(answer??);
        }
        anyhow::Ok(answers)
    };
    tokio::time::timeout(SVIX_PATIENCE, answers)
        .await
        .context("Svix has given up waiting for an answer")?
}

fn free_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[track_caller]
pub(crate) fn assert_try_again(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    let retry_after = answer.header("retry-after").map(str::parse::<u64>);
    assert!(matches!(retry_after, Some(Ok(1..=3600))), "{retry_after:?}");
}

async fn is_refused_with(ingest: &Ingest, code: &str) -> anyhow::Result<()> {
    assert_try_again(&ingest.deliver("msg_refused", &body()).await?);
    let reasons: Vec<_> = ingest
        .log()
        .iter()
        .filter_map(|line| Some(line.get("reason")?.as_str()?.to_owned()))
        .collect();
    assert!(
        reasons.iter().any(|reason| reason.contains(code)),
        "{code}: {reasons:?}"
    );
    Ok(())
}

pub(crate) async fn is_accepted_soon(ingest: &Ingest) -> anyhow::Result<()> {
    until("events are accepted again", SOON, async || {
        ingest
            .deliver("msg_accepted", &body())
            .await
            .is_ok_and(|answer| answer.status == 200)
    })
    .await
    .with_context(|| ingest.program.output())?;
    assert!(ingest.program.is_running());
    assert!(!ingest.program.output().contains("panicked"));
    Ok(())
}

/// P1: the answer waits for the acknowledgement.
#[tokio::test]
async fn nothing_is_answered_2xx_that_redis_has_not_acknowledged() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Arc::new(Ingest::start(&redis).await?);
    assert_eq!(ingest.deliver("msg_before", &body()).await?.status, 200);
    redis.pause()?;
    for (_, answer) in crowd(&ingest, 5).await? {
        assert_try_again(&answer);
    }
    redis.resume()?;
    is_accepted_soon(&ingest).await
}

/// P1: what was answered 2xx survives `kill -9` of the ingest and of Redis.
#[tokio::test]
async fn what_was_answered_200_survives_kill_9() -> anyhow::Result<()> {
    let mut redis = RedisServer::start()?;
    let ingest = Arc::new(Ingest::start(&redis).await?);
    let mut deliveries = JoinSet::new();
    for number in 0..200 {
        let ingest = Arc::clone(&ingest);
        deliveries.spawn(async move {
            let svix_id = format!("msg_{number}");
            let answer = ingest.deliver(&svix_id, &body()).await;
            answer
                .is_ok_and(|answer| answer.status == 200)
                .then_some(svix_id)
        });
    }
    // Both die in the middle: some deliveries are answered, others never will be.
    let mut accepted = Vec::new();
    while accepted.len() < 20 {
        accepted.extend(deliveries.join_next().await.context("all were refused")??);
    }
    redis.kill();
    ingest.program.kill();
    while let Some(delivery) = deliveries.join_next().await {
        accepted.extend(delivery?);
    }
    redis.restart()?;
    let found = svix_ids(&redis).await?;
    for svix_id in accepted {
        assert!(
            found.contains(&svix_id),
            "{svix_id} was answered 200 and is lost"
        );
    }
    Ok(())
}

/// P8, P9: Redis is down, already when the ingest starts.
#[tokio::test]
async fn a_redis_that_is_down_is_waited_for() -> anyhow::Result<()> {
    let mut redis = RedisServer::start()?;
    redis.kill();
    let ingest = Ingest::start(&redis).await?;
    assert_eq!(ingest.readiness().await, 503);
    for _ in 0..3 {
        assert_try_again(&ingest.deliver("msg_1", &body()).await?);
    }
    redis.restart()?;
    is_accepted_soon(&ingest).await?;
    assert_eq!(ingest.readiness().await, 200);

    redis.kill();
    for _ in 0..3 {
        assert_try_again(&ingest.deliver("msg_2", &body()).await?);
    }
    redis.restart()?;
    is_accepted_soon(&ingest).await
}

/// P9: out of memory.
#[tokio::test]
async fn a_redis_without_memory_is_waited_for() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"])?;
    is_refused_with(&ingest, "OOM").await?;
    assert_eq!(backlog(&redis)?, 0);
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"])?;
    is_accepted_soon(&ingest).await
}

/// P9: read-only after a failover.
#[tokio::test]
async fn a_redis_that_became_a_replica_is_waited_for() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    is_accepted_soon(&ingest).await?;
    let nobody = free_port()?.to_string();
    redis.cli(&["REPLICAOF", "127.0.0.1", &nobody])?;
    is_refused_with(&ingest, "READONLY").await?;
    redis.cli(&["CONFIG", "SET", "replica-serve-stale-data", "no"])?;
    let begins_with_a_question = Ingest::start(&redis).await?;
    is_refused_with(&begins_with_a_question, "MASTERDOWN").await?;
    redis.cli(&["REPLICAOF", "NO", "ONE"])?;
    is_accepted_soon(&ingest).await
}

/// P9: Redis refuses to write because it cannot save.
#[tokio::test]
async fn a_redis_that_cannot_save_is_waited_for() -> anyhow::Result<()> {
    let redis = RedisServer::start_with(&["--save", "3600 1000000"])?;
    let ingest = Ingest::start(&redis).await?;
    // A snapshot cannot take the place of a folder.
    let obstacle = redis.folder().join("dump.rdb");
    fs::create_dir(&obstacle)?;
    let last_save = async |outcome: &str| {
        redis
            .cli(&["INFO", "persistence"])
            .is_ok_and(|info| info.contains(&format!("rdb_last_bgsave_status:{outcome}")))
    };
    redis.cli(&["BGSAVE"])?;
    until("a snapshot fails", DEADLINE, async || {
        last_save("err").await
    })
    .await?;
    is_refused_with(&ingest, "MISCONF").await?;
    fs::remove_dir(&obstacle)?;
    redis.cli(&["BGSAVE"])?;
    until("a snapshot is saved", DEADLINE, async || {
        last_save("ok").await
    })
    .await?;
    is_accepted_soon(&ingest).await
}

/// P9: Redis loads its data.
#[tokio::test]
async fn a_redis_that_is_loading_is_waited_for() -> anyhow::Result<()> {
    let redis = RedisServer::start_with(&[
        "--enable-debug-command",
        "yes",
        "--loading-process-events-interval-bytes",
        "1024",
    ])?;
    let ingest = Ingest::start(&redis).await?;
    redis.cli(&["DEBUG", "POPULATE", "2000", "key", "100"])?;
    // Microseconds a key: it loads for about 4 s.
    redis.cli(&["CONFIG", "SET", "key-load-delay", "2000"])?;
    let client = redis::Client::open(redis.url())?;
    let reload = tokio::spawn(async move {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("DEBUG")
            .arg("RELOAD")
            .exec_async(&mut connection)
            .await
    });
    until("it is loading", DEADLINE, async || {
        redis
            .cli(&["PING"])
            .is_err_and(|error| error.to_string().contains("LOADING"))
    })
    .await?;
    is_refused_with(&ingest, "LOADING").await?;
    until("it has loaded", DEADLINE, async || {
        redis.cli(&["PING"]).is_ok()
    })
    .await?;
    // Its own time-out is shorter than the load.
    let _ = reload.await?;
    is_accepted_soon(&ingest).await
}

/// P8: another kind of key where the stream should be, and a new empty Redis, are outages too.
#[tokio::test]
async fn a_redis_that_was_emptied_or_misused_is_used_again() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start(&redis).await?;
    is_accepted_soon(&ingest).await?;
    redis.cli(&["FLUSHALL"])?;
    redis.cli(&["SCRIPT", "FLUSH"])?;
    is_accepted_soon(&ingest).await?;
    assert_eq!(backlog(&redis)?, 1);
    redis.cli(&["FLUSHALL"])?;
    redis.cli(&["SET", EVENTS, "not a stream"])?;
    is_refused_with(&ingest, "WRONGTYPE").await?;
    redis.cli(&["DEL", EVENTS])?;
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
    is_accepted_soon(&ingest).await
}

/// P9: a Redis that hangs costs every request the same bounded time, however many wait, and whether
/// or not there was a connection before.
#[tokio::test]
async fn a_crowd_is_answered_before_svix_gives_up_while_redis_hangs() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Arc::new(Ingest::start(&redis).await?);
    redis.pause()?;
    for _ in 0..2 {
        for (_, answer) in crowd(&ingest, 40).await? {
            assert_try_again(&answer);
        }
    }
    redis.resume()?;
    is_accepted_soon(&ingest).await?;
    redis.pause()?;
    for _ in 0..2 {
        for (_, answer) in crowd(&ingest, 40).await? {
            assert_try_again(&answer);
        }
    }
    assert_eq!(ingest.readiness().await, 503);
    assert_eq!(ingest.admin("/healthz").await?.status, 200);
    redis.resume()?;
    is_accepted_soon(&ingest).await
}

/// P8: a connection that nobody answers any more, without a word, is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_is_replaced() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let proxy = Proxy::start(redis.port()).await?;
    let ingest = Ingest::start_with(&proxy.url, &[]).await?;
    is_accepted_soon(&ingest).await?;
    proxy.freeze_what_is_open();
    assert_try_again(&ingest.deliver("msg_lost", &body()).await?);
    assert_eq!(ingest.deliver("msg_2", &body()).await?.status, 200);
    assert_eq!(svix_ids(&redis).await?, ["msg_accepted", "msg_2"]);
    Ok(())
}

/// Forwards connections to a Redis, and can stop to without closing them.
struct Proxy {
    url: String,
    freeze: Arc<Mutex<CancellationToken>>,
}

impl Proxy {
    async fn start(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("redis://{}", listener.local_addr()?);
        let freeze = Arc::new(Mutex::new(CancellationToken::new()));
        let current = Arc::clone(&freeze);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let frozen = current
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::select! {
                        outcome = copy_bidirectional(&mut client, &mut server) => outcome,
                        // Both stay open.
                        () = frozen.cancelled() => std::future::pending().await,
                    }
                });
            }
        });
        Ok(Self { url, freeze })
    }

    fn freeze_what_is_open(&self) {
        let mut freeze = self.freeze.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *freeze).cancel();
    }
}

/// P9: `MAX_BACKLOG` is exact, whatever comes at the same time, and opens again.
#[tokio::test]
async fn the_backlog_never_grows_beyond_its_limit_and_opens_again() -> anyhow::Result<()> {
    for limit in [20, 5000] {
        let redis = RedisServer::start()?;
        let setting = limit.to_string();
        let settings = [("MAX_BACKLOG", setting.as_str())];
        let ingest = Arc::new(Ingest::start_with(&redis.url(), &settings).await?);
        let others = (limit - 20).to_string();
        let fill = "for _ = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'svix-id', 'msg_other') end";
        redis.cli(&["EVAL", fill, "1", EVENTS, &others])?;

        let mut accepted = 0;
        for (_, answer) in crowd(&ingest, 100).await? {
            if answer.status == 200 {
                accepted += 1;
            } else {
                assert_try_again(&answer);
            }
        }
        assert!((1..=20).contains(&accepted), "{accepted}");
        assert_eq!(backlog(&redis)?, limit - 20 + accepted);
        for number in accepted..20 {
            let answer = ingest.deliver("msg_late", &body()).await?;
            assert_eq!(answer.status, 200, "{number}");
        }
        assert_eq!(backlog(&redis)?, limit);
        for (_, answer) in crowd(&ingest, 50).await? {
            assert_try_again(&answer);
        }
        assert_eq!(backlog(&redis)?, limit);
        assert!(ingest.logged("message", "the backlog is full") >= 50);
        // It is not a matter of health.
        assert_eq!(ingest.readiness().await, 200);

        redis.cli(&["XTRIM", EVENTS, "MAXLEN", &(limit - 1).to_string()])?;
        assert_eq!(ingest.deliver("msg_after", &body()).await?.status, 200);
        assert_try_again(&ingest.deliver("msg_too_many", &body()).await?);
    }
    Ok(())
}
