//! TLS to PostgreSQL and Redis, against real servers with certificates of every kind.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use shared::settings::SettingError;
use tokio_postgres::types::Type;
use worker::database::Database;
use worker::database::url::DatabaseUrl;
use xtask::certificates::Authority;
use xtask::clerk_payload::UserPayload;
use xtask::free_port::free_port;
use xtask::http::Http;
use xtask::postgres_server::PostgresServer;
use xtask::program::Program;
use xtask::redis_server::RedisServer;
use xtask::sender::Sender;
use xtask::wait;

use crate::helpers::{DEADLINE, EVENTS};

/// What becomes of an attempt to connect.
#[derive(PartialEq)]
enum Outcome {
    Encrypted,
    Plain,
    /// With this reason.
    Refused(String),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted => formatter.write_str("encrypted"),
            Self::Plain => formatter.write_str("plain"),
            Self::Refused(reason) => formatter.write_str(reason),
        }
    }
}

/// What `connect` returns for a word of the tables below.
fn expected(word: &str) -> Outcome {
    match word {
        "encrypted" => Outcome::Encrypted,
        "plain" => Outcome::Plain,
        reason => Outcome::Refused(reason.to_owned()),
    }
}

/// A URL, with these variables in the environment.
fn database_url(url: &str, variables: &[(&str, &str)]) -> Result<DatabaseUrl, SettingError> {
    DatabaseUrl::parse(Some(url), &|name| {
        let variable = variables.iter().find(|(variable, _)| *variable == name);
        variable.map(|(_, value)| value.into())
    })
}

/// Connects as the worker does.
async fn connect(url: &str, variables: &[(&str, &str)]) -> Outcome {
    let url = match database_url(url, variables) {
        Ok(url) => url,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let connection = match Database::new(&url).unwrap().connection().await {
        Ok(connection) => connection,
        Err(failure) => {
            let reason = failure.reason().to_owned();
            let reason = reason.trim_start_matches("PostgreSQL cannot be used: ");
            return Outcome::Refused(reason.to_owned());
        }
    };
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid() and $1";
    let encrypted = connection
        .query_typed_one(sql, &[(&true, Type::BOOL)])
        .await;
    if encrypted.unwrap().get(0) {
        Outcome::Encrypted
    } else {
        Outcome::Plain
    }
}

const MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];
const EXPIRED: &str = "the server's certificate has expired";
const UNKNOWN: &str = "the server's certificate was signed by an unknown authority";
const OTHER_HOST: &str = "the server's certificate is not for localhost";
const NO_TLS: &str = "the server does not do TLS";

/// One row of the table: what each mode makes of a server.
async fn assert_modes(server: &str, url: &str, roots: Option<&Path>, outcomes: [&str; 6]) {
    for (mode, outcome) in MODES.iter().zip(outcomes) {
        let mut url = format!("{url}?sslmode={mode}");
        if let Some(file) = roots {
            url.push_str(&format!("&sslrootcert={}", file.display()));
        }
        assert_eq!(
            connect(&url, &[]).await,
            expected(outcome),
            "{server}, {mode}"
        );
    }
}

