//! Where Redis is: one server, a cluster, or a master that Sentinels know.
//!
//! The `redis` crate reads the URL of one server. How several are written is ours; each of them is given to the
//! `redis` crate as a URL of its own.

mod sentinels;
mod url;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::{ConnectionAddr, ConnectionInfo, RedisResult};

pub(crate) use self::sentinels::Sentinels;
pub use self::url::URL_EXPECTED;
use self::url::{SENTINEL, ServersUrl};
use crate::tls::Authorities;

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
        let url = ServersUrl::parse(value)?;
        let nodes = url.servers(authorities)?;
        let kind = match (url.kind, nodes.as_slice()) {
            ("", [server]) => Kind::Server(server.clone()),
            ("" | "cluster", [first, ..]) => {
                if first.redis_settings().db() != 0 {
                    return Err("database 0, the only one that a cluster has");
                }
                Kind::Cluster(nodes)
            }
            (SENTINEL, _) => Kind::Sentinels(Sentinels::new(nodes, url.query)?),
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
