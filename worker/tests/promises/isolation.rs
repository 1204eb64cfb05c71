//! No event holds up another.

use crate::applications::worlds;
use crate::helpers::{DEAD, EVENTS, RETRY, World, user};

/// P6
#[test]
fn exactly_the_events_that_the_database_refuses_are_dead_lettered() {
    for world in worlds() {
        world.sql_of_table("alter table TABLE add constraint polite check (NAME not like 'Rude%')");
        let mut rude = Vec::new();
        for n in 0..200 {
            let payload = user(&format!("user_{n}"), &format!("{n}@example.com"), 1);
            if n % 40 == 7 {
                rude.push(world.add_next(&payload.first_name("Rude").created()));
            } else {
                world.add_next(&payload.created());
            }
        }
        let _worker = world.worker();
        world.settle();
        assert_eq!(world.sql("select count(*) from users"), "195");
        assert_eq!(world.redis(&["XLEN", DEAD]), "5");
        for svix_id in rude {
            let reason = world.reason(&svix_id).unwrap();
            assert!(
                reason.contains("23514") && reason.contains("polite"),
                "{reason}"
            );
            assert!(
                !reason.contains("Rude") && !reason.contains("example.com"),
                "{reason}"
            );
        }
    }
}

/// P6: the error of a refused row quotes it, cut short, with whatever else stands in it.
#[test]
fn who_is_only_quoted_in_a_refused_row_is_applied() {
    let world = World::migrated();
    world.sql("alter table users add constraint polite check (name not like 'Rude%')");
    for n in 0..30 {
        world.add_next(&user(&format!("user_{n:02}"), &format!("{n}@example.com"), 1).created());
    }
    let long = format!("user_05{}", "x".repeat(200));
    for (id, first_name) in [
        ("user_04b", "Rude user_02"),
        ("user_21b", "Rude user_28"),
        (&long, "Rude user_17"),
    ] {
        let payload = user(id, &format!("{first_name}@example.net"), 1);
        world.add_next(&payload.first_name(first_name).created());
    }
    let _worker = world.worker();
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "30");
    assert_eq!(world.redis(&["XLEN", DEAD]), "3");
    assert_eq!(world.sql("select count(*) from clerk_sync.events"), "30");
    assert_eq!(world.sql("select count(*) from clerk_sync.versions"), "30");
}

/// P6: rows that the application holds locked, whose events come first.
#[test]
fn locked_rows_hold_up_their_own_events_only() {
    let world = World::migrated();
    let first = world.worker();
    let locked = |n: u32, second| {
        let email = format!("locked_{n}_{second}@example.com");
        user(&format!("user_locked_{n}"), &email, second)
    };
    for n in 0..3 {
        world.add_next(&locked(n, 1).created());
    }
    world.settle();
    drop(first);
    let url = world.database_url.clone();
    let runtime = tokio_runtime();
    let (client, connection) = runtime
        .block_on(tokio_postgres::connect(&url, tokio_postgres::NoTls))
        .unwrap();
    let driver = runtime.spawn(connection);
    runtime
        .block_on(
            client.batch_execute(
                "begin; select 1 from users where id like 'user_locked%' for update",
            ),
        )
        .unwrap();
    for n in 0..3 {
        world.add_next(&locked(n, 2).updated());
    }
    for n in 0..20 {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 2).created());
    }
    let worker = world.worker();
    world.wait_for("the neighbours are applied", |world| {
        world.sql("select count(*) from users where id not like 'user_locked%'") == "20"
    });
    world.wait_for("the locked ones wait", |world| {
        world.redis(&["ZCARD", RETRY]) == "3"
    });
    assert!(!worker.program.output().contains("a store is away"));
    runtime.block_on(client.batch_execute("commit")).unwrap();
    driver.abort();
    world.settle();
    assert_eq!(
        world.sql("select count(*) from users where email like 'locked_%_2@example.com'"),
        "3"
    );
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

