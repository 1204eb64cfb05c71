//! Files of certificates and keys.

use std::ffi::OsString;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared::settings::SettingError;
use shared::tls::{self, Authorities, CERTIFICATES_EXPECTED};

use crate::database::connection_parameters::Parameters;

const KEY_EXPECTED: &str = "a file with an unencrypted private key in PEM";

/// The files that the parameters name, or those in libpq's folder.
pub(super) struct Files<'a> {
    pub(super) parameters: &'a Parameters<'a>,
    pub(super) home: Option<OsString>,
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

    /// The authorities that sign servers' certificates. `None` where they are not named and there is no such file.
    pub(super) fn roots(&self) -> Result<Option<RootCertStore>, SettingError> {
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
    pub(super) fn client_certificate(&self) -> Result<Option<ClientCertificate>, SettingError> {
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

/// The chain, and the key of its first certificate.
pub(super) type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);