/// P12: `sslmode` means what it means in libpq, and each wrong server is refused with its reason.
#[tokio::test(flavor = "multi_thread")]
async fn each_mode_takes_the_servers_that_libpq_takes() {
    let (ours, theirs) = (
        Authority::new("ours").unwrap(),
        Authority::new("theirs").unwrap(),
    );
    let mut server = PostgresServer::start().unwrap();
    let url = server.url("postgres").replace("127.0.0.1", "localhost");
    let roots = ours.file();
    let assert_modes = async |what: &str, roots: Option<&Path>, outcomes: [&str; 6]| {
        assert_modes(what, &url, roots, outcomes).await;
    };

    let outcomes = ["plain", "plain", "plain", NO_TLS, NO_TLS, NO_TLS];
    assert_modes("without TLS", Some(&roots), outcomes).await;

    let right = ours.server(&["localhost", "127.0.0.1"]).unwrap();
    server.encrypt(&right, &roots).unwrap();
    let e = "encrypted";
    assert_modes("right", Some(&roots), ["plain", "plain", e, e, e, e]).await;
    // prefer tries without when the authority is unknown to it.
    let outcomes = ["plain", "plain", "plain", UNKNOWN, UNKNOWN, UNKNOWN];
    assert_modes("unknown authority", Some(&theirs.file()), outcomes).await;
    let without = |mode: &str| {
        format!(
            "DATABASE_URL: found sslmode={mode} without sslrootcert, expected sslrootcert=FILE, \
             sslrootcert=system or a file ~/.postgresql/root.crt"
        )
    };
    let (ca, full) = (without("verify-ca"), without("verify-full"));
    assert_modes("no authority", None, ["plain", "plain", e, e, &ca, &full]).await;

    // An address is a name too, and several hosts have their own.
    let address = server.url("postgres");
    let verified = format!("sslmode=verify-full&sslrootcert={}", roots.display());
    assert_eq!(
        connect(&format!("{address}?{verified}"), &[]).await,
        expected(e)
    );
    let dead = free_port().unwrap();
    let hosts = format!(
        "postgres://postgres@nowhere.invalid:{dead},localhost:{}/postgres?{verified}",
        server.port()
    );
    assert_eq!(connect(&hosts, &[]).await, expected(e));
    // What the system trusts, and nobody else.
    let system = format!("{url}?sslrootcert=system");
    assert_eq!(connect(&system, &[]).await, expected(UNKNOWN));
    let weak = connect(&format!("{system}&sslmode=require"), &[]).await;
    assert!(
        format!("{weak:?}")
            .contains("sslmode=require with sslrootcert=system, expected verify-full")
    );

    server
        .encrypt(&ours.expired_server(&["localhost"]).unwrap(), &roots)
        .unwrap();
    let outcomes = ["plain", "plain", "plain", EXPIRED, EXPIRED, EXPIRED];
    assert_modes("expired", Some(&roots), outcomes).await;
    assert_modes(
        "expired, nothing to verify it with",
        None,
        ["plain", "plain", e, e, &ca, &full],
    )
    .await;

    server
        .encrypt(&ours.server(&["db.example.com"]).unwrap(), &roots)
        .unwrap();
    let outcomes = ["plain", "plain", e, e, e, OTHER_HOST];
    assert_modes("for another host", Some(&roots), outcomes).await;
}

