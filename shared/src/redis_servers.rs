//! Where Redis is: one server, a cluster, or a master that Sentinels know.

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo, RedisResult,
};
use url::Url;

use crate::tls::Authorities;

/// What a URL is expected to be.
pub const URL_EXPECTED: &str = "a URL such as redis://user:password@host:6379/0, or rediss:// for TLS; \
     redis://host:6379,host:6379 for a cluster; redis-sentinel://host:26379,host:26379/0?master=name";

const NO_FRAGMENT: &str =
    "a URL without # (the server's certificate is always verified; %23 in a password)";

const NO_SEPARATORS: &str = "a user and password without / and ? (%2F, %3F)";

/// Where Redis is.
#[derive(Clone, Debug)]
pub struct RedisServers {
    pub(crate) kind: Kind,
    authorities: Option<Authorities>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Server(ConnectionInfo),
    /// Nodes of a cluster: any of them that answers names the others.
    Cluster(Vec<ConnectionInfo>),
    Sentinels(Sentinels),
}

/// A master that is found by asking Sentinels.
#[derive(Clone, Debug)]
pub(crate) struct Sentinels {
    pub(crate) nodes: Vec<ConnectionInfo>,
    /// What they call it.
    pub(crate) master: String,
    /// The way to it, but for its address.
    of_master: ConnectionInfo,
}

impl RedisServers {
    /// What a URL says: one of these, and the same with `rediss`, which speaks TLS with all of them. Their
    /// certificates are verified by `authorities` or, where there are none, by the system's.
    ///
    /// | URL | is |
    /// | --- | --- |
    /// | `redis://user:password@host:6379/0` | one server |
    /// | `redis://user:password@host:6379,host:6379` | a cluster, by some of its nodes |
    /// | `redis-cluster://user:password@host:6379` | a cluster, by one node or more |
    /// | `redis-sentinel://user:password@host:26379,host:26379/0?master=name` | the master that these Sentinels call `name`. User, password and database are the master's; `sentinel_username` and `sentinel_password` are for the Sentinels |
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(value: &str, authorities: Option<&Authorities>) -> Result<Self, &'static str> {
        let (scheme, rest) = value.split_once("://").ok_or(URL_EXPECTED)?;
        let (scheme, kind) = scheme.split_once('-').unwrap_or((scheme, ""));
        if !matches!(scheme, "redis" | "rediss") {
            return Err(URL_EXPECTED);
        }
        if rest.contains('#') {
            return Err(NO_FRAGMENT);
        }
        let is_sentinel = kind == "sentinel";
        // What is about the Sentinels says nothing of a server.
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) if is_sentinel => (rest, query),
            _ => (rest, ""),
        };
        // The password of a server may hold an @.
        let (user, rest) = match rest.rsplit_once('@') {
            // They would end what is taken for the host.
            Some((user, _)) if user.contains(['/', '?']) => return Err(NO_SEPARATORS),
            Some((user, rest)) => (format!("{user}@"), rest),
            None => (String::new(), rest),
        };
        let (hosts, path) = match rest.find(['/', '?']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        let default_port = if is_sentinel { ":26379" } else { "" };
        let mut nodes = Vec::new();
        for host in hosts.split(',') {
            let port = if has_port(host) { "" } else { default_port };
            let url = format!("{scheme}://{user}{host}{port}{path}");
            nodes.push(server(&url, authorities)?);
        }
        let kind = match (kind, nodes.as_slice()) {
            ("", [server]) => Kind::Server(server.clone()),
            ("" | "cluster", [first, ..]) => {
                if first.redis_settings().db() != 0 {
                    return Err("database 0, the only one that a cluster has");
                }
                Kind::Cluster(nodes)
            }
            ("sentinel", _) => Kind::Sentinels(Sentinels::new(nodes, query)?),
            _ => return Err(URL_EXPECTED),
        };
        Ok(Self {
            kind,
            authorities: authorities.cloned(),
        })
    }

    /// Whether keys lie on several servers, so that what is done in one step must be about one slot.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_))
    }

    /// Whether TLS is spoken with them.
    pub(crate) fn speak_tls(&self) -> bool {
        let first = match &self.kind {
            Kind::Server(server) => Some(server),
            Kind::Cluster(nodes) | Kind::Sentinels(Sentinels { nodes, .. }) => nodes.first(),
        };
        first.is_some_and(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// A client of the cluster that `nodes` belong to.
    pub(crate) fn cluster_client(
        &self,
        nodes: &[ConnectionInfo],
        configure: impl FnOnce(ClusterClientBuilder) -> ClusterClientBuilder,
    ) -> RedisResult<ClusterClient> {
        let mut builder = ClusterClientBuilder::new(nodes.iter().cloned());
        if self.speak_tls()
            && let Some(authorities) = &self.authorities
        {
            builder = builder.certs(authorities.for_redis());
        }
        configure(builder).build()
    }
}

impl Sentinels {
    /// `nodes` are the Sentinels, with what is needed to log in to the master.
    fn new(nodes: Vec<ConnectionInfo>, query: &str) -> Result<Self, &'static str> {
        let (mut master, mut username, mut password) = (None, None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "master" => &mut master,
                "sentinel_username" => &mut username,
                "sentinel_password" => &mut password,
                _ => return Err("master, sentinel_username, sentinel_password behind the ?"),
            };
            *place = Some(value.into_owned()).filter(|value| !value.is_empty());
        }
        let mut of_a_sentinel = RedisConnectionInfo::default();
        if let Some(username) = username {
            of_a_sentinel = of_a_sentinel.set_username(username);
        }
        if let Some(password) = password {
            of_a_sentinel = of_a_sentinel.set_password(password);
        }
        Ok(Self {
            of_master: nodes.first().ok_or(URL_EXPECTED)?.clone(),
            nodes: nodes
                .into_iter()
                .map(|node| node.set_redis_settings(of_a_sentinel.clone()))
                .collect(),
            master: master.ok_or("?master=name, as the Sentinels call the master")?,
        })
    }

    /// The master, when it is at this address.
    pub(crate) fn master_at(&self, host: String, port: u16) -> ConnectionInfo {
        let mut address = self.of_master.addr().clone();
        match &mut address {
            ConnectionAddr::TcpTls {
                host: h, port: p, ..
            } => (*h, *p) = (host, port),
            other => *other = ConnectionAddr::Tcp(host, port),
        }
        self.of_master.clone().set_addr(address)
    }
}

