//! `cargo xtask demo`

pub(crate) mod table;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, ensure};
use uuid::Uuid;
use xtask::{
    clerk_payload::UserPayload,
    packages,
    sender::{Sender, milliseconds_since_epoch},
    wait,
};

use self::table::Table;
use super::{
    cargo::build_programs,
    stack::Stack,
    stop_signal::{StopSignal, stopped},
};

const EVENTS: &str = "{clerk:0}:events";
const DEAD_LETTERS: &str = "{clerk:0}:dead";
const APPLY_DEADLINE: Duration = Duration::from_secs(20);

/// Starts Redis, PostgreSQL, ingest and two workers, sends them signed events, shows what happens
/// at each station, and stays up until Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Stop after the showing. Like any failure, a result that is not as expected ends the command
    /// with a status other than 0.
    #[arg(long)]
    once: bool,
    /// Shows a table of your own in place of `users`: SQL that creates it, in an empty database
    #[arg(long, value_name = "FILE.sql", requires = "tables")]
    schema: Option<PathBuf>,
    /// How that table is written: the tables file of the worker
    #[arg(long, value_name = "FILE.toml", requires = "schema")]
    tables: Option<PathBuf>,
}

impl Arguments {
    fn table(&self) -> anyhow::Result<Table> {
        match (&self.schema, &self.tables) {
            (Some(schema), Some(tables)) => Table::read(schema, tables),
            _ => Table::built_in(),
        }
    }
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let table = arguments.table()?;
    let mut stop = StopSignal::new()?;
    packages::ensure_installed(|what| println!("{what}"))?;
    build_programs()?;
    println!("Starting Redis, PostgreSQL, ingest and two workers ...");
    let show = async {
        let stack = Stack::start(table.files.as_ref()).await?;
        show(&stack, &table).await?;
        anyhow::Ok(stack)
    };
    let Some(stack) = stop.unless_told(show).await else {
        return Ok(stopped());
    };
    let stack = stack?;
    if !arguments.once {
        print_addresses(&stack, &table);
        stop.told().await;
    }
    println!("\nStopping ...");
    stack.stop()?;
    println!("Everything has stopped and is removed.");
    Ok(ExitCode::SUCCESS)
}

/// Sends the events and prints what becomes of them.
async fn show(stack: &Stack, table: &Table) -> anyhow::Result<()> {
    let sender = Sender::new(&stack.url, &stack.secret)?;
    let now = milliseconds_since_epoch()?;
    let minute_ago = now - 60_000;
    let (ada, ada_payload) = user("ada", minute_ago);
    let (grace, grace_payload) = user("grace", minute_ago);
    let (alan, alan_payload) = user("alan", minute_ago);
    let before = |payload: &UserPayload, last_name| {
        let payload = payload.clone().last_name(last_name);
        payload.updated_at(minute_ago).created()
    };

    println!("\nBeforehand: two users that can be changed, and cache entries of one of them");
    let grace_created = before(&grace_payload, "Murray");
    let alan_created = before(&alan_payload, "Turing");
    send(&sender, "user.created", &grace, &grace_created).await?;
    send(&sender, "user.created", &alan, &alan_created).await?;
    wait_until_finished(stack, 2).await?;
    let cached = cache(stack, table, &grace)?;

    println!("\n1. ingest: verifies the signature, queues, answers");
    let ada_created = ada_payload.updated_at(now).created();
    let grace_updated = grace_payload.last_name("Hopper").updated_at(now).updated();
    let alan_deleted = alan_payload.timestamp(now).deleted();
    send(&sender, "user.created", &ada, &ada_created).await?;
    send(&sender, "user.updated", &grace, &grace_updated).await?;
    send(&sender, "user.deleted", &alan, &alan_deleted).await?;
    wait_until_finished(stack, 5).await?;

    show_stream(stack)?;
    show_ledger(stack)?;
    show_cache(stack, cached.as_ref()).await?;
    println!("\n5. PostgreSQL: the table {}", table.name);
    if table.files.is_some() {
        show_table(stack, table, &ada, &grace)
    } else {
        show_users(stack, &ada, &grace, &alan)
    }
}

/// A tag of the user's row and an entry that bears it; `None` where there are no tags.
fn cache(stack: &Stack, table: &Table, user: &str) -> anyhow::Result<Option<[String; 2]>> {
    let tag = table.tag_of(user).map(|tag| stack.sql(&tag)).transpose()?;
    let Some(tag) = tag.filter(|tag| !tag.is_empty()) else {
        return Ok(None);
    };
    let cached = format!("page-of:{user}");
    stack.redis.cli(&["SET", &cached, "a rendered page"])?;
    stack.redis.cli(&["SADD", &tag, &cached])?;
    println!("  cache tag {tag}, and the entry {cached} that bears it");
    Ok(Some([tag, cached]))
}

