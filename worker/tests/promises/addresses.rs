//! E-mail addresses are unique, and events arrive in any order.

use crate::applications::worlds;
use crate::helpers::{DEAD, EVENTS, RETRY, World, user};
use crate::tables::Application;

/// P4
#[test]
fn two_users_swap_their_addresses_in_one_batch() {
    for world in worlds() {
        let first_worker = world.worker();
        world.add_next(&user("user_a", "a@example.com", 1).created());
        world.add_next(&user("user_b", "b@example.com", 1).created());
        world.settle();
        drop(first_worker);
        world.add_next(&user("user_a", "b@example.com", 2).updated());
        world.add_next(&user("user_b", "a@example.com", 2).updated());
        let _worker = world.worker();
        world.settle();
        assert_eq!(
            world.users(),
            "user_a Ada Lovelace b@example.com\nuser_b Ada Lovelace a@example.com"
        );
        assert_eq!(world.redis(&["XLEN", DEAD]), "0");
    }
}

/// P4: each alone has to wait for the other; whoever comes last finds who waits.
#[test]
fn two_users_swap_their_addresses_in_different_batches() {
    for world in worlds() {
        let _worker = world.worker();
        world.add_next(&user("user_a", "a@example.com", 1).created());
        world.add_next(&user("user_b", "b@example.com", 1).created());
        world.settle();
        world.add_next(&user("user_a", "b@example.com", 2).updated());
        world.wait_for("the first one waits", |world| {
            world.redis(&["ZCARD", RETRY]) == "1"
        });
        world.add_next(&user("user_b", "a@example.com", 2).updated());
        world.settle();
        assert_eq!(
            world.users(),
            "user_a Ada Lovelace b@example.com\nuser_b Ada Lovelace a@example.com"
        );
        assert_eq!(world.redis(&["KEYS", "*retry*"]), "");
    }
}

/// P4
#[test]
fn the_new_owner_of_an_address_waits_until_the_old_one_is_gone() {
    for world in worlds() {
        let _worker = world.worker();
        let old = user("user_old", "shared@example.com", 1);
        world.add_next(&old.created());
        world.settle();
        let new = world.add_next(&user("user_new", "shared@example.com", 2).created());
        let neighbour =
            world.add_next(&user("user_neighbour", "neighbour@example.com", 2).created());
        world.wait_for("the new owner waits", |world| {
            world.redis(&["ZCARD", RETRY]) == "1"
        });
        world.wait_for("the neighbour is applied", |world| {
            world.outcome(&neighbour) == "applied"
        });
        assert_eq!(world.outcome(&new), "");
        world.add_next(&old.deleted());
        world.settle();
        assert_eq!(
            world.users(),
            "user_neighbour Ada Lovelace neighbour@example.com\nuser_new Ada Lovelace shared@example.com"
        );
        assert_eq!(world.outcome(&new), "applied");
    }
}

/// P4: the older event of the same user is not lost to the newer one that has to wait.
#[test]
fn while_the_newest_event_waits_the_one_before_it_is_applied() {
    let world = World::migrated();
    world.add_next(&user("user_holder", "taken@example.com", 1).created());
    world.add_next(&user("user_a", "a@example.com", 1).created());
    world.add_next(&user("user_a", "between@example.com", 2).updated());
    let newest = world.add_next(&user("user_a", "taken@example.com", 3).updated());
    let _worker = world.worker_with(&[("MAX_ATTEMPTS", "2")]);
    world.settle();
    assert_eq!(
        world.users(),
        "user_a Ada Lovelace between@example.com\nuser_holder Ada Lovelace taken@example.com"
    );
    assert_eq!(
        world.reason(&newest).as_deref(),
        Some("the value of column \"email\" of public.users belongs to a row of another user")
    );
    assert_eq!(world.dead_letter(&newest, "attempts").as_deref(), Some("2"));
}

/// P4: an address goes round in a circle of five, whether a batch holds them all or one at a time.
#[test]
fn a_circle_of_addresses_closes() {
    for batch_size in ["256", "2", "1"] {
        let world = World::migrated();
        let name = |n: u32| format!("user_{n}");
        let first = world.worker();
        for n in 0..5 {
            world.add_next(&user(&name(n), &format!("{n}@example.com"), 1).created());
        }
        world.settle();
        drop(first);
        for n in 0..5 {
            world.add_next(&user(&name(n), &format!("{}@example.com", (n + 1) % 5), 2).updated());
        }
        let _worker = world.worker_with(&[("BATCH_SIZE", batch_size)]);
        world.settle();
        assert_eq!(
            world.sql("select string_agg(email, ' ' order by id) from users"),
            "1@example.com 2@example.com 3@example.com 4@example.com 0@example.com"
        );
    }
}

