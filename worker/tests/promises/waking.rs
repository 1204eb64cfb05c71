//! Who waits for an object is woken when it changes, not polled.

use std::time::Duration;

use shared::fault_point::FaultPoint;
use shared::queue::Keys;
use shared::redis_link::RedisLink;
use shared::redis_servers::RedisServers;
use worker::source::queue::Queue;
use xtask::fault_points::FaultPoints;

use crate::helpers::{DEAD, DEADLINE, EVENTS, RETRY, Worker, World, user};

const AWAITED: &str = "{clerk:0}:retry:awaited";
/// So often that the next attempt is more than seven minutes away.
const OFTEN: &str = "12";
/// What no deadline of a test comes near, in milliseconds.
const LONG: u64 = 300_000;

fn add(world: &World, partition: u32, svix_id: &str, payload: &str) {
    add_again(world, partition, svix_id, payload, "0");
}

/// Adds an entry that has failed `attempts` times.
fn add_again(world: &World, partition: u32, svix_id: &str, payload: &str, attempts: &str) {
    let events = Keys::of(partition).events;
    let fields = ["svix-id", svix_id, "payload", payload, "attempts", attempts];
    world.redis(&[&["XADD", &events, "*"], &fields[..]].concat());
}

/// How many milliseconds it is until an event of partition 0 is due; `None` if it does not wait.
fn due(world: &World, svix_id: &str) -> Option<u64> {
    let script = "local due = redis.call('ZSCORE', KEYS[1], ARGV[1]) \
         if not due then return '' end \
         local time = redis.call('TIME') \
         return string.format('%.0f', math.max(0, due - time[1] * 1000))";
    let due = world.redis(&["EVAL", script, "1", RETRY, svix_id]);
    due.parse().ok()
}

pub(crate) fn waits_for_long(world: &World, svix_id: &str) {
    world.wait_for("it waits for minutes", |world| {
        due(world, svix_id) > Some(LONG)
    });
}

/// A field of an event that waits in partition 0.
pub(crate) fn waiting(world: &World, svix_id: &str, field: &str) -> String {
    let script = "local packed = redis.call('HGET', KEYS[1], ARGV[1]) \
         if not packed then return '' end \
         local list = cmsgpack.unpack(packed) \
         for i = 1, #list, 2 do if list[i] == ARGV[2] then return list[i + 1] end end \
         return ''";
    let entries = Keys::of(0).retry_entries;
    world.redis(&["EVAL", script, "1", &entries, svix_id, field])
}

/// A world in which user_old has an address, and msg_new of user_new waits for it for minutes.
fn waiting_world() -> World {
    let world = World::migrated();
    let worker = world.worker();
    add(&world, 0, "msg_old", &old().created());
    world.settle();
    add_again(&world, 0, "msg_new", &new().created(), OFTEN);
    waits_for_long(&world, "msg_new");
    drop(worker);
    world
}

fn old() -> xtask::clerk_payload::UserPayload {
    user("user_old", "shared@example.com", 1)
}

fn new() -> xtask::clerk_payload::UserPayload {
    user("user_new", "shared@example.com", 2)
}

fn is_applied(world: &World, svix_id: &str) {
    world.wait_for("it is applied", |world| world.outcome(svix_id) == "applied");
}

async fn woken(worker: &Worker) -> String {
    let url = format!("http://{}/metrics", worker.admin);
    let metrics = xtask::http::Http::new().get(&url).await.unwrap().body;
    let woken = metrics
        .lines()
        .find_map(|line| line.strip_prefix("clerk_worker_woken_total "));
    woken.unwrap().to_owned()
}

/// Another worker than the one that let it wait, in another partition.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_address_is_woken_when_it_is_free() {
    let world = waiting_world();
    assert_eq!(waiting(&world, "msg_new", "attempts"), "13");
    assert_eq!(waiting(&world, "msg_new", "object"), "user/user_new");
    assert_eq!(waiting(&world, "msg_new", "awaited"), "user/user_old");
    let worker = world.worker_with(&[("REDIS_PARTITIONS", "2")]);
    add(&world, 1, "msg_gone", &old().deleted());
    is_applied(&world, "msg_new");
    assert_eq!(world.users(), "user_new Ada Lovelace shared@example.com");
    world.settle();
    assert_eq!(world.redis(&["KEYS", "*retry*"]), "");
    assert_eq!(woken(&worker).await, "1");
}