/// An id, and the payload of a user of that name who was created then.
fn user(name: &str, created_at: i64) -> (String, UserPayload) {
    let id = format!("user_{name}_{}", &Uuid::new_v4().simple().to_string()[..8]);
    let user = UserPayload::new(&id, &format!("{name}@example.com"))
        .first_name(capitalised(name).as_str())
        .created_at(created_at);
    (id, user)
}

fn show_stream(stack: &Stack) -> anyhow::Result<()> {
    println!("\n2. Redis: the stream {EVENTS}");
    let (waiting, dead_letters) = (length(stack, EVENTS)?, length(stack, DEAD_LETTERS)?);
    println!("  5 entries came; waiting: {waiting}, dead letters: {dead_letters}");
    ensure!(
        dead_letters == 0,
        "there are dead letters in {DEAD_LETTERS}"
    );
    Ok(())
}

fn show_ledger(stack: &Stack) -> anyhow::Result<()> {
    println!("\n3. worker: the ledger clerk_sync.events");
    let milliseconds = "round(extract(epoch from processed_at - received_at) * 1000)";
    print_rows(&stack.sql(&format!(
        "select rpad(type, 13), rpad(object_id, 20), outcome, {milliseconds} || ' ms after receipt' \
         from clerk_sync.events order by processed_at, received_at"
    ))?);
    Ok(())
}

async fn show_cache(stack: &Stack, cached: Option<&[String; 2]>) -> anyhow::Result<()> {
    println!("\n4. cache: the tag of the changed user, and what bore it");
    let Some([tag, cached]) = cached else {
        println!("  (the file has no tags)");
        return Ok(());
    };
    wait::until("the cache tag is deleted", APPLY_DEADLINE, async || {
        let exist = stack.redis.cli(&["EXISTS", tag, cached]);
        exist.is_ok_and(|count| count == "0")
    })
    .await?;
    println!("  {tag} and {cached} are gone");
    Ok(())
}

fn show_users(stack: &Stack, ada: &str, grace: &str, alan: &str) -> anyhow::Result<()> {
    let users = stack.sql("select id, name, email from users order by name")?;
    print_rows(&users);
    println!("  ({alan} is deleted)");
    let expected =
        format!("{ada}|Ada Lovelace|ada@example.com\n{grace}|Grace Hopper|grace@example.com");
    ensure!(users == expected, "the table users should hold\n{expected}");
    Ok(())
}

fn show_table(stack: &Stack, table: &Table, ada: &str, grace: &str) -> anyhow::Result<()> {
    print_rows(&stack.sql(&table.all_rows())?);
    let rows = stack.sql(&table.rows_of(&[ada, grace]))?;
    ensure!(rows == "2", "{ada} and {grace} should have a row each");
    Ok(())
}

async fn send(sender: &Sender, event_type: &str, user: &str, body: &str) -> anyhow::Result<()> {
    let svix_id = format!("msg_{}", Uuid::new_v4().simple());
    let answer = sender.send(&svix_id, body).await?;
    println!("  {event_type} of {user}: {}", answer.status);
    ensure!(
        answer.status == 200,
        "ingest should have answered 200: {}",
        answer.body
    );
    Ok(())
}

/// Waits until the ledger holds `count` events, each of them applied, and none is in the stream: an
/// entry leaves it last of all, when the cache tags are deleted.
async fn wait_until_finished(stack: &Stack, count: u32) -> anyhow::Result<()> {
    let handled = || stack.sql("select outcome, count(*) from clerk_sync.events group by outcome");
    let expected = format!("applied|{count}");
    let what = format!("{count} events are applied and out of the stream");
    let finished = wait::until(&what, APPLY_DEADLINE, async || {
        handled().is_ok_and(|handled| handled == expected)
            && length(stack, EVENTS).is_ok_and(|length| length == 0)
    });
    finished.await.with_context(|| {
        format!(
            "the ledger's outcomes: {:?}; the workers say:\n{}",
            handled(),
            stack.complaints()
        )
    })
}

fn length(stack: &Stack, stream: &str) -> anyhow::Result<u64> {
    Ok(stack.redis.cli(&["XLEN", stream])?.parse()?)
}

fn print_rows(rows: &str) {
    for row in rows.lines() {
        println!("{}", format!("  {}", row.replace('|', "  ")).trim_end());
    }
}

fn capitalised(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}

fn print_addresses(stack: &Stack, table: &Table) {
    println!("\nEverything stays up until Ctrl-C:");
    println!("  webhook     {}", stack.url);
    println!("  secret      {}", stack.secret);
    for member in &stack.members {
        println!(
            "  {:<10}  http://{}/metrics, /readyz, /healthz; log: {}",
            member.name,
            member.admin_address,
            member.program.output_file().display()
        );
    }
    println!("  Redis       {}", stack.redis.url());
    println!("  PostgreSQL  {}", stack.database_url());
    println!("\nSend more, and look:");
    println!(
        "  cargo xtask send --url {} --secret {} --type user.created",
        stack.url, stack.secret
    );
    println!("  redis-cli -p {} XLEN '{EVENTS}'", stack.redis.port());
    println!("  psql {} -c 'table {}'", stack.database_url(), table.name);
}