/// P6: nor does a locked row of somebody who swaps addresses with others.
#[test]
fn a_locked_row_in_a_ring_of_addresses_holds_up_the_ring_only() {
    let world = World::migrated();
    let worker = world.worker();
    world.add_next(&user("user_a", "a@example.com", 1).created());
    world.add_next(&user("user_b", "b@example.com", 1).created());
    world.settle();
    for second in 2..5 {
        world.add_next(&user("user_b", "a@example.com", second).updated());
    }
    world.wait_for("all three wait", |world| {
        world.redis(&["ZCARD", RETRY]) == "3"
    });
    let runtime = tokio_runtime();
    let (client, connection) = runtime
        .block_on(tokio_postgres::connect(
            &world.database_url,
            tokio_postgres::NoTls,
        ))
        .unwrap();
    let driver = runtime.spawn(connection);
    let lock = "begin; select 1 from users where id = 'user_b' for update";
    runtime.block_on(client.batch_execute(lock)).unwrap();
    world.add_next(&user("user_a", "b@example.com", 5).updated());
    world.wait_for("the ring is being closed", |world| {
        world.sql(
            "select count(*) from pg_stat_activity \
             where datname = current_database() and wait_event_type = 'Lock'",
        ) == "1"
    });
    let neighbour = world.add_next(&user("user_n", "n@example.com", 6).created());
    world.wait_for("the neighbour is applied", |world| {
        world.outcome(&neighbour) == "applied"
    });
    runtime.block_on(client.batch_execute("commit")).unwrap();
    driver.abort();
    world.settle();
    assert_eq!(
        world.sql("select string_agg(email, ' ' order by id) from users"),
        "b@example.com a@example.com n@example.com"
    );
    drop(worker);
}

/// P6
#[test]
fn a_foreign_key_that_points_at_a_deleted_user_may_heal() {
    let world = World::migrated();
    world.sql("create table orders (user_id varchar(255) references users)");
    let _worker = world.worker();
    let payload = user("user_1", "ada@example.com", 1);
    world.add_next(&payload.created());
    world.settle();
    world.sql("insert into orders values ('user_1')");
    let deleted = world.add_next(&payload.deleted());
    let neighbour = world.add_next(&user("user_2", "grace@example.com", 1).created());
    world.wait_for("the deletion waits", |world| {
        world.redis(&["ZCARD", RETRY]) == "1"
    });
    world.wait_for("the neighbour is applied", |world| {
        world.outcome(&neighbour) == "applied"
    });
    world.sql("delete from orders");
    world.settle();
    assert_eq!(world.outcome(&deleted), "applied");
    assert_eq!(world.users(), "user_2 Ada Lovelace grace@example.com");
}

/// P6
#[test]
fn a_trigger_of_the_application_that_raises_is_tried_again() {
    let world = World::migrated();
    world.sql(
        "create function refuse() returns trigger language plpgsql as $$ \
           begin if new.id = 'user_bad' then raise exception 'no % here', new.email; end if; return new; end $$; \
         create trigger refuse before insert on users for each row execute function refuse()",
    );
    let worker = world.worker_with(&[("MAX_ATTEMPTS", "2")]);
    let bad = world.add_next(&user("user_bad", "secret@example.com", 1).created());
    world.add_next(&user("user_1", "ada@example.com", 1).created());
    world.settle();
    assert_eq!(world.users(), "user_1 Ada Lovelace ada@example.com");
    assert!(world.reason(&bad).unwrap().contains("P0001"));
    assert_eq!(world.dead_letter(&bad, "attempts").as_deref(), Some("2"));
    assert!(
        !worker.program.output().contains("secret@"),
        "{}",
        worker.program.output()
    );
}

/// P6: a trigger may raise whatever PostgreSQL says of itself when it is away, full, or about to stop.
#[test]
fn whatever_a_trigger_raises_for_a_row_is_the_fault_of_its_own_event() {
    const CODES: [&str; 18] = [
        "08006", "0A000", "25006", "25P03", "26000", "28000", "3D000", "40001", "42501", "42P01",
        "53100", "53300", "55P03", "57014", "57P03", "58030", "F0000", "XX000",
    ];
    let world = World::migrated();
    world.sql(
        "create function refuse() returns trigger language plpgsql as $$ \
           begin if new.id like 'user_bad_%' \
             then raise exception '%', new.email using errcode = right(new.id, 5); end if; \
           return new; end $$; \
         create trigger refuse before insert on users for each row execute function refuse()",
    );
    let mut bad = Vec::new();
    for (n, code) in CODES.iter().enumerate() {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
        let payload = user(
            &format!("user_bad_{code}"),
            &format!("{code}@example.com"),
            1,
        );
        bad.push((world.add_next(&payload.created()), code));
    }
    let worker = world.worker_with(&[("MAX_ATTEMPTS", "2")]);
    world.settle();
    assert_eq!(
        world.sql("select count(*) from users"),
        CODES.len().to_string()
    );
    for (svix_id, code) in bad {
        let reason = world.reason(&svix_id).unwrap();
        assert!(reason.contains(code), "{code}: {reason}");
        let attempts = world.dead_letter(&svix_id, "attempts");
        assert_eq!(attempts.as_deref(), Some("2"), "{code}");
        assert!(worker.program.output().contains(&svix_id), "{code}");
    }
    assert!(!worker.program.output().contains("@example.com"));
}

