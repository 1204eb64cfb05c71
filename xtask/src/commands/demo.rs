//! `cargo xtask demo`

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;
use xtask::{
    clerk_payload::UserPayload,
    packages,
    sender::{Sender, milliseconds_since_epoch},
    wait,
};

use super::{cargo::cargo, stack::Stack};

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
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let told_to_stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(told_to_stop);

    packages::ensure_installed(|what| println!("{what}"))?;
    println!("Building ingest and worker ...");
    // All programs, as the tests do, so that neither builds again what the other has built.
    let built = cargo(&["build", "--workspace", "--bins"])?;
    ensure!(built.success(), "cargo build: {built}");
    println!("Starting Redis, PostgreSQL, ingest and two workers ...");
    let show = async {
        let stack = Stack::start().await?;
        show(&stack).await?;
        anyhow::Ok(stack)
    };
    let stack = tokio::select! {
        stack = show => stack?,
        () = &mut told_to_stop => {
            println!("Stopped before the end; everything is removed.");
            return Ok(ExitCode::FAILURE);
        }
    };
    if !arguments.once {
        print_addresses(&stack);
        told_to_stop.await;
    }
    println!("\nStopping ...");
    stack.stop()?;
    println!("Everything has stopped and is removed.");
    Ok(ExitCode::SUCCESS)
}

/// Sends the events and prints what becomes of them.
async fn show(stack: &Stack) -> anyhow::Result<()> {
    let sender = Sender::new(&stack.url, &stack.secret)?;
    let now = milliseconds_since_epoch()?;
    let minute_ago = now - 60_000;
    let user = |name: &str| {
        let id = format!("user_{name}_{}", &Uuid::new_v4().simple().to_string()[..8]);
        let user = UserPayload::new(&id, &format!("{name}@example.com"))
            .first_name(capitalised(name).as_str())
            .created_at(minute_ago);
        (id, user)
    };
    let (ada, ada_payload) = user("ada");
    let (grace, grace_payload) = user("grace");
    let (alan, alan_payload) = user("alan");
    let grace_before = grace_payload
        .clone()
        .last_name("Murray")
        .updated_at(minute_ago);
    let alan_before = alan_payload
        .clone()
        .last_name("Turing")
        .updated_at(minute_ago);

    println!("\nBeforehand: two users that can be changed, and cache entries of one of them");
    send(&sender, "user.created", &grace, &grace_before.created()).await?;
    send(&sender, "user.created", &alan, &alan_before.created()).await?;
    wait_until_finished(stack, 2).await?;
    let tag = format!("id:{grace}:users");
    let cached = format!("page-of:{grace}");
    stack.redis.cli(&["SET", &cached, "a rendered page"])?;
    stack.redis.cli(&["SADD", &tag, &cached])?;
    println!("  cache tag {tag}, and the entry {cached} that bears it");

    println!("\n1. ingest: verifies the signature, queues, answers");
    let ada_created = ada_payload.updated_at(now).created();
    let grace_updated = grace_payload.last_name("Hopper").updated_at(now).updated();
    let alan_deleted = alan_payload.timestamp(now).deleted();
    send(&sender, "user.created", &ada, &ada_created).await?;
    send(&sender, "user.updated", &grace, &grace_updated).await?;
    send(&sender, "user.deleted", &alan, &alan_deleted).await?;
    wait_until_finished(stack, 5).await?;

    println!("\n2. Redis: the stream {EVENTS}");
    let (waiting, dead_letters) = (length(stack, EVENTS)?, length(stack, DEAD_LETTERS)?);
    println!("  5 entries came; waiting: {waiting}, dead letters: {dead_letters}");
    ensure!(
        dead_letters == 0,
        "there are dead letters in {DEAD_LETTERS}"
    );

    println!("\n3. worker: the ledger clerk_sync.events");
    let milliseconds = "round(extract(epoch from processed_at - received_at) * 1000)";
    print_rows(&stack.sql(&format!(
        "select rpad(type, 13), rpad(user_id, 20), outcome, {milliseconds} || ' ms after receipt' \
         from clerk_sync.events order by processed_at, received_at"
    ))?);

    println!("\n4. cache: the tag of the changed user, and what bore it");
    wait::until("the cache tag is deleted", APPLY_DEADLINE, async || {
        stack
            .redis
            .cli(&["EXISTS", &tag, &cached])
            .is_ok_and(|count| count == "0")
    })
    .await?;
    println!("  {tag} and {cached} are gone");

    println!("\n5. PostgreSQL: the table users");
    let users = stack.sql("select id, name, email from users order by name")?;
    print_rows(&users);
    println!("  ({alan} is deleted)");
    let expected =
        format!("{ada}|Ada Lovelace|ada@example.com\n{grace}|Grace Hopper|grace@example.com");
    ensure!(users == expected, "the table users should hold\n{expected}");
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
    finished
        .await
        .with_context(|| format!("the ledger's outcomes: {:?}", handled()))
}

fn length(stack: &Stack, stream: &str) -> anyhow::Result<u64> {
    Ok(stack.redis.cli(&["XLEN", stream])?.parse()?)
}

fn print_rows(rows: &str) {
    for row in rows.lines() {
        println!("  {}", row.replace('|', "  "));
    }
}

fn capitalised(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}

fn print_addresses(stack: &Stack) {
    println!("\nEverything stays up until Ctrl-C:");
    println!("  webhook     {}", stack.url);
    println!("  secret      {}", stack.secret);
    for ((name, program), admin_url) in stack.programs().into_iter().zip(&stack.admin_urls) {
        let log = program.output_file();
        println!(
            "  {name:<10}  {admin_url}/metrics, /readyz, /healthz; log: {}",
            log.display()
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
    println!("  psql {} -c 'table users'", stack.database_url());
}
