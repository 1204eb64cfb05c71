//! Two transactions that meet: the same table, whichever comes first. Any order of many events over
//! many workers is in `histories`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio_postgres::IsolationLevel;
use worker::apply::storage;
use worker::apply::{self, Verdict};
use worker::decide::outcome::Outcome;

use crate::helpers::{Unfenced, World, database, event, targets, user};

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
        world.sql("truncate users, clerk_sync.events, clerk_sync.versions");
        let database = database(&world);
        if known_before {
            let created = event("msg_create", &payload.created());
            apply::apply(&database, &targets(), &Unfenced, &[&created])
                .await
                .unwrap();
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
                    .query("select * from clerk_sync.versions", &[])
                    .await
                    .unwrap();
                both_began.wait().await;
                deleted.wait().await;
                let claims = storage::claim_versions(&transaction, "user", &[&update])
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
            storage::claim_versions(&transaction, "user", &[&deletion])
                .await
                .unwrap()
                .len(),
            1
        );
        transaction
            .execute("delete from users where id = 'user_1'", &[])
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
    storage::claim_versions(&transaction, "user", &[&deletion])
        .await
        .unwrap();
    let applied = tokio::spawn({
        let database = database.clone();
        let update = event("msg_update", &payload.updated());
        async move {
            apply::apply(&database, &targets(), &Unfenced, &[&update])
                .await
                .unwrap()
        }
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
                apply::apply(&database, &targets(), &Unfenced, &[&event])
                    .await
                    .unwrap()
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
