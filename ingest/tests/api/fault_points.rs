//! The ingest dies, hangs, or loses its connections before or after it has queued an event.

use nix::sys::signal::Signal;
use shared::fault_point::FaultPoint;
use xtask::{
    clerk_payload::UserPayload, fault_points::FaultPoints, proxy::Proxy, redis_server::RedisServer,
};

use crate::helpers::{DEADLINE, Ingest, svix_ids};

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// `kill -9` of the ingest, which then starts again.
    Death,
    /// The ingest is stopped until the sender has lost its patience, and then goes on.
    Hang,
    /// The connection to Redis is closed under its feet.
    Cut,
    /// `kill -9` of Redis, which then starts again.
    RedisDeath,
}

/// P1: whatever was answered 2xx is on the stream; whatever was not is sent again, and then is.
#[tokio::test(flavor = "multi_thread")]
async fn no_fault_around_the_queueing_of_an_event_loses_it() -> anyhow::Result<()> {
    for point in [FaultPoint::Verified, FaultPoint::Queued] {
        for fault in [Fault::Death, Fault::Hang, Fault::Cut, Fault::RedisDeath] {
            survive(point, fault)
                .await
                .map_err(|error| error.context(format!("{point:?}, {fault:?}")))?;
        }
    }
    Ok(())
}

async fn survive(point: FaultPoint, fault: Fault) -> anyhow::Result<()> {
    let mut redis = RedisServer::start()?;
    let proxy = Proxy::start(redis.port())?;
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let points = FaultPoints::arm(&format!("{point:?}"))?;
    let mut ingest = Ingest::start_with(&url, &[("FAULT_POINTS_ADDR", &points.address())]).await?;
    let body = UserPayload::new("user_1", "ada@example.com").created();

    let mut delivery = Box::pin(ingest.deliver("msg_1", &body));
    let held = tokio::select! {
        answer = &mut delivery => anyhow::bail!("answered too early: {answer:?}"),
        held = tokio::task::spawn_blocking(move || points.held(DEADLINE)) => held??,
    };
    let accepted = match fault {
        Fault::Death => {
            ingest.program.kill();
            drop(held);
            let answer = delivery.await;
            anyhow::ensure!(answer.is_err(), "answered by the dead: {answer:?}");
            ingest = Ingest::start_with(&url, &[]).await?;
            false
        }
        Fault::Hang => {
            ingest.program.signal(Signal::SIGSTOP)?;
            drop(delivery);
            ingest.program.signal(Signal::SIGCONT)?;
            drop(held);
            false
        }
        Fault::Cut => {
            proxy.cut();
            drop(held);
            delivery.await?.status == 200
        }
        Fault::RedisDeath => {
            redis.restart()?;
            drop(held);
            delivery.await?.status == 200
        }
    };
    if accepted {
        assert_eq!(svix_ids(&redis).await?, ["msg_1"]);
    } else {
        xtask::wait::until("the event is accepted", DEADLINE, async || {
            ingest
                .deliver("msg_1", &body)
                .await
                .is_ok_and(|answer| answer.status == 200)
        })
        .await?;
        // Once, or twice where the first answer was lost: the ledger takes care of that.
        let found = svix_ids(&redis).await?;
        assert!(
            !found.is_empty() && found.iter().all(|id| id == "msg_1"),
            "{found:?}"
        );
    }
    Ok(())
}
