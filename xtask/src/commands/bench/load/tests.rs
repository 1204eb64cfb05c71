use xtask::{free_port::free_address, sender::new_secret, wait};

use super::super::baseline_server;
use super::*;

/// A server that takes what is signed with `secret`.
async fn server(secret: &str) -> SocketAddr {
    let address = free_address().unwrap();
    let arguments = baseline_server::Arguments {
        address,
        verify: Some(secret.into()),
        queue: None,
    };
    tokio::spawn(baseline_server::run(arguments));
    wait::until("the server listens", Duration::from_secs(10), async || {
        TcpStream::connect(address).await.is_ok()
    })
    .await
    .unwrap();
    address
}

async fn events(secret: &str, count: usize) -> Events {
    Events::make("/", secret, count, |_| false).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_sent_once_each_over_all_connections() {
    let secret = new_secret();
    let events = events(&secret, 100).await;
    let mut connections = Connections::open(server(&secret).await, 8).await.unwrap();
    let limit = Duration::from_secs(30);
    for numbers in [0..20, 20..100] {
        let answered = connections.send(&events, numbers.clone(), limit).await;
        assert_eq!(answered.unwrap().requests, numbers.len());
        assert_eq!(connections.0.len(), 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_after_the_limit() {
    let secret = new_secret();
    let events = events(&secret, 100).await;
    let mut connections = Connections::open(server(&secret).await, 8).await.unwrap();
    let answered = connections.send(&events, 0..100, Duration::ZERO).await;
    assert_eq!(answered.unwrap().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_other_than_200_is_an_error() {
    let events = events(&new_secret(), 1).await;
    let address = server(&new_secret()).await;
    let mut connections = Connections::open(address, 1).await.unwrap();
    let limit = Duration::from_secs(30);
    let Err(error) = connections.send(&events, 0..1, limit).await else {
        panic!("a forged event was accepted");
    };
    assert!(error.to_string().contains("400"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_load_sends_nothing_before_it_is_due() {
    let secret = new_secret();
    let events = events(&secret, 100).await;
    let mut connections = Connections::open(server(&secret).await, 8).await.unwrap();
    let schedule = Schedule {
        begin: Instant::now(),
        rate: 500.0,
    };
    let answered = connections.send_steadily(&events, schedule).await.unwrap();
    assert_eq!(answered.requests, 100);
    assert!(schedule.begin.elapsed() >= Duration::from_millis(198));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_free_connection_counts_as_latency() {
    let secret = new_secret();
    let events = events(&secret, 200).await;
    let mut connections = Connections::open(server(&secret).await, 1).await.unwrap();
    // All are due at once.
    let schedule = Schedule {
        begin: Instant::now(),
        rate: 1e9,
    };
    let answered = connections.send_steadily(&events, schedule).await.unwrap();
    let elapsed = answered.elapsed.as_secs_f64() * 1000.0;
    let [median, longest] = [0.5, 1.0].map(|at| answered.latencies.milliseconds(at));
    assert!(longest > 0.8 * elapsed, "{longest} of {elapsed} ms");
    assert!(median > 0.1 * elapsed, "{median} of {elapsed} ms");
}
