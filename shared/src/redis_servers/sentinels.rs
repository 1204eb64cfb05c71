//! A master that Sentinels know.

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};

use super::url::URL_EXPECTED;

/// A master that is found by asking Sentinels.
#[derive(Clone, Debug)]
pub(crate) struct Sentinels {
    pub(crate) nodes: Vec<ConnectionInfo>,
    /// What they call it.
    pub(crate) master: String,
    /// The way to it, but for its address.
    of_master: ConnectionInfo,
}

impl Sentinels {
    /// `nodes` are the Sentinels, with what is needed to log in to the master.
    ///
    /// # Errors
    /// What was expected instead of `query`.
    pub(super) fn new(nodes: Vec<ConnectionInfo>, query: &str) -> Result<Self, &'static str> {
        let (mut master, mut username, mut password) = (None, None, None);
        for (name, value) in ::url::form_urlencoded::parse(query.as_bytes()) {
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
