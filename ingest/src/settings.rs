//! What the operator decides.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, Subcommand};
use shared::settings::{CommonArguments, CommonSettings, Setting, SettingError};

use crate::signature::{EXPECTED, Verifier};
use crate::webhook_path::WebhookPath;

/// Verifies Clerk webhooks and puts them on a Redis stream.
///
/// Each setting is a flag or an environment variable; a file .env is read too.
#[derive(Parser, Debug)]
#[command(version = shared::VERSION)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Signing secrets of the endpoint (whsec_...), several of them separated by spaces, commas or line ends [required]
    #[arg(long, env = "CLERK_WEBHOOK_SIGNING_SECRET", hide_env_values = true)]
    clerk_webhook_signing_secret: Option<String>,
    /// The same under another name, read where the other is not set
    #[arg(long, env = "CLERK_WEBHOOK_SECRET", hide_env_values = true)]
    clerk_webhook_secret: Option<String>,
    /// Address of the webhook endpoint [default: 0.0.0.0:8080]
    #[arg(long, env = "INGEST_ADDR", hide_env_values = true)]
    ingest_addr: Option<String>,
    /// Port of the webhook endpoint on every address, read where INGEST_ADDR is not set
    #[arg(long, env = "PORT", hide_env_values = true)]
    port: Option<String>,
    /// Path of the webhook endpoint, with or without a slash at its end [default: /api/webhooks/clerk]
    #[arg(long, env = "WEBHOOK_PATH", hide_env_values = true)]
    webhook_path: Option<String>,
    /// How long a connection may stay open without a request, in milliseconds: longer than proxies in front keep theirs [default: 75000]
    #[arg(long, env = "IDLE_TIMEOUT_MS", hide_env_values = true)]
    idle_timeout_ms: Option<String>,
    /// The longest body that is accepted, in bytes [default: 1048576]
    #[arg(long, env = "MAX_BODY_BYTES", hide_env_values = true)]
    max_body_bytes: Option<String>,
    /// How many entries may wait, in all partitions together, before new ones are answered 503 [default: 1000000]
    #[arg(long, env = "MAX_BACKLOG", hide_env_values = true)]
    max_backlog: Option<String>,
    /// How many proxies in front append to X-Forwarded-For [default: 0]
    #[arg(long, env = "TRUSTED_PROXY_HOPS", hide_env_values = true)]
    trusted_proxy_hops: Option<String>,
    /// How many replicas of Redis must have an event before it is answered 2xx [default: 0]
    #[arg(long, env = "REDIS_MIN_REPLICAS", hide_env_values = true)]
    redis_min_replicas: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Subcommand, Debug, Clone, Copy)]
enum Command {
    /// Ask a running ingest whether it is ready; exits 0 if so
    Healthcheck,
}

/// What the process is to do.
pub enum Task {
    /// Serve until a signal.
    Run(Box<Settings>),
    /// Ask the process with this admin address whether it is ready.
    CheckHealth(SocketAddr),
}

/// The settings, all of them valid.
#[derive(Debug)]
pub struct Settings {
    /// What both programs have.
    pub common: CommonSettings,
    /// Holds the signing secrets.
    pub verifier: Verifier,
    /// Address of the webhook endpoint.
    pub address: SocketAddr,
    /// The setting that the address comes from.
    pub address_variable: &'static str,
    /// Path of the webhook endpoint.
    pub webhook_path: WebhookPath,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// The longest body that is accepted, in bytes.
    pub max_body_bytes: usize,
    /// How many entries may wait in the stream.
    pub max_backlog: u64,
    /// How many proxies in front append to `X-Forwarded-For`.
    pub trusted_proxy_hops: usize,
    /// How many replicas of Redis must have an event before it is answered 2xx.
    pub redis_min_replicas: u64,
}

impl Arguments {
    /// Reads the text into settings.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn task(&self) -> Result<Task, SettingError> {
        let default_admin_address = SocketAddr::from(([127, 0, 0, 1], 9100));
        if let Some(Command::Healthcheck) = self.command {
            return self
                .common
                .admin_address(default_admin_address)
                .map(Task::CheckHealth);
        }
        let (address_variable, address) = self.address()?;
        Ok(Task::Run(Box::new(Settings {
            verifier: self.secret().explained(Verifier::parse)?.ok_or_else(|| {
                SettingError::new("CLERK_WEBHOOK_SIGNING_SECRET", "nothing", EXPECTED)
            })?,
            common: self.common.settings(default_admin_address)?,
            address,
            address_variable,
            webhook_path: Setting::new("WEBHOOK_PATH", self.webhook_path.as_deref())
                .optional("a path, such as /api/webhooks/clerk", WebhookPath::parse)?
                .unwrap_or_default(),
            idle_timeout: Setting::new("IDLE_TIMEOUT_MS", self.idle_timeout_ms.as_deref())
                .milliseconds(75_000, 100..=3_600_000)?,
            max_body_bytes: size(
                Setting::new("MAX_BODY_BYTES", self.max_body_bytes.as_deref())
                    .number(1_048_576, 1..=67_108_864)?,
            ),
            max_backlog: Setting::new("MAX_BACKLOG", self.max_backlog.as_deref())
                .number(1_000_000, 1..=1_000_000_000)?,
            trusted_proxy_hops: size(
                Setting::new("TRUSTED_PROXY_HOPS", self.trusted_proxy_hops.as_deref())
                    .number(0, 0..=16)?,
            ),
            redis_min_replicas: Setting::new(
                "REDIS_MIN_REPLICAS",
                self.redis_min_replicas.as_deref(),
            )
            .number(0, 0..=15)?,
        })))
    }

    /// The signing secrets under the name that is set.
    fn secret(&self) -> Setting<'_> {
        let secret = self.clerk_webhook_signing_secret.as_deref();
        let secret = Setting::secret("CLERK_WEBHOOK_SIGNING_SECRET", secret);
        let other = Setting::secret("CLERK_WEBHOOK_SECRET", self.clerk_webhook_secret.as_deref());
        if !secret.is_set() && other.is_set() {
            other
        } else {
            secret
        }
    }

    /// The address of the webhook endpoint, and the setting that it comes from.
    fn address(&self) -> Result<(&'static str, SocketAddr), SettingError> {
        let every_address = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let address = Setting::new("INGEST_ADDR", self.ingest_addr.as_deref());
        let port = Setting::new("PORT", self.port.as_deref());
        if address.is_set() || !port.is_set() {
            return Ok(("INGEST_ADDR", address.address(every_address(8080))?));
        }
        let port = port.number(8080, 1..=u16::MAX.into())?;
        let port = u16::try_from(port).unwrap_or(u16::MAX);
        Ok(("PORT", every_address(port)))
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
