//! Reads the settings, wires the parts, waits for the end.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry;
use redis::RedisError;
use shared::fault_point::{FaultPoint, reach};
use shared::redis_link::RedisLink;
use shared::redis_servers::RedisServers;
use shared::svix_id::SvixId;
use shared::traces::Traces;
use shared::{admin, logging, redis_durability, shutdown, startup};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::back_off::BackOff;
use worker::cache_tags::CacheTags;
use worker::consumer::Consumer;
use worker::database::{BATCHES_AT_ONCE, Database};
use worker::database_url::DatabaseUrl;
use worker::losses::Losses;
use worker::metrics::Metrics;
use worker::outage::Outages;
use worker::partitions::{self, Partitions};
use worker::processor::{Processor, Refusals};
use worker::settings::{Arguments, Settings, Task};
use worker::status::{Sources, Status};
use worker::visibility::{self, InFlight};
use worker::{explain, ledger, migration, reconcile, retention, retry, second_deletion, status};

/// How long a read waits for the first entry.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    startup::start(Arguments::task, async |task| match task {
        Task::Run(settings) => run(*settings).await.map(|()| ExitCode::SUCCESS),
        Task::Migrate(settings) => {
            let (database, common) = *settings;
            logging::start(&common);
            migrate(&database).await.map(|()| ExitCode::SUCCESS)
        }
        Task::Explain(settings, svix_id) => explain(&settings, &svix_id).await,
        Task::Reconcile(task) => {
            let (settings, options) = *task;
            reconcile::reconcile(&settings, options)
                .await
                .map(|()| ExitCode::SUCCESS)
        }
        Task::CheckHealth(address) => admin::check_health(address)
            .await
            .map(|()| ExitCode::SUCCESS),
    })
}

async fn migrate(database: &DatabaseUrl) -> Result<(), String> {
    let applied = migration::migrate(&Database::new(database)?).await?;
    tracing::info!(applied, "the database is up to date");
    Ok(())
}

async fn explain(settings: &Settings, svix_id: &SvixId) -> Result<ExitCode, String> {
    let link = RedisLink::new(&settings.common.redis).map_err(|error| error.to_string())?;
    let database = Database::new(&settings.database)?;
    let days = settings.ledger_retention_days;
    let limits = explain::Limits::COMMAND;
    let explanation = explain::explain(&link, &database, days, limits, svix_id).await;
    writeln!(std::io::stdout(), "{explanation}").map_err(|error| error.to_string())?;
    Ok(ExitCode::from(explanation.exit_code()))
}

/// The worker is ready while its stores answer.
struct StoresHealth {
    queue_link: RedisLink,
    partitions: Partitions,
    cache_tags: CacheTags,
    database: Database,
    metrics: Metrics,
    migrated: CancellationToken,
    status: Status,
}

impl admin::Health for StoresHealth {
    async fn ready(&self) -> Result<(), &'static str> {
        if !self.queue_link.answers().await {
            Err("Redis does not answer")
        } else if !self.cache_tags.answers().await {
            Err("the cache's Redis does not answer")
        } else if !self.database.answers().await {
            Err("PostgreSQL does not answer")
        } else if !self.migrated.is_cancelled() {
            Err("the database is not migrated yet")
        } else {
            Ok(())
        }
    }

    async fn refresh(&self) {
        if let Ok(depth) = self.partitions.depth().await {
            self.metrics.depth(depth);
        }
    }

    fn pages(&self) -> &'static [&'static str] {
        &status::PATHS
    }

    async fn page(&self, path: &str, query: &str) -> Option<admin::Page> {
        self.status.page(path, query).await
    }
}