/// P6: only the commit tells, and it says what PostgreSQL says when it is full.
#[test]
fn what_a_deferred_trigger_raises_is_the_fault_of_its_own_event() {
    let world = World::migrated();
    world.sql(
        "create function refuse() returns trigger language plpgsql as $$ \
           begin if new.id = 'user_bad' then raise exception 'no' using errcode = '53100'; end if; \
           return null; end $$; \
         create constraint trigger refuse after insert on users deferrable initially deferred \
           for each row execute function refuse()",
    );
    for n in 0..20 {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
    }
    let bad = world.add_next(&user("user_bad", "bad@example.com", 1).created());
    let _worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "20");
    assert!(world.reason(&bad).unwrap().contains("53100"));
    assert_eq!(world.redis(&["XLEN", DEAD]), "1");
}

/// P6: one row that takes longer than a statement may is searched for without letting its neighbours wait as long each
/// time.
#[test]
fn a_row_that_takes_too_long_holds_up_its_own_event_only() {
    let world = World::migrated();
    world.sql(
        "create function slow() returns trigger language plpgsql as $$ \
           begin if new.id = 'user_slow' then perform pg_sleep(11); end if; return new; end $$; \
         create trigger slow before insert on users for each row execute function slow()",
    );
    for n in 0..10 {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
    }
    world.add_next(&user("user_slow", "slow@example.com", 1).created());
    for n in 10..20 {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
    }
    let _worker = world.worker();
    world.wait_for("the neighbours are applied", |world| {
        world.sql("select count(*) from users") == "20"
    });
}

/// P6: a trigger that takes 10 ms a row makes a large batch take long, and it is committed bit by bit.
#[test]
fn a_batch_that_takes_long_is_committed_bit_by_bit() {
    let world = World::migrated();
    world.sql(
        "create function slow() returns trigger language plpgsql as $$ \
           begin perform pg_sleep(0.01); return new; end $$; \
         create trigger slow before insert on users for each row execute function slow()",
    );
    let script = "for i = 1, 1500 do \
           local payload = string.gsub(ARGV[1], 'user_n', 'user_' .. i) \
           payload = string.gsub(payload, 'n@example.com', i .. '@example.com') \
           redis.call('XADD', KEYS[1], '*', 'svix-id', 'msg_' .. i, 'payload', payload) end";
    let payload = user("user_n", "n@example.com", 1).created();
    world.redis(&["EVAL", script, "1", EVENTS, &payload]);
    let _worker = world.worker_with(&[("BATCH_SIZE", "10000"), ("MAX_ATTEMPTS", "1")]);
    world.wait_for("a part of the batch is committed", |world| {
        let applied: u32 = world.sql("select count(*) from users").parse().unwrap();
        assert!(applied < 1500, "all of it was committed at once");
        applied > 0
    });
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "1500");
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// P6: the operator limits transactions to less than a batch takes. How long one may take the worker decides itself.
#[test]
#[ignore = "transaction_timeout needs PostgreSQL 17: cargo xtask test --newer-servers"]
fn a_limit_on_transactions_does_not_repeat_a_batch_for_ever() {
    let world = World::migrated();
    world.sql(
        "create function slow() returns trigger language plpgsql as $$ \
           begin perform pg_sleep(0.1); return new; end $$; \
         create trigger slow before insert on users for each row execute function slow(); \
         do $$ begin execute format('alter database %I set transaction_timeout = 500', current_database()); end $$",
    );
    for n in 0..20 {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created());
    }
    let worker = world.worker_with(&[("MAX_ATTEMPTS", "1")]);
    world.settle();
    assert_eq!(world.sql("select count(*) from users"), "20");
    assert!(!worker.program.output().contains("25P04"));
}