/// The server may ask for TLS or for none, and for a certificate instead of a password.
#[tokio::test(flavor = "multi_thread")]
async fn pg_hba_conf_decides_with_and_without_tls_and_whose_certificate() {
    let (ours, theirs) = (
        Authority::new("ours").unwrap(),
        Authority::new("theirs").unwrap(),
    );
    let mut server = PostgresServer::start().unwrap();
    for role in ["encrypted", "plain", "guest"] {
        server
            .psql("postgres", &format!("create role {role} login"))
            .unwrap();
    }
    server
        .let_in_first(
            "hostssl all encrypted 127.0.0.1/32 trust\nhost all encrypted 127.0.0.1/32 reject\n\
             hostnossl all plain 127.0.0.1/32 trust\nhost all plain 127.0.0.1/32 reject\n\
             hostssl all guest 127.0.0.1/32 cert\nhost all guest 127.0.0.1/32 reject",
        )
        .unwrap();
    server
        .encrypt(&ours.server(&["127.0.0.1"]).unwrap(), &ours.file())
        .unwrap();
    let url = |role: &str, more: &str| {
        server
            .url("postgres")
            .replace("postgres@", &format!("{role}@"))
            + more
    };
    let not_let_in = "not let in";
    for (role, mode, outcome) in [
        ("encrypted", "disable", not_let_in),
        ("encrypted", "allow", "encrypted"),
        ("encrypted", "prefer", "encrypted"),
        ("plain", "allow", "plain"),
        ("plain", "prefer", "plain"),
        ("plain", "require", not_let_in),
        ("guest", "require", not_let_in),
    ] {
        let url = url(role, &format!("?sslmode={mode}"));
        let outcome = match outcome == not_let_in {
            true => Outcome::Refused(format!(
                "PostgreSQL does not let the role {role:?} in (SQLSTATE 28000): there is no such role, it may not \
                 log in, or pg_hba.conf or a client certificate forbids it"
            )),
            false => expected(outcome),
        };
        assert_eq!(connect(&url, &[]).await, outcome, "{role}, {mode}");
    }

    let guest = ours.client("guest").unwrap();
    let (certificate, key) = (
        guest.certificate.to_str().unwrap(),
        guest.key.to_str().unwrap(),
    );
    let roots = ours.file();
    let with = |certificate: &str, key: &str| {
        url(
            "guest",
            &format!("?sslmode=require&sslcert={certificate}&sslkey={key}"),
        )
    };
    assert_eq!(
        connect(&with(certificate, key), &[]).await,
        expected("encrypted")
    );
    // The same by variables of the environment, and by files in libpq's folder.
    let variables = [
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", roots.to_str().unwrap()),
        ("PGSSLCERT", certificate),
        ("PGSSLKEY", key),
    ];
    assert_eq!(
        connect(&url("guest", ""), &variables).await,
        expected("encrypted")
    );
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".postgresql");
    std::fs::create_dir(&folder).unwrap();
    for (file, name) in [
        (certificate, "postgresql.crt"),
        (key, "postgresql.key"),
        (roots.to_str().unwrap(), "root.crt"),
    ] {
        std::fs::copy(file, folder.join(name)).unwrap();
    }
    let variables = [
        ("HOME", home.path().to_str().unwrap()),
        ("PGSSLMODE", "verify-full"),
    ];
    assert_eq!(
        connect(&url("guest", ""), &variables).await,
        expected("encrypted")
    );

    let stranger = theirs.client("guest").unwrap();
    let stranger_key = stranger.key.to_str().unwrap();
    let refused = connect(
        &with(stranger.certificate.to_str().unwrap(), stranger_key),
        &[],
    )
    .await;
    let reason = format!("{refused:?}");
    assert!(
        reason.starts_with("the server does not accept this client's certificate"),
        "{reason}"
    );
    // Files that cannot be used are seen at once.
    for (url, found) in [
        (
            with(certificate, stranger_key),
            "sslkey=the key of another certificate",
        ),
        (
            with(certificate, certificate),
            "in which there is no such key",
        ),
        (with(key, key), "in which there is no certificate"),
        (
            with("/no/file", key),
            "sslcert=\"/no/file\", which does not exist",
        ),
        (
            url("guest", &format!("?sslcert={certificate}")),
            "sslcert=a file without sslkey",
        ),
    ] {
        let error = format!("{:?}", connect(&url, &[]).await);
        assert!(
            error.starts_with("DATABASE_URL: found ") && error.contains(found),
            "{error}"
        );
    }
}

