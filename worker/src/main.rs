//! Wires the rooms.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use prometheus::Registry;
use shared::redis_link::RedisLink;
use shared::svix_id::SvixId;
use shared::traces::Traces;
use shared::{admin, logging, redis_durability, shutdown, startup};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::apply::target::Targets;
use worker::database::{Database, migration, retention, url::DatabaseUrl};
use worker::event::entry::Entry;
use worker::event::reader::Reader;
use worker::finish::{self, cache_tags::CacheTags, changes::Changes, refusals::Refusals};
use worker::metrics::Metrics;
use worker::operate::{
    check, explain,
    health::StoresHealth,
    preview,
    status::{Sources, Status},
};
use worker::outage::Outages;
use worker::processor::Processor;
use worker::reconcile;
use worker::settings::{Arguments, Settings, Task};
use worker::source::{
    self, Source,
    losses::Losses,
    partitions::{self, Partitions},
};
use worker::suggest;
use worker::tables::Tables;

fn main() -> ExitCode {
    startup::start(Arguments::task, async |task| match task {
        Task::Run(settings) => run(*settings).await.map(|()| ExitCode::SUCCESS),
        Task::Migrate(settings) => {
            let (database, common, tables) = *settings;
            logging::start(&common);
            warn(&tables.warnings);
            migrate(&database, &tables.tables)
                .await
                .map(|()| ExitCode::SUCCESS)
        }
        Task::CheckTables(settings) => {
            let (database, report) = *settings;
            check::check(&database, report, &mut std::io::stdout()).await
        }
        Task::Explain(settings, svix_id) => explain(&settings, &svix_id).await,
        Task::Reconcile(task) => {
            let (settings, options) = *task;
            reconcile::reconcile(&settings, options)
                .await
                .map(|()| ExitCode::SUCCESS)
        }
        Task::Preview(settings) => preview::preview(&settings, &mut std::io::stdout()).await,
        Task::Suggest(database) => suggest(&database).await.map(|()| ExitCode::SUCCESS),
        Task::CheckHealth(address) => admin::check_health(address)
            .await
            .map(|()| ExitCode::SUCCESS),
    })
}

/// Says what may be a mistake in the tables file.
fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

