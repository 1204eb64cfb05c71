//! What happens to the servers when the test process is killed.

use std::{
    env,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use xtask::{postgres_server::PostgresServer, redis_server::RedisServer, wait::block_until};

const VARIABLE: &str = "XTASK_PARENT_DEATH_TEST";

/// This test starts itself again; that second process starts the servers and is killed.
#[test]
fn the_servers_die_with_the_process_that_started_them() {
    if env::var_os(VARIABLE).is_some() {
        let redis = RedisServer::start().unwrap();
        let postgres = PostgresServer::start().unwrap();
        println!("\nports {} {}", redis.port(), postgres.port());
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL runs as another user there and must be able to enter.
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), everyone).unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--nocapture",
            "the_servers_die_with_the_process_that_started_them",
        ])
        .env(VARIABLE, "1")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let ports: Vec<u16> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            let ports = line.strip_prefix("ports ")?;
            Some(ports.split(' ').map(|port| port.parse().unwrap()).collect())
        })
        .unwrap();
    let answers = |&port: &u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(ports.len() == 2 && ports.iter().all(answers));
    child.kill().unwrap();
    child.wait().unwrap();
    block_until("both servers are gone", Duration::from_secs(20), || {
        !ports.iter().any(answers)
    })
    .unwrap();
}
