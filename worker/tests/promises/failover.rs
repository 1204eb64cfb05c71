//! The master of Redis is lost and a replica takes its place.

use std::time::Duration;

use xtask::proxy::Proxy;
use xtask::redis_server::RedisServer;
use xtask::wait;

use crate::helpers::{DEAD, DEADLINE, EVENTS, RETRY, World, user};
use crate::ingest::Ingest;

/// P1: the master dies right after the answer, with all that is on its way to the replica.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_replica_has_is_applied_from_there() {
    let mut master = RedisServer::start().unwrap();
    let line = Proxy::start(master.port()).unwrap();
    let replica = master.start_replica(line.port()).unwrap();
    let ingest = Ingest::start(&master.url(), &[("REDIS_MIN_REPLICAS", "1")]).await;
    line.delay(Duration::from_millis(300));
    let payload = user("user_1", "a@example.com", 1).created();
    assert_eq!(ingest.deliver("msg_1", &payload).await, 200);
    master.kill();
    line.cut();

    replica.cli(&["REPLICAOF", "NO", "ONE"]).unwrap();
    assert_eq!(replica.cli(&["XLEN", EVENTS]).unwrap(), "1");
    let world = World::with_redis(replica);
    let _worker = world.worker();
    world.settle();
    assert_eq!(world.outcome("msg_1"), "applied");
    assert_eq!(world.sql("select id from users"), "user_1");
}

/// P1, P3: an event that was answered 503, because no replica had it, stands on the stream all the
/// same.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_refused_for_want_of_a_replica_is_applied_once() {
    let world = World::migrated();
    world.sql(
        "create table written (id text);
         create function note() returns trigger language plpgsql as $$
           begin insert into written values (new.id); return new; end $$;
         create trigger note after insert or update on users for each row execute function note()",
    );
    let replica = world.redis.start_replica(world.redis.port()).unwrap();
    let ingest = Ingest::start(&world.redis.url(), &[("REDIS_MIN_REPLICAS", "1")]).await;
    replica.pause().unwrap();
    let payload = user("user_1", "a@example.com", 1).created();
    assert_eq!(ingest.deliver("msg_1", &payload).await, 503);
    let _worker = world.worker();
    world.settle();
    assert_eq!(world.outcome("msg_1"), "applied");

    replica.resume().unwrap();
    assert_eq!(ingest.deliver("msg_1", &payload).await, 200);
    world.settle();
    assert_eq!(world.sql("select count(*) from written"), "1");
}

/// P3, P5: what the worker has said to the master last is lost with it: that an event is finished,
/// waits, or lies with the dead letters. The replica holds all of them as they were before.
#[test]
fn what_a_replica_does_not_know_to_be_finished_is_done_again_and_changes_nothing() {
    let master = RedisServer::start().unwrap();
    let line = Proxy::start(master.port()).unwrap();
    let replica = master.start_replica(line.port()).unwrap();
    let mut world = World::with_redis(master);
    world.migrate();
    world.sql("insert into users values ('other', 'n', 'taken@example.com', null, now(), now())");
    world.add("msg_done", &user("user_1", "a@example.com", 1).created());
    world.add(
        "msg_waits",
        &user("user_2", "taken@example.com", 1).created(),
    );
    world.add("msg_dead", "{}");
    wait::block_until("the replica has all", DEADLINE, || {
        replica.cli(&["XLEN", EVENTS]).unwrap() == "3"
    })
    .unwrap();
    line.hold(true);
    let worker = world.worker();
    world.wait_for("all are in their places", |world| {
        world.backlog() == 0
            && world.redis(&["ZCARD", RETRY]) == "1"
            && world.redis(&["XLEN", DEAD]) == "1"
    });
    worker.program.kill();
    let written = world.sql("select xmin from users where id = 'user_1'");
    world.redis.kill();
    line.cut();

    replica.cli(&["REPLICAOF", "NO", "ONE"]).unwrap();
    world.redis = replica;
    assert_eq!(world.backlog(), 3);
    let _worker = world.worker_with(&[("RECLAIM_AFTER_MS", "1000")]);
    world.wait_for("all are in their places again", |world| {
        world.backlog() == 0
            && world.redis(&["ZCARD", RETRY]) == "1"
            && world.redis(&["XLEN", DEAD]) == "1"
    });
    assert_eq!(world.outcome("msg_done"), "applied");
    assert_eq!(
        world.sql("select xmin from users where id = 'user_1'"),
        written
    );
    world.sql("delete from users where id = 'other'");
    world.settle();
    assert_eq!(world.outcome("msg_waits"), "applied");
}
