//! The proxy, before a real Redis.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use xtask::{proxy::Proxy, redis_server::RedisServer};

const DEADLINE: Duration = Duration::from_secs(20);

fn connect(proxy: &Proxy) -> TcpStream {
    let connection = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    connection.set_read_timeout(Some(DEADLINE)).unwrap();
    connection
}

/// One round trip.
fn ping(connection: &mut TcpStream) -> std::io::Result<()> {
    connection.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    connection.read_exact(&mut answer)?;
    assert_eq!(&answer, b"+PONG\r\n");
    Ok(())
}

/// Whether the other side has closed or reset it, rather than not answered in time.
fn is_closed(connection: &mut TcpStream) -> bool {
    match connection.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn it_passes_everything_on_both_ways_to_the_end() {
    let redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut connection = connect(&proxy);
    let value = "x".repeat(3_000_000);
    let length = value.len();
    let set = format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n${length}\r\n{value}\r\n");
    connection.write_all(set.as_bytes()).unwrap();
    connection.write_all(b"GET key\r\nQUIT\r\n").unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    let mut answers = String::new();
    connection.read_to_string(&mut answers).unwrap();
    assert_eq!(answers, format!("+OK\r\n${length}\r\n{value}\r\n+OK\r\n"));
}

#[test]
fn a_cut_resets_the_open_connections_and_lets_new_ones_through() {
    let redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut connection = connect(&proxy);
    ping(&mut connection).unwrap();
    proxy.cut();
    assert!(is_closed(&mut connection));
    ping(&mut connect(&proxy)).unwrap();
}

#[test]
fn while_it_refuses_no_connection_passes() {
    let redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut before = connect(&proxy);
    ping(&mut before).unwrap();
    proxy.refuse(true);
    assert!(is_closed(&mut before));
    assert!(is_closed(&mut connect(&proxy)));
    proxy.refuse(false);
    ping(&mut connect(&proxy)).unwrap();
}

#[test]
fn while_it_holds_nothing_passes_and_afterwards_all_does() {
    let redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut connection = connect(&proxy);
    ping(&mut connection).unwrap();
    proxy.hold(true);
    connection.write_all(b"SET key value\r\n").unwrap();
    let limit = Duration::from_millis(200);
    connection.set_read_timeout(Some(limit)).unwrap();
    assert!(!is_closed(&mut connection));
    assert_eq!(redis.cli(&["EXISTS", "key"]).unwrap(), "0");
    proxy.hold(false);
    connection.set_read_timeout(Some(DEADLINE)).unwrap();
    connection.read_exact(&mut [0; 5]).unwrap();
    assert_eq!(redis.cli(&["EXISTS", "key"]).unwrap(), "1");
}

#[test]
fn a_delay_holds_what_passes_in_both_directions() {
    let redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut connection = connect(&proxy);
    let delay = Duration::from_millis(100);
    proxy.delay(delay);
    let begin = Instant::now();
    ping(&mut connection).unwrap();
    assert!(begin.elapsed() >= 2 * delay);
    // The other way round there is no saying how long a ping may take, only that it works.
    proxy.delay(Duration::ZERO);
    ping(&mut connection).unwrap();
}

#[test]
fn while_the_target_is_away_connections_are_closed_and_it_is_found_again() {
    let mut redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    redis.kill();
    assert!(is_closed(&mut connect(&proxy)));
    redis.restart().unwrap();
    ping(&mut connect(&proxy)).unwrap();
}

#[tokio::test]
async fn a_dropped_proxy_leaves_no_connection_and_no_listener() {
    let redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let (mut connection, port) = (connect(&proxy), proxy.port());
    ping(&mut connection).unwrap();
    drop(proxy);
    assert!(is_closed(&mut connection));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
