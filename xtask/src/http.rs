//! A small HTTP/1.1 client.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// Longer than the 15 s that Svix gives an endpoint.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client that keeps its connections open between requests. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code, such as 200.
    pub status: u16,
    /// The response's headers.
    pub headers: HeaderMap,
    /// The whole body; bytes that are not UTF-8 are replaced.
    pub body: String,
}

impl Answer {
    /// The value of a header, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Http {
    /// A client without open connections.
    pub fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Sends one request (plain `http://` only) and reads the whole answer.
    ///
    /// # Errors
    ///
    /// When method, URL or a header cannot be sent, the server cannot be reached, the connection
    /// breaks, or no complete answer arrives within 30 s. An answer of any status is not an error.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(impl AsRef<str>, impl AsRef<str>)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name.as_ref(), value.as_ref());
        }
        let request = request.body(Full::new(body.into()))?;
        let exchange = async {
            let (head, body) = self.client.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: String::from_utf8_lossy(&body).into_owned(),
            })
        };
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .with_context(|| format!("{method} {url}: no answer within {TIMEOUT:?}"))?
            .with_context(|| format!("{method} {url}"))
    }

    /// `GET url`.
    ///
    /// # Errors
    ///
    /// As [`Http::send`].
    pub async fn get(&self, url: &str) -> anyhow::Result<Answer> {
        self.send("GET", url, &[] as &[(&str, &str)], Bytes::new())
            .await
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}