/// One server.
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

/// Whether a host is followed by a port; an IPv6 address stands in brackets.
fn has_port(host: &str) -> bool {
    host.rsplit(']').next().is_some_and(|end| end.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(nodes: &[ConnectionInfo]) -> String {
        let addresses: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
        addresses.join(" ")
    }

    #[test]
    fn a_url_names_one_server_a_cluster_or_sentinels() {
        let parse = |url| RedisServers::parse(url, None).unwrap();
        let Kind::Server(server) = parse("redis://me:a@b@host/2").kind else {
            panic!("no server");
        };
        assert_eq!(server.addr().to_string(), "host:6379");
        assert_eq!(server.redis_settings().password(), Some("a@b"));
        assert_eq!(server.redis_settings().db(), 2);

        for (url, expected) in [
            ("rediss://me:secret@a,b:7,[::1]:8/", "a:6379 b:7 ::1:8"),
            ("redis-cluster://a:7000", "a:7000"),
        ] {
            let servers = parse(url);
            assert_eq!(servers.speak_tls(), url.starts_with("rediss"));
            let Kind::Cluster(nodes) = servers.kind else {
                panic!("no cluster: {url}");
            };
            assert_eq!(addresses(&nodes), expected);
        }

        let servers = parse(
            "redis-sentinel://me:secret@a,b:7,[::1]/3?master=the%20one&sentinel_password=p%26q@r",
        );
        let Kind::Sentinels(sentinels) = servers.kind else {
            panic!("no Sentinels");
        };
        assert_eq!(addresses(&sentinels.nodes), "a:26379 b:7 ::1:26379");
        assert_eq!(sentinels.master, "the one");
        let of_a_sentinel = sentinels.nodes[0].redis_settings();
        assert_eq!(of_a_sentinel.password(), Some("p&q@r"));
        assert_eq!(of_a_sentinel.username(), None);
        let master = sentinels.master_at("m".to_owned(), 9);
        assert_eq!(master.addr().to_string(), "m:9");
        assert_eq!(master.redis_settings().db(), 3);
        assert_eq!(master.redis_settings().password(), Some("secret"));
        assert!(!format!("{sentinels:?}").contains("secret"));
        assert!(!format!("{sentinels:?}").contains("p&q"));
    }

    #[test]
    fn a_url_that_names_none_is_refused() {
        for url in [
            "",
            "a:1",
            "redis://",
            "rediss://",
            "redis://a,,b",
            "redis://a,b/1",
            "redis-cluster://",
            "redis-cluster://a/1",
            "redis-sentinel://a",
            "redis-sentinel://a?master=",
            "redis-sentinel://a?master=m&slave=s",
            "redis-other://a",
            "redis+sentinel://a/x",
            "unix:///x",
            "redis://a:port",
            "redis://a#insecure",
            "redis://me:1/2@a",
            "redis://me:1?2@a",
            "redis://a,b#insecure",
        ] {
            assert!(RedisServers::parse(url, None).is_err(), "{url}");
        }
    }
}
