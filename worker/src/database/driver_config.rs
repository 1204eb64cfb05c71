//! What tokio-postgres is told of where PostgreSQL is.
//!
//! It reads connection strings too, but stops at what it does not know, such as `sslrootcert`, and knows no
//! environment. So it is given the parameters that it knows, one by one.

use std::borrow::Cow;
use std::time::Duration;

use shared::settings::SettingError;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::database::connection_parameters::Parameters;

/// How long to wait for a connection where `connect_timeout` does not say it: longer than a resolver
/// takes to give up its first name server and ask the next (5 s, resolv.conf(5)).
pub(crate) const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that has vanished is noticed after this, also while a transaction waits for it.
const SILENCE: Duration = Duration::from_secs(15);

/// What tokio-postgres makes of the parameters that it knows.
///
/// # Errors
/// Names the variable that cannot be used.
pub(crate) fn driver_config(parameters: &Parameters<'_>) -> Result<Config, SettingError> {
    let mut config = read(parameters)?;
    check_servers(parameters, &config)?;
    add_defaults(parameters, &mut config);
    Ok(config)
}

fn read(parameters: &Parameters<'_>) -> Result<Config, SettingError> {
    let mut accepted = String::new();
    for (keyword, value) in parameters.of_the_driver() {
        let (name, value) = match keyword {
            "keepalives_count" => ("keepalives_retries", value.into()),
            "tcp_user_timeout" => (keyword, seconds(value).unwrap_or_else(|| value.into())),
            _ => (keyword, Cow::from(value)),
        };
        let value = value.replace('\\', r"\\").replace('\'', r"\'");
        let pair = format!("{name}='{value}' ");
        // One by one, to know which it is.
        if pair.parse::<Config>().is_err() {
            return Err(parameters.not_as_expected(keyword));
        }
        accepted.push_str(&pair);
    }
    accepted
        .parse()
        .map_err(|_| parameters.not_as_expected("host"))
}

/// libpq counts this one in milliseconds, tokio-postgres in seconds.
fn seconds(milliseconds: &str) -> Option<Cow<'static, str>> {
    let milliseconds: u64 = milliseconds.parse().ok()?;
    Some(milliseconds.div_ceil(1000).to_string().into())
}

/// Whether hosts, addresses and ports fit together.
fn check_servers(parameters: &Parameters<'_>, config: &Config) -> Result<(), SettingError> {
    let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
    if hosts > 0 && addresses > 0 && hosts != addresses {
        return Err(parameters.refused("hostaddr", "another number of them", "one for each host"));
    }
    // The end of a password in which an @ was not written as %40.
    let is_host = |host: &Host| !matches!(host, Host::Tcp(name) if name.contains('@'));
    if !config.get_hosts().iter().all(is_host) {
        return Err(parameters.not_as_expected("host"));
    }
    if ![0, 1, hosts.max(addresses)].contains(&config.get_ports().len()) {
        return Err(parameters.not_as_expected("port"));
    }
    Ok(())
}

fn add_defaults(parameters: &Parameters<'_>, config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECTION_TIMEOUT);
    }
    if !parameters.has("keepalives_idle") {
        config.keepalives_idle(SILENCE);
    }
    if !parameters.has("tcp_user_timeout") {
        config.tcp_user_timeout(SILENCE);
    }
    if config.get_application_name().is_none() {
        let fallback = parameters.get("fallback_application_name");
        config.application_name(fallback.unwrap_or("clerk-worker"));
    }
}

/// Whether all hosts are folders of sockets.
pub(crate) fn is_local(config: &Config) -> bool {
    let local = |host: &Host| matches!(host, Host::Unix(_));
    config.get_hostaddrs().is_empty() && config.get_hosts().iter().all(local)
}
