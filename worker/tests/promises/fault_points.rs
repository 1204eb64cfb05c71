//! A worker dies, hangs, or loses its connections between any two of its effects.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use shared::fault_point::FaultPoint;
use shared::queue::Keys;
use xtask::fault_points::FaultPoints;
use xtask::proxy::Proxy;

use crate::helpers::{DEAD, DEADLINE, EVENTS, RETRY, Worker, World, user};

const USERS_TABLE: &str = include_str!("../../src/database/create_users.sql");
/// How many cases run at the same time.
const AT_ONCE: usize = 6;

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// `kill -9` of the worker.
    Death,
    /// The worker is stopped until another one has taken over what it holds, and then goes on.
    Hang,
    /// All its connections, to both stores, are closed under its feet.
    Cut,
    /// `kill -9` of Redis, which then starts again.
    RedisDeath,
}

const FAULTS: [Fault; 4] = [Fault::Death, Fault::Hang, Fault::Cut, Fault::RedisDeath];

/// P1, P3, P4, P5, P7, P8: every point with every fault.
#[test]
fn no_fault_at_any_point_of_the_worker_breaks_a_promise() {
    let of_the_ingest = [FaultPoint::Verified, FaultPoint::Queued];
    let cases: Vec<(FaultPoint, Fault)> = FaultPoint::ALL
        .iter()
        .filter(|point| !of_the_ingest.contains(point))
        .flat_map(|point| FAULTS.map(|fault| (*point, fault)))
        .collect();
    let next = AtomicUsize::new(0);
    let broken = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((point, fault)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let case = thread::Builder::new().name(format!("{point:?}, {fault:?}"));
                    let outcome = case
                        .spawn_scoped(scope, || survive(*point, *fault))
                        .unwrap()
                        .join();
                    if outcome.is_err() {
                        broken.lock().unwrap().push((*point, *fault));
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "see above: {broken:?}");
}

/// One world that leads a worker past every point, one fault at `point`, and a look at everything.
fn survive(point: FaultPoint, fault: Fault) {
    let mut world = World::new();
    prepare(&world);
    let points = FaultPoints::arm(&format!("{point:?}")).unwrap();
    let redis = Proxy::start(world.redis.port()).unwrap();
    let postgres = Proxy::start(world.postgres.port()).unwrap();
    let database_url = world.database_url.replace(
        &format!(":{}/", world.postgres.port()),
        &format!(":{}/", postgres.port()),
    );
    assert_ne!(database_url, world.database_url);
    let first = world.start_worker(&[
        ("REDIS_URL", &format!("redis://127.0.0.1:{}", redis.port())),
        ("DATABASE_URL", &database_url),
        ("FAULT_POINTS_ADDR", &points.address()),
        ("RECLAIM_AFTER_MS", "1000"),
    ]);
    if point == FaultPoint::Left {
        world.wait_for("the worker has started", |_| {
            first.program.output().contains("worker has started")
        });
        first.program.signal(Signal::SIGTERM).unwrap();
    }
    let held = points
        .held(DEADLINE)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", first.program.output()));
    let second = || world.worker_with(&[("RECLAIM_AFTER_MS", "1000")]);
    let another = match fault {
        Fault::Death => {
            first.program.kill();
            Some(second())
        }
        Fault::Hang => {
            first.program.signal(Signal::SIGSTOP).unwrap();
            // It holds the lock of the migration, which nobody but PostgreSQL can take from it.
            let migrates = matches!(point, FaultPoint::MigrationLocked | FaultPoint::Migrated);
            let another = if migrates {
                world.start_worker(&[("RECLAIM_AFTER_MS", "1000")])
            } else {
                second()
            };
            world.wait_for("another worker has taken over", |world| {
                holds_nothing(world, &first)
            });
            first.program.signal(Signal::SIGCONT).unwrap();
            Some(another)
        }
        Fault::Cut => {
            redis.cut();
            postgres.cut();
            (point == FaultPoint::Left).then(second)
        }
        Fault::RedisDeath => {
            world.redis.restart().unwrap();
            (point == FaultPoint::Left).then(|| world.worker_with(&[("RECLAIM_AFTER_MS", "1000")]))
        }
    };
    drop(held);

    // The address that user_4 waits for is free from now on.
    world.add(
        "msg_free",
        &user("user_5", "free@example.com", 20).updated(),
    );
    world.settle();
    verify(&world);
    if let Some(another) = another {
        assert!(another.program.is_running(), "{}", another.program.output());
    }
    match (point, fault) {
        (_, Fault::Death) => {}
        (FaultPoint::Left, _) => assert!(first.program.wait(DEADLINE).unwrap().success()),
        _ => assert!(first.program.is_running(), "{}", first.program.output()),
    }
}

/// Rows of the application, cached entries, and events of which each takes another way; some of them
/// are held by a worker that is gone.
fn prepare(world: &World) {
    world.sql(USERS_TABLE);
    world.sql(
        r#"insert into users (id, name, email, "createdAt", "updatedAt")
             select 'user_' || n, 'Old', 'old-' || n || '@example.com', 'epoch', 'epoch'
             from unnest(array[2, 3, 5, 6, 8, 9, 11]) n;
           create table written (id text, "updatedAt" timestamptz);
           create function note() returns trigger language plpgsql as $$
             begin insert into written values (new.id, new."updatedAt"); return new; end $$;
           create trigger note after insert or update of "updatedAt" on users
             for each row execute function note()"#,
    );
    for id in [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11] {
        world.redis(&[
            "SADD",
            &format!("id:user_{id}:users"),
            &format!("page:{id}"),
        ]);
        world.redis(&["SET", &format!("page:{id}"), "cached"]);
    }
    world.redis(&["SADD", "global:users", "page:all"]);
    world.redis(&["SET", "page:all", "cached"]);

    let add = |svix_id, payload: &str| world.add(svix_id, payload);
    world.redis(&["XGROUP", "CREATE", EVENTS, "clerk-worker", "0", "MKSTREAM"]);
    park_for_long(
        world,
        "msg_parked",
        &user("user_10", "old-11@example.com", 18).created(),
    );
    add("msg_gone", &user("user_0", "0@example.com", 1).created());
    // Swaps with one that is in another batch.
    add(
        "msg_ring_8",
        &user("user_8", "old-9@example.com", 16).updated(),
    );
    world.redis(&[
        "XREADGROUP",
        "GROUP",
        "clerk-worker",
        "gone",
        "STREAMS",
        EVENTS,
        ">",
    ]);
    add("msg_new", &user("user_1", "1@example.com", 10).created());
    add("msg_new", &user("user_1", "1@example.com", 10).created());
    add("msg_late", &user("user_1", "late@example.com", 9).updated());
    // These two swap their addresses.
    add(
        "msg_swap_2",
        &user("user_2", "old-3@example.com", 11).updated(),
    );
    add(
        "msg_swap_3",
        &user("user_3", "old-2@example.com", 12).updated(),
    );
    add(
        "msg_ring_9",
        &user("user_9", "old-8@example.com", 17).updated(),
    );
    // It has waited so often that only a waking brings it back in time.
    let waits = user("user_4", "old-5@example.com", 13).created();
    let waits = ["svix-id", "msg_wait", "payload", &waits, "attempts", "12"];
    world.redis(&[&["XADD", EVENTS, "*"], &waits[..]].concat());
    // What msg_parked waits for.
    add(
        "msg_wakes",
        &user("user_11", "11@example.com", 19).updated(),
    );
    add("msg_delete", &user("user_6", "", 14).deleted());
    add("msg_poison", &user("user_7", "", 15).email(None).created());
    add(
        "msg_other",
        r#"{"type":"session.created","data":{"id":"sess_1"}}"#,
    );
}

/// Lets an event wait for user_11, a quarter of an hour.
fn park_for_long(world: &World, svix_id: &str, payload: &str) {
    world.add(svix_id, payload);
    let group = ["GROUP", "clerk-worker", "gone"];
    world.redis(&[&["XREADGROUP"], &group[..], &["STREAMS", EVENTS, ">"]].concat());
    let entry = world.redis(&["XRANGE", EVENTS, "-", "+"]);
    let entry = entry.lines().next().unwrap();
    let park = concat!(env!("CARGO_MANIFEST_DIR"), "/src/finish/park.lua");
    let keys = Keys::of(0);
    let (entries, objects) = (keys.retry_entries, keys.retry_objects);
    let arguments = ["clerk-worker", "gone", entry, "13", "900000", "not now"];
    let waits = ["user/user_10", "user/user_11", "900000"];
    let keys = [EVENTS, RETRY, &entries, &objects, &keys.retry_awaited, ","];
    world.redis(&[&["--eval", park], &keys[..], &arguments, &waits].concat());
    assert_eq!(world.redis(&["ZCARD", RETRY]), "1");
}

fn holds_nothing(world: &World, worker: &Worker) -> bool {
    let output = worker.program.output();
    let consumer = output
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|line| line["consumer"].as_str().map(str::to_owned));
    // One that has not started holds nothing either.
    consumer.is_none_or(|consumer| {
        world
            .redis(&["XPENDING", EVENTS, "clerk-worker", "-", "+", "1", &consumer])
            .is_empty()
    })
}

