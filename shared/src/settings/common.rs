//! The settings that both programs have.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::error::SettingError;
use super::setting::Setting;
use crate::log_settings::{LogFormat, is_filter};
use crate::partition::MOST_PARTITIONS;
use crate::redis_servers::RedisServers;
use crate::tls::Authorities;

/// The flags that both programs have, as text.
#[derive(Args, Debug, Default)]
pub struct CommonArguments {
    /// The Redis that holds the queue: redis://user:password@host:port/database, or rediss:// for TLS; several host:port, with commas between, or redis-cluster://host:port, are a cluster; redis-sentinel://host:port/database?master=name [default: redis://127.0.0.1:6379]
    #[arg(long, env = "REDIS_URL", hide_env_values = true, global = true)]
    redis_url: Option<String>,
    /// File of the authorities (PEM) that sign the certificates of rediss:// servers [default: the system's]
    #[arg(long, env = "REDIS_CA_FILE", hide_env_values = true, global = true)]
    redis_ca_file: Option<String>,
    /// Number of streams that the events are spread over, up to 64 [default: 1]
    #[arg(long, env = "REDIS_PARTITIONS", hide_env_values = true, global = true)]
    redis_partitions: Option<String>,
    /// Address of /healthz, /readyz, /metrics and, of a worker, /status [default: 127.0.0.1:9100 ingest, 127.0.0.1:9101 worker]
    #[arg(long, env = "ADMIN_ADDR", hide_env_values = true, global = true)]
    admin_addr: Option<String>,
    /// How long to finish what is in flight after SIGTERM, in milliseconds [default: 10000]
    #[arg(long, env = "SHUTDOWN_GRACE_MS", hide_env_values = true, global = true)]
    shutdown_grace_ms: Option<String>,
    /// What to log: a level, or directives as of Rust's tracing [default: info]
    #[arg(long, env = "RUST_LOG", hide_env_values = true, global = true)]
    rust_log: Option<String>,
    /// text or json [default: text on a terminal, json elsewhere]
    #[arg(long, env = "LOG_FORMAT", hide_env_values = true, global = true)]
    log_format: Option<String>,
}

/// The settings that both programs have.
#[derive(Debug, Clone)]
pub struct CommonSettings {
    /// The Redis that holds the queue.
    pub redis: RedisServers,
    /// Who signs the certificates of Redis servers, if it is not the system's authorities.
    pub redis_authorities: Option<Authorities>,
    /// How many streams the events are spread over.
    pub partitions: u32,
    /// Address of the admin endpoints.
    pub admin_address: SocketAddr,
    /// How long to finish what is in flight after a signal.
    pub shutdown_grace: Duration,
    /// Directives of what to log.
    pub log_filter: String,
    /// How to write a log line.
    pub log_format: LogFormat,
}

impl CommonArguments {
    /// Reads the text into settings.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn settings(
        &self,
        default_admin_address: SocketAddr,
    ) -> Result<CommonSettings, SettingError> {
        let partitions = Setting::new("REDIS_PARTITIONS", self.redis_partitions.as_deref())
            .number(1, 1..=MOST_PARTITIONS.into())?
            .try_into()
            .unwrap_or(MOST_PARTITIONS);
        let redis_authorities =
            Setting::new("REDIS_CA_FILE", self.redis_ca_file.as_deref()).authorities()?;
        let redis = Setting::secret("REDIS_URL", self.redis_url.as_deref());
        let redis = match redis.redis_url(redis_authorities.as_ref())? {
            Some(redis) => redis,
            None => RedisServers::parse("redis://127.0.0.1:6379", None)
                .map_err(|expected| SettingError::new("REDIS_URL", "nothing", expected))?,
        };
        let log_filter = Setting::new("RUST_LOG", self.rust_log.as_deref())
            .optional(
                "a level (error, warn, info, debug, trace) or tracing directives",
                |text| is_filter(text).then(|| text.to_owned()),
            )?
            .unwrap_or_else(|| "info".to_owned());
        Ok(CommonSettings {
            redis,
            redis_authorities,
            partitions,
            admin_address: self.admin_address(default_admin_address)?,
            shutdown_grace: Setting::new("SHUTDOWN_GRACE_MS", self.shutdown_grace_ms.as_deref())
                .milliseconds(10_000, 100..=3_600_000)?,
            log_filter,
            log_format: Setting::new("LOG_FORMAT", self.log_format.as_deref())
                .optional("text or json", LogFormat::parse)?
                .unwrap_or_else(LogFormat::of_this_terminal),
        })
    }

    /// `ADMIN_ADDR` alone: all that the health check needs.
    ///
    /// # Errors
    /// When it is not an address.
    pub fn admin_address(&self, default: SocketAddr) -> Result<SocketAddr, SettingError> {
        Setting::new("ADMIN_ADDR", self.admin_addr.as_deref()).address(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_partitions_that_cannot_be_is_refused() {
        let arguments = |partitions: &str| CommonArguments {
            redis_partitions: Some(partitions.into()),
            ..Default::default()
        };
        let default = "127.0.0.1:9100".parse().unwrap();
        for partitions in ["1", "64"] {
            assert!(arguments(partitions).settings(default).is_ok());
        }
        for partitions in ["0", "65", "two"] {
            let error = arguments(partitions).settings(default).unwrap_err();
            assert!(error.to_string().contains("REDIS_PARTITIONS"), "{error}");
        }
    }
}
