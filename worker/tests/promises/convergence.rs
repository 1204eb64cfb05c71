//! Any order, any duplication, any number of workers: the same table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use shared::svix_id::SvixId;
use tokio::sync::Barrier;
use tokio_postgres::IsolationLevel;
use worker::apply::{self, Verdict};
use worker::database::{Database, DatabaseUrl};
use worker::event::Event;
use worker::ledger::Outcome;
use worker::storage;

use crate::helpers::{DEAD, World, user};

pub(crate) fn event(svix_id: &str, payload: &str) -> Event {
    Event::parse(
        SvixId::parse(svix_id).unwrap(),
        SystemTime::now(),
        payload.as_bytes(),
    )
    .unwrap()
}

pub(crate) fn database(world: &World) -> Database {
    Database::new(&DatabaseUrl::parse(Some(&world.database_url)).unwrap()).unwrap()
}

async fn until_a_session_waits_for_a_lock(world: &World) {
    xtask::wait::until(
        "a session waits for a lock",
        Duration::from_secs(10),
        async || {
            world.sql(
                "select count(*) from pg_stat_activity \
             where datname = current_database() and wait_event_type = 'Lock'",
            ) == "1"
        },
    )
    .await
    .unwrap();
}

/// P4: of two overlapping transactions the one that began later deletes the user. The earlier one,
/// whose snapshot is from before the deletion, must not bring the user back.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_began_earlier_cannot_bring_a_deleted_user_back() {
    let world = Arc::new(World::migrated());
    let payload = user("user_1", "ada@example.com", 1);
    let deletion = event("msg_delete", &payload.deleted());
    let update = event(
        "msg_update",
        &user("user_1", "ada@example.com", 9).updated(),
    );
    for known_before in [false, true] {
        world.sql("truncate users, clerk_sync.events, clerk_sync.user_versions");
        let database = database(&world);
        if known_before {
            let created = event("msg_create", &payload.created());
            apply::apply(&database, &[&created]).await.unwrap();
        }
        let (both_began, deleted) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let earlier = tokio::spawn({
            let (database, update) = (database.clone(), update.clone());
            let (both_began, deleted) = (Arc::clone(&both_began), Arc::clone(&deleted));
            async move {
                let mut connection = database.connection().await.unwrap();
                let transaction = connection
                    .build_transaction()
                    .isolation_level(IsolationLevel::ReadCommitted)
                    .start()
                    .await
                    .unwrap();
                transaction
                    .query("select * from clerk_sync.user_versions", &[])
                    .await
                    .unwrap();
                both_began.wait().await;
                deleted.wait().await;
                let claims = storage::claim_versions(&transaction, &[&update])
                    .await
                    .unwrap();
                transaction.commit().await.unwrap();
                claims.len()
            }
        });
        both_began.wait().await;
        let mut connection = database.connection().await.unwrap();
        let transaction = connection.transaction().await.unwrap();
        assert_eq!(
            storage::claim_versions(&transaction, &[&deletion])
                .await
                .unwrap()
                .len(),
            1
        );
        storage::delete_users(&transaction, &["user_1"])
            .await
            .unwrap();
        deleted.wait().await;
        until_a_session_waits_for_a_lock(&world).await;
        transaction.commit().await.unwrap();
        assert_eq!(
            earlier.await.unwrap(),
            0,
            "the update must not win, known before: {known_before}"
        );
    }
}

