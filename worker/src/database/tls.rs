//! TLS with PostgreSQL. What `sslmode` and its companions mean is libpq's to say
//! (<https://www.postgresql.org/docs/15/libpq-ssl.html>); docs/encryption.md says where this differs.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use deadpool_postgres::{ConfigConnectImpl, Connect as _};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};
use shared::settings::SettingError;
use shared::tls::{self, Authorities, CERTIFICATES_EXPECTED};
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::database::connection_parameters::{Environment, Parameters};
use crate::database::pooler::Mark;
use crate::database::url::is_local;

const KEY_EXPECTED: &str = "a file with an unencrypted private key in PEM";

/// `sslmode`, from the weakest to the strongest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// How to connect, and how then if the server does not take it.
    fn attempts(self) -> &'static [SslMode] {
        match self {
            Self::Disable => &[SslMode::Disable],
            Self::Allow => &[SslMode::Disable, SslMode::Require],
            Self::Prefer => &[SslMode::Prefer, SslMode::Disable],
            Self::Require | Self::VerifyCa | Self::VerifyFull => &[SslMode::Require],
        }
    }
}

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
        let system = parameters.get("sslrootcert") == Some("system");
        let mode = match parameters.get("sslmode") {
            Some(text) => Mode::parse(text).ok_or_else(|| parameters.not_as_expected("sslmode"))?,
            None if system => Mode::VerifyFull,
            None => Mode::Prefer,
        };
        let text = parameters.get("sslmode").unwrap_or_default();
        if system && mode != Mode::VerifyFull {
            let found = format!("{text} with sslrootcert=system");
            return Err(parameters.refused("sslmode", &found, "verify-full"));
        }
        let direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        if direct && mode < Mode::Require {
            let (found, expected) = ("direct with a weaker sslmode", "sslmode=require or above");
            return Err(parameters.refused("sslnegotiation", found, expected));
        }
        // There is no TLS on a socket of this machine.
        if mode == Mode::Disable || is_local(config) {
            let attempts = Mode::Disable.attempts();
            return Ok(Self {
                attempts,
                tls: None,
            });
        }
        if config.get_hosts().is_empty() {
            if mode == Mode::VerifyFull {
                let (found, expected) = ("no host beside it", "a host, for sslmode=verify-full");
                return Err(parameters.refused("hostaddr", found, expected));
            }
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        let files = Files {
            parameters,
            home: environment("HOME"),
        };
        let roots = files.roots()?;
        if roots.is_none() && mode >= Mode::VerifyCa {
            let found = format!("{text} without sslrootcert");
            let expected = "sslrootcert=FILE, sslrootcert=system or a file ~/.postgresql/root.crt";
            return Err(parameters.refused("sslmode", &found, expected));
        }
        let builder = ClientConfig::builder_with_protocol_versions(&versions(parameters)?);
        let algorithms = builder.crypto_provider().signature_verification_algorithms;
        let builder = match roots {
            Some(roots) if mode == Mode::VerifyFull => builder.with_root_certificates(roots),
            roots => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName { roots, algorithms })),
        };
        let mut tls =
            match files.client_certificate()? {
                Some((certificates, key)) => builder
                    .with_client_auth_cert(certificates, key)
                    .map_err(|_| {
                        parameters.refused(
                            "sslkey",
                            "the key of another certificate",
                            "that of sslcert",
                        )
                    })?,
                None => builder.with_no_client_auth(),
            };
        tls.enable_sni = parameters.get("sslsni") != Some("0");
        if direct {
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

/// A connection, and the task that drives it.
pub(crate) type Connected = (Client, JoinHandle<()>);

/// The versions of TLS that may be spoken. There are two, so a limit says which one is left.
fn versions(
    parameters: &Parameters<'_>,
) -> Result<Vec<&'static SupportedProtocolVersion>, SettingError> {
    let newest_only = parameters.get("ssl_min_protocol_version") == Some("TLSv1.3");
    let older_only = parameters.get("ssl_max_protocol_version") == Some("TLSv1.2");
    match (newest_only, older_only) {
        (false, false) => Ok(rustls::ALL_VERSIONS.to_vec()),
        (true, false) => Ok(vec![&rustls::version::TLS13]),
        (false, true) => Ok(vec![&rustls::version::TLS12]),
        (true, true) => {
            let (found, expected) = ("TLSv1.3", "no more than ssl_max_protocol_version");
            Err(parameters.refused("ssl_min_protocol_version", found, expected))
        }
    }
}

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

/// The files that the parameters name, or those in libpq's folder.
struct Files<'a> {
    parameters: &'a Parameters<'a>,
    home: Option<OsString>,
}

impl Files<'_> {
    /// What the parameter names, or the file of that name in `~/.postgresql` if there is one.
    fn named(&self, keyword: &str, default: &str) -> Option<String> {
        let named = self.parameters.get(keyword).map(str::to_owned);
        named.or_else(|| self.in_folder(default))
    }

    /// The file of that name in `~/.postgresql`, if there is one.
    fn in_folder(&self, name: &str) -> Option<String> {
        let folder = Path::new(self.home.as_ref()?).join(".postgresql");
        let file = Some(folder.join(name)).filter(|file| file.exists())?;
        Some(file.to_string_lossy().into_owned())
    }

    fn roots(&self) -> Result<Option<RootCertStore>, SettingError> {
        let refused = |found: &str| {
            self.parameters
                .refused("sslrootcert", found, CERTIFICATES_EXPECTED)
        };
        match self.named("sslrootcert", "root.crt").as_deref() {
            None => Ok(None),
            Some("system") => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if store.is_empty() {
                    return Err(refused("system, which has no certificates"));
                }
                Ok(Some(store))
            }
            // libpq would take it for the revocations of these authorities.
            Some(_) if self.in_folder("root.crl").is_some() => Err(SettingError::new(
                "~/.postgresql/root.crl",
                "a file",
                "none: revocation lists are not supported",
            )),
            Some(file) => match Authorities::read(file) {
                Ok(authorities) => Ok(Some(authorities.into_store())),
                Err(found) => Err(refused(&found)),
            },
        }
    }

    /// How we show who we are, if we do.
    fn client_certificate(&self) -> Result<Option<ClientCertificate>, SettingError> {
        let refused =
            |keyword, found: String, expected| self.parameters.refused(keyword, &found, expected);
        if self.parameters.get("sslcertmode") == Some("disable") {
            return Ok(None);
        }
        let Some(file) = self.named("sslcert", "postgresql.crt") else {
            return Ok(None);
        };
        let (_, certificates) = tls::certificates(&file)
            .map_err(|found| refused("sslcert", found, CERTIFICATES_EXPECTED))?;
        let Some(file) = self.named("sslkey", "postgresql.key") else {
            return Err(refused(
                "sslcert",
                "a file without sslkey".to_owned(),
                "sslkey too",
            ));
        };
        let refused = |found: &str| refused("sslkey", format!("{file:?}, {found}"), KEY_EXPECTED);
        let pem = std::fs::read(&file).map_err(|error| refused(&tls::unreadable(&error)))?;
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| refused("in which there is no such key"))?;
        Ok(Some((certificates, key)))
    }
}

type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Takes the certificate of a server whatever name it has, as libpq does below verify-full. It must have
/// been signed by an authority in `roots`; where there are none anybody's will do. That the server has
/// the key of its certificate is verified all the same.
#[derive(Debug)]
struct AnyName {
    roots: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
