use std::ffi::OsString;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::Host;

use super::*;
use crate::database::libpq_keywords::{ALL, Treatment};

fn parse(text: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, String> {
    let environment = |name: &str| {
        let variable = variables.iter().find(|(variable, _)| *variable == name);
        variable.map(|(_, value)| OsString::from(value))
    };
    DatabaseUrl::parse(text, &environment)
        .map(|url| url.config)
        .map_err(|error| error.to_string())
}

/// P11, P12
#[test]
fn a_url_that_cannot_be_used_is_refused_without_its_password() {
    for (url, expected) in [
        (None, "found nothing, expected a URL"),
        (Some("nonsense"), "expected a URL such as"),
        (Some("postgres://"), "expected a URL such as"),
        (Some("mysql://me:hunter2@h/d"), "expected a URL such as"),
        (
            Some("postgres://me:hunter2@h:port/d"),
            "expected its port to be a port",
        ),
        (
            Some("postgres://me:hunter2@h:1,i:2,j/d?port=1,2"),
            "expected its port to be",
        ),
        (
            Some("postgres://me:hunter2@h/d?sslmode=hunter2"),
            "expected its sslmode to be disable, allow",
        ),
        (
            Some("host=h password=hunter2 sslmode=on"),
            "expected its sslmode to be disable, allow",
        ),
        (Some("host=h password='hunter2"), "expected a URL such as"),
        (
            Some("host=h password=hunter2 sslcrl=x"),
            "expected no parameter sslcrl, which is not supported",
        ),
        (
            Some("postgres://me:p@h?hunter2=x@h/d"),
            "with no other parameters than libpq's",
        ),
        // The host is missing, or a password holds what separates.
        (
            Some("postgres://me:hunter2%40db/app"),
            "expected its port to be",
        ),
        (Some("postgres://me:hunter2"), "expected its port to be"),
        (
            Some("postgres://me:a@hunter2@h/d"),
            "expected its host to be names of hosts",
        ),
        (Some("postgres://:hunter2"), "expected a URL such as"),
        (
            Some("host=h password=ab://hunter2 sslmode=on"),
            "expected its sslmode to be disable, allow",
        ),
        (Some("hunter2://me@h/d"), "expected a URL such as"),
        (
            Some("postgres://me:a@b?sslcert=hunter2@h/d"),
            "its sslcert to be",
        ),
        (
            Some("postgres://me:12/a?sslrootcert=hunter2@h/d"),
            "its sslrootcert to be",
        ),
        (
            Some("\"postgres://me:hunter2@h/d\""),
            "expected no quotes round it",
        ),
        (
            Some("postgres://me:hunter2@h/d?require_auth=none"),
            "expected no parameter require_auth, which is not supported",
        ),
        (
            Some("postgres://me:hunter2@h/d?gssencmode=require"),
            "expected its gssencmode to be disable or prefer",
        ),
    ] {
        let error = parse(url, &[]).unwrap_err();
        assert!(error.starts_with("DATABASE_URL: found "), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn urls_and_key_value_pairs_say_the_same() {
    let mut configs = [
        "postgres://me:it's%20%5C@h:6000,[::1]/d?application_name=a%26b&keepalives_count=3",
        r"user=me password = 'it\'s \\' host=h,::1 port=6000, dbname=d application_name=a&b keepalives_count=3",
        r"port=6000, host=h,::1 password=it\'s\ \\ dbname=x dbname=d user='me' application_name='a&b' keepalives_count=3",
    ]
    .map(|text| parse(Some(text), &[]).unwrap());
    assert_eq!(configs[0].get_password(), Some(&br"it's \"[..]));
    assert_eq!(configs[0].get_ports(), [6000, 5432]);
    assert_eq!(configs[0].get_dbname(), Some("d"));
    assert_eq!(configs[0], configs[1]);
    assert_eq!(configs[0], configs[2]);
    let socket = parse(Some("postgresql://%2Frun%2Fpostgresql/d?user=me"), &[]).unwrap();
    assert_eq!(socket.get_hosts(), [Host::Unix("/run/postgresql".into())]);
    let [first, ..] = &mut configs;
    assert_ne!(
        first.application_name("other").get_application_name(),
        Some("a&b")
    );
}

#[test]
fn a_password_may_hold_what_separates() {
    for password in ["a/b", "a?b", "a:b", "a=b&c", "%40%25"] {
        let config = parse(
            Some(&format!("postgres://me:{password}@h/d?options=-c%20a=b")),
            &[],
        );
        let decoded = percent_decode_str(password).decode_utf8().unwrap();
        assert_eq!(config.unwrap().get_password(), Some(decoded.as_bytes()));
    }
    let config = parse(Some("postgres://h/d?application_name=me@home"), &[]).unwrap();
    assert_eq!(config.get_application_name(), Some("me@home"));
    assert_eq!(config.get_user(), None);
}

#[test]
fn variables_say_what_the_url_leaves_out() {
    let variables = [
        ("PGHOST", "other"),
        ("PGPORT", "6000"),
        ("PGUSER", "me"),
        ("PGPASSWORD", "it's"),
        ("PGDATABASE", "d"),
        ("PGAPPNAME", "app"),
        ("PGCONNECT_TIMEOUT", "3"),
        ("PGOPTIONS", "-c search_path=app"),
        ("PGTARGETSESSIONATTRS", "read-write"),
    ];
    let of_variables = parse(None, &variables).unwrap();
    let said = "host=other port=6000 user=me password=it\\'s dbname=d application_name=app \
         connect_timeout=3 options='-c search_path=app' target_session_attrs=read-write";
    assert_eq!(of_variables, parse(Some(said), &[]).unwrap());
    let mixed = parse(Some("postgres://you@h/e"), &variables).unwrap();
    assert_eq!(mixed.get_hosts(), [Host::Tcp("h".into())]);
    assert_eq!(
        (mixed.get_user(), mixed.get_dbname()),
        (Some("you"), Some("e"))
    );
    assert_eq!(
        (mixed.get_ports(), mixed.get_password()),
        (&[6000][..], Some(&b"it's"[..]))
    );
    assert_eq!(mixed.get_connect_timeout(), Some(&Duration::from_secs(3)));
    let address = parse(None, &[("PGHOSTADDR", "127.0.0.1"), ("PGHOST", "")]).unwrap();
    assert_eq!(address.get_hostaddrs().len(), 1);
    assert!(
        parse(None, &[("PGPORT", "6000")])
            .unwrap_err()
            .contains("DATABASE_URL: found nothing")
    );
}

/// P12: what cannot be done is refused, whether it stands in the URL or in a variable; what asks for nothing
/// special is not.
#[test]
fn no_parameter_of_libpq_is_ignored_in_silence() {
    let url = "postgres://me@h/d";
    for keyword in ALL {
        let name = keyword.name;
        let (refused, harmless) = match keyword.treatment {
            Treatment::Refused => ("x", None),
            Treatment::OneOf(values) => ("x", values.first()),
            Treatment::Driver(_) | Treatment::Ours(_) => continue,
        };
        let with = |value| parse(Some(&format!("{url}?{name}={value}")), &[]);
        let error = with(refused).unwrap_err();
        assert!(
            error.contains(name) && error.contains("expected"),
            "{error}"
        );
        if let Some(value) = harmless {
            with(value).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let Some(variable) = keyword.variable else {
            continue;
        };
        let error = parse(Some(url), &[(variable, refused)]).unwrap_err();
        assert!(
            error.starts_with(&format!("{variable}: found \"x\"")),
            "{error}"
        );
        if let Some(value) = harmless {
            parse(Some(url), &[(variable, *value)]).unwrap();
            // What the URL says wins.
            let url = format!("{url}?{name}={value}");
            parse(Some(&url), &[(variable, refused)]).unwrap();
        }
        parse(Some(url), &[(variable, "")]).unwrap();
    }
    // The list of libpq 18.
    for variable in [
        "PGREQUIREAUTH",
        "PGSERVICE",
        "PGSSLCRL",
        "PGSSLCRLDIR",
        "PGREQUIREPEER",
        "PGKRBSRVNAME",
        "PGSSLCERTMODE",
        "PGSSLCOMPRESSION",
        "PGSSLSNI",
        "PGSSLMINPROTOCOLVERSION",
        "PGSSLMAXPROTOCOLVERSION",
        "PGGSSENCMODE",
        "PGGSSLIB",
        "PGGSSDELEGATION",
        "PGCLIENTENCODING",
        "PGREQUIRESSL",
        "PGMINPROTOCOLVERSION",
        "PGMAXPROTOCOLVERSION",
    ] {
        let error = parse(Some(url), &[(variable, "x")]).unwrap_err();
        assert!(error.starts_with(variable), "{error}");
    }
}

/// P11, P12
#[test]
fn quotes_and_line_ends_that_were_kept_are_told_or_dropped() {
    let url = "postgres://me@h/d";
    for (variable, value) in [
        ("PGHOST", "\"hunter2\""),
        ("PGPORT", "'5432'"),
        ("PGPASSWORD", "\"hunter2\""),
        ("PGPASSWORD", "'hunter2'"),
    ] {
        let error = parse(None, &[("PGHOSTADDR", "::1"), (variable, value)]).unwrap_err();
        assert!(
            error.starts_with(variable) && error.contains("quot"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
    for (password, read) in [("\"hunter2", "\"hunter2"), ("hunter2\r\n", "hunter2")] {
        let config = parse(Some(url), &[("PGPASSWORD", password)]).unwrap();
        assert_eq!(config.get_password(), Some(read.as_bytes()));
    }
    // A URL in the wrong place.
    let error = parse(Some(url), &[("PGPORT", "postgres://me:hunter2@h")]).unwrap_err();
    assert!(
        error.starts_with("PGPORT") && !error.contains("hunter2"),
        "{error}"
    );
}

/// P12
#[test]
fn a_variable_that_cannot_be_used_is_named() {
    for (variable, value, expected) in [
        (
            "PGPORT",
            "postgres",
            "PGPORT: found \"postgres\", expected a port from 1 to 65535",
        ),
        (
            "PGHOSTADDR",
            "localhost",
            "PGHOSTADDR: found \"localhost\", expected IP addresses",
        ),
        (
            "PGHOSTADDR",
            "::1,::2",
            "PGHOSTADDR: found another number of them, expected one for each",
        ),
        (
            "PGCONNECT_TIMEOUT",
            "5s",
            "PGCONNECT_TIMEOUT: found \"5s\", expected a whole number",
        ),
        (
            "PGTARGETSESSIONATTRS",
            "primary",
            "found \"primary\", expected any, read-write or",
        ),
        (
            "PGSSLMODE",
            "verify",
            "PGSSLMODE: found \"verify\", expected disable, allow, prefer",
        ),
        (
            "PGSSLROOTCERT",
            "/no/file",
            "PGSSLROOTCERT: found \"/no/file\", which does not exist, expected a file",
        ),
        (
            "PGPASSFILE",
            "/no/file",
            "PGPASSFILE: found \"/no/file\", which does not exist, expected a file",
        ),
        (
            "PGSSLCERT",
            "/no/file",
            "PGSSLCERT: found \"/no/file\", which does not exist, expected a file",
        ),
    ] {
        let error = parse(Some("postgres://me@h/d"), &[(variable, value)]).unwrap_err();
        assert!(
            error.contains(expected) && error.starts_with(variable),
            "{error}"
        );
    }
}

/// Every application with Prisma has such a URL.
#[test]
fn what_prisma_calls_a_schema_is_the_search_path_and_its_other_parameters_say_nothing() {
    for (parameters, expected) in [
        ("schema=public", None),
        ("schema=app", Some(r#""app""#)),
        ("schema=My%20App", Some(r#""My App""#)),
        (
            "options=-cgeqo%3Doff&schema=app&connection_limit=5",
            Some(r#""app""#),
        ),
        (
            "pgbouncer=true&pool_timeout=0&statement_cache_size=0&socket_timeout=3",
            None,
        ),
    ] {
        let url = format!("postgresql://me@h/d?{parameters}");
        let url = DatabaseUrl::parse(Some(&url), &|_| None).unwrap();
        assert_eq!(url.search_path().as_deref(), expected, "{parameters}");
    }
}