async fn run(settings: Settings) -> Result<(), String> {
    logging::start(&settings.common);
    let traces = Traces::from_environment("clerk-worker").map_err(|error| error.to_string())?;
    let stop = shutdown::on_signal().map_err(|error| error.to_string())?;
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).map_err(|error| error.to_string())?;
    let database = Database::new(&settings.database)?;
    let link = |servers: &RedisServers| {
        RedisLink::new(servers).map_err(|error: RedisError| error.to_string())
    };
    let queue_link = link(&settings.common.redis)?;
    let cache_link = match &settings.cache_redis {
        Some(servers) => link(servers)?,
        None => queue_link.clone(),
    };
    let consumer_name = consumer_name();
    let losses = Losses::new(metrics.queue_losses.clone());
    let partitions = Partitions::new(
        &queue_link,
        &settings.common.redis,
        settings.common.partitions,
        &consumer_name,
        &losses,
    )
    .map_err(|error| error.to_string())?;
    let cache_tags = CacheTags::new(
        cache_link,
        settings.cache_mode,
        settings.cache_tag_prefix,
        settings.cache_second_deletion,
    );
    let migrated = CancellationToken::new();
    let admin_listener = startup::listen("ADMIN_ADDR", settings.common.admin_address).await?;
    let status = Status::new(Sources {
        link: queue_link.clone(),
        cache_tags: cache_tags.clone(),
        database: Database::with_one_connection(&settings.database)?,
        metrics: metrics.clone(),
        consumer: consumer_name.clone(),
        partitions: settings.common.partitions,
        retention_days: settings.ledger_retention_days,
    });
    let health = Arc::new(StoresHealth {
        queue_link: queue_link.clone(),
        partitions: partitions.clone(),
        cache_tags: cache_tags.clone(),
        database: database.clone(),
        metrics: metrics.clone(),
        migrated: migrated.clone(),
        status,
    });
    tokio::spawn(admin::serve(admin_listener, health, registry, stop.clone()));

    tokio::spawn(redis_durability::watch(queue_link.clone(), stop.clone()));
    let Some(has_worked) = until_migrated(&database, &stop).await else {
        return Ok(());
    };
    if let Err(failure) = database.read_catalogue().await {
        // Then PostgreSQL says so when something is too long.
        tracing::warn!(
            reason = failure.reason(),
            "the columns of users were not read"
        );
    }
    losses.begin(has_worked);
    migrated.cancel();
    tracing::info!(consumer = consumer_name, "worker has started");

    // Whatever may go on until the last batch is done with.
    let background_stop = CancellationToken::new();
    tokio::spawn(partitions::warn_of_unread(
        queue_link,
        settings.common.partitions,
        background_stop.clone(),
    ));
    tokio::spawn(second_deletion::delete_due_tags(
        cache_tags.clone(),
        background_stop.clone(),
    ));
    tokio::spawn(retention::keep(
        database.clone(),
        settings.ledger_retention_days,
        background_stop.clone(),
    ));
    // One batch of each partition waits while others are being processed.
    let (batches, received) = mpsc::channel(settings.common.partitions as usize);
    let received = Arc::new(Mutex::new(received));
    let tasks = TaskTracker::new();
    let reading = Arc::default();
    for queue in partitions.iter() {
        let in_flight = InFlight::default();
        tokio::spawn(visibility::keep_visible(
            queue.clone(),
            in_flight.clone(),
            settings.reclaim_after,
            background_stop.clone(),
        ));
        tokio::spawn(retry::return_due_entries(
            queue.clone(),
            background_stop.clone(),
        ));
        let consumer = Consumer {
            queue: queue.clone(),
            in_flight,
            batch_size: settings.batch_size,
            partitions: settings.common.partitions,
            reading: Arc::clone(&reading),
            // Short enough that a stop need not wait for it, nor a take-over.
            wait: LONGEST_WAIT
                .min(settings.reclaim_after / 2)
                .min(settings.common.shutdown_grace / 4),
            reclaim_after: settings.reclaim_after,
            metrics: metrics.clone(),
        };
        tasks.spawn(consumer.run(batches.clone(), stop.clone()));
    }
    drop(batches);
    let outages = Outages {
        metrics: metrics.clone(),
        stop: stop.clone(),
    };
    let refusals = Refusals {
        database: database.clone(),
        cache_tags: cache_tags.clone(),
        max_attempts: settings.max_attempts,
        metrics: metrics.clone(),
        outages: outages.clone(),
    };
    let processor = Arc::new(Processor {
        partitions: partitions.clone(),
        database,
        cache_tags,
        refusals,
        outages,
        metrics,
        traces: traces.clone(),
        stop: stop.clone(),
    });
    for _ in 0..BATCHES_AT_ONCE {
        tasks.spawn(Arc::clone(&processor).run(Arc::clone(&received)));
    }
    tasks.close();

    stop.cancelled().await;
    let deadline = Instant::now() + settings.common.shutdown_grace;
    finish(&tasks, &partitions, settings.common.shutdown_grace).await;
    traces.finish(deadline).await;
    background_stop.cancel();
    tracing::info!("worker has stopped");
    Ok(())
}

/// Lets the batch in flight finish, then hands back whatever this consumer still holds.
async fn finish(tasks: &TaskTracker, partitions: &Partitions, grace: Duration) {
    // Handing back must fit into the grace period too.
    let for_batches = grace * 4 / 5;
    if tokio::time::timeout(for_batches, tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!("a batch did not finish in time: handing it back");
    }
    match tokio::time::timeout(grace - for_batches, partitions.leave()).await {
        Ok((entries, 0)) => {
            reach(FaultPoint::Left).await;
            tracing::info!(entries, "handed back");
        }
        _ => {
            tracing::warn!("entries could not be handed back: another worker takes them over later")
        }
    }
}

/// PostgreSQL may be away when the worker starts: that is an outage like any other. Returns whether events have been
/// applied before.
async fn until_migrated(database: &Database, stop: &CancellationToken) -> Option<bool> {
    let mut back_off = BackOff::of_a_store();
    loop {
        match stop.run_until_cancelled(prepare(database)).await? {
            Ok(has_worked) => return Some(has_worked),
            Err(reason) => tracing::warn!(reason, "the database cannot be migrated yet"),
        }
        stop.run_until_cancelled(tokio::time::sleep(back_off.after_failure()))
            .await?;
    }
}

async fn prepare(database: &Database) -> Result<bool, String> {
    let applied = migration::migrate(database).await?;
    tracing::info!(applied, "the database is up to date");
    let has_events = ledger::has_events(database).await;
    has_events.map_err(|failure| failure.reason().to_owned())
}

/// Unique for each process, and tells an operator where it runs.
fn consumer_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!(
        "{}-{}-{}",
        host.trim(),
        std::process::id(),
        uuid::Uuid::new_v4().simple()
    )
}
