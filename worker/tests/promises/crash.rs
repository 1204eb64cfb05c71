//! `kill -9` of everything, in the middle of a stream of events.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::sync::Mutex;
use xtask::free_port::free_port;
use xtask::history::{Action, History, Reference, Step, Tie};
use xtask::postgres_server::PostgresServer;
use xtask::program::Program;
use xtask::redis_server::RedisServer;
use xtask::sender::Sender;

use crate::helpers::{DEAD, UNFINISHED};

const EVENT_COUNT: usize = 20_000;
const USERS: usize = 4_000;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Users come, change and go. Nobody hands an address on, so no event has to wait for another.
fn history(random: &mut StdRng) -> History {
    let mut gone = HashSet::new();
    let mut steps = Vec::with_capacity(EVENT_COUNT);
    while steps.len() < EVENT_COUNT {
        let user = random.random_range(0..USERS);
        if !gone.contains(&user) {
            steps.push(Step {
                action: if random.random_ratio(1, 50) {
                    gone.insert(user);
                    Action::Delete(user)
                } else {
                    Action::Edit(user)
                },
                tie: Tie::None,
            });
        }
    }
    History::of(&steps)
}

/// P1, P3, P4, P5, P8: nothing that was accepted is lost, nothing is applied twice, and the table is
/// as the model says.
#[tokio::test(flavor = "multi_thread")]
async fn killing_everything_in_a_stream_of_twenty_thousand_events_loses_nothing() {
    let mut random = StdRng::seed_from_u64(7);
    let history = history(&mut random);
    let users: BTreeMap<String, i64> = Reference::of(&history.events)
        .users
        .into_iter()
        .map(|(id, row)| (id.to_owned(), row.updated_at))
        .collect();
    let mut events = history.events;
    events.shuffle(&mut random);
    let event_count = events.len();
    let redis = Arc::new(Mutex::new(RedisServer::start().unwrap()));
    let postgres = Arc::new(Mutex::new(PostgresServer::start().unwrap()));
    let redis_url = redis.lock().await.url();
    let database_url = postgres.lock().await.create_database().unwrap();
    let output = Program::run("worker", &["migrate"], &[("DATABASE_URL", &database_url)]).unwrap();
    assert!(output.status.success());
    postgres
        .lock()
        .await
        .psql(
            &database_url,
            r#"create table written (id text, "updatedAt" timestamptz);
               create function note() returns trigger language plpgsql as $$
                 begin insert into written values (new.id, new."updatedAt"); return new; end $$;
               create trigger note after insert or update on users for each row execute function note()"#,
        )
        .unwrap();
    let ingest_address = format!("127.0.0.1:{}", free_port().unwrap());
    let start_ingest = {
        let (redis_url, ingest_address) = (redis_url.clone(), ingest_address.clone());
        let admin = format!("127.0.0.1:{}", free_port().unwrap());
        move || {
            Program::start(
                "ingest",
                &[
                    ("REDIS_URL", &redis_url),
                    ("INGEST_ADDR", &ingest_address),
                    ("ADMIN_ADDR", &admin),
                    ("CLERK_WEBHOOK_SIGNING_SECRET", SECRET),
                ],
            )
            .unwrap()
        }
    };
    let start_worker = || {
        let admin = format!("127.0.0.1:{}", free_port().unwrap());
        Program::start(
            "worker",
            &[
                ("REDIS_URL", redis_url.as_str()),
                ("DATABASE_URL", database_url.as_str()),
                ("ADMIN_ADDR", admin.as_str()),
                ("RECLAIM_AFTER_MS", "1000"),
                ("BATCH_SIZE", "64"),
                ("MAX_ATTEMPTS", "3"),
                ("RUST_LOG", "warn"),
            ],
        )
        .unwrap()
    };

    // The sender behaves as Svix does: what was not answered 2xx is sent again, with the same svix-id.
    let sender = Arc::new(
        Sender::new(
            &format!("http://{ingest_address}/api/webhooks/clerk"),
            SECRET,
        )
        .unwrap(),
    );
    let events = Arc::new(events);
    let (next, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let senders: Vec<_> = (0..24)
        .map(|_| {
            let (sender, events) = (Arc::clone(&sender), Arc::clone(&events));
            let (next, accepted) = (Arc::clone(&next), Arc::clone(&accepted));
            tokio::spawn(async move {
                while let Some(event) = events.get(next.fetch_add(1, Ordering::Relaxed)) {
                    while !sender
                        .send(&event.svix_id, &event.body)
                        .await
                        .is_ok_and(|answer| answer.status == 200)
                    {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    // Kills by progress, not by the clock: one after every twelfth of the events.
    let mut ingest = start_ingest();
    let mut workers = [start_worker(), start_worker()];
    for round in 1..=12 {
        xtask::wait::until(
            "events are accepted",
            Duration::from_secs(120),
            async || accepted.load(Ordering::Relaxed) >= round * event_count / 13,
        )
        .await
        .unwrap();
        match round % 4 {
            0 => {
                ingest.kill();
                ingest = start_ingest();
            }
            1 => {
                workers[round % 2].kill();
                workers[round % 2] = start_worker();
            }
            2 => {
                let mut redis = redis.lock().await;
                tokio::task::block_in_place(|| {
                    redis.kill();
                    redis.restart().unwrap();
                });
            }
            _ => {
                let mut postgres = postgres.lock().await;
                tokio::task::block_in_place(|| {
                    postgres.kill();
                    postgres.restart().unwrap();
                });
            }
        }
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let cli = async |command: &[&str]| redis.lock().await.cli(command).unwrap();
    xtask::wait::until(
        "all events are finished",
        Duration::from_secs(120),
        async || cli(&UNFINISHED).await == "0",
    )
    .await
    .unwrap();

    let sql = async |sql: &str| postgres.lock().await.psql(&database_url, sql).unwrap();
    assert_eq!(cli(&["XLEN", DEAD]).await, "0");
    assert_eq!(
        sql("select count(*) from clerk_sync.events").await,
        event_count.to_string()
    );
    let twice = r#"select count(*) from (select 1 from written group by id, "updatedAt" having count(*) > 1) t"#;
    assert_eq!(sql(twice).await, "0", "applied twice");
    let table =
        sql(r#"select id || ' ' || (extract(epoch from "updatedAt") * 1000)::bigint from users"#)
            .await;
    let found: BTreeMap<String, i64> = table
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(id, updated_at)| (id.to_owned(), updated_at.parse().unwrap()))
        .collect();
    assert_eq!(found.len(), users.len());
    assert!(found == users, "the table is not as the model says");
    assert!(ingest.is_running() && workers.iter().all(Program::is_running));
}