/// P4: one of them swaps its address with the second and its username with the third, so that no two can be written without
/// the third one. They come one by one, in any order.
#[test]
fn three_users_in_two_rings_at_once_change_places() {
    let application = Application::new(
        include_str!("../../../docs/tables/prisma.sql"),
        include_str!("../../../docs/tables/prisma.toml"),
    );
    let world = &application.world;
    let _worker = application.worker();
    let told = |id: &str, address: &str, name: &str, second: i64| {
        let user = user(id, &format!("{address}@example.com"), second);
        user.username(name).updated()
    };
    let after = [("a", "x", "a"), ("b", "b", "x"), ("x", "a", "b")];
    for (round, order) in [[0, 1, 2], [0, 2, 1], [1, 2, 0], [2, 1, 0]]
        .into_iter()
        .enumerate()
    {
        let id = |name: &str| format!("user_{round}{name}");
        let own = |name: &str| format!("{round}{name}");
        for name in ["a", "b", "x"] {
            world.add_next(&told(&id(name), &own(name), &own(name), 1));
        }
        world.settle();
        for (waiting, place) in order.into_iter().enumerate() {
            let (name, address, username) = after[place];
            let payload = told(&id(name), &own(address), &own(username), 2);
            let svix_id = format!("last_{}", id(name));
            // So often that the next attempt is minutes away.
            let fields = ["svix-id", &svix_id, "payload", &payload, "attempts", "12"];
            world.redis(&[&["XADD", EVENTS, "*"], &fields[..]].concat());
            if waiting < 2 {
                world.wait_for("it waits", |world| {
                    world.redis(&["ZCARD", RETRY]) == (waiting + 1).to_string()
                });
            }
        }
        world.settle();
        let rows = format!(
            r#"select string_agg(concat_ws(' ', right("clerkId", 1), right(split_part(email, '@', 1), 1), right(username, 1)), ', ' order by "clerkId")
                 from "User" where "clerkId" like 'user_{round}_'"#
        );
        assert_eq!(world.sql(&rows), "a x a, b b x, x a b", "{order:?}");
    }
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
}

/// P4: many swaps at once over several workers. The svix-ids of two who swap sort far apart, and no
/// two of them are in one batch to begin with.
#[test]
fn forty_pairs_swap_their_addresses_over_three_workers() {
    let world = World::migrated();
    let first = world.worker();
    for n in 0..40 {
        for side in ["a", "z"] {
            let name = format!("{side}{n}");
            world.add(
                &format!("msg_{name}"),
                &user(&name, &format!("{name}@example.com"), 1).created(),
            );
        }
    }
    world.settle();
    drop(first);
    for (side, other) in [("a", "z"), ("z", "a")] {
        for n in 0..40 {
            world.add(
                &format!("{side}_{n:02}"),
                &user(&format!("{side}{n}"), &format!("{other}{n}@example.com"), 2).updated(),
            );
        }
    }
    let _workers: Vec<_> = (0..3)
        .map(|_| world.worker_with(&[("BATCH_SIZE", "8")]))
        .collect();
    world.settle();
    assert_eq!(
        world.sql("select count(*) from users where left(id, 1) = left(email, 1)"),
        "0"
    );
    assert_eq!(world.redis(&["XLEN", DEAD]), "0");
    assert_eq!(world.redis(&["KEYS", "*retry*"]), "");
}

/// P6: a ring that the database refuses takes no attempt and no time from those who wait in it.
#[test]
fn whoever_waits_in_a_ring_that_cannot_be_closed_is_due_when_it_was() {
    let world = World::migrated();
    let worker = world.worker();
    world.add_next(&user("user_a", "a@example.com", 1).created());
    world.add_next(&user("user_b", "b@example.com", 1).created());
    world.settle();
    let first = world.add_next(&user("user_a", "b@example.com", 2).updated());
    let due = "9000000000000";
    world.wait_for("the first one waits, for long", |world| {
        world.redis(&["ZADD", RETRY, "XX", "CH", due, &first]) == "1"
    });
    // The second one is refused for its address, and only both together by this.
    world.sql(
        "create function refuse() returns trigger language plpgsql as $$ begin \
           if to_regclass('obstacle') is not null then raise 'not yet'; end if; return new; end $$; \
         create table obstacle (); \
         create trigger refuse before update on users for each row \
           when (new.email = 'b@example.com') execute function refuse()",
    );
    let second = world.add_next(&user("user_b", "a@example.com", 2).updated());
    world.wait_for("the ring has been tried and refused", |world| {
        !world.redis(&["ZSCORE", RETRY, &second]).is_empty()
    });
    assert_eq!(world.redis(&["ZSCORE", RETRY, &first]), due);

    world.sql("drop table obstacle");
    world.redis(&["ZADD", RETRY, "XX", "0", &second]);
    world.settle();
    assert_eq!(
        world.users(),
        "user_a Ada Lovelace b@example.com\nuser_b Ada Lovelace a@example.com"
    );
    drop(worker);
}

/// P6: two workers may hasten the same event at once, and an operator may make it due meanwhile.
#[test]
fn an_event_is_put_off_only_by_the_worker_that_hastened_it() {
    let world = World::new();
    let script = |name: &str, arguments: &[&str]| {
        let path = format!("{}/src/finish/{name}.lua", env!("CARGO_MANIFEST_DIR"));
        let mut command = vec!["--eval", &path, RETRY, ","];
        command.extend_from_slice(arguments);
        world.redis(&command)
    };
    let due = |svix_id: &str| world.redis(&["ZSCORE", RETRY, svix_id]);
    let later = "9000000000000";
    world.redis(&[
        "ZADD", RETRY, later, "msg_1", later, "msg_2", "5", "msg_soon",
    ]);
    let all = ["30000", "msg_1", "msg_2", "msg_soon", "msg_unknown"];
    let first = script("hasten", &all);
    let first: Vec<&str> = first.lines().collect();
    assert_eq!(first, ["msg_1", first[1], later, "msg_2", first[4], later]);
    assert_eq!(due("msg_1"), first[1]);
    assert_eq!(due("msg_soon"), "5");
    let second = script("hasten", &all);
    assert_eq!(second, "", "it is as soon as it can be");

    // It has failed meanwhile, and waits anew.
    world.redis(&["ZADD", RETRY, "8000000000000", "msg_2"]);
    script("put_off", &first);
    assert_eq!(due("msg_1"), later);
    assert_eq!(due("msg_2"), "8000000000000");
    // What is finished does not come back.
    world.redis(&["DEL", RETRY]);
    script("put_off", &first);
    assert_eq!(world.redis(&["EXISTS", RETRY]), "0");
}
