//! While the file does not fit the database nothing is read; it goes on by itself.

use std::time::Duration;

use serde_json::json;
use xtask::http::Http;

use super::{Application, updated};
use crate::helpers::{DEAD, EVENTS, Worker, World};
use crate::status;

const PEOPLE: &str = "create table people (id text, name text)";
const FILE: &str = "
    [user]
    table = \"people\"
    key = \"id\"
    columns = { name = \"first_name\" }";

fn named(id: &str, name: &str) -> String {
    updated(id, 1, &json!({"first_name": name}))
}

/// Waits until `/readyz` says this.
async fn says(worker: &Worker, status: u16, body: &str) {
    let url = format!("http://{}/readyz", worker.admin);
    xtask::wait::until(body, Duration::from_secs(30), async || {
        let answer = Http::new().get(&url).await;
        answer.is_ok_and(|answer| answer.status == status && answer.body.contains(body))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", worker.program.output()));
}

/// A worker that reads asks Redis once a second at the least. Entries that it holds: the one that was refused, and what the
/// read has brought that had begun.
fn nothing_more_is_read(world: &World) {
    let told = |field: u8| {
        let script =
            format!("return redis.call('XINFO', 'CONSUMERS', KEYS[1], 'clerk-worker')[1][{field}]");
        let told = world.redis(&["EVAL", &script, "1", EVENTS]);
        told.parse::<u64>().unwrap()
    };
    let (pending, idle) = (4, 6);
    world.wait_for("nobody reads", |_| told(idle) > 2500);
    assert!(told(pending) <= 2, "{}", told(pending));
}

/// P8, P12
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_starts_with_a_file_that_does_not_fit_reads_nothing_until_it_does() {
    let application = Application::new(
        &format!("{PEOPLE}; insert into people values ('user_1', 'Twice'), ('user_1', 'Twice')"),
        &format!("{FILE}\ntags = [\"{{row.nam}}\"]"),
    );
    let world = &application.world;
    let worker = world.start_worker(&[("TABLES_FILE", application.file()), ("MAX_ATTEMPTS", "1")]);
    let svix_id = world.add_next(&named("user_1", "Ada"));
    let no_index = format!(
        "{}:4: key = \"id\": there is no unique index on it, CREATE UNIQUE INDEX",
        application.file()
    );
    says(&worker, 503, &no_index).await;
    assert_eq!(world.redis(&["XINFO", "GROUPS", EVENTS]), "");
    world.sql("delete from people; create unique index on people (id)");
    says(
        &worker,
        503,
        &format!(
            "{}:6: public.people has no column \"nam\"",
            application.file()
        ),
    )
    .await;
    let output = worker.program.output();
    assert_eq!(
        output.matches("has no column").count(),
        2,
        "once for each change\n{output}"
    );
    world.sql("alter table people add nam text");
    says(&worker, 200, "ready").await;
    world.settle();
    assert_eq!(application.became(&svix_id), "applied");
}

/// P8: each change of the table here refuses an event; none of them is dead-lettered.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_no_longer_fits_while_workers_run_is_waited_for() {
    let changes = [
        (
            "alter table people add seats int not null",
            "nobody fills the column \"seats\"",
            "alter table people drop seats",
        ),
        (
            "alter table people alter name type int using null",
            "\"first_name\" says a text, which the column \"name\" does not take",
            "alter table people alter name type text",
        ),
        (
            "alter table people rename name to full_name",
            "has no column \"name\", expected \"full_name\"",
            "alter table people rename full_name to name",
        ),
        (
            "alter table people drop constraint people_pkey, alter id type uuid using null",
            "the key \"id\" is uuid",
            "alter table people alter id type text, add primary key (id)",
        ),
        (
            "alter table clerk_sync.versions rename deleted to gone",
            "clerk_sync.versions is not as this version makes it",
            "alter table clerk_sync.versions rename gone to deleted",
        ),
        (
            "drop table people",
            "there is no table \"people\"",
            "create table people (id text primary key, name text)",
        ),
    ];
    for (change, line, back) in changes {
        let application = Application::new(
            &format!("{PEOPLE}; alter table people add primary key (id)"),
            FILE,
        );
        let world = &application.world;
        let worker = application.worker_with(&[("MAX_ATTEMPTS", "1"), ("BATCH_SIZE", "1")]);
        says(&worker, 200, "ready").await;
        world.sql(change);
        let mut svix_ids = vec![world.add_next(&named("user_1", "Ada"))];
        says(&worker, 503, line).await;
        for n in 0..50 {
            svix_ids.push(world.add_next(&named(&format!("user_{n}"), "Ada")));
        }
        nothing_more_is_read(world);
        assert_eq!(world.backlog(), 51, "{change}");
        let said = worker.program.output();
        assert_eq!(
            said.matches("nothing is read until they do").count(),
            1,
            "{change}\n{said}"
        );
        world.sql(back);
        world.settle();
        says(&worker, 200, "ready").await;
        assert_eq!(world.redis(&["XLEN", DEAD]), "0", "{change}");
        assert_eq!(world.sql("select count(*) from people"), "50", "{change}");
    }
}

/// P12
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_on_the_status_page_and_counted() {
    let application = Application::new(PEOPLE, FILE);
    let world = &application.world;
    let worker = world.start_worker(&[("TABLES_FILE", application.file())]);
    says(&worker, 503, "there is no unique index").await;
    let metric = async |count: u8| {
        let url = format!("http://{}/metrics", worker.admin);
        let line = format!("\nclerk_worker_tables_misfits {count}\n");
        let answer = Http::new().get(&url).await.unwrap();
        assert!(answer.body.contains(&line), "{}", answer.body);
    };
    let snapshot = status::snapshot(&worker, "the misfit is told", |snapshot| {
        snapshot["misfit"].is_string()
    });
    let misfit = snapshot.await["misfit"].as_str().unwrap().to_owned();
    let line = format!("{}:4: key = \"id\": there is no unique", application.file());
    assert!(misfit.starts_with(&line), "{misfit}");
    metric(1).await;
    world.sql("alter table people add primary key (id)");
    status::snapshot(&worker, "it fits", |snapshot| snapshot["misfit"].is_null()).await;
    metric(0).await;
}

/// P12: said at the start, and again when they are other ones.
#[test]
fn warnings_are_logged_when_they_are_new() {
    let application = Application::new(
        "create table people (id text primary key, name text default 'x', seats int)",
        &FILE.replace('}', ", seats = \"public_metadata.seats\" }"),
    );
    let world = &application.world;
    let worker = application.worker();
    let warnings = || worker.program.output().matches("is not used").count();
    assert_eq!(warnings(), 1);
    // A value that does not fit is a reason to look.
    let look = || {
        let svix_id = world.add_next(&updated(
            "user_1",
            1,
            &json!({"public_metadata": {"seats": "x"}}),
        ));
        world.settle();
        assert!(application.became(&svix_id).starts_with("dead: "));
    };
    look();
    assert_eq!(warnings(), 1);
    world.sql("alter table people alter name set default 'y'");
    world.wait_for("the new warning is said", |_| {
        look();
        warnings() == 2
    });
}
