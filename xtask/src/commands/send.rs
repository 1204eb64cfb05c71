//! `cargo xtask send`

use std::{
    collections::BTreeMap,
    num::NonZero,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use uuid::Uuid;
use xtask::{
    clerk_payload::UserPayload,
    sender::{Sender, milliseconds_since_epoch},
};

/// Sends correctly signed events to an ingest and prints the answers, the rate and the latency.
/// Fails when an answer is not 2xx.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The webhook endpoint.
    #[arg(long, default_value = "http://127.0.0.1:8080/api/webhooks/clerk")]
    url: String,
    /// The signing secret, whsec_…
    #[arg(long, env = "CLERK_WEBHOOK_SIGNING_SECRET", hide_env_values = true)]
    secret: String,
    /// The event's type. Those that are not user.deleted carry a whole user.
    #[arg(long = "type", default_value = "user.created")]
    event_type: String,
    /// The user's id; made up if not given. With --count above 1, "-1", "-2", … are appended.
    #[arg(long)]
    user_id: Option<String>,
    /// The user's e-mail address; ID@example.com if not given. With --count above 1, "+1", "+2", …
    /// are put before the "@".
    #[arg(long)]
    email: Option<String>,
    /// How many events, each of another user.
    #[arg(long, default_value = "1")]
    count: NonZero<u64>,
    /// How many requests may be under way at once.
    #[arg(long, default_value = "1")]
    concurrency: NonZero<u64>,
}

/// What came of one request: the status, or the error, with the body of the answer.
struct Outcome {
    status: Result<u16, String>,
    body: String,
    latency: Duration,
}

pub(crate) async fn run(mut arguments: Arguments) -> anyhow::Result<ExitCode> {
    let sender = Sender::new(&arguments.url, &arguments.secret)?;
    let id = arguments.user_id.take();
    arguments.user_id = Some(id.unwrap_or_else(|| format!("user_{}", Uuid::new_v4().simple())));
    let arguments = Arc::new(arguments);
    let next = Arc::new(AtomicU64::new(1));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..arguments.concurrency.get().min(arguments.count.get()) {
        let (arguments, next, sender) = (Arc::clone(&arguments), Arc::clone(&next), sender.clone());
        tasks.spawn(async move {
            let mut outcomes = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > arguments.count.get() {
                    return anyhow::Ok(outcomes);
                }
                let body = body(&arguments, number)?;
                outcomes.push(send(&sender, &body).await);
            }
        });
    }
    let mut outcomes = Vec::new();
    while let Some(of_task) = tasks.join_next().await {
        outcomes.extend(of_task??);
    }
    print(&outcomes, begin.elapsed());
    let accepted = |outcome: &Outcome| matches!(outcome.status, Ok(200..300));
    Ok(if outcomes.iter().all(accepted) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn send(sender: &Sender, body: &str) -> Outcome {
    let svix_id = format!("msg_{}", Uuid::new_v4().simple());
    let begin = Instant::now();
    let answer = sender.send(&svix_id, body).await;
    let latency = begin.elapsed();
    match answer {
        Ok(answer) => Outcome {
            status: Ok(answer.status),
            body: answer.body,
            latency,
        },
        Err(error) => Outcome {
            status: Err(format!("{error:#}")),
            body: String::new(),
            latency,
        },
    }
}

/// The body of the event with this number, counted from 1.
fn body(arguments: &Arguments, number: u64) -> anyhow::Result<String> {
    let mut id = arguments.user_id.clone().unwrap_or_default();
    let mut email = arguments
        .email
        .clone()
        .unwrap_or_else(|| format!("{id}@example.com"));
    if arguments.count.get() > 1 {
        id = format!("{id}-{number}");
        let (name, domain) = email.split_once('@').unwrap_or((&email, "example.com"));
        email = format!("{name}+{number}@{domain}");
    }
    let now = milliseconds_since_epoch()?;
    let user = UserPayload::new(&id, &email)
        .created_at(now)
        .updated_at(now)
        .timestamp(now);
    Ok(match arguments.event_type.as_str() {
        "user.deleted" => user.deleted(),
        event_type => user.event(event_type),
    })
}

fn print(outcomes: &[Outcome], elapsed: Duration) {
    let mut groups: BTreeMap<&Result<u16, String>, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        groups.entry(&outcome.status).or_default().push(outcome);
    }
    for (status, group) in groups {
        let body = group[0].body.trim();
        match status {
            Ok(status) => println!("{status}: {} answers, the first: {body}", group.len()),
            Err(error) => println!("no answer: {}: {error}", group.len()),
        }
    }
    let mut latencies: Vec<Duration> = outcomes.iter().map(|outcome| outcome.latency).collect();
    latencies.sort_unstable();
    // By nearest rank; there is at least one.
    let percentile = |percent: usize| latencies[(latencies.len() * percent).div_ceil(100) - 1];
    println!(
        "{} requests in {:.2} s: {:.0} a second; latency p50 {:.1?}, p99 {:.1?}",
        outcomes.len(),
        elapsed.as_secs_f64(),
        outcomes.len() as f64 / elapsed.as_secs_f64(),
        percentile(50),
        percentile(99),
    );
}