#[test]
fn an_attempt_after_a_waking_counts_for_nothing() {
    let world = waiting_world();
    let worker = world.worker_with(&[("MAX_ATTEMPTS", "14")]);
    let attempts = || {
        let output = worker.program.output();
        let lines = output.lines();
        let own = lines.filter(|line| line.contains("next attempt") && line.contains("msg_new"));
        own.count()
    };
    for second in 2..7 {
        let before = attempts();
        // It keeps the address.
        let changed = user("user_old", "shared@example.com", second);
        add(&world, 0, &format!("msg_{second}"), &changed.updated());
        world.wait_for("it is tried again", |_| attempts() > before);
        waits_for_long(&world, "msg_new");
        assert_eq!(waiting(&world, "msg_new", "attempts"), "13");
    }
    add(&world, 0, "msg_gone", &old().deleted());
    is_applied(&world, "msg_new");
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

/// The change is committed, and looks in vain for who waits, after the event has looked and before it is registered.
#[test]
fn a_change_between_the_look_and_the_registration_wakes_all_the_same() {
    let world = World::migrated();
    let first = world.worker();
    add(&world, 0, "msg_old", &old().created());
    world.settle();
    drop(first);
    let points = FaultPoints::arm(&format!("{:?}", FaultPoint::RolledBack)).unwrap();
    // It does not read the other partition.
    let _waits = world.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
    add_again(&world, 0, "msg_new", &new().created(), OFTEN);
    let held = points.held(DEADLINE).unwrap();
    let _changes = world.worker_with(&[("REDIS_PARTITIONS", "2")]);
    add(&world, 1, "msg_gone", &old().deleted());
    is_applied(&world, "msg_gone");
    world.wait_for("nobody looks any more", |world| {
        world.redis(&["XLEN", &Keys::of(1).events]) == "0"
    });
    assert_eq!(due(&world, "msg_new"), None, "it is not registered yet");
    drop(held);
    is_applied(&world, "msg_new");
}

/// Should it die before it has, nobody else would.
#[test]
fn until_its_worker_has_looked_again_an_event_is_due_soon() {
    let world = World::migrated();
    let points = FaultPoints::arm(&format!("{:?}", FaultPoint::Parked)).unwrap();
    let _worker = world.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
    add(&world, 0, "msg_old", &old().created());
    world.settle();
    add_again(&world, 0, "msg_new", &new().created(), OFTEN);
    let held = points.held(DEADLINE).unwrap();
    let soon = due(&world, "msg_new").unwrap();
    assert!(soon <= 31_000, "{soon}");
    drop(held);
    waits_for_long(&world, "msg_new");
}

/// The holder of the address waits itself, for an address that becomes free while both are about to be registered.
#[test]
fn who_waits_for_one_that_waits_is_woken_too() {
    let world = World::migrated();
    let first = world.worker();
    add(
        &world,
        0,
        "msg_1",
        &user("user_a", "a@example.com", 1).created(),
    );
    add(
        &world,
        0,
        "msg_2",
        &user("user_b", "b@example.com", 1).created(),
    );
    world.settle();
    drop(first);
    // One batch: the second event wants the address that the first one is to leave.
    let leaves = user("user_a", "b@example.com", 2).updated();
    add_again(&world, 0, "msg_leaves", &leaves, OFTEN);
    let wants = user("user_c", "a@example.com", 2).created();
    add_again(&world, 0, "msg_wants", &wants, OFTEN);
    let points = FaultPoints::arm(&format!("{:?}", FaultPoint::Parked)).unwrap();
    let _waits = world.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
    let held = points.held(DEADLINE).unwrap();
    assert!(due(&world, "msg_leaves").is_some());
    assert_eq!(due(&world, "msg_wants"), None);
    let _changes = world.worker_with(&[("REDIS_PARTITIONS", "2")]);
    let gone = user("user_b", "", 3).deleted();
    add(&world, 1, "msg_gone", &gone);
    is_applied(&world, "msg_leaves");
    world.wait_for("only the other one is on the stream", |world| {
        world.backlog() == 1
    });
    drop(held);
    is_applied(&world, "msg_wants");
}

/// Nobody else knows of the change.
#[test]
fn who_takes_over_wakes_in_place_of_a_worker_that_died_after_its_commit() {
    for point in [FaultPoint::Committed, FaultPoint::TagsDeleted] {
        let world = waiting_world();
        let points = FaultPoints::arm(&format!("{point:?}")).unwrap();
        let dies = world.worker_with(&[("FAULT_POINTS_ADDR", &points.address())]);
        add(&world, 0, "msg_gone", &old().deleted());
        let _held = points.held(DEADLINE).unwrap();
        assert_eq!(world.outcome("msg_gone"), "applied");
        dies.program.kill();
        waits_for_long(&world, "msg_new");
        let _takes_over = world.worker_with(&[("RECLAIM_AFTER_MS", "1000")]);
        is_applied(&world, "msg_new");
    }
}

/// It waits for whoever has the address, not for whoever had it.
#[test]
fn who_waits_for_an_address_follows_it_through_a_swap() {
    for batch_size in ["256", "1"] {
        let world = waiting_world();
        let worker = world.worker_with(&[("BATCH_SIZE", batch_size)]);
        let other = user("user_other", "other@example.com", 1);
        add(&world, 0, "msg_other", &other.created());
        is_applied(&world, "msg_other");
        drop(worker);
        let takes = user("user_old", "other@example.com", 2).updated();
        add(&world, 0, "msg_takes", &takes);
        let gives = user("user_other", "shared@example.com", 2).updated();
        add(&world, 0, "msg_gives", &gives);
        let _worker = world.worker_with(&[("BATCH_SIZE", batch_size)]);
        is_applied(&world, "msg_gives");
        world.wait_for("it waits for the other one", |world| {
            waiting(world, "msg_new", "awaited") == "user/user_other"
        });
        waits_for_long(&world, "msg_new");
        assert_eq!(waiting(&world, "msg_new", "attempts"), "13");
        add(&world, 0, "msg_gone", &other.deleted());
        is_applied(&world, "msg_new");
    }
}

#[test]
fn where_nothing_waits_no_script_looks_for_it() {
    let world = World::migrated();
    let worker = world.worker();
    let wake = redis::Script::new(include_str!("../../src/finish/wake.lua"));
    let has_looked = || world.redis(&["SCRIPT", "EXISTS", wake.get_hash()]) == "1";
    add(&world, 0, "msg_old", &old().created());
    let refused = user("user_1", "", 1).email(None).created();
    add(&world, 0, "msg_dead", &refused);
    world.settle();
    // One that waits for no object.
    world.sql(
        "create function wait() returns trigger language plpgsql as $$ begin raise 'not now'; end $$; \
         create trigger wait before insert on users for each row execute function wait()",
    );
    let not_now = user("user_2", "2@example.com", 1).created();
    add_again(&world, 0, "msg_wait", &not_now, OFTEN);
    waits_for_long(&world, "msg_wait");
    world.sql("drop trigger wait on users");
    add(
        &world,
        0,
        "msg_3",
        &user("user_3", "3@example.com", 1).created(),
    );
    is_applied(&world, "msg_3");
    assert!(!has_looked());

    add_again(&world, 0, "msg_new", &new().created(), OFTEN);
    waits_for_long(&world, "msg_new");
    add(
        &world,
        0,
        "msg_4",
        &user("user_4", "4@example.com", 1).created(),
    );
    world.wait_for("somebody has looked", |_| has_looked());
    drop(worker);
}

/// One of them gets the address, and the others wait for that one.
#[test]
fn all_who_wait_for_an_object_are_woken_and_none_is_lost() {
    let world = World::migrated();
    let worker = world.worker();
    add(&world, 0, "msg_old", &old().created());
    world.settle();
    let svix_ids: Vec<String> = (0..20).map(|n| format!("msg_new_{n}")).collect();
    for (n, svix_id) in svix_ids.iter().enumerate() {
        let new = user(&format!("user_new_{n}"), "shared@example.com", 2);
        add_again(&world, 0, svix_id, &new.created(), OFTEN);
    }
    for svix_id in &svix_ids {
        waits_for_long(&world, svix_id);
    }
    add(&world, 0, "msg_gone", &old().deleted());
    world.wait_for("one has it", |world| {
        world.outcome("msg_gone") == "applied" && world.sql("select count(*) from users") == "1"
    });
    let winner = world.sql("select id from users");
    for svix_id in &svix_ids {
        if *svix_id != winner.replace("user", "msg") {
            waits_for_long(&world, svix_id);
            assert_eq!(waiting(&world, svix_id, "attempts"), "13");
            assert_eq!(
                waiting(&world, svix_id, "awaited"),
                format!("user/{winner}")
            );
        }
    }
    assert_eq!(world.redis(&["ZCARD", AWAITED]), "19");
    assert_eq!(world.redis(&["ZCARD", RETRY]), "19");
    drop(worker);
}

/// The scripts, with more than one step has.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_waking_before_the_attempt_takes_nothing_off() {
    let world = waiting_world();
    let servers = RedisServers::parse(&world.redis.url(), None).unwrap();
    let link = RedisLink::new(&servers).unwrap();
    let queue = Queue::new(0, link.clone(), link, String::new());
    let fill = "for i = 1, 600 do \
           redis.call('ZADD', KEYS[1], 9e12, 'msg_' .. i) \
           redis.call('ZADD', KEYS[2], 0, 'user/user_old\\0msg_' .. i) \
         end \
         redis.call('ZADD', KEYS[1], 9e12, 'msg_other') \
         redis.call('ZADD', KEYS[2], 0, 'user/user_older\\0msg_other')";
    world.redis(&["EVAL", fill, "2", RETRY, AWAITED]);
    let objects = ["user/user_ol", "user/user_old", "user/"].map(str::to_owned);
    assert_eq!(queue.wake(&objects).await.unwrap(), 601);
    assert_eq!(due(&world, "msg_new"), Some(0));
    assert!(due(&world, "msg_other") > Some(LONG));
    assert_eq!(queue.wake(&objects).await.unwrap(), 0);
    assert_eq!(world.redis(&["ZCARD", AWAITED]), "1");

    let (returned, next) = queue.unpark(1000).await.unwrap();
    assert_eq!(returned, 601);
    assert!(next > Some(Duration::from_millis(LONG)));
    // What was filled in has no entries.
    let returned = world.redis(&["XRANGE", EVENTS, "-", "+"]);
    let fields: Vec<&str> = returned.lines().collect();
    assert!(fields.contains(&"msg_new"), "{returned}");
    let place = fields.iter().position(|field| *field == "attempts");
    assert_eq!(fields[place.unwrap() + 1], OFTEN);
    assert_eq!(world.backlog(), 1);
}
