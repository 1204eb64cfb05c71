//! No event holds up another.

use crate::helpers::{DEAD, RETRY, World, user};

/// P6
#[test]
fn exactly_the_events_that_the_database_refuses_are_dead_lettered() {
    let world = World::migrated();
    world.sql("alter table users add constraint polite check (name not like 'Rude%')");
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
    assert_eq!(
        world.sql("select count(*) from clerk_sync.user_versions"),
        "30"
    );
}

/// P6: a row that the application holds locked.
#[test]
fn a_locked_row_holds_up_its_own_event_only() {
    let world = World::migrated();
    let first = world.worker();
    world.add_next(&user("user_locked", "locked@example.com", 1).created());
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
            client.batch_execute("begin; select 1 from users where id = 'user_locked' for update"),
        )
        .unwrap();
    for n in 0..20 {
        world.add_next(&user(&format!("user_{n}"), &format!("{n}@example.com"), 2).created());
        if n == 10 {
            world.add_next(&user("user_locked", "moved@example.com", 2).updated());
        }
    }
    let _worker = world.worker();
    world.wait_for("the neighbours are applied", |world| {
        world.sql(
            "select count(*) from users where email like '%@example.com' and id <> 'user_locked'",
        ) == "20"
    });
    world.wait_for("the locked one waits", |world| {
        world.redis(&["ZCARD", RETRY]) == "1" || world.backlog() > 0
    });
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
    runtime.block_on(client.batch_execute("commit")).unwrap();
    driver.abort();
    world.settle();
    assert_eq!(
        world.sql("select email from users where id = 'user_locked'"),
        "moved@example.com"
    );
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

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}
