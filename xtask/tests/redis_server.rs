//! The private Redis, on a real one.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use xtask::redis_server::RedisServer;

#[test]
fn what_was_acknowledged_is_there_after_sigkill_and_restart() {
    let mut redis = RedisServer::start().unwrap();
    let (port, url) = (redis.port(), redis.url());
    assert_eq!(redis.cli(&["SET", "key", "value"]).unwrap(), "OK");
    redis.kill();
    assert!(redis.cli(&["PING"]).is_err());
    redis.restart().unwrap();
    assert_eq!((redis.port(), redis.url()), (port, url));
    assert_eq!(redis.cli(&["GET", "key"]).unwrap(), "value");
}

#[test]
fn its_settings_are_those_that_the_project_ships_unless_told_otherwise() {
    let redis = RedisServer::start_with(&["--maxmemory", "10mb"]).unwrap();
    let setting = |name| redis.cli(&["CONFIG", "GET", name]).unwrap();
    assert_eq!(setting("appendonly"), "appendonly\nyes");
    assert_eq!(setting("appendfsync"), "appendfsync\nalways");
    assert_eq!(setting("maxmemory-policy"), "maxmemory-policy\nnoeviction");
    assert_eq!(setting("save"), "save");
    assert_eq!(setting("maxmemory"), "maxmemory\n10485760");
}

#[test]
fn an_error_reply_is_an_error() {
    let redis = RedisServer::start().unwrap();
    redis.cli(&["SET", "key", "value"]).unwrap();
    let error = redis.cli(&["LPUSH", "key", "1"]).unwrap_err();
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
}

#[test]
fn it_answers_nothing_while_paused_and_goes_on_afterwards() {
    let redis = RedisServer::start().unwrap();
    let mut connection = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    let limit = Duration::from_millis(200);
    connection.set_read_timeout(Some(limit)).unwrap();
    redis.pause().unwrap();
    connection.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    assert!(connection.read_exact(&mut answer).is_err());
    redis.resume().unwrap();
    connection.set_read_timeout(None).unwrap();
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn it_outlives_the_thread_that_started_it() {
    let start = std::thread::spawn(RedisServer::start);
    let redis = start.join().unwrap().unwrap();
    assert_eq!(redis.cli(&["PING"]).unwrap(), "PONG");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let error = RedisServer::start_with(&["--no-such-setting", "1"]).unwrap_err();
    assert!(error.to_string().contains("no-such-setting"), "{error}");
}

#[test]
fn a_dropped_server_leaves_neither_process_nor_folder() {
    let redis = RedisServer::start().unwrap();
    let folder = redis.folder().to_owned();
    let port = redis.port();
    assert!(folder.exists());
    drop(redis);
    assert!(!Path::new(&folder).exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
