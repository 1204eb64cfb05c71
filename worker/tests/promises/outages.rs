//! An outage costs time, not data.

use xtask::postgres_server::PostgresServer;
use xtask::redis_server::RedisServer;

use crate::applications::worlds;
use crate::helpers::{DEAD, EVENTS, RETRY, Worker, World, user};

fn no_attempt_was_used(world: &World) {
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
    assert_eq!(world.redis(&["ZCARD", RETRY]), "0");
}

/// P8: PostgreSQL is away when the worker starts, and again later.
#[test]
fn postgres_away_counts_against_nobody() {
    let mut postgres = PostgresServer::start().unwrap();
    let database_url = postgres.create_database().unwrap();
    let world = World::new();
    let settings = [
        ("DATABASE_URL", database_url.as_str()),
        ("MAX_ATTEMPTS", "1"),
    ];
    let ledger = |postgres: &PostgresServer| {
        postgres
            .psql(&database_url, "select count(*) from clerk_sync.events")
            .unwrap_or_default()
    };
    postgres.kill();
    let worker = world.start_worker(&settings);
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    xtask::wait::block_until("it waits for PostgreSQL", crate::helpers::DEADLINE, || {
        worker
            .program
            .output()
            .matches("cannot be migrated yet")
            .count()
            >= 3
    })
    .unwrap();
    let reason = "error connecting to server: Connection refused";
    assert!(worker.program.output().contains(reason));
    postgres.restart().unwrap();
    world.wait_for("the first event is applied", |_| ledger(&postgres) == "1");
    // The second time a transaction is under way.
    postgres
        .psql(
            &database_url,
            "create function hang() returns trigger language plpgsql as $$ \
               begin if new.id = 'user_hang' then perform pg_sleep(3); end if; return new; end $$; \
             create trigger hang before insert on users for each row execute function hang()",
        )
        .unwrap();
    world.add_next(&user("user_hang", "hang@example.com", 1).created());
    world.wait_for("a transaction is under way", |_| {
        let sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        postgres.psql(&database_url, sleeping).unwrap() == "1"
    });
    postgres.kill();
    for n in 2..=50 {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
    }
    xtask::wait::block_until("it waits again", crate::helpers::DEADLINE, || {
        worker.program.output().matches("a store is away").count() >= 3
    })
    .unwrap();
    no_attempt_was_used(&world);
    postgres.restart().unwrap();
    world.wait_for("all is applied", |world| {
        ledger(&postgres) == "51" && world.backlog() == 0
    });
    no_attempt_was_used(&world);
    assert!(worker.program.is_running());
}

/// P8: whatever Redis answers when it cannot serve, work resumes by itself.
#[test]
fn redis_away_counts_against_nobody() {
    let mut world = World::new();
    let worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    world.add_next(&user("user_1", "1@example.com", 1).created());
    world.settle();
    world.redis.kill();
    xtask::wait::block_until("it notices", crate::helpers::DEADLINE, || {
        worker.program.output().contains("Redis cannot be read")
    })
    .unwrap();
    world.redis.restart().unwrap();
    world.add_next(&user("user_2", "2@example.com", 1).created());
    world.settle();
    world.redis(&["REPLICAOF", "127.0.0.1", "1"]);
    xtask::wait::block_until("it notices READONLY", crate::helpers::DEADLINE, || {
        worker.program.output().contains("ReadOnly")
    })
    .unwrap();
    world.redis(&["REPLICAOF", "NO", "ONE"]);
    world.add_next(&user("user_3", "3@example.com", 1).created());
    world.settle();
    // It hangs for longer than a command may take.
    world.redis.pause().unwrap();
    let failures = worker
        .program
        .output()
        .matches("Redis cannot be read")
        .count();
    xtask::wait::block_until("it notices the hang", crate::helpers::DEADLINE, || {
        worker
            .program
            .output()
            .matches("Redis cannot be read")
            .count()
            > failures
    })
    .unwrap();
    world.redis.resume().unwrap();
    world.add_next(&user("user_4", "4@example.com", 1).created());
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "4");
    no_attempt_was_used(&world);
    assert!(worker.program.is_running());
}

/// P8: Redis is full, yet what is finished makes room, and what has to wait can be parked.
#[test]
fn a_full_redis_is_drained() {
    let world = World::migrated();
    world.sql("alter table users add constraint polite check (name not like 'Rude%')");
    for n in 0..20 {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
    }
    world.add_next(
        &user("user_rude", "rude@example.com", 1)
            .first_name("Rude")
            .created(),
    );
    world.redis(&["CONFIG", "SET", "maxmemory", "1"]);
    let _worker = world.worker();
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "20");
    assert_eq!(world.redis(&["XLEN", DEAD]), "1");
}

