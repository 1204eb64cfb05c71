//! A database that is not there, or that lets nobody in.

use std::path::Path;

use xtask::postgres_server::PostgresServer;
use xtask::program::Program;
use xtask::redis_server::RedisServer;
use xtask::wait;

use crate::helpers::{DEADLINE, World};

/// A server with roles that are not let in, and the URL of each with what is to be said of it.
struct Closed {
    server: PostgresServer,
    cases: Vec<(String, &'static str)>,
}

impl Closed {
    fn new() -> Self {
        let server = PostgresServer::start().unwrap();
        for sql in [
            "create role locked login password 'hunter2'",
            "create role nologin",
            "create role outside login",
            "create database closed",
            "revoke connect on database closed from public",
        ] {
            server.psql("postgres", sql).unwrap();
        }
        server
            .let_in_first("host all locked 127.0.0.1/32 scram-sha-256")
            .unwrap();
        server.psql("postgres", "select pg_reload_conf()").unwrap();
        let url = |role: &str, database: &str| {
            let url = server.url(database);
            url.replace("postgres@", &format!("{role}@"))
        };
        let cases = vec![
            (
                url("postgres", "nowhere"),
                "the database \"nowhere\" does not exist (SQLSTATE 3D000): correct its name in DATABASE_URL, or create it",
            ),
            (
                url("locked:hunter3", "postgres"),
                "PostgreSQL refuses the role \"locked\" with this password (SQLSTATE 28P01): correct the role or the password in",
            ),
            (
                url("ghost", "postgres"),
                "PostgreSQL does not let the role \"ghost\" in (SQLSTATE 28000): there is no such role, it may not log in, or",
            ),
            (
                url("nologin", "postgres"),
                "PostgreSQL does not let the role \"nologin\" in (SQLSTATE 28000)",
            ),
            (
                url("outside", "closed"),
                "the role \"outside\" may not connect to the database \"closed\" (SQLSTATE 42501): \
                 GRANT CONNECT ON DATABASE \"closed\" TO \"outside\";",
            ),
        ];
        Self { server, cases }
    }
}

/// P11, P12
#[test]
fn who_is_not_let_into_the_database_is_told_in_words_and_without_the_password() {
    let closed = Closed::new();
    for (url, expected) in &closed.cases {
        for arguments in [
            &["migrate"][..],
            &["tables", "check"],
            &["tables", "suggest"],
            &["tables", "preview", "-"],
        ] {
            let environment = [("DATABASE_URL", url.as_str())];
            let output = Program::run("worker", arguments, &environment).unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
            assert!(said.contains(expected), "{arguments:?}: {said}");
            assert!(!said.contains("hunter"), "{arguments:?}: {said}");
        }
    }
}

/// P8, P11, P12: it may yet be let in.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_not_let_in_says_why_and_goes_on_once_it_is() {
    let closed = Closed::new();
    let redis = RedisServer::start().unwrap();
    let (url, expected) = closed.cases.first().unwrap();
    let redis_url = redis.url();
    let environment = [
        ("DATABASE_URL", url.as_str()),
        ("REDIS_URL", &redis_url),
        ("LOG_FORMAT", "text"),
        ("CLERK_SECRET_KEY", "sk_test_x"),
        ("CLERK_API_URL", "http://127.0.0.1:1"),
        ("ADMIN_ADDR", "127.0.0.1:0"),
    ];
    let file = Path::new(env!("CARGO_BIN_EXE_worker"));
    let start =
        |arguments: &[&str]| Program::start_file("worker", file, arguments, &environment).unwrap();
    let (worker, reconcile) = (start(&[]), start(&["reconcile"]));
    let says = async |program: &Program, text: &str| {
        wait::until(text, DEADLINE, async || program.output().contains(text))
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", program.output()));
    };
    // A log escapes quotation marks.
    let in_words = expected.split('"').next_back().unwrap();
    says(&reconcile, in_words).await;
    says(&worker, in_words).await;
    closed
        .server
        .psql("postgres", "create database nowhere")
        .unwrap();
    says(&worker, "worker has started").await;
}

/// P12: all that is missing, with what to type.
#[test]
fn a_migration_without_the_rights_for_it_says_which_to_grant() {
    let world = World::new();
    let role = format!("stranger_{}", std::process::id());
    world.sql(&format!("create role {role} login"));
    let url = world.database_url.replace("postgres@", &format!("{role}@"));
    let output = Program::run("worker", &["migrate"], &[("DATABASE_URL", &url)]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for expected in [
        format!("may not create it, GRANT CREATE ON SCHEMA \"public\" TO \"{role}\";"),
        format!(
            "the role \"{role}\" may not create the schema clerk_sync, GRANT CREATE ON DATABASE"
        ),
    ] {
        assert!(said.contains(&expected), "{expected}\n{said}");
    }
}