/// P11, P12: the password is looked up in a file as libpq does it, anew for each connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_file_lets_the_worker_in() {
    let mut server = PostgresServer::start().unwrap();
    let database = server.create_database().unwrap();
    server
        .psql("postgres", "create role clerk login superuser")
        .unwrap();
    server
        .let_in_first("host all clerk 127.0.0.1/32 scram-sha-256")
        .unwrap();
    server.restart().unwrap();
    let role = |password: &str| {
        let sql = format!(
            "set password_encryption = 'scram-sha-256'; alter role clerk password '{password}'"
        );
        server.psql("postgres", &sql).unwrap();
    };
    role("it:s hunter2");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    let write = |password: &str| {
        let line = format!("# ours\r\n127.0.0.1:{}:*:clerk:{password}\n", server.port());
        std::fs::write(&file, line).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(r"it\:s hunter2");
    let url = database.replace("postgres@", "clerk@");
    let (redis, admin) = (
        RedisServer::start().unwrap(),
        format!("127.0.0.1:{}", free_port().unwrap()),
    );
    redis
        .cli(&[
            "XADD",
            EVENTS,
            "*",
            "svix-id",
            "msg_1",
            "payload",
            &UserPayload::new("user_1", "a@b.c").created(),
        ])
        .unwrap();
    let redis_url = redis.url();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PGPASSFILE", file.to_str().unwrap()),
        ("REDIS_URL", &redis_url),
        ("ADMIN_ADDR", &admin),
        ("RUST_LOG", "debug"),
    ];
    let worker = Program::start("worker", &settings).unwrap();
    let applied = |count: &str| {
        wait::block_until("the event is applied", DEADLINE, || {
            let users = server.psql(&database, "select count(*) from users");
            users.is_ok_and(|users| users == count)
        })
        .unwrap_or_else(|error| panic!("{error}\n{}", worker.output()));
    };
    applied("1");

    // The role and the file get another password, and the connections are lost: the worker goes on.
    role("hunter3");
    write("hunter3");
    server
        .psql(
            "postgres",
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'clerk'",
        )
        .unwrap();
    redis
        .cli(&[
            "XADD",
            EVENTS,
            "*",
            "svix-id",
            "msg_2",
            "payload",
            &UserPayload::new("user_2", "b@b.c").created(),
        ])
        .unwrap();
    applied("2");
    for secret in ["hunter2", "hunter3"] {
        assert!(!worker.output().contains(secret), "{}", worker.output());
    }

    // Without one it is said what is missing; a file that others may read is refused, that of the home folder
    // is left alone.
    let outcome = format!("{:?}", connect(&url, &[]).await);
    assert!(
        outcome.starts_with("PostgreSQL wants a password, and there is none"),
        "{outcome}"
    );
    std::fs::rename(&file, folder.path().join(".pgpass")).unwrap();
    let home = [("HOME", folder.path().to_str().unwrap())];
    assert_eq!(connect(&url, &home).await, expected("plain"));
    let file = folder.path().join(".pgpass");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = format!("{:?}", connect(&url, &home).await);
    assert!(
        outcome.starts_with("PostgreSQL wants a password"),
        "{outcome}"
    );
    let outcome = format!(
        "{:?}",
        connect(&url, &[("PGPASSFILE", file.to_str().unwrap())]).await
    );
    assert!(
        outcome.contains("which others may read (mode 0644)"),
        "{outcome}"
    );
}

/// P12: what libpq's other variables and files say about TLS is done, or refused by name.
#[tokio::test(flavor = "multi_thread")]
async fn variables_about_tls_are_not_ignored() {
    let authority = Authority::new("ours").unwrap();
    let mut server = PostgresServer::start().unwrap();
    server.psql("postgres", "create role guest login").unwrap();
    server
        .let_in_first("hostssl all guest 127.0.0.1/32 cert\nhost all guest 127.0.0.1/32 reject")
        .unwrap();
    let roots = authority.file();
    server
        .encrypt(&authority.server(&["127.0.0.1"]).unwrap(), &roots)
        .unwrap();
    let url = format!("{}?sslmode=require", server.url("postgres"));
    for (variable, version) in [
        (("PGSSLMINPROTOCOLVERSION", "TLSv1.3"), "TLSv1.3"),
        (("PGSSLMAXPROTOCOLVERSION", "tlsv1.2"), "TLSv1.2"),
        (("PGSSLSNI", "0"), "TLSv1.3"),
    ] {
        let url = database_url(&url, &[variable]).unwrap();
        let connection = Database::new(&url).unwrap().connection().await.unwrap();
        let sql = "select version from pg_stat_ssl where pid = pg_backend_pid() and $1";
        let row = connection
            .query_typed_one(sql, &[(&true, Type::BOOL)])
            .await;
        assert_eq!(row.unwrap().get::<_, &str>(0), version, "{variable:?}");
    }
    let both = [
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.3"),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1.2"),
    ];
    let outcome = format!("{:?}", connect(&url, &both).await);
    assert!(
        outcome.starts_with("PGSSLMINPROTOCOLVERSION: found TLSv1.3"),
        "{outcome}"
    );

    let guest = authority.client("guest").unwrap();
    let of_guest = url.replace("postgres@", "guest@");
    let (certificate, key) = (
        guest.certificate.to_str().unwrap(),
        guest.key.to_str().unwrap(),
    );
    let mut variables = vec![("PGSSLCERT", certificate), ("PGSSLKEY", key)];
    assert_eq!(connect(&of_guest, &variables).await, expected("encrypted"));
    variables.push(("PGSSLCERTMODE", "disable"));
    let outcome = format!("{:?}", connect(&of_guest, &variables).await);
    assert!(outcome.contains("SQLSTATE 28000"), "{outcome}");

    // libpq would look for revoked certificates in it.
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".postgresql");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&roots, folder.join("root.crt")).unwrap();
    let variables = [("HOME", home.path().to_str().unwrap())];
    assert_eq!(connect(&url, &variables).await, expected("encrypted"));
    std::fs::write(folder.join("root.crl"), "").unwrap();
    let outcome = format!("{:?}", connect(&url, &variables).await);
    assert!(
        outcome.starts_with("~/.postgresql/root.crl: found a file, expected none"),
        "{outcome}"
    );
}