fn verify(world: &World) {
    assert_eq!(
        world.sql("select id || ' ' || email from users order by id"),
        "user_0 0@example.com\n\
         user_1 1@example.com\n\
         user_10 old-11@example.com\n\
         user_11 11@example.com\n\
         user_2 old-3@example.com\n\
         user_3 old-2@example.com\n\
         user_4 old-5@example.com\n\
         user_5 free@example.com\n\
         user_8 old-9@example.com\n\
         user_9 old-8@example.com"
    );
    assert_eq!(
        world.sql(
            "select svix_id || ' ' || outcome from clerk_sync.events order by svix_id collate \"C\""
        ),
        "msg_delete applied\n\
         msg_free applied\n\
         msg_gone applied\n\
         msg_late stale\n\
         msg_new applied\n\
         msg_other ignored\n\
         msg_parked applied\n\
         msg_ring_8 applied\n\
         msg_ring_9 applied\n\
         msg_swap_2 applied\n\
         msg_swap_3 applied\n\
         msg_wait applied\n\
         msg_wakes applied"
    );
    assert_eq!(
        world.sql("select object_id from clerk_sync.versions where deleted"),
        "user_6"
    );
    assert_eq!(
        world.sql("select id from written group by id, \"updatedAt\" having count(*) > 1"),
        "",
        "written twice"
    );
    assert_eq!(world.redis(&["XLEN", DEAD]), "1");
    assert_eq!(
        world.dead_letter("msg_poison", "attempts").as_deref(),
        Some("1")
    );
    assert_eq!(world.redis(&["KEYS", "page:*"]), "");
    assert_eq!(world.redis(&["KEYS", "*:users"]), "");
    assert_eq!(world.redis(&["KEYS", "*retry*"]), "");
}

