//! What nobody is to see is shown to nobody.

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use xtask::http::Http;
use xtask::program::Program;

use crate::dropping::drop_all_of;
use crate::helpers::{DEAD, EVENTS, RETRY, Worker, World, user};
use crate::ingest::Ingest;
use crate::tables::Application;
use crate::traces::{Collector, stop};

/// What lets somebody in: the end of a link, and a one-time code.
const KEYS: [&str; 2] = ["do-not-store-me", "zebra-935"];
const OTHERS: [&str; 7] = [
    "private@",
    "Privatename",
    "Rudename",
    "rude@",
    "hunter2",
    "hunter3",
    "email_addresses",
];

const TABLES: &str = r#"
create table invitations (id text primary key, status text);
create table entries (id text primary key, link text unique);
create table mails (id text primary key, code int);
create table texts (id text primary key, message text check (message not like '%code%'));
create function refuse() returns trigger language plpgsql as $$
  begin raise exception 'not %', new using detail = new.link, hint = new.link; end $$;
create trigger refuse before insert on entries for each row execute function refuse();
"#;

const SECTIONS: &str = r#"
[organizationInvitation]
table = "invitations"
key = "id"
columns = { status = "status" }
[waitlistEntry]
table = "entries"
key = "id"
columns = { link = "invitation.url" }
[email]
table = "mails"
key = "id"
columns = { code = "data.data.otp_code" }
[sms]
table = "texts"
key = "id"
columns = { message = "message" }
"#;

/// Events that hold such keys: svix-id, what becomes of it where its family has a section, and the payload.
fn events() -> [(&'static str, &'static str, String); 4] {
    let [link, code] = KEYS.map(|key| format!("https://x.example.com/?t={key}"));
    let event = |kind: &str, data: Value| {
        json!({"type": kind, "object": "event", "timestamp": 1_716_883_200_000_u64, "data": data})
            .to_string()
    };
    let invitation = json!({"id": "inv_1", "object": "invitation", "url": link});
    let entry = json!({"id": "wle_1", "status": "invited", "invitation": invitation});
    let code = code.rsplit('=').next();
    let text = format!("{} is your code", code.unwrap_or_default());
    // As in EmailJSON and SMSMessageJSON of @clerk/backend 3.25.
    let mail = json!({
        "id": "ema_1", "object": "email", "slug": "verification_code", "user_id": "user_1", "status": "queued",
        "from_email_name": "noreply", "to_email_address": "private@example.com", "email_address_id": "idn_1",
        "subject": text, "body": format!("<b>{text}</b>"), "body_plain": text, "delivered_by_clerk": true,
        "data": {"otp_code": code, "app": {"name": "Acme"}},
    });
    let sms = json!({
        "id": "sms_1", "object": "sms_message", "slug": "verification_code", "user_id": "user_1", "status": "queued",
        "from_phone_number": "+15555550100", "to_phone_number": "+15555550101", "phone_number_id": "idn_2",
        "message": text, "delivered_by_clerk": true, "data": {"otp_code": code},
    });
    let invited = include_str!("../../../shared/fixtures/organizationInvitation.created.json");
    [
        ("msg_invitation", "applied", invited.to_owned()),
        (
            "msg_entry",
            "retried",
            event("waitlistEntry.updated", entry),
        ),
        ("msg_email", "dead", event("email.created", mail)),
        ("msg_sms", "dead", event("sms.created", sms)),
    ]
}

/// Two programs, what they write to and what they send to, with a password in each URL.
struct Stage<'a> {
    application: Application,
    redis_url: String,
    database_url: String,
    runtime: &'a Runtime,
    collector: Collector,
}

impl<'a> Stage<'a> {
    fn new(runtime: &'a Runtime, sections: &str) -> Self {
        let users = include_str!("../../src/database/create_users.sql");
        let file = format!(
            "{}{sections}",
            include_str!("../../src/tables/built_in.toml")
        );
        let application = Application::new(&format!("{users}{TABLES}"), &file);
        let world = &application.world;
        world.redis(&[
            "ACL", "SETUSER", "clerk", "on", ">hunter2", "~*", "&*", "+@all",
        ]);
        Self {
            redis_url: world
                .redis
                .url()
                .replace("redis://", "redis://clerk:hunter2@"),
            database_url: world.database_url.replace("postgres@", "postgres:hunter3@"),
            application,
            runtime,
            collector: Collector::start(runtime),
        }
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        let mut settings = vec![
            ("REDIS_URL", self.redis_url.as_str()),
            ("DATABASE_URL", &self.database_url),
            ("TABLES_FILE", self.application.file()),
            ("RUST_LOG", "trace"),
        ];
        settings.extend(self.collector.settings());
        settings
    }

    /// What `worker explain` and the two admin addresses say.
    fn told(&self, ingest: &Ingest, worker: &Worker) -> String {
        let mut told = String::new();
        let (ingest, worker) = (&ingest.admin, &worker.admin);
        let mut urls = vec![
            format!("http://{ingest}/metrics"),
            format!("http://{worker}/metrics"),
            format!("http://{worker}/status"),
            format!("http://{worker}/status.json"),
        ];
        let of_keys = events().map(|(svix_id, ..)| svix_id);
        for svix_id in of_keys.into_iter().chain(["msg_2", "msg_5"]) {
            urls.push(format!("http://{worker}/status/event?svix_id={svix_id}"));
            let explained = Program::run("worker", &["explain", svix_id], &self.settings());
            told += &String::from_utf8_lossy(&explained.unwrap().stdout);
        }
        for url in urls {
            let answer = self.runtime.block_on(Http::new().get(&url)).unwrap();
            assert_eq!(answer.status, 200, "{url}");
            told += &answer.body;
        }
        told
    }