async fn migrate(database: &DatabaseUrl, tables: &Tables) -> Result<(), String> {
    let targets = Targets::new(tables.clone()).with_search_path(database.search_path());
    let database = Database::new(database)?;
    let migrated = migration::migrate(&database, tables.is_built_in()).await;
    let applied = match migrated {
        Ok(applied) => applied,
        Err(reason) => return Err(targets.with_misfits(reason, &database).await),
    };
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

/// Prints a tables file; what is not part of it goes to standard error.
async fn suggest(database: &DatabaseUrl) -> Result<(), String> {
    let database = Database::with_one_connection(database)?;
    let suggestion = suggest::suggest(&database)
        .await
        .map_err(|failure| failure.reason().to_owned())?;
    let print = || {
        for remark in &suggestion.remarks {
            writeln!(std::io::stderr(), "{remark}")?;
        }
        write!(std::io::stdout(), "{}", suggestion.text)
    };
    print().map_err(|error| error.to_string())
}

/// What all rooms share.
struct Stores {
    queue_link: RedisLink,
    partitions: Partitions,
    /// What Redis has lost.
    losses: Losses,
    cache_tags: CacheTags,
    database: Database,
    /// Which tables are written.
    targets: Targets,
    reader: Reader,
    metrics: Metrics,
    /// The name of this worker in the consumer group.
    consumer: String,
}

impl Stores {
    /// Connects to nothing yet.
    fn new(settings: &Settings, metrics: Metrics) -> Result<Self, String> {
        let queue_link =
            RedisLink::new(&settings.common.redis).map_err(|error| error.to_string())?;
        let cache_link = match &settings.cache_redis {
            Some(servers) => RedisLink::new(servers).map_err(|error| error.to_string())?,
            None => queue_link.clone(),
        };
        let consumer = source::consumer_name();
        let losses = Losses::new(metrics.queue_losses.clone());
        let (servers, count) = (&settings.common.redis, settings.common.partitions);
        let partitions = Partitions::new(&queue_link, servers, count, &consumer, &losses);
        Ok(Self {
            partitions: partitions.map_err(|error| error.to_string())?,
            cache_tags: CacheTags::new(
                cache_link,
                settings.cache_mode.clone(),
                settings.cache_tag_prefix.clone(),
                settings.cache_second_deletion,
            ),
            database: Database::new(&settings.database)?,
            targets: Targets::new(settings.tables.clone())
                .with_search_path(settings.database.search_path()),
            reader: Reader::new(&settings.tables),
            queue_link,
            losses,
            metrics,
            consumer,
        })
    }

    /// What is asked on the admin address.
    fn health(
        &self,
        settings: &Settings,
        migrated: &CancellationToken,
    ) -> Result<StoresHealth, String> {
        Ok(StoresHealth {
            queue_link: self.queue_link.clone(),
            partitions: self.partitions.clone(),
            cache_tags: self.cache_tags.clone(),
            database: self.database.clone(),
            targets: self.targets.clone(),
            metrics: self.metrics.clone(),
            migrated: migrated.clone(),
            status: Status::new(Sources {
                link: self.queue_link.clone(),
                cache_tags: self.cache_tags.clone(),
                database: Database::with_one_connection(&settings.database)?,
                targets: self.targets.clone(),
                metrics: self.metrics.clone(),
                consumer: self.consumer.clone(),
                partitions: settings.common.partitions,
                retention_days: settings.ledger_retention_days,
            }),
        })
    }

    /// What works on batches until `stop` is cancelled.
    fn processor(self, max_attempts: u32, traces: Traces, stop: &CancellationToken) -> Processor {
        let outages = Outages {
            metrics: self.metrics.clone(),
            stop: stop.clone(),
        };
        let changes = Changes {
            cache_tags: self.cache_tags,
            database: self.database.clone(),
            outages: outages.clone(),
        };
        Processor {
            refusals: Refusals {
                database: self.database.clone(),
                changes: changes.clone(),
                max_attempts,
                metrics: self.metrics.clone(),
                outages: outages.clone(),
            },
            partitions: self.partitions,
            reader: self.reader,
            database: self.database,
            targets: self.targets,
            changes,
            outages,
            metrics: self.metrics,
            traces,
            stop: stop.clone(),
        }
    }
}

async fn run(settings: Settings) -> Result<(), String> {
    logging::start(&settings.common);
    warn(&settings.tables_warnings);
    let traces = Traces::from_environment("clerk-worker").map_err(|error| error.to_string())?;
    let stop = shutdown::on_signal().map_err(|error| error.to_string())?;
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).map_err(|error| error.to_string())?;
    let stores = Stores::new(&settings, metrics)?;
    let migrated = CancellationToken::new();
    let listener = startup::listen("ADMIN_ADDR", settings.common.admin_address).await?;
    let health = Arc::new(stores.health(&settings, &migrated)?);
    tokio::spawn(admin::serve(listener, health, registry, stop.clone()));
    let (link, database) = (stores.queue_link.clone(), stores.database.clone());
    tokio::spawn(redis_durability::watch(link.clone(), stop.clone()));
    let creates_users = settings.tables.is_built_in();
    let targets = stores.targets.clone();
    // So that all that is missing is told at once, not one thing at each attempt.
    let why = async || drop(targets.check_before_the_start(&database).await);
    let migrated_now = migration::until_migrated(&database, creates_users, why, &stop);
    let Some(has_worked) = migrated_now.await else {
        return Ok(());
    };
    if targets.until_read(&database, &stop).await.is_none() {
        return Ok(());
    }
    tokio::spawn(targets.clone().keep_looking(database.clone(), stop.clone()));
    stores.losses.begin(has_worked);
    migrated.cancel();
    tracing::info!(consumer = stores.consumer, "worker has started");

    // For tasks that go on until the last batch is done.
    let background_stop = CancellationToken::new();
    let (count, days) = (settings.common.partitions, settings.ledger_retention_days);
    tokio::spawn(partitions::warn_of_unread(
        link,
        count,
        background_stop.clone(),
    ));
    tokio::spawn(retention::keep(database, days, background_stop.clone()));
    finish::start(&stores.partitions, &stores.cache_tags, &background_stop);
    let tasks = TaskTracker::new();
    let partitions = stores.partitions.clone();
    let reader = stores.reader.clone();
    let source = Source {
        partitions: partitions.clone(),
        parse: Arc::new(move |entry| Entry::parse(entry, &reader)),
        may_read: targets.fitting(),
        batch_size: settings.batch_size,
        reclaim_after: settings.reclaim_after,
        shutdown_grace: settings.common.shutdown_grace,
        metrics: stores.metrics.clone(),
    };
    let batches = source.start(&tasks, &stop, &background_stop);
    let processor = stores.processor(settings.max_attempts, traces.clone(), &stop);
    processor.start(batches, &tasks);
    tasks.close();

    stop.cancelled().await;
    let deadline = Instant::now() + settings.common.shutdown_grace;
    source::leave(&tasks, &partitions, settings.common.shutdown_grace).await;
    traces.finish(deadline).await;
    background_stop.cancel();
    tracing::info!("worker has stopped");
    Ok(())
}