/// A world in which no user can be inserted before `obstacle` is dropped.
fn obstructed() -> World {
    let world = World::migrated();
    world.sql(
        "create table obstacle (); \
         create function refuse() returns trigger language plpgsql as $$ \
           begin if to_regclass('obstacle') is not null then raise 'not yet'; end if; \
           return new; end $$; \
         create trigger refuse before insert on users for each row execute function refuse()",
    );
    world
}

/// A worker that dead-letters whatever fails once.
fn impatient_worker(world: &World, points: &FaultPoints, reclaim_after: &str) -> Worker {
    world.start_worker(&[
        ("FAULT_POINTS_ADDR", &points.address()),
        ("RECLAIM_AFTER_MS", reclaim_after),
        ("MAX_ATTEMPTS", "1"),
    ])
}

fn holder(world: &World) -> String {
    let pending = world.redis(&["XPENDING", EVENTS, "clerk-worker", "-", "+", "1"]);
    pending.lines().nth(1).unwrap_or_default().to_owned()
}

/// P5: a worker that was silent for too long cannot dead-letter what another one has just applied and
/// not removed yet. Nor does it take that back, however long the other one is silent.
#[test]
fn a_worker_that_hung_cannot_dead_letter_what_another_holds() {
    let world = obstructed();
    world.add("msg_1", &user("user_1", "1@example.com", 1).created());
    let before_dead_letter = FaultPoints::arm("TagsDeleted").unwrap();
    let first = impatient_worker(&world, &before_dead_letter, "1000");
    let held = before_dead_letter.held(DEADLINE).unwrap();
    first.program.signal(Signal::SIGSTOP).unwrap();

    world.sql("drop table obstacle");
    let after_commit = FaultPoints::arm("Committed").unwrap();
    let second = impatient_worker(&world, &after_commit, "1000");
    let second_held = after_commit.held(DEADLINE).unwrap();
    let second_consumer = holder(&world);
    second.program.signal(Signal::SIGSTOP).unwrap();
    first.program.signal(Signal::SIGCONT).unwrap();
    world.wait_for("the second one was silent for long", |world| {
        let pending = world.redis(&["XPENDING", EVENTS, "clerk-worker", "-", "+", "1"]);
        pending
            .lines()
            .nth(2)
            .is_some_and(|idle| idle.parse::<u64>().unwrap() >= 3000)
    });
    assert_eq!(holder(&world), second_consumer);

    drop(held);
    // It ends the batch that it has begun, and then exits.
    first.program.signal(Signal::SIGTERM).unwrap();
    assert!(first.program.wait(DEADLINE).unwrap().success());
    second.program.signal(Signal::SIGCONT).unwrap();
    drop(second_held);
    world.settle();
    assert_eq!(world.outcome("msg_1"), "applied");
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

/// P5: nor can it apply what another one has dead-lettered.
#[test]
fn a_worker_that_hung_cannot_apply_what_another_has_dead_lettered() {
    let world = obstructed();
    world.add("msg_1", &user("user_1", "1@example.com", 1).created());
    let before_ledger = FaultPoints::arm("Begun").unwrap();
    let first = impatient_worker(&world, &before_ledger, "1000");
    let held = before_ledger.held(DEADLINE).unwrap();
    first.program.signal(Signal::SIGSTOP).unwrap();
    let nothing = FaultPoints::arm("").unwrap();
    let second = impatient_worker(&world, &nothing, "1000");
    // Until its entry is gone somebody else may still take it over and apply it.
    world.wait_for("it is dead-lettered and its entry removed", |world| {
        world.redis(&["XLEN", DEAD]) == "1" && world.backlog() == 0
    });
    drop(second);

    world.sql("drop table obstacle");
    first.program.signal(Signal::SIGCONT).unwrap();
    drop(held);
    world.add("msg_2", &user("user_2", "2@example.com", 1).created());
    world.settle();
    assert_eq!(world.outcome("msg_2"), "applied");
    assert_eq!(world.outcome("msg_1"), "");
    assert_eq!(world.redis(&["XLEN", DEAD]), "1");
}

/// P5: nor does it leave a dead letter of an event of which another one has applied a copy.
#[test]
fn an_event_that_was_applied_after_its_refusal_leaves_no_dead_letter() {
    let world = obstructed();
    let payload = user("user_1", "1@example.com", 1).created();
    world.add("msg_1", &payload);
    let before_dead_letter = FaultPoints::arm("TagsDeleted").unwrap();
    let first = impatient_worker(&world, &before_dead_letter, "60000");
    let held = before_dead_letter.held(DEADLINE).unwrap();
    // It must not get the second copy too.
    first.program.signal(Signal::SIGSTOP).unwrap();
    world.wait_for("it does not read any more", |world| {
        world
            .redis(&["INFO", "clients"])
            .contains("blocked_clients:0")
    });
    world.sql("drop table obstacle");
    world.add("msg_1", &payload);
    let nothing = FaultPoints::arm("").unwrap();
    let _second = impatient_worker(&world, &nothing, "60000");
    world.wait_for("the second copy is applied and removed", |world| {
        world.outcome("msg_1") == "applied" && world.backlog() == 1
    });
    first.program.signal(Signal::SIGCONT).unwrap();
    drop(held);
    world.settle();
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
    assert!(first.program.is_running(), "{}", first.program.output());
}
