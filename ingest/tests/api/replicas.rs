//! What is answered when replicas of Redis must have an event too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::task::JoinSet;
use xtask::{free_port::free_port, proxy::Proxy, redis_server::RedisServer, wait::until};

use crate::{
    helpers::{DEADLINE, Ingest, SVIX_PATIENCE, svix_ids},
    outages::{assert_try_again, body, crowd, is_accepted_soon},
};

const ONE_REPLICA: [(&str, &str); 1] = [("REDIS_MIN_REPLICAS", "1")];

/// P1: the master is killed while a hundred senders deliver one event after the other, and what is
/// on its way to the replica is lost with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_answered_200_in_a_crowd_is_on_the_replica_when_the_master_dies()
-> anyhow::Result<()> {
    for round in 1..=5 {
        let mut master = RedisServer::start()?;
        let line = Proxy::start(master.port())?;
        let replica = master.start_replica(line.port())?;
        let ingest = Arc::new(Ingest::start_with(&master.url(), &ONE_REPLICA).await?);
        // Long enough that the master has many events that the replica lacks.
        line.delay(Duration::from_millis(20));

        let answered = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for sender in 0..100 {
            let (ingest, answered) = (Arc::clone(&ingest), Arc::clone(&answered));
            senders.spawn(async move {
                let mut accepted = Vec::new();
                loop {
                    let svix_id = format!("msg_{sender}_{}", accepted.len());
                    match ingest.deliver(&svix_id, &body()).await {
                        Ok(answer) if answer.status == 200 => accepted.push(svix_id),
                        _ => return accepted,
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let enough = 150 * round;
        until("enough events are answered 200", DEADLINE, async || {
            answered.load(Ordering::Relaxed) >= enough
        })
        .await?;
        master.kill();
        line.cut();

        replica.cli(&["REPLICAOF", "NO", "ONE"])?;
        let found = svix_ids(&replica).await?;
        let accepted = senders.join_all().await.concat();
        assert!(accepted.len() >= enough);
        let lost: Vec<_> = accepted.iter().filter(|id| !found.contains(id)).collect();
        assert!(lost.is_empty(), "answered 200 and lost: {lost:?}");
    }
    Ok(())
}

/// P1, P9: a replica that is absent, or hangs, is waited for, and each event is answered in time,
/// however many there are.
#[tokio::test]
async fn events_are_answered_503_while_too_few_replicas_have_them() -> anyhow::Result<()> {
    let master = RedisServer::start()?;
    let ingest = Arc::new(Ingest::start_with(&master.url(), &ONE_REPLICA).await?);
    let name = "clerk_ingest_unreplicated_total";
    assert_eq!(ingest.metric(name).await?, 0.0);
    let refused = ingest.deliver("msg_alone", &body()).await?;
    assert_try_again(&refused);
    assert_eq!(ingest.metric(name).await?, 1.0);
    assert_eq!(
        ingest.logged("message", "too few replicas have an event in time"),
        1
    );
    // It stands on the stream: the second delivery adds a duplicate.
    assert_eq!(svix_ids(&master).await?, ["msg_alone"]);

    let replica = master.start_replica(master.port())?;
    is_accepted_soon(&ingest).await?;
    replica.pause()?;
    for (_, answer) in crowd(&ingest, 300).await? {
        assert_try_again(&answer);
    }
    assert_eq!(ingest.metric(name).await?, 301.0);
    // It is no matter of health: Redis answers.
    assert_eq!(ingest.readiness().await, 200);
    replica.resume()?;
    is_accepted_soon(&ingest).await?;

    let begun = Instant::now();
    for (_, answer) in crowd(&ingest, 300).await? {
        assert_eq!(answer.status, 200);
    }
    assert!(begun.elapsed() < SVIX_PATIENCE / 5);
    Ok(())
}

/// P1: where the server has WAITAOF, an event that was answered 200 outlives a crash of both, also with the
/// `everysec` that would lose two seconds otherwise.
#[tokio::test]
#[ignore = "WAITAOF needs Redis 7.2: cargo xtask test --newer-servers"]
async fn what_was_answered_200_is_on_the_disk_of_a_replica() -> anyhow::Result<()> {
    let mut master = RedisServer::start()?;
    let mut replica = master.start_replica(master.port())?;
    replica.cli(&["CONFIG", "SET", "appendfsync", "everysec"])?;
    let ingest = Arc::new(Ingest::start_with(&master.url(), &ONE_REPLICA).await?);
    let answers = crowd(&ingest, 300).await?;
    master.kill();
    replica.kill();
    replica.restart()?;
    let found = svix_ids(&replica).await?;
    for (svix_id, answer) in answers {
        assert_eq!(answer.status, 200);
        assert!(found.contains(&svix_id), "answered 200 and lost: {svix_id}");
    }
    Ok(())
}

/// P1, P9: and what only the memory of a replica has, or the disk of the master lacks, is answered 503.
#[tokio::test]
#[ignore = "WAITAOF needs Redis 7.2: cargo xtask test --newer-servers"]
async fn events_are_answered_503_while_master_or_replica_syncs_nothing_to_its_disk()
-> anyhow::Result<()> {
    let master = RedisServer::start()?;
    let replica = master.start_replica(master.port())?;
    let ingest = Ingest::start_with(&master.url(), &ONE_REPLICA).await?;
    for server in [&replica, &master] {
        for (setting, off, on) in [("appendonly", "no", "yes"), ("appendfsync", "no", "always")] {
            server.cli(&["CONFIG", "SET", setting, off])?;
            let svix_id = format!("msg_{setting}_{}", server.port());
            assert_try_again(&ingest.deliver(&svix_id, &body()).await?);
            // The replica has it, which is enough for WAIT.
            assert!(svix_ids(&replica).await?.contains(&svix_id));
            server.cli(&["CONFIG", "SET", setting, on])?;
            is_accepted_soon(&ingest).await?;
        }
    }
    Ok(())
}

/// P1: as many replicas as were asked for.
#[tokio::test]
async fn one_replica_is_not_enough_where_two_are_asked_for() -> anyhow::Result<()> {
    let master = RedisServer::start()?;
    let _first = master.start_replica(master.port())?;
    let two = [("REDIS_MIN_REPLICAS", "2")];
    let ingest = Ingest::start_with(&master.url(), &two).await?;
    assert_try_again(&ingest.deliver("msg_1", &body()).await?);
    let _second = master.start_replica(master.port())?;
    is_accepted_soon(&ingest).await
}

/// Redis waits for nobody unless it is told to.
#[tokio::test]
async fn no_wait_is_sent_unless_replicas_are_asked_for() -> anyhow::Result<()> {
    let master = RedisServer::start()?;
    let _replica = master.start_replica(master.port())?;
    let waits = || -> anyhow::Result<bool> {
        let commands = master.cli(&["INFO", "commandstats"])?;
        assert!(commands.contains("cmdstat_xadd"), "{commands}");
        Ok(commands.contains("cmdstat_wait"))
    };
    let ingest = Ingest::start(&master).await?;
    is_accepted_soon(&ingest).await?;
    assert!(!waits()?);
    let ingest = Ingest::start_with(&master.url(), &ONE_REPLICA).await?;
    is_accepted_soon(&ingest).await?;
    assert!(waits()?);
    Ok(())
}

/// P8, P9: the new master may be behind the same name, so a connection to one that became a replica
/// is given up.
#[tokio::test]
async fn connections_to_a_master_that_became_a_replica_are_replaced() -> anyhow::Result<()> {
    let master = RedisServer::start()?;
    let _replica = master.start_replica(master.port())?;
    let ingest = Arc::new(Ingest::start_with(&master.url(), &ONE_REPLICA).await?);
    for (_, answer) in crowd(&ingest, 8).await? {
        assert_eq!(answer.status, 200);
    }
    let nobody = free_port()?.to_string();
    master.cli(&["REPLICAOF", "127.0.0.1", &nobody])?;
    for (_, answer) in crowd(&ingest, 8).await? {
        assert_try_again(&answer);
    }
    let connections = || -> anyhow::Result<u64> {
        let stats = master.cli(&["INFO", "stats"])?;
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix("total_connections_received:"));
        Ok(line.context("INFO stats")?.trim().parse()?)
    };
    let before = connections()?;
    for (_, answer) in crowd(&ingest, 8).await? {
        assert_try_again(&answer);
    }
    assert!(connections()? >= before + 8);
    master.cli(&["REPLICAOF", "NO", "ONE"])?;
    is_accepted_soon(&ingest).await
}