/// The stream and the group vanish under a worker that reads.
#[test]
fn a_group_that_vanishes_is_created_again() {
    let world = World::new();
    let _worker = world.worker();
    world.add_next(&user("user_1", "1@example.com", 1).created());
    world.settle();
    for destroy in [
        &["FLUSHALL"][..],
        &["DEL", EVENTS],
        &["XGROUP", "DESTROY", EVENTS, "clerk-worker"],
    ] {
        world.redis(destroy);
        let svix_id = world.add_next(&user("user_1", "1@example.com", 1).updated());
        world.settle();
        assert_ne!(world.outcome(&svix_id), "", "{destroy:?}");
    }
}

/// P5, P12: events that Redis has lost are told, by one of all workers, whether these run or are started later; a first start
/// and more partitions are none.
#[test]
fn a_redis_that_has_lost_events_is_told_once() {
    let world = World::migrated();
    let workers = [world.worker(), world.worker(), world.worker()];
    world.add_next(&user("user_1", "1@example.com", 1).created());
    world.settle();
    let told = |workers: &[Worker]| {
        let outputs = workers.iter().map(|worker| worker.program.output());
        outputs
            .map(|output| output.matches("Redis has lost what it held").count())
            .sum::<usize>()
    };
    assert_eq!(told(&workers), 0);
    let until_all_are_in_the_new_group = || {
        world.wait_for("all workers are in the new group", |world| {
            let consumers = ["XINFO", "CONSUMERS", EVENTS, "clerk-worker"];
            let consumers = world.redis.cli(&consumers).unwrap_or_default();
            consumers.matches("pending").count() == workers.len()
        });
    };
    // Somebody removes the group alone, and nothing is lost.
    world.redis(&["XGROUP", "DESTROY", EVENTS, "clerk-worker"]);
    until_all_are_in_the_new_group();
    assert_eq!(told(&workers), 0);
    for flush in 1..=2 {
        world.redis(&["FLUSHALL"]);
        until_all_are_in_the_new_group();
        world.add_next(&user("user_1", "1@example.com", 1 + flush).updated());
        world.settle();
    }
    // The second one within the same minute is only counted, if the same worker has found it.
    assert!((1..=2).contains(&told(&workers)));
    drop(workers);

    let more = [world.worker_with(&[("REDIS_PARTITIONS", "3")])];
    world.wait_for("it reads the new partitions", |world| {
        world
            .redis
            .cli(&["XINFO", "GROUPS", "{clerk:2}:events"])
            .is_ok()
    });
    assert_eq!(told(&more), 0);
    drop(more);
    world.redis(&["FLUSHALL"]);
    let new = [world.worker(), world.worker()];
    world.wait_for("one of them tells", |_| told(&new) == 1);
    world.add_next(&user("user_1", "1@example.com", 9).updated());
    world.settle();
    assert_eq!(told(&new), 1);
}

/// P8: the cache's Redis alone is away.
#[test]
fn the_cache_away_holds_the_entry_until_the_tag_is_gone() {
    let world = World::new();
    let mut cache = RedisServer::start().unwrap();
    let _worker = world.worker_with(&[("CACHE_REDIS_URL", &cache.url()), ("MAX_ATTEMPTS", "1")]);
    cache.cli(&["SET", "global:users", "x"]).unwrap();
    cache.kill();
    let svix_id = world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.wait_for("the row is there", |world| {
        world.outcome(&svix_id) == "applied"
    });
    assert_eq!(world.backlog(), 1);
    cache.restart().unwrap();
    world.settle();
    assert_eq!(cache.cli(&["EXISTS", "global:users"]).unwrap(), "0");
    no_attempt_was_used(&world);
}

/// P8: sessions are terminated while work is going on.
#[test]
fn terminated_sessions_lose_nothing() {
    for world in worlds() {
        // So that a session is most likely ended inside a transaction.
        world.sql_of_table(
            "create function slow() returns trigger language plpgsql as $$ \
           begin perform pg_sleep(0.01); return new; end $$; \
         create trigger slow before insert on TABLE for each row execute function slow()",
        );
        let worker = world.worker_with(&[("BATCH_SIZE", "5"), ("MAX_ATTEMPTS", "1")]);
        for n in 0..300 {
            world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
            if n % 10 == 0 {
                world.sql(
                    "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() and pid <> pg_backend_pid()",
                );
            }
        }
        world.settle();
        assert_eq!(world.sql("select count(*) from users"), "300");
        no_attempt_was_used(&world);
        assert!(worker.program.is_running());
    }
}

