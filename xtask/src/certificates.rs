//! Certificates for servers and clients, and the authorities that sign them.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// An authority that nobody has heard of, and what it has signed, as files of PEM in a temporary
/// folder. Dropping it removes the folder.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, as files of PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
}

/// What a certificate says.
#[derive(Clone, Copy)]
enum Kind {
    Server { expired: bool },
    Client,
}

impl Authority {
    /// An authority of that name.
    ///
    /// # Errors
    ///
    /// When no key can be made or no file written.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
            folder: tempfile::Builder::new().prefix("authority-").tempdir()?,
        };
        fs::write(authority.file(), pem("CERTIFICATE", authority.issuer.der()))?;
        Ok(authority)
    }

    /// The file of its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A certificate for servers of these names and IP addresses.
    ///
    /// # Errors
    ///
    /// As [`Authority::new`].
    pub fn server(&self, names: &[&str]) -> anyhow::Result<Certificate> {
        self.sign(names, Kind::Server { expired: false })
    }

    /// The same, no longer valid.
    ///
    /// # Errors
    ///
    /// As [`Authority::new`].
    pub fn expired_server(&self, names: &[&str]) -> anyhow::Result<Certificate> {
        self.sign(names, Kind::Server { expired: true })
    }

    /// A certificate that shows who a client is.
    ///
    /// # Errors
    ///
    /// As [`Authority::new`].
    pub fn client(&self, name: &str) -> anyhow::Result<Certificate> {
        self.sign(&[name], Kind::Client)
    }

    fn sign(&self, names: &[&str], kind: Kind) -> anyhow::Result<Certificate> {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let mut params = CertificateParams::new(names.clone())?;
        params
            .distinguished_name
            .push(DnType::CommonName, &names[0]);
        let (purpose, expired) = match kind {
            Kind::Server { expired } => (ExtendedKeyUsagePurpose::ServerAuth, expired),
            Kind::Client => (ExtendedKeyUsagePurpose::ClientAuth, false),
        };
        params.extended_key_usages = vec![purpose];
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let folder = tempfile::Builder::new()
            .prefix("certificate-")
            .tempdir_in(&self.folder)?
            .keep();
        let files = Certificate {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        fs::write(&files.certificate, pem("CERTIFICATE", certificate.der()))?;
        fs::write(&files.key, pem("PRIVATE KEY", &key.serialize_der()))?;
        Ok(files)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    // 48 bytes are a line of 64 characters.
    let lines = der.chunks(48).map(|line| STANDARD.encode(line) + "\n");
    let text: String = lines.collect();
    format!("-----BEGIN {label}-----\n{text}-----END {label}-----\n")
}
