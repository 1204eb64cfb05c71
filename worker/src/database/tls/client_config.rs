//! What rustls is told of how to speak TLS with PostgreSQL.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, SupportedProtocolVersion};
use shared::settings::SettingError;

use super::any_name::AnyName;
use super::files::Files;
use super::mode::Mode;
use crate::database::connection_parameters::Parameters;

/// What `mode` and the parameters of `files` say.
///
/// # Errors
/// Names the variable that cannot be used.
pub(super) fn client_config(mode: Mode, files: &Files<'_>) -> Result<ClientConfig, SettingError> {
    let roots = roots(mode, files)?;
    let builder = trusting(mode, roots, &versions(files.parameters)?);
    let mut config = match files.client_certificate()? {
        Some((certificates, key)) => {
            builder
                .with_client_auth_cert(certificates, key)
                .map_err(|_| {
                    let (found, expected) = ("the key of another certificate", "that of sslcert");
                    files.parameters.refused("sslkey", found, expected)
                })?
        }
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = files.parameters.get("sslsni") != Some("0");
    Ok(config)
}

/// The authorities, which there must be where a certificate is verified.
fn roots(mode: Mode, files: &Files<'_>) -> Result<Option<RootCertStore>, SettingError> {
    let roots = files.roots()?;
    if roots.is_none() && mode >= Mode::VerifyCa {
        let text = files.parameters.get("sslmode").unwrap_or_default();
        let found = format!("{text} without sslrootcert");
        let expected = "sslrootcert=FILE, sslrootcert=system or a file ~/.postgresql/root.crt";
        return Err(files.parameters.refused("sslmode", &found, expected));
    }
    Ok(roots)
}

fn trusting(
    mode: Mode,
    roots: Option<RootCertStore>,
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let builder = ClientConfig::builder_with_protocol_versions(versions);
    let algorithms = builder.crypto_provider().signature_verification_algorithms;
    match roots {
        Some(roots) if mode == Mode::VerifyFull => builder.with_root_certificates(roots),
        roots => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName { roots, algorithms })),
    }
}

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