/// P8: somebody locks the whole table for longer than any statement may wait, however many events there are.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_counts_against_nobody() {
    for world in worlds() {
        let worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
        let (client, connection) =
            tokio_postgres::connect(&world.database_url, tokio_postgres::NoTls)
                .await
                .unwrap();
        let driver = tokio::spawn(connection);
        let waits = || worker.program.output().matches("a store is away").count();
        for (round, (table, events)) in [
            ("TABLE", 1),
            ("TABLE", 2),
            ("TABLE", 20),
            ("clerk_sync.events", 1),
        ]
        .into_iter()
        .enumerate()
        {
            let lock = format!("begin; lock table {table} in access exclusive mode");
            client
                .batch_execute(&world.schema.sql(&lock))
                .await
                .unwrap();
            let before = waits();
            for n in 0..events {
                let id = format!("user_{round}_{n}");
                world.add_next(&user(&id, &format!("{id}@example.com"), 1).created());
            }
            xtask::wait::until("it waits", crate::helpers::DEADLINE, async || {
                waits() > before
            })
            .await
            .unwrap();
            no_attempt_was_used(&world);
            client.batch_execute("commit").await.unwrap();
            world.settle();
            no_attempt_was_used(&world);
        }
        driver.abort();
        assert_eq!(world.sql("select count(*) from users"), "24");
    }
}

/// P8: rights that are missing, of a whole table or of one column, are not the fault of an event.
#[test]
fn a_missing_right_counts_against_nobody() {
    let world = World::migrated();
    let role = format!("worker_{}", uuid::Uuid::new_v4().simple());
    world.sql(&format!(
        "create role {role} login; \
         grant usage on schema clerk_sync to {role}; \
         grant select, insert, update, delete on all tables in schema clerk_sync to {role}; \
         grant select, insert, update, delete on users to {role}"
    ));
    let url = world
        .database_url
        .replacen("//postgres@", &format!("//{role}@"), 1);
    assert_ne!(url, world.database_url);
    let worker = world.worker_with(&[("DATABASE_URL", &url), ("MAX_ATTEMPTS", "1")]);
    let waits = || worker.program.output().matches("lacks rights to").count();
    let payload = user("user_1", "ada@example.com", 1);
    for (right, event) in [
        ("insert on users", payload.created()),
        (
            "update (email) on users",
            user("user_1", "eve@example.com", 2).updated(),
        ),
        (
            "update on clerk_sync.events",
            user("user_1", "ada@example.com", 1).updated(),
        ),
        ("delete on users", payload.deleted()),
    ] {
        // A right to the table is one to each column.
        let table = right.rsplit(' ').next().unwrap();
        if right.contains('(') {
            world.sql(&format!(
                "revoke update on {table} from {role}; \
                 grant update (name, \"imageUrl\", \"createdAt\", \"updatedAt\") on {table} to {role}"
            ));
        } else {
            world.sql(&format!("revoke {right} from {role}"));
        }
        let before = waits();
        world.add_next(&event);
        xtask::wait::block_until(right, crate::helpers::DEADLINE, || waits() > before).unwrap();
        no_attempt_was_used(&world);
        world.sql(&format!("grant {right} to {role}"));
        world.settle();
        no_attempt_was_used(&world);
    }
    assert_eq!(world.sql("select count(*) from clerk_sync.events"), "4");
    assert_eq!(world.users(), "");
}

/// P8: a pooler, or a broken disk, that answers everything with the same error.
#[test]
fn a_database_that_refuses_everything_counts_against_nobody() {
    let world = World::migrated();
    world.sql(
        "create function refuse() returns trigger language plpgsql as $$ \
           begin raise exception 'no' using errcode = 'XX000'; end $$; \
         create trigger refuse before insert on clerk_sync.events for each row execute function refuse()",
    );
    let worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    for n in 0..20 {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
    }
    xtask::wait::block_until("it waits", crate::helpers::DEADLINE, || {
        worker.program.output().matches("a store is away").count() >= 3
    })
    .unwrap();
    no_attempt_was_used(&world);
    world.sql("drop trigger refuse on clerk_sync.events");
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "20");
    no_attempt_was_used(&world);
}