/// P4: the whole path, held at the same point: the update is applied by the code itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_meets_a_deletion_in_the_same_instant_is_stale() {
    let world = Arc::new(World::migrated());
    let database = database(&world);
    let payload = user("user_1", "ada@example.com", 1);
    let mut connection = database.connection().await.unwrap();
    let transaction = connection.transaction().await.unwrap();
    let deletion = event("msg_delete", &payload.deleted());
    storage::claim_versions(&transaction, &[&deletion])
        .await
        .unwrap();
    let applied = tokio::spawn({
        let database = database.clone();
        let update = event("msg_update", &payload.updated());
        async move { apply::apply(&database, &[&update]).await.unwrap() }
    });
    until_a_session_waits_for_a_lock(&world).await;
    transaction.commit().await.unwrap();
    match applied.await.unwrap().as_slice() {
        [Verdict::Recorded(Outcome::Stale)] => {}
        // The lock time-out was shorter than this machine was slow: then it is tried again later.
        [Verdict::Refused(refusal)] => assert!(refusal.reason.contains("55P03"), "{refusal:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.users(), "");
}

/// P3: two workers have the same event in hand at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_in_two_hands_is_applied_once() {
    let world = World::migrated();
    world.sql(
        "create table writes (id text); \
         create function note() returns trigger language plpgsql as $$ \
           begin insert into writes values (new.id); return new; end $$; \
         create trigger note after insert or update on users for each row execute function note()",
    );
    let database = database(&world);
    let event = event("msg_1", &user("user_1", "ada@example.com", 1).created());
    let barrier = Arc::new(Barrier::new(3));
    let hands: Vec<_> = (0..3)
        .map(|_| {
            let (database, event, barrier) =
                (database.clone(), event.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                apply::apply(&database, &[&event]).await.unwrap()
            })
        })
        .collect();
    let mut recorded = 0;
    for hand in hands {
        match hand.await.unwrap().as_slice() {
            [Verdict::Recorded(Outcome::Applied)] => recorded += 1,
            [Verdict::Duplicate] => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(recorded, 1);
    assert_eq!(world.sql("select count(*) from writes"), "1");
}

/// What happened at Clerk: the events in Clerk's own order, and the users that are left.
struct History {
    events: Vec<(String, String)>,
    users: BTreeMap<String, String>,
}

/// Users come, change, hand addresses on and go; at any time every address has one owner, as at Clerk.
fn history(random: &mut StdRng, users: usize, steps: i64) -> History {
    use rand::RngExt;
    let mut table: BTreeMap<String, String> = BTreeMap::new();
    let mut gone: Vec<String> = Vec::new();
    let mut events = Vec::new();
    for step in 1..=steps {
        let id = format!("user_{}", random.random_range(0..users));
        if gone.contains(&id) {
            continue;
        }
        let address = format!("{}@example.com", random.random_range(0..users));
        let free = !table
            .iter()
            .any(|(other, held)| *other != id && *held == address);
        let svix_id = format!("msg_{step:05}");
        if random.random_ratio(1, 12) && table.contains_key(&id) {
            events.push((svix_id, user(&id, "", step).deleted()));
            table.remove(&id);
            gone.push(id);
        } else if free {
            events.push((svix_id, user(&id, &address, step).updated()));
            table.insert(id, address);
        }
    }
    History {
        events,
        users: table,
    }
}

/// P4, P5: shuffled, partly delivered twice, over several workers and small batches.
#[test]
fn any_order_over_any_number_of_workers_ends_as_clerk_has_it() {
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let history = history(&mut random, 12, 120);
        let world = World::migrated();
        let workers: Vec<_> = (0..=seed % 3)
            .map(|_| {
                world.worker_with(&[(
                    "BATCH_SIZE",
                    ["3", "7", "256"][usize::try_from(seed % 3).unwrap()],
                )])
            })
            .collect();
        let mut deliveries = history.events.clone();
        deliveries.extend(history.events.iter().step_by(5).cloned());
        deliveries.shuffle(&mut random);
        for (svix_id, payload) in &deliveries {
            world.add(svix_id, payload);
        }
        world.settle();
        let expected: Vec<String> = history
            .users
            .iter()
            .map(|(id, address)| format!("{id} {address}"))
            .collect();
        let mut found: Vec<String> = world
            .sql("select id || ' ' || email from users")
            .lines()
            .map(str::to_owned)
            .collect();
        found.sort();
        let mut expected = expected;
        expected.sort();
        assert_eq!(found, expected, "seed {seed}");
        assert_eq!(world.redis(&["XLEN", DEAD]), "0", "seed {seed}");
        assert_eq!(
            world.sql("select count(*) from clerk_sync.events"),
            history.events.len().to_string(),
            "seed {seed}"
        );
        drop(workers);
    }
}
