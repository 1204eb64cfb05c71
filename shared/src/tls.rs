//! TLS to the stores: whom we trust, and what went wrong, in words.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{Client, ConnectionInfo, RedisResult, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{AlertDescription, CertificateError, RootCertStore};

/// What a file of authorities is expected to be.
pub const CERTIFICATES_EXPECTED: &str =
    "a file with one or more certificates in PEM (-----BEGIN CERTIFICATE-----)";

/// The authorities whose certificates are trusted, out of a file.
#[derive(Clone, Debug)]
pub struct Authorities {
    /// The `redis` crate takes them as they stand in the file.
    pem: Vec<u8>,
    store: RootCertStore,
}

impl Authorities {
    /// Reads a file of certificates in PEM.
    ///
    /// # Errors
    /// What was found instead; it goes with [`CERTIFICATES_EXPECTED`].
    pub fn read(file: &str) -> Result<Self, String> {
        let (pem, certificates) = certificates(file)?;
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            let added = store.add(certificate);
            added.map_err(|_| format!("{file:?}, in which a certificate is damaged"))?;
        }
        Ok(Self { pem, store })
    }

    /// For rustls.
    #[must_use]
    pub fn into_store(self) -> RootCertStore {
        self.store
    }

    /// Where a Redis is, with these authorities instead of the system's if TLS is spoken there.
    ///
    /// # Errors
    /// When the `redis` crate cannot read them.
    pub(crate) fn trusted_at(&self, info: ConnectionInfo) -> RedisResult<ConnectionInfo> {
        if !matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
            return Ok(info);
        }
        let client = Client::build_with_tls(info, self.for_redis())?;
        Ok(client.get_connection_info().clone())
    }

    /// For a client of several Redis servers.
    pub(crate) fn for_redis(&self) -> TlsCertificates {
        TlsCertificates {
            client_tls: None,
            root_cert: Some(self.pem.clone()),
        }
    }
}

/// The bytes of a file, and the certificates in them: one at least.
///
/// # Errors
/// What was found instead; it goes with [`CERTIFICATES_EXPECTED`].
pub fn certificates(file: &str) -> Result<(Vec<u8>, Vec<CertificateDer<'static>>), String> {
    let found = |what: &str| format!("{file:?}, {what}");
    let pem = std::fs::read(file).map_err(|error| found(&unreadable(&error)))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| found("in which a certificate is damaged"))?;
    if certificates.is_empty() {
        return Err(found("in which there is no certificate"));
    }
    Ok((pem, certificates))
}

/// Why a file cannot be read, for the line about a setting.
#[must_use]
pub fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "which does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "which may not be read".to_owned(),
        _ => format!("which cannot be read ({error})"),
    }
}

/// A server said nothing in time to somebody who wants to speak TLS with it. A Redis that does not do TLS
/// waits for the end of a command that never comes, so it cannot be told from one that hangs.
#[derive(Debug, thiserror::Error)]
#[error("the server does not do TLS, or does not answer")]
pub(crate) struct Silence;

/// What went wrong between the two ends of a TLS connection, in words; `None` if `error` is about
/// something else. Tells names of hosts and of nothing else.
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return Some(in_words(error));
        }
        if let Some(silence) = error.downcast_ref::<Silence>() {
            return Some(silence.to_string());
        }
        next = wrapped(error).or_else(|| error.source());
    }
    None
}

/// An `io::Error`, and the `Arc` in a `RedisError`, calls the source of what it wraps its own and
/// leaves out what it wraps.
fn wrapped<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|error| error as _);
    }
    let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    Some(shared.as_ref())
}

fn in_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => of_a_certificate(error),
        rustls::Error::InvalidMessage(_) => "the server does not do TLS".to_owned(),
        rustls::Error::NoCertificatesPresented => "the server has no certificate".to_owned(),
        rustls::Error::AlertReceived(alert) => of_an_alert(*alert),
        rustls::Error::PeerIncompatible(_) => {
            format!("the server's TLS is too old or too different: {error}")
        }
        other => format!("TLS has failed: {other}"),
    }
}

fn of_a_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "the server's certificate was signed by an unknown authority".to_owned()
        }
        CertificateError::NotValidForName => {
            "the server's certificate is not for this host".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, .. } => {
            format!("the server's certificate is not for {}", expected.to_str())
        }
        other => format!("the server's certificate is not accepted: {other}"),
    }
}

/// What the server says to us.
fn of_an_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::NoCertificate
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA => {
            format!(
                "the server does not accept this client's certificate, or wants one ({alert:?})"
            )
        }
        other => format!("the server has ended the TLS handshake ({other:?})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_certificate_is_refused_and_named() {
        let folder = std::env::temp_dir();
        let missing = folder.join("no-such-file.pem");
        let error = Authorities::read(&missing.to_string_lossy()).unwrap_err();
        assert!(
            error.ends_with("no-such-file.pem\", which does not exist"),
            "{error}"
        );
        let error = Authorities::read(file!().trim_start_matches("shared/")).unwrap_err();
        assert!(
            error.ends_with("tls.rs\", in which there is no certificate"),
            "{error}"
        );
    }

    #[test]
    fn an_error_that_is_wrapped_is_found_and_told_in_words() {
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let error = redis::RedisError::from(io::Error::other(expired));
        assert_eq!(
            reason(&error).as_deref(),
            Some("the server's certificate has expired")
        );
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(reason(&redis::RedisError::from(refused)), None);
    }
}