    /// Every column of our own tables.
    fn recorded(&self) -> String {
        let world = &self.application.world;
        let tables = "select tablename from pg_tables where schemaname = 'clerk_sync'";
        let tables = world.sql(tables);
        let rows = |table: &str| world.sql(&format!("select t::text from clerk_sync.{table} t"));
        tables.lines().map(rows).collect()
    }

    fn traced(&self) -> String {
        let bodies = self.collector.bodies.lock().unwrap();
        bodies
            .iter()
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .collect()
    }
}

/// The keys of Redis that hold such a key, of whatever type they are.
fn keys_with_keys(world: &World) -> Vec<String> {
    let script = "local found = {} \
         for _, key in ipairs(redis.call('KEYS', '*')) do \
           local value = redis.call('DUMP', key) \
           for _, secret in ipairs(ARGV) do \
             if string.find(value, secret, 1, true) then found[#found + 1] = key break end \
           end \
         end \
         table.sort(found) return found";
    let found = world.redis(&["EVAL", script, "0", KEYS[0], KEYS[1]]);
    found.lines().map(str::to_owned).collect()
}

/// Users of which nobody is to learn anything: one waits, and three are dead letters.
fn add_users(world: &World) {
    let private = user("user_1", "private@example.com", 1).first_name("Privatename");
    world.add("msg_1", &private.created());
    world.wait_for("the address is taken", |world| {
        world.outcome("msg_1") == "applied"
    });
    world.add("msg_2", &user("user_2", "private@example.com", 2).created());
    let no_time = private
        .created()
        .replace("1716883201000", "\"Privatename\"");
    world.add("msg_3", &no_time);
    world.add("msg_4", &private.created()[..700]);
    world.sql("alter table users add constraint polite check (name not like 'Rude%')");
    let rude = user("user_3", "rude@example.com", 1).first_name("Rudename");
    world.add("msg_5", &rude.created());
}

/// P11: links and codes of a family without a section are gone with the event. Those of an event that is refused stay in
/// Redis as long as it does.
#[test]
fn nothing_personal_and_no_secret_is_shown() {
    let runtime = Runtime::new().unwrap();
    for sections in ["", SECTIONS] {
        let stage = Stage::new(&runtime, sections);
        let world = &stage.application.world;
        let settings = stage.settings();
        let ingest = runtime.block_on(Ingest::start(&stage.redis_url, &settings[3..]));
        let worker = world.worker_with(&settings);
        add_users(world);
        for (svix_id, _, payload) in events() {
            let status = runtime.block_on(ingest.deliver(svix_id, &payload));
            assert_eq!(status, 200, "{svix_id}");
        }
        // Parked ones stay so.
        let parked: &[&str] = if sections.is_empty() {
            &["msg_2"]
        } else {
            &["msg_2", "msg_entry"]
        };
        for svix_id in parked {
            world.wait_for(svix_id, |world| {
                world.redis(&["ZADD", RETRY, "XX", "CH", "9e15", svix_id]) == "1"
            });
        }
        world.wait_for("nothing else is on its way", |world| world.backlog() == 0);
        let letters = if sections.is_empty() { "3" } else { "5" };
        assert_eq!(world.redis(&["XLEN", DEAD]), letters);
        for (svix_id, fate, _) in events() {
            let fate = if sections.is_empty() { "ignored" } else { fate };
            let recorded = if fate == "ignored" || fate == "applied" {
                fate
            } else {
                ""
            };
            assert_eq!(world.outcome(svix_id), recorded, "{svix_id}");
            assert_eq!(world.reason(svix_id).is_some(), fate == "dead", "{svix_id}");
        }

        let told = stage.told(&ingest, &worker);
        stop(&ingest.program);
        stop(&worker.program);
        let output = ingest.program.output() + &worker.program.output();
        let shown = output + &told + &stage.recorded() + &stage.traced();
        for expected in [
            "msg_2",
            "msg_email",
            "dead_lettered",
            "retry: waits",
            "DEBUG",
        ] {
            assert!(
                shown.contains(expected),
                "{expected} is not shown in\n{shown}"
            );
        }
        for secret in OTHERS.iter().chain(&KEYS) {
            assert!(!shown.contains(secret), "{secret} is shown in\n{shown}");
        }

        if sections.is_empty() {
            assert_eq!(keys_with_keys(world), [""; 0]);
        } else {
            assert_eq!(keys_with_keys(world), [DEAD, "{clerk:0}:retry:entries"]);
            for (what, dropped) in [("user_1", 3), ("wle_1", 1)] {
                let printed = drop_all_of(world, &[what]);
                assert_eq!(printed.len(), dropped + 1, "{printed:?}");
            }
            assert_eq!(keys_with_keys(world), [""; 0]);
        }
        assert_eq!(world.redis(&["XLEN", EVENTS]), "0");
    }
}
