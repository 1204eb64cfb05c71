//! Which servers the tests start.

use std::{env, process::Command};

use xtask::{
    postgres_server::PostgresServer,
    redis_server::RedisServer,
    server_programs::{TEST_POSTGRES_BIN, TEST_REDIS_SERVER},
};

const NOWHERE: &str = "/nowhere/redis-server";

/// This test starts itself again with the variables.
#[test]
fn a_server_that_a_variable_names_is_never_replaced_by_another() {
    if env::var_os(TEST_REDIS_SERVER).is_some_and(|program| program == NOWHERE) {
        let error = RedisServer::start().unwrap_err().to_string();
        assert!(error.contains(NOWHERE), "{error}");
        let error = PostgresServer::start().unwrap_err().to_string();
        assert!(error.contains("/nowhere: initdb"), "{error}");
        return;
    }
    let again = Command::new(env::current_exe().unwrap())
        .arg("a_server_that_a_variable_names_is_never_replaced_by_another")
        .env(TEST_REDIS_SERVER, NOWHERE)
        .env(TEST_POSTGRES_BIN, "/nowhere")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
}
