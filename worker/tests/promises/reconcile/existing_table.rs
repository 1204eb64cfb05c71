//! Tables that were there before us.

use super::{assert_says, list, listed, nth, run};
use crate::clerk_server::ClerkServer;
use crate::existing_table::nulls::{LOOSE_TABLE, ODD_ROWS};
use crate::helpers::World;

/// Brings users in, and finds them equal.
fn brings_in_and_finds_equal(world: &World, clerk: &ClerkServer) {
    run(world, clerk, &[]);
    world.settle();
    let users = clerk.state().users.len();
    let equal = format!("{users} users read: {users} equal");
    assert_says(&run(world, clerk, &[]), &[&equal]);
}

/// P4: times without a zone, and those that are rounded, in a database that is not in UTC.
#[test]
fn times_without_a_zone_and_shorter_ones_are_equal() {
    for time in [
        "timestamp(3)",
        "timestamp",
        "timestamp(0)",
        "timestamptz(1)",
        "date",
    ] {
        let world = World::new();
        let (_, name) = world.database_url.rsplit_once('/').unwrap();
        world.sql(&format!(
            r#"create table users (
                 id text primary key, name text, email text unique, "imageUrl" text,
                 "createdAt" {time}, "updatedAt" {time});
               alter database {name} set timezone = 'America/New_York';
               alter database {name} set datestyle = 'SQL, DMY'"#
        ));
        let _worker = world.worker();
        let users = (0..10).map(|n| {
            listed(
                &nth(n)
                    .created_at(1_716_883_200_381 + 111 * n)
                    .updated_at(1_716_883_259_449 + 111 * n),
            )
        });
        // Before 2000, and just before midnight in New York.
        let early = nth(10)
            .created_at(-86_400_001)
            .updated_at(1_716_868_799_999);
        let clerk = ClerkServer::start(users.chain([listed(&early)]).collect());
        brings_in_and_finds_equal(&world, &clerk);
    }
}

/// P4
#[test]
fn rows_with_nulls_and_with_times_that_are_none_are_repaired() {
    let world = World::new();
    world.sql(&format!("{LOOSE_TABLE}{ODD_ROWS}"));
    let _worker = world.worker();
    // Clerk does not have the last ones.
    let clerk = ClerkServer::start(list(0..7));
    assert_says(
        &run(&world, &clerk, &[]),
        &["7 users read: 0 equal, 0 missing, 7 different"],
    );
    brings_in_and_finds_equal(&world, &clerk);
    world.sql(r#"update users set "updatedAt" = null where id = 'user_00008'"#);
    let delete = ["--delete-missing", "--max-delete-share", "100", "--yes"];
    let output = run(&world, &clerk, &delete);
    assert_says(
        &output,
        &[
            "2 of 9 rows are of users",
            "2 deletions were put on the stream",
        ],
    );
    world.settle();
    let left = "select string_agg(coalesce(id, 'none'), ' ' order by id) from users where id > 'user_00006' or id is null";
    assert_eq!(world.sql(left), "none");
}

/// P4
#[test]
fn names_and_images_that_were_cut_are_equal() {
    let world = World::new();
    world.sql(
        r#"create domain short as varchar(5);
           create table users (
             id text primary key, name char(4), email varchar(20) unique, "imageUrl" short,
             "createdAt" timestamptz, "updatedAt" timestamptz)"#,
    );
    let _worker = world.worker();
    let clerk = ClerkServer::start(list(0..3));
    brings_in_and_finds_equal(&world, &clerk);
    clerk.state().users.push(listed(
        &nth(3).email("an-address-of-some-length@example.com"),
    ));
    let output = run(&world, &clerk, &[]);
    assert_says(
        &output,
        &[
            "3 equal, 0 missing",
            "1 unusable",
            "unusable user_00003",
            "column \"email\" ",
        ],
    );
}

/// `users.id` may compare as it likes. There is more than one page of rows.
#[test]
fn ids_of_any_collation_are_joined_with_ours() {
    for id in [
        r#"varchar(255) collate "POSIX""#,
        r#"text collate "en-x-icu""#,
        "text collate anycase",
        "citext",
        "char(60)",
    ] {
        let world = World::new();
        world.sql(&format!(
            r#"create extension citext;
               create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
               create table users (
                 id {id} primary key, name text, email text collate anycase unique, "imageUrl" text,
                 "createdAt" timestamptz, "updatedAt" timestamptz);
               insert into users
                 select (array['USER_', 'user-', 'User_'])[1 + n % 3] || n, 'A', n, null, '2020-01-01', '2020-01-01'
                   from generate_series(1, 6000) as n;
               insert into users values
                 ('user_00000', 'Newer', '0@example.com', null, '2020-01-01', '2024-05-28 08:00:09+00')"#
        ));
        let _worker = world.worker();
        let clerk = ClerkServer::start(list(0..3));
        assert_says(
            &run(&world, &clerk, &[]),
            &["2 missing, 1 different, 0 newer here"],
        );
        world.settle();
        let delete = ["--delete-missing", "--max-delete-share", "100"];
        let output = run(&world, &clerk, &[&delete[..], &["--dry-run"]].concat());
        assert_says(&output, &["6000 of 6003 rows are of users"]);
        world.sql("delete from users where email = '1' or email = '2' or email::text collate \"C\" ~ '[0-9]{2}'");
        let output = run(&world, &clerk, &[&delete[..], &["--yes"]].concat());
        assert_says(&output, &["7 deletions were put on the stream"]);
        world.settle();
        let left = "select string_agg(trim(id::text), ' ' order by id::text) from users";
        assert_eq!(world.sql(left), "user_00000 user_00001 user_00002", "{id}");
    }
}
