//! libpq's connection parameters, each with the variable that stands in for it and what is done about it
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>,
//! <https://www.postgresql.org/docs/current/libpq-envars.html>). None is ignored: what cannot be done is refused.
//!
//! Some variables of libpq's are no parameters. `PGSERVICEFILE` and `PGSYSCONFDIR` say where services are, which are
//! refused; `PGLOCALEDIR` is about translated messages, `PGGEQO` about statements with more tables than ours;
//! `PGTZ` and `PGDATESTYLE` change nothing, since a worker's sessions decide that for themselves.

/// A parameter.
pub(crate) struct Keyword {
    pub(crate) name: &'static str,
    /// The environment variable that is read where the connection string does not have it.
    pub(crate) variable: Option<&'static str>,
    pub(crate) treatment: Treatment,
}

/// What is done about a parameter.
#[derive(Clone, Copy)]
pub(crate) enum Treatment {
    /// tokio-postgres does it; its value is expected to be this.
    Driver(&'static str),
    /// We do it; likewise.
    Ours(&'static str),
    /// One of these values: we do it, or it asks for nothing that is not so anyway. Others are refused.
    OneOf(&'static [&'static str]),
    /// Not supported.
    Refused,
}

use Treatment::{Driver, OneOf, Ours, Refused};

impl Keyword {
    /// What its value is expected to be.
    pub(crate) fn expected(&self) -> String {
        match self.treatment {
            Driver(expected) | Ours(expected) => expected.to_owned(),
            OneOf(values) => values.join(" or "),
            Refused => format!("nothing: {} is not supported", self.name),
        }
    }

    /// The parameter of that name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|keyword| keyword.name == name)
    }
}

/// Without a variable.
const fn keyword(name: &'static str, treatment: Treatment) -> Keyword {
    Keyword {
        name,
        variable: None,
        treatment,
    }
}

const fn variable(name: &'static str, variable: &'static str, treatment: Treatment) -> Keyword {
    Keyword {
        name,
        variable: Some(variable),
        treatment,
    }
}

const FILE: Treatment = Ours("the name of a file");
const SECONDS: Treatment = Driver("a whole number of seconds");
const PROTOCOLS: &[&str] = &["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// All that libpq knows, and what is Prisma's or another driver's: names of these may be shown, because they are no
/// part of a password.
#[rustfmt::skip]
pub(crate) const ALL: &[Keyword] = &[
    variable("host", "PGHOST", Driver("names of hosts (%40 is an @ in a password)")),
    variable("hostaddr", "PGHOSTADDR", Driver("IP addresses")),
    variable("port", "PGPORT", Driver("a port from 1 to 65535, or one for each host")),
    variable("dbname", "PGDATABASE", Driver("the name of a database")),
    variable("user", "PGUSER", Driver("the name of a role")),
    variable("password", "PGPASSWORD", Driver("a password")),
    variable("passfile", "PGPASSFILE", FILE),
    variable("options", "PGOPTIONS", Driver("options such as -c search_path=app")),
    variable("application_name", "PGAPPNAME", Driver("a name")),
    keyword("fallback_application_name", Ours("a name")),
    variable("connect_timeout", "PGCONNECT_TIMEOUT", SECONDS),
    keyword("keepalives", Driver("0 or 1")),
    keyword("keepalives_idle", SECONDS),
    keyword("keepalives_interval", SECONDS),
    keyword("keepalives_count", Driver("a whole number")),
    keyword("tcp_user_timeout", Driver("a whole number of milliseconds")),
    variable("target_session_attrs", "PGTARGETSESSIONATTRS", Driver("any, read-write or read-only")),
    variable("load_balance_hosts", "PGLOADBALANCEHOSTS", Driver("disable or random")),
    variable("channel_binding", "PGCHANNELBINDING", Driver("disable, prefer or require")),
    variable("sslnegotiation", "PGSSLNEGOTIATION", Driver("postgres or direct")),
    variable("sslmode", "PGSSLMODE", Ours("disable, allow, prefer, require, verify-ca or verify-full")),
    variable("sslrootcert", "PGSSLROOTCERT", Ours("system, or the name of a file")),
    variable("sslcert", "PGSSLCERT", FILE),
    variable("sslkey", "PGSSLKEY", FILE),
    variable("sslcertmode", "PGSSLCERTMODE", OneOf(&["disable", "allow"])),
    variable("sslsni", "PGSSLSNI", OneOf(&["0", "1"])),
    variable("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", OneOf(PROTOCOLS)),
    variable("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", OneOf(&["TLSv1.2", "TLSv1.3"])),
    // We never do what the other values ask for.
    variable("sslcompression", "PGSSLCOMPRESSION", OneOf(&["0"])),
    variable("requiressl", "PGREQUIRESSL", OneOf(&["0"])),
    variable("gssencmode", "PGGSSENCMODE", OneOf(&["disable", "prefer"])),
    variable("gsslib", "PGGSSLIB", OneOf(&["gssapi"])),
    variable("gssdelegation", "PGGSSDELEGATION", OneOf(&["0"])),
    variable("client_encoding", "PGCLIENTENCODING", OneOf(&["UTF8", "UTF-8", "unicode"])),
    variable("min_protocol_version", "PGMINPROTOCOLVERSION", OneOf(&["3.0"])),
    variable("max_protocol_version", "PGMAXPROTOCOLVERSION", OneOf(&["3.0", "3.2", "latest"])),
    keyword("replication", OneOf(&["false", "off", "no", "0"])),
    variable("krbsrvname", "PGKRBSRVNAME", Refused),
    variable("require_auth", "PGREQUIREAUTH", Refused),
    variable("requirepeer", "PGREQUIREPEER", Refused),
    variable("service", "PGSERVICE", Refused),
    keyword("servicefile", Refused),
    variable("sslcrl", "PGSSLCRL", Refused),
    variable("sslcrldir", "PGSSLCRLDIR", Refused),
    keyword("sslkeylogfile", Refused),
    keyword("sslpassword", Refused),
    keyword("scram_client_key", Refused),
    keyword("scram_server_key", Refused),
    keyword("oauth_client_id", Refused),
    keyword("oauth_client_secret", Refused),
    keyword("oauth_issuer", Refused),
    keyword("oauth_scope", Refused),
    // Of Prisma, node-postgres and JDBC.
    keyword("currentSchema", Refused),
    keyword("sslaccept", Refused),
    keyword("sslidentity", Refused),
    keyword("uselibpqcompat", Refused),
];
