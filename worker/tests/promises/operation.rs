//! Settings, health, metrics, logs.

use shared::redis_link::RedisLink;
use shared::redis_servers::RedisServers;
use xtask::http::Http;
use xtask::program::Program;
use xtask::redis_server::RedisServer;

use crate::helpers::{World, user};

/// P12
#[test]
fn a_bad_setting_stops_the_worker_with_one_line_that_names_it() {
    let good = ("DATABASE_URL", "postgres://me:hunter2@127.0.0.1:1/d");
    for (variable, value) in [
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "mysql://me:hunter2@h/d"),
        (
            "DATABASE_URL",
            "postgres://me:hunter2@h/d?sslmode=verify-full",
        ),
        ("REDIS_URL", "rediss://me:hunter2@h#insecure"),
        ("REDIS_CA_FILE", "/no/file"),
        ("DATABASE_URL", "postgres://me:hunter2%40db/app"),
        ("DATABASE_URL", "host=h password=ab://hunter2 sslmode=on"),
        ("DATABASE_URL", "postgres://me:a@b?sslcert=hunter2@h/d"),
        ("DATABASE_URL", "'postgres://me:hunter2@h/d'"),
        ("REDIS_URL", "redis://default:hunter2"),
        ("CACHE_REDIS_URL", "redis://default:hunter2"),
        ("CACHE_TAG_PREFIX", "\"hunter2:\""),
        ("CACHE_KEY_PREFIX", "'hunter2:'"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2"),
        ("PGSSLMODE", "on"),
        ("PGOPTIONS", "\"hunter2\""),
        ("PGSSLCRL", "/no/file"),
        ("PGSSLCRLDIR", "/no/folder"),
        ("PGREQUIREAUTH", "scram-sha-256"),
        ("PGREQUIREPEER", "postgres"),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.4"),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1"),
        ("PGSSLCERTMODE", "require"),
        ("PGGSSENCMODE", "require"),
        ("PGSERVICE", "clerk"),
        ("REDIS_URL", "hunter2"),
        ("CACHE_REDIS_URL", "http://hunter2@h"),
        ("CACHE_MODE", "lru"),
        ("CACHE_KEY_PREFIX", "app:"),
        ("CACHE_SECOND_DELETION_MS", "soon"),
        ("REDIS_PARTITIONS", "65"),
        ("TABLES_FILE", "/no/file"),
        ("TABLES_FILE", "/"),
        ("BATCH_SIZE", "0"),
        ("MAX_ATTEMPTS", "-1"),
        ("RECLAIM_AFTER_MS", "soon"),
        ("LEDGER_RETENTION_DAYS", "0"),
        ("ADMIN_ADDR", "localhost"),
        ("SHUTDOWN_GRACE_MS", "1e9"),
        ("RUST_LOG", "worker=loud"),
        ("LOG_FORMAT", "xml"),
    ] {
        let mut environment = vec![(variable, value)];
        if variable != "DATABASE_URL" {
            environment.push(good);
        }
        let output = Program::run("worker", &[], &environment).unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{variable}={value}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(
            error.contains(variable) && error.contains("expected"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
        assert!(output.stdout.is_empty());
    }
}

/// P12: by each command that reads it, and by each name that it has.
#[test]
fn a_tables_file_with_mistakes_stops_the_worker_with_a_line_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tables.toml");
    std::fs::write(
        &file,
        "[user]\ntabel = \"users\"\nkey = \"id\"\ntags = [\"{id}\"]\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let database = ("DATABASE_URL", "postgres://me:hunter2@127.0.0.1:1/d");
    let secret = ("CLERK_SECRET_KEY", "sk_test_1");
    let by_variable = [database, secret, ("TABLES_FILE", file)];
    let by_flag = [database, secret];
    let commands: [(&[&str], &[_]); 5] = [
        (&[], &by_variable),
        (&["migrate"], &by_variable),
        (&["explain", "msg_x"], &by_variable),
        (&["reconcile"], &by_variable),
        (&["migrate", "--tables-file", file], &by_flag),
    ];
    for (arguments, environment) in commands {
        let output = Program::run("worker", arguments, environment).unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let beginnings = [
            format!("{file}:1: \"table\" is missing, expected "),
            format!("{file}:2: \"tabel\" is unknown, expected \"table\""),
            format!("{file}:4: \"{{id}}\" says nothing in a tag, expected {{row.x}}"),
        ];
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), beginnings.len(), "{arguments:?}: {error}");
        for (line, beginning) in lines.iter().zip(&beginnings) {
            assert!(line.starts_with(beginning), "{arguments:?}: {error}");
        }
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_lists_every_setting_and_shows_no_value() {
    let output = Program::run(
        "worker",
        &["--help"],
        &[("DATABASE_URL", "postgres://me:hunter2@h/d")],
    )
    .unwrap();
    let help = String::from_utf8_lossy(&output.stdout);
    for variable in [
        "DATABASE_URL",
        "TABLES_FILE",
        "BATCH_SIZE",
        "MAX_ATTEMPTS",
        "RECLAIM_AFTER_MS",
        "CACHE_REDIS_URL",
        "CACHE_TAG_PREFIX",
        "CACHE_MODE",
        "CACHE_KEY_PREFIX",
        "CACHE_SECOND_DELETION_MS",
        "LEDGER_RETENTION_DAYS",
        "REDIS_URL",
        "REDIS_CA_FILE",
        "REDIS_PARTITIONS",
        "ADMIN_ADDR",
        "SHUTDOWN_GRACE_MS",
        "RUST_LOG",
        "LOG_FORMAT",
    ] {
        assert!(help.contains(variable), "{variable}");
    }
    assert!(!help.contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_tell_what_is_going_on() {
    let mut world = World::new();
    let worker = world.worker();
    world.redis(&[
        "XADD",
        crate::helpers::DEAD,
        "*",
        "svix-id",
        "msg_x",
        "payload",
        "{}",
    ]);
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.add(
        "session",
        include_str!("../../../shared/fixtures/session.created.json"),
    );
    world.settle();
    let http = Http::new();
    let url = |path: &str| format!("http://{}{path}", worker.admin);
    assert_eq!(http.get(&url("/healthz")).await.unwrap().status, 200);
    assert_eq!(http.get(&url("/readyz")).await.unwrap().status, 200);
    assert_eq!(http.get(&url("/other")).await.unwrap().status, 404);
    let metrics = http.get(&url("/metrics")).await.unwrap().body;
    for line in [
        r#"clerk_worker_events_total{outcome="applied",type="user.created"} 1"#,
        r#"clerk_worker_events_total{outcome="ignored",type="other"} 1"#,
        "clerk_worker_end_to_end_seconds_count 2",
        "clerk_worker_reclaimed_total 0",
        "clerk_worker_woken_total 0",
        "clerk_worker_queue_losses_total 0",
        "clerk_worker_tables_misfits 0",
        "clerk_queue_backlog_entries 0",
        "clerk_queue_pending_entries 0",
        "clerk_queue_waiting_retries_entries 0",
        "clerk_queue_dead_letters_entries 1",
        "# TYPE clerk_worker_batch_size histogram",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    let check = || {
        Program::run(
            "worker",
            &["healthcheck"],
            &[("ADMIN_ADDR", worker.admin.as_str())],
        )
        .unwrap()
    };
    assert!(check().status.success());
    world.redis.kill();
    assert_eq!(http.get(&url("/readyz")).await.unwrap().status, 503);
    assert_eq!(http.get(&url("/healthz")).await.unwrap().status, 200);
    assert!(http.get(&url("/metrics")).await.unwrap().status == 200);
    assert!(!check().status.success());
}

/// P12: whatever lets Redis lose what it has acknowledged is told at the start, all of it, and stops nothing.
#[test]
fn a_redis_that_may_lose_events_is_told_at_the_start() {
    let redis = RedisServer::start_with(&[
        "--appendonly",
        "no",
        "--appendfsync",
        "everysec",
        "--no-appendfsync-on-rewrite",
        "yes",
        "--maxmemory-policy",
        "allkeys-lru",
    ]);
    let world = World::with_redis(redis.unwrap());
    let worker = world.worker();
    for remedy in [
        "CONFIG SET appendonly yes",
        "CONFIG SET appendfsync always",
        "CONFIG SET no-appendfsync-on-rewrite no",
        "CONFIG SET maxmemory-policy noeviction",
    ] {
        world.wait_for(remedy, |_| worker.program.output().contains(remedy));
    }
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    let output = worker.program.output();
    assert_eq!(output.matches("does not keep").count(), 4, "{output}");
    assert!(!output.contains("does not tell"), "{output}");
}

/// P12: a managed Redis that has no CONFIG tells some of it otherwise, and what it does not tell is named.
#[test]
fn what_a_managed_redis_does_not_tell_is_named() {
    let redis = RedisServer::start_with(&[
        "--rename-command",
        "CONFIG",
        "",
        "--maxmemory-policy",
        "volatile-lru",
    ]);
    let world = World::with_redis(redis.unwrap());
    let worker = world.worker();
    let untold = "appendfsync, no-appendfsync-on-rewrite";
    world.wait_for("what is not told is named", |_| {
        worker.program.output().contains(untold)
    });
    let output = worker.program.output();
    assert_eq!(output.matches("does not tell").count(), 1, "{output}");
    assert_eq!(output.matches("does not keep").count(), 1, "{output}");
    assert!(output.contains("maxmemory-policy volatile-lru"), "{output}");
    drop(worker);

    world.redis(&[
        "ACL", "SETUSER", "clerk", "on", "nopass", "~*", "+@all", "-info",
    ]);
    let url = world.redis.url().replace("redis://", "redis://clerk:any@");
    let worker = world.worker_with(&[("REDIS_URL", &url)]);
    let untold = "appendonly, appendfsync, no-appendfsync-on-rewrite, maxmemory-policy";
    world.wait_for("all is named", |_| worker.program.output().contains(untold));
}

/// The ledger is kept for a time.
#[test]
fn expired_rows_of_the_ledger_are_deleted() {
    let world = World::migrated();
    world.sql(
        "insert into clerk_sync.events \
         select 'msg_' || n, 'user.updated', null, 'ignored', now(), now() - make_interval(days => n) \
         from generate_series(0, 20) n",
    );
    let _worker = world.worker_with(&[("LEDGER_RETENTION_DAYS", "7")]);
    world.wait_for("the old ones are gone", |world| {
        world.sql("select count(*) from clerk_sync.events") == "7"
    });
}

#[test]
fn migrate_migrates_and_ends() {
    let world = World::new();
    world.migrate();
    world.migrate();
    assert_eq!(world.sql("select count(*) from users"), "0");
    let failed = Program::run(
        "worker",
        &["migrate"],
        &[("DATABASE_URL", "postgres://a:hunter2@127.0.0.1:1/b")],
    );
    let failed = failed.unwrap();
    assert!(!failed.status.success());
    assert!(!String::from_utf8_lossy(&failed.stderr).contains("hunter2"));
}

/// P9: 100,000 updates of 50,000 users are drained in the memory that 256 of them take.
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_backlog() {
    const USERS: usize = 50_000;
    const EVENTS_OF_EACH: usize = 2;
    const BOUND_IN_KILOBYTES: u64 = 96 << 10;
    let world = World::migrated();
    let mut connection =
        RedisLink::new(&RedisServers::parse(&world.redis.url(), None).unwrap()).unwrap();
    for round in 0..EVENTS_OF_EACH {
        for first in (0..USERS).step_by(500) {
            let mut pipeline = redis::pipe();
            for n in first..first + 500 {
                let second = i64::try_from(round).unwrap();
                let payload =
                    user(&format!("user_{n}"), &format!("{n}@example.com"), second).updated();
                pipeline
                    .cmd("XADD")
                    .arg(crate::helpers::EVENTS)
                    .arg("*")
                    .arg("svix-id")
                    .arg(format!("msg_{round}_{n}"))
                    .arg("payload")
                    .arg(payload)
                    .ignore();
            }
            pipeline.exec_async(&mut connection).await.unwrap();
        }
    }
    let worker = world.start_worker(&[("RUST_LOG", "warn")]);
    xtask::wait::until(
        "the backlog is drained",
        std::time::Duration::from_secs(240),
        async || world.backlog() == 0,
    )
    .await
    .unwrap();
    assert_eq!(world.sql("select count(*) from users"), USERS.to_string());
    assert_eq!(
        world.sql("select outcome, count(*) from clerk_sync.events group by 1"),
        format!("applied|{}", USERS * EVENTS_OF_EACH)
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.program.pid())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < BOUND_IN_KILOBYTES, "{peak} kB at the peak");
}
