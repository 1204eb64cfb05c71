//! TLS with PostgreSQL. What `sslmode` and its companions mean is libpq's to say
//! (<https://www.postgresql.org/docs/15/libpq-ssl.html>); docs/encryption.md says where this differs.

mod any_name;
mod client_config;
mod files;
mod mode;

use deadpool_postgres::{ConfigConnectImpl, Connect as _};
use shared::settings::SettingError;
use shared::tls;
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::client_config::client_config;
use self::files::Files;
use self::mode::Mode;
use crate::database::connection_parameters::{Environment, Parameters};
use crate::database::driver_config::is_local;
use crate::database::pooler::Mark;

/// How connections are made: with TLS, without, or with either.
#[derive(Clone)]
pub(crate) struct Encryption {
    attempts: &'static [SslMode],
    /// `None` where there is nothing but connections without.
    tls: Option<MakeRustlsConnect>,
}

impl Encryption {
    /// Reads the parameters that begin with `ssl`, and the files that they name. A `config` that names
    /// addresses alone gets them as the names that TLS asks for.
    pub(crate) fn new(
        parameters: &Parameters<'_>,
        config: &mut Config,
        environment: Environment<'_>,
    ) -> Result<Self, SettingError> {
        let mode = mode(parameters)?;
        let is_direct = is_direct(parameters, config, mode)?;
        // There is no TLS on a socket of this machine.
        if mode == Mode::Disable || is_local(config) {
            let attempts = Mode::Disable.attempts();
            return Ok(Self {
                attempts,
                tls: None,
            });
        }
        name_addresses(parameters, config, mode)?;
        let files = Files {
            parameters,
            home: environment("HOME"),
        };
        let mut tls = client_config(mode, &files)?;
        if is_direct {
            tls.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(Self {
            attempts: mode.attempts(),
            tls: Some(MakeRustlsConnect::new(tls)),
        })
    }

    /// Connects in the way, or one of the ways, that `sslmode` says.
    pub(crate) async fn connect(&self, config: &Config) -> Result<Connected, Error> {
        let (last, first) = self
            .attempts
            .split_last()
            .unwrap_or((&SslMode::Disable, &[]));
        for mode in first {
            match self.connect_in(config, *mode).await {
                Err(error) if is_about_encryption(&error) => {}
                outcome => return outcome,
            }
        }
        self.connect_in(config, *last).await
    }

    async fn connect_in(&self, config: &Config, mode: SslMode) -> Result<Connected, Error> {
        let mut config = config.clone();
        config.ssl_mode(mode);
        let mut marked = config.clone();
        if let Some(mark) = Mark::put(&mut marked) {
            match self.connect_to(&marked).await {
                Err(error) if Mark::is_refused(&error) => {}
                Err(error) => return Err(error),
                Ok((client, task)) => {
                    mark.look_at(&client).await?;
                    return Ok((client, task));
                }
            }
        }
        self.connect_to(&config).await
    }

    async fn connect_to(&self, config: &Config) -> Result<Connected, Error> {
        match &self.tls {
            Some(tls) => ConfigConnectImpl { tls: tls.clone() }.connect(config).await,
            None => ConfigConnectImpl { tls: NoTls }.connect(config).await,
        }
    }
}

/// What `sslmode` says, or what it is where it is not set.
fn mode(parameters: &Parameters<'_>) -> Result<Mode, SettingError> {
    let system = parameters.get("sslrootcert") == Some("system");
    let text = parameters.get("sslmode");
    let mode = match text {
        Some(text) => Mode::parse(text).ok_or_else(|| parameters.not_as_expected("sslmode"))?,
        None if system => Mode::VerifyFull,
        None => Mode::Prefer,
    };
    if system && mode != Mode::VerifyFull {
        let text = text.unwrap_or_default();
        let found = format!("{text} with sslrootcert=system");
        return Err(parameters.refused("sslmode", &found, "verify-full"));
    }
    Ok(mode)
}

/// Whether TLS begins without asking the server for it.
fn is_direct(
    parameters: &Parameters<'_>,
    config: &Config,
    mode: Mode,
) -> Result<bool, SettingError> {
    let is_direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
    if is_direct && mode < Mode::Require {
        let (found, expected) = ("direct with a weaker sslmode", "sslmode=require or above");
        return Err(parameters.refused("sslnegotiation", found, expected));
    }
    Ok(is_direct)
}

/// TLS asks for a name, and where there are none but addresses they are the names.
fn name_addresses(
    parameters: &Parameters<'_>,
    config: &mut Config,
    mode: Mode,
) -> Result<(), SettingError> {
    if !config.get_hosts().is_empty() {
        return Ok(());
    }
    if mode == Mode::VerifyFull {
        let (found, expected) = ("no host beside it", "a host, for sslmode=verify-full");
        return Err(parameters.refused("hostaddr", found, expected));
    }
    for address in config.get_hostaddrs().to_vec() {
        config.host(address.to_string());
    }
    Ok(())
}

/// A connection, and the task that drives it.
pub(crate) type Connected = (Client, JoinHandle<()>);

/// Whether the server may take a connection that is encrypted if this one is not, or the other way
/// round. pg_hba.conf may say so, with 28000.
fn is_about_encryption(error: &Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
        || reason(error).is_some()
        // The driver tells the kind of an error in its text only.
        || error.to_string().contains("TLS handshake")
}

/// What went wrong with TLS, in words; `None` if the error is about something else.
pub(crate) fn reason(error: &Error) -> Option<String> {
    tls::reason(error).or_else(|| {
        let source = std::error::Error::source(error)?.to_string();
        (source == "server does not support TLS").then(|| "the server does not do TLS".to_owned())
    })
}
