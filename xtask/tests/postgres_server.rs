//! The private PostgreSQL, on a real one.

use std::{net::TcpStream, sync::Arc, thread};

use xtask::postgres_server::PostgresServer;

#[test]
fn what_was_committed_is_there_after_sigkill_and_restart() {
    let mut postgres = PostgresServer::start().unwrap();
    let database = postgres.create_database().unwrap();
    postgres.psql(&database, "create table t (n int)").unwrap();
    // A session in the middle of something; it must not keep the restart from succeeding.
    let url = database.clone();
    let busy = thread::spawn(move || {
        std::process::Command::new("psql")
            .args([&url, "-c", "select pg_sleep(600)"])
            .output()
    });
    let sleeping =
        "select count(*) from pg_stat_activity where query like '%sleep(600)' and state = 'active'";
    xtask::wait::block_until(
        "a session sleeps",
        std::time::Duration::from_secs(10),
        || postgres.psql(&database, sleeping).unwrap() == "1",
    )
    .unwrap();
    postgres
        .psql(&database, "insert into t values (1)")
        .unwrap();
    postgres.kill();
    assert!(!busy.join().unwrap().unwrap().status.success());
    assert!(postgres.psql(&database, "select 1").is_err());
    postgres.restart().unwrap();
    assert_eq!(postgres.psql(&database, "select n from t").unwrap(), "1");
}

#[test]
fn a_fast_stop_and_a_restart_keep_the_data() {
    let mut postgres = PostgresServer::start().unwrap();
    postgres
        .psql("postgres", "create table t as select 1 as n, 'a' as name")
        .unwrap();
    postgres.stop_fast().unwrap();
    assert!(postgres.psql("postgres", "select 1").is_err());
    postgres.restart().unwrap();
    assert_eq!(postgres.psql("postgres", "select * from t").unwrap(), "1|a");
    assert_eq!(postgres.psql("postgres", "show fsync").unwrap(), "on");
}

#[test]
fn a_statement_that_fails_is_an_error() {
    let postgres = PostgresServer::shared().unwrap();
    let error = postgres.psql("postgres", "select 1/0").unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");
}

#[test]
fn those_who_share_a_server_have_databases_of_their_own() {
    let first = PostgresServer::shared().unwrap();
    let second = PostgresServer::shared().unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let databases: Vec<_> = (0..4)
        .map(|_| {
            let server = Arc::clone(&first);
            thread::spawn(move || server.create_database().unwrap())
        })
        .collect();
    for database in databases {
        let database = database.join().unwrap();
        // The same name in each.
        second.psql(&database, "create table t (n int)").unwrap();
    }
}

#[test]
fn a_dropped_server_leaves_neither_process_nor_folder() {
    let postgres = PostgresServer::start().unwrap();
    let folder = postgres.folder().to_owned();
    let port = postgres.port();
    drop(postgres);
    assert!(!folder.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
