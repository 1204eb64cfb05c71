//! The URL of one Redis or several.

use redis::{ConnectionInfo, IntoConnectionInfo as _};
use url::Url;

use crate::tls::Authorities;

/// What a URL is expected to be.
pub const URL_EXPECTED: &str = "a URL such as redis://user:password@host:6379/0, or rediss:// for TLS; \
     redis://host:6379,host:6379 for a cluster; redis-sentinel://host:26379,host:26379/0?master=name";

const NO_FRAGMENT: &str =
    "a URL without # (the server's certificate is always verified; %23 in a password)";

const NO_SEPARATORS: &str = "a user and password without / and ? (%2F, %3F)";

/// The kind of a URL of Sentinels.
pub(super) const SENTINEL: &str = "sentinel";

/// The parts of a URL: `SCHEME-KIND://USER@HOST,HOST/PATH`. A URL of Sentinels has its query apart.
pub(super) struct ServersUrl<'a> {
    /// `redis`, or `rediss` for TLS.
    scheme: &'a str,
    /// Empty, `cluster`, `sentinel`, or something that we do not know.
    pub(super) kind: &'a str,
    /// User and password, with the `@` behind them; or nothing.
    user: &'a str,
    /// With commas between.
    hosts: &'a str,
    /// With the `/` or `?` that it begins with; or nothing.
    path: &'a str,
    /// What is about the Sentinels, which says nothing of a server.
    pub(super) query: &'a str,
}

impl<'a> ServersUrl<'a> {
    /// # Errors
    /// What was expected instead.
    pub(super) fn parse(value: &'a str) -> Result<Self, &'static str> {
        let (scheme, rest) = value.split_once("://").ok_or(URL_EXPECTED)?;
        let (scheme, kind) = scheme.split_once('-').unwrap_or((scheme, ""));
        if !matches!(scheme, "redis" | "rediss") {
            return Err(URL_EXPECTED);
        }
        if rest.contains('#') {
            return Err(NO_FRAGMENT);
        }
        let (rest, query) = match rest.split_once('?') {
            Some(parts) if kind == SENTINEL => parts,
            _ => (rest, ""),
        };
        // The password of a server may hold an @.
        let (user, rest) = match rest.rfind('@') {
            Some(end) => rest.split_at(end + 1),
            None => ("", rest),
        };
        // They would end what is taken for the host.
        if user.contains(['/', '?']) {
            return Err(NO_SEPARATORS);
        }
        let (hosts, path) = match rest.find(['/', '?']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        Ok(Self {
            scheme,
            kind,
            user,
            hosts,
            path,
            query,
        })
    }

    /// The way to each host, each with the same user, password and path. Their certificates are verified by
    /// `authorities` or, where there are none, by the system's.
    ///
    /// # Errors
    /// What was expected instead of one of them.
    pub(super) fn servers(
        &self,
        authorities: Option<&Authorities>,
    ) -> Result<Vec<ConnectionInfo>, &'static str> {
        let Self {
            scheme, user, path, ..
        } = self;
        let default_port = if self.kind == SENTINEL { ":26379" } else { "" };
        let server_at = |host: &str| {
            let port = if has_port(host) { "" } else { default_port };
            server(&format!("{scheme}://{user}{host}{port}{path}"), authorities)
        };
        self.hosts.split(',').map(server_at).collect()
    }
}

fn server(url: &str, authorities: Option<&Authorities>) -> Result<ConnectionInfo, &'static str> {
    let has_host = Url::parse(url).is_ok_and(|url| url.host().is_some());
    if !has_host {
        return Err(URL_EXPECTED);
    }
    let info = url
        .into_connection_info()
        .and_then(|info| match authorities {
            Some(authorities) => authorities.trusted_at(info),
            None => Ok(info),
        });
    info.map_err(|_| URL_EXPECTED)
}

/// Whether a host is followed by a port; an IPv6 address is in brackets.
fn has_port(host: &str) -> bool {
    host.rsplit(']').next().is_some_and(|end| end.contains(':'))
}