/// P8, P12: events go from end to end over TLS; a wrong certificate is an outage that the log explains.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_applied_over_tls() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let authority = Authority::new("ours").unwrap();
    let right = authority.server(&["localhost"]).unwrap();
    let expired = authority.expired_server(&["localhost"]).unwrap();
    let file = authority.file();
    let file = file.to_str().unwrap();
    let (mut redis, mut cache) = (RedisServer::start().unwrap(), RedisServer::start().unwrap());
    redis.encrypt(&right).unwrap();
    cache.encrypt(&expired).unwrap();
    cache.cli(&["SET", "global:users", "old"]).unwrap();
    let mut postgres = PostgresServer::start().unwrap();
    let database = postgres.create_database().unwrap();
    postgres
        .encrypt(&expired, authority.file().as_path())
        .unwrap();
    let database_url = database.replace("127.0.0.1", "localhost");
    let (ingest_address, admin) = (
        format!("127.0.0.1:{}", free_port().unwrap()),
        format!("127.0.0.1:{}", free_port().unwrap()),
    );
    let (redis_url, cache_url) = (redis.tls_url().unwrap(), cache.tls_url().unwrap());
    let _ingest = Program::start(
        "ingest",
        &[
            ("REDIS_URL", redis_url.as_str()),
            ("REDIS_CA_FILE", file),
            ("INGEST_ADDR", &ingest_address),
            ("ADMIN_ADDR", &format!("127.0.0.1:{}", free_port().unwrap())),
            ("CLERK_WEBHOOK_SIGNING_SECRET", SECRET),
        ],
    )
    .unwrap();
    let worker = Program::start(
        "worker",
        &[
            ("REDIS_URL", redis_url.as_str()),
            ("CACHE_REDIS_URL", &cache_url),
            ("REDIS_CA_FILE", file),
            ("DATABASE_URL", &database_url),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", file),
            ("ADMIN_ADDR", &admin),
        ],
    )
    .unwrap();
    let sender = Sender::new(
        &format!("http://{ingest_address}/api/webhooks/clerk"),
        SECRET,
    )
    .unwrap();
    let payload = UserPayload::new("user_1", "ada@example.com").created();
    let accepted = async || {
        let answer = sender.send("msg_1", &payload).await;
        answer.is_ok_and(|answer| answer.status == 200)
    };
    wait::until("the event is accepted", DEADLINE, accepted)
        .await
        .unwrap();
    let logs = |reason: &str| {
        wait::block_until(reason, DEADLINE, || worker.output().contains(reason))
            .unwrap_or_else(|error| panic!("{error}\n{}", worker.output()));
    };
    logs("PostgreSQL cannot be used: the server's certificate has expired");
    let ready = format!("http://{admin}/readyz");
    assert_eq!(Http::new().get(&ready).await.unwrap().status, 503);

    postgres
        .encrypt(&right, authority.file().as_path())
        .unwrap();
    wait::block_until("the event is applied", DEADLINE, || {
        postgres
            .psql(&database, "select count(*) from users")
            .is_ok_and(|users| users == "1")
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", worker.output()));
    assert_eq!(cache.cli(&["EXISTS", "global:users"]).unwrap(), "1");
    cache.encrypt(&right).unwrap();
    wait::block_until("the tag is gone", DEADLINE, || {
        cache.cli(&["EXISTS", "global:users"]).unwrap() == "0"
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", worker.output()));
    wait::until("the worker is ready", DEADLINE, async || {
        Http::new()
            .get(&ready)
            .await
            .is_ok_and(|answer| answer.status == 200)
    })
    .await
    .unwrap();
    let encrypted = "select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) \
                     where application_name = 'clerk-worker'";
    assert_eq!(postgres.psql(&database, encrypted).unwrap(), "t");
}
