//! Reads the settings, wires the parts, waits for the end.

use std::borrow::Cow;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use ingest::body::BodyReader;
use ingest::forgery_limiter::ForgeryLimiter;
use ingest::metrics::Metrics;
use ingest::misses::Misses;
use ingest::once_a_minute::OnceAMinute;
use ingest::open_files;
use ingest::queue::Queue;
use ingest::replication::{self, Replication};
use ingest::server;
use ingest::settings::{Arguments, Settings, Task};
use ingest::webhook::Endpoint;
use prometheus::Registry;
use shared::redis_link::RedisLink;
use shared::traces::Traces;
use shared::{admin, logging, redis_durability, shutdown, startup};

fn main() -> ExitCode {
    startup::start(Arguments::task, async |task| match task {
        Task::Run(settings) => run(*settings).await,
        Task::CheckHealth(address) => admin::check_health(address).await,
    })
}

/// The ingest is ready while Redis answers.
struct RedisHealth(RedisLink);

impl admin::Health for RedisHealth {
    async fn ready(&self) -> Result<(), Cow<'static, str>> {
        if self.0.answers().await {
            Ok(())
        } else {
            Err("Redis does not answer".into())
        }
    }

    async fn refresh(&self) {}
}

async fn run(settings: Settings) -> Result<(), String> {
    logging::start(&settings.common);
    open_files::allow(server::OPEN_FILES);
    let traces = Traces::from_environment("clerk-ingest").map_err(|error| error.to_string())?;
    let stop = shutdown::on_signal().map_err(|error| error.to_string())?;
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).map_err(|error| error.to_string())?;
    let replication = match settings.redis_min_replicas {
        0 => None,
        replicas => {
            let replication =
                Replication::new(&settings.common.redis, settings.common.partitions, replicas);
            Some(replication.map_err(|error| error.to_string())?)
        }
    };
    let link = RedisLink::with_connections(&settings.common.redis, replication::CONNECTIONS)
        .map_err(|error| error.to_string())?;
    let listener = startup::listen(settings.address_variable, settings.address).await?;
    let admin_listener = startup::listen("ADMIN_ADDR", settings.common.admin_address).await?;
    tokio::spawn(redis_durability::watch(link.clone(), stop.clone()));
    let health = Arc::new(RedisHealth(link.clone()));
    tokio::spawn(admin::serve(admin_listener, health, registry, stop.clone()));
    let path = settings.webhook_path.to_string();
    let endpoint = Arc::new(Endpoint {
        path: settings.webhook_path,
        verifier: settings.verifier,
        body_reader: BodyReader::new(settings.max_body_bytes),
        forgery_limiter: ForgeryLimiter::default(),
        trusted_proxy_hops: settings.trusted_proxy_hops,
        queue: Queue::new(
            link,
            replication,
            settings.common.partitions,
            settings.max_backlog,
            metrics.clone(),
        ),
        misses: Misses::new(metrics.clone()),
        no_memory_line: OnceAMinute::default(),
        metrics,
        traces: traces.clone(),
        stop: stop.clone(),
    });
    tracing::info!(address = %settings.address, path, "ingest is listening");
    let grace = settings.common.shutdown_grace;
    let deadline = async {
        stop.cancelled().await;
        Instant::now() + grace
    };
    let running = server::run(
        listener,
        endpoint,
        stop.clone(),
        settings.idle_timeout,
        grace,
    );
    let ((), deadline) = tokio::join!(running, deadline);
    traces.finish(deadline).await;
    tracing::info!("ingest has stopped");
    Ok(())
}