/// P8: a provider makes a database read-only when its disk is full. That is respected, and waited for.
#[test]
fn a_database_that_became_read_only_is_waited_for() {
    let world = World::migrated();
    let database = world.sql("select current_database()");
    let set = |value: &str| {
        // From another database, which nobody has made read-only.
        let postgres = |sql: &str| world.postgres.psql("postgres", sql).unwrap();
        postgres(&format!("alter database {database} {value}"));
        postgres(&format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{database}'"
        ))
    };
    let worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    set("set default_transaction_read_only = on");
    let good = world.add_next(&user("user_1", "ada@example.com", 1).created());
    let unusable = world.add_next(r#"{"type":"user.created","data":{"id":"user_2"}}"#);
    xtask::wait::block_until("it waits", crate::helpers::DEADLINE, || {
        worker.program.output().matches("25006").count() >= 3
    })
    .unwrap();
    assert_eq!(world.outcome(&good), "");
    set("reset default_transaction_read_only");
    world.settle();
    assert_eq!(world.outcome(&good), "applied");
    assert!(world.reason(&unusable).is_some());
    assert_eq!(world.redis(&["XLEN", DEAD]), "1");
}

/// P8: somebody changes the type of a column under a worker that has prepared its statements.
#[test]
fn a_column_that_gets_another_type_costs_no_attempt() {
    let world = World::migrated();
    let _worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    let mut second = 1;
    let mut next = |world: &World| {
        // A swap asks who holds which address.
        let (a, b) = if second % 2 == 0 {
            ("a", "b")
        } else {
            ("b", "a")
        };
        let payload = |id, address| user(id, &format!("{address}@example.com"), second).updated();
        // Both in one batch, or one would have to wait.
        let add = "for i, payload in ipairs(ARGV) do \
             if i > 1 then redis.call('XADD', KEYS[1], '*', 'svix-id', ARGV[1] .. i, 'payload', payload) end end";
        let (svix_id, a_moves, b_moves) = (
            format!("msg_{second}_"),
            payload("user_a", a),
            payload("user_b", b),
        );
        world.redis(&["EVAL", add, "1", EVENTS, &svix_id, &a_moves, &b_moves]);
        second += 1;
        world.settle();
        let expected = format!("{a}@example.com {b}@example.com");
        assert_eq!(
            world.sql("select string_agg(email, ' ' order by id) from users"),
            expected
        );
    };
    for alteration in [
        "select 1",
        "alter table users alter \"updatedAt\" type timestamp",
        "alter table users alter \"updatedAt\" type timestamptz(3), alter email type text",
        "alter table users add column a int; alter table users drop column a",
    ] {
        for _ in 0..2 {
            next(&world);
        }
        world.sql(alteration);
    }
    next(&world);
    no_attempt_was_used(&world);
}

/// P8: what was committed before an outage in the middle of a batch was applied, and is told so.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_before_an_outage_is_told_as_applied() {
    let world = World::migrated();
    // The commit of the whole batch fails, so it is tried in halves; in the second one PostgreSQL goes away.
    world.sql(
        "create function refuse() returns trigger language plpgsql as $$ \
           begin if new.id = 'user_bad' then raise exception 'no'; end if; return null; end $$; \
         create constraint trigger refuse after insert on users deferrable initially deferred \
           for each row execute function refuse(); \
         create function hang() returns trigger language plpgsql as $$ \
           begin if new.id = 'user_hang' and exists (select from users where id = 'user_0') \
             then perform pg_sleep(2); end if; return new; end $$; \
         create trigger hang before insert on users for each row execute function hang()",
    );
    let ids = [
        "user_0",
        "user_1",
        "user_2",
        "user_bad",
        "user_hang",
        "user_3",
    ];
    for id in ids {
        world.add_next(&user(id, &format!("{id}@example.com"), 1).created());
    }
    let worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
         where datname = current_database() and wait_event = 'PgSleep' \
           and (select count(*) from users) = 3";
    world.wait_for("a session in the second half is ended", |world| {
        world.sql(ended) == "1"
    });
    world.settle();
    let url = format!("http://{}/metrics", worker.admin);
    let metrics = xtask::http::Http::new().get(&url).await.unwrap().body;
    assert!(!metrics.contains("duplicate"), "{metrics}");
    let applied = r#"clerk_worker_events_total{outcome="applied",type="user.created"} 5"#;
    assert!(metrics.contains(applied), "{metrics}");
}
