//! The way to the collector: OTLP in protobuf over HTTP.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;

use super::settings::Settings;
use crate::settings::SettingError;

/// Bytes of an answer: a collector says little.
const LONGEST_ANSWER: usize = 64 << 10;

/// Sends spans where the environment says, with the headers that it names.
pub(super) fn exporter(settings: Settings) -> Result<SpanExporter, SettingError> {
    let refused = |expected: String| {
        SettingError::new("OTEL_EXPORTER_OTLP_ENDPOINT", "a URL (hidden)", expected)
    };
    SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(settings.timeout)
        .with_http_client(Collector {
            timeout: settings.timeout,
            client: Client::builder(TokioExecutor::new())
                .build(connector(settings).map_err(refused)?),
            runtime: Handle::current(),
            away: AtomicBool::new(false),
        })
        .build()
        .map_err(|_| refused("the URL of a collector".to_owned()))
}

fn connector(settings: Settings) -> Result<HttpsConnector<HttpConnector>, String> {
    // Who is not asked over TLS needs nobody to trust.
    let roots = match settings.authorities {
        Some(authorities) => authorities.into_store(),
        None => {
            let mut store = RootCertStore::empty();
            if settings.tls {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            store
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("a usable TLS ({error})"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .build())
}

/// A collector. It is nobody's business but the log's whether it answers.
struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// The SDK sends from a thread of its own, which has none.
    runtime: Handle,
    timeout: Duration,
    /// Whether the last spans could not be sent: the log tells when that changes.
    away: AtomicBool,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await?;
            Ok::<_, HttpError>(Response::from_parts(head, body.to_bytes()))
        };
        let limit = self.timeout;
        let exchange = self
            .runtime
            .spawn(async move { tokio::time::timeout(limit, exchange).await });
        let answer = match exchange.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("it does not answer in time".into()),
            Err(_) => Err("the process stops".into()),
        };
        self.tell(&answer);
        answer
    }
}

impl Collector {
    fn tell(&self, answer: &Result<Response<Bytes>, HttpError>) {
        let reason = match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status().as_u16())),
            Err(error) => {
                Some(crate::tls::reason(error.as_ref()).unwrap_or_else(|| error.to_string()))
            }
        };
        let was_away = self.away.swap(reason.is_some(), Ordering::Relaxed);
        match reason {
            Some(reason) if !was_away => {
                tracing::warn!(
                    reason,
                    "the collector does not take traces: they are lost, events are not"
                );
            }
            None if was_away => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}
