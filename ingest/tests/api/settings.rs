//! What is said of a setting that cannot be used.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    net::TcpListener,
    os::unix::ffi::OsStringExt as _,
    process::{Command, Output},
};

use tempfile::TempDir;
use xtask::{clerk_payload::UserPayload, redis_server::RedisServer};

use crate::helpers::{Ingest, OTHER_SECRET, SECRET, signed};

const ENOUGH: [(&str, &str); 1] = [("CLERK_WEBHOOK_SIGNING_SECRET", SECRET)];

/// Asserts that a process has ended with one line that names what is wrong, and returns the line.
#[track_caller]
fn refused(output: &Output, names: &str) -> String {
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{names}: {output:?}");
    assert!(output.status.code().is_some(), "{names}: {output:?}");
    assert_eq!(line.lines().count(), 1, "{names}: {line}");
    assert!(line.contains(names), "{names}: {line}");
    line
}

/// P12
#[test]
fn a_bad_setting_stops_the_process_with_one_line_that_names_it() -> anyhow::Result<()> {
    for (name, value, found, expected) in [
        ("INGEST_ADDR", "8080", "\"8080\"", "IP address and port"),
        (
            "INGEST_ADDR",
            "localhost:8080",
            "\"localhost:8080\"",
            "IP address and port",
        ),
        (
            "INGEST_ADDR",
            "127.0.0.1:99999",
            "\"127.0.0.1:99999\"",
            "IP address and port",
        ),
        (
            "ADMIN_ADDR",
            "nowhere",
            "\"nowhere\"",
            "IP address and port",
        ),
        ("PORT", "http", "\"http\"", "from 1 to 65535"),
        ("PORT", "65536", "\"65536\"", "from 1 to 65535"),
        ("WEBHOOK_PATH", "hooks", "\"hooks\"", "a path"),
        ("WEBHOOK_PATH", "/a b", "\"/a b\"", "a path"),
        ("WEBHOOK_PATH", "/a?b=c", "\"/a?b=c\"", "a path"),
        ("WEBHOOK_PATH", "/a#b", "\"/a#b\"", "a path"),
        (
            "WEBHOOK_PATH",
            "https://example.com/hooks",
            "\"https://example.com/hooks\"",
            "a path",
        ),
        ("IDLE_TIMEOUT_MS", "75s", "\"75s\"", "whole number"),
        ("IDLE_TIMEOUT_MS", "0", "\"0\"", "from 100 to"),
        ("MAX_BODY_BYTES", "1 MB", "\"1 MB\"", "whole number"),
        ("MAX_BODY_BYTES", "0", "\"0\"", "from 1 to"),
        ("MAX_BODY_BYTES", "-1", "\"-1\"", "whole number"),
        ("MAX_BACKLOG", "many", "\"many\"", "whole number"),
        (
            "MAX_BACKLOG",
            "99999999999999999999999",
            "9999",
            "whole number",
        ),
        (
            "TRUSTED_PROXY_HOPS",
            "all\nof them",
            "\"all\\nof them\"",
            "whole number",
        ),
        ("TRUSTED_PROXY_HOPS", "1.5", "\"1.5\"", "whole number"),
        ("REDIS_MIN_REPLICAS", "16", "\"16\"", "from 0 to 15"),
        ("SHUTDOWN_GRACE_MS", "10s", "\"10s\"", "whole number"),
        ("LOG_FORMAT", "xml", "\"xml\"", "text or json"),
        ("RUST_LOG", "info,a=b=c", "\"info,a=b=c\"", "a level"),
        ("REDIS_PARTITIONS", "65", "\"65\"", "from 1 to 64"),
        ("REDIS_PARTITIONS", "0", "\"0\"", "from 1 to 64"),
        (
            "REDIS_URL",
            "rediss://127.0.0.1:6379#insecure",
            "rediss:// (hidden)",
            "the server's certificate is always verified",
        ),
        (
            "REDIS_CA_FILE",
            "/no/file",
            "\"/no/file\", which does not exist",
            "certificates in PEM",
        ),
        (
            "REDIS_CA_FILE",
            "/proc/version",
            "\"/proc/version\", in which there is no certificate",
            "certificates in PEM",
        ),
        ("REDIS_URL", "127.0.0.1:6379", "hidden", "redis://"),
        (
            "REDIS_URL",
            "http://127.0.0.1",
            "http://127.0.0.1",
            "redis://",
        ),
        (
            "REDIS_URL",
            "redis://127.0.0.1/zero",
            "redis://127.0.0.1/zero",
            "redis://",
        ),
        (
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "whsec_!",
            "a secret that is not base64",
            "signing secret",
        ),
        (
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "whsec_YWJj",
            "under 16 bytes",
            "Clerk's dashboard",
        ),
        (
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "a signature",
            "signing secret",
        ),
        (
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
            "begins with a quotation mark",
            "--env-file",
        ),
        (
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\r\n'whsec_x'",
            "a second secret that begins with a quotation mark",
            "--env-file",
        ),
        (
            "MAX_BACKLOG",
            "'5'",
            "begins with a quotation mark",
            "--env-file",
        ),
        (
            "REDIS_URL",
            "\"redis://127.0.0.1\"",
            "begins with a quotation mark",
            "--env-file",
        ),
        (
            "REDIS_CA_FILE",
            "\"/no/file\"",
            "begins with a quotation mark",
            "--env-file",
        ),
    ] {
        let output = run(&[], &[ENOUGH[0], (name, value)])?;
        let line = refused(&output, name);
        assert!(line.contains(found), "{name}: {line}");
        assert!(line.contains(expected), "{name}: {line}");
        assert!(output.stdout.is_empty(), "{name}: {output:?}");
    }
    Ok(())
}

/// P11, P12: what was found is redacted where it is secret.
#[test]
fn a_bad_secret_is_named_and_not_shown() -> anyhow::Result<()> {
    for (name, value) in [
        ("CLERK_WEBHOOK_SIGNING_SECRET", "hunter2"),
        (
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "whsec_hunter2-is-not-base64",
        ),
        (
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw hunter2",
        ),
        ("REDIS_URL", "hunter2"),
        ("REDIS_URL", "rediss://user:hunter2@127.0.0.1:6379#insecure"),
        ("REDIS_URL", "redis://user:hunter2@127.0.0.1:port"),
        (
            "REDIS_URL",
            "redis://user:hunter2@127.0.0.1:1,127.0.0.1:2/1",
        ),
        ("REDIS_URL", "redis-sentinel://user:hunter2@127.0.0.1:1"),
        ("REDIS_URL", "redis://user:hunter2@"),
        ("REDIS_URL", "redis://default:hunter2"),
        ("REDIS_URL", "redis://:hunter2/0"),
        ("REDIS_URL", "redis://default:12/hunter2@127.0.0.1"),
        ("REDIS_URL", "hunter2://127.0.0.1"),
        ("REDIS_URL", "'redis://default:hunter2@127.0.0.1'"),
        ("INGEST_ADDR", "http://user:hunter2@127.0.0.1:80"),
        (
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "v1,hunter2hunter2hunter2hunter2hunter2",
        ),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1/x?password=hunter2"),
        ("REDIS_URL", "postgres://user:hunter2@127.0.0.1/db#hunter2"),
    ] {
        let output = run(&[], &[ENOUGH[0], (name, value)])?;
        let line = refused(&output, name);
        assert!(
            !line.contains("hunter2") && !line.contains("MfKQ9r8"),
            "{line}"
        );
    }
    // Nor where it was put in a place that is not meant for it.
    for arguments in [
        &[SECRET][..],
        &["--clerk-webhook-signing-secret", "hunter2-", "--nonsense"],
        &["--clerk-webhook-signing-secrets", SECRET],
        &["--redis-url", "redis://a:b@c", SECRET],
        &[&format!("--secret={SECRET}")],
        &[&format!("--max-backlog={SECRET}"), "--max-backlog=1"],
    ] {
        let output = run(arguments, &[])?;
        let line = refused(&output, "");
        assert!(
            !line.contains("MfKQ9r8") && !line.contains("hunter2"),
            "{line}"
        );
    }
    Ok(())
}

/// P12
#[test]
fn a_missing_secret_is_named() -> anyhow::Result<()> {
    for environment in [
        &[][..],
        &[("CLERK_WEBHOOK_SIGNING_SECRET", "")],
        &[("CLERK_WEBHOOK_SIGNING_SECRET", " , ")],
    ] {
        let line = refused(&run(&[], environment)?, "CLERK_WEBHOOK_SIGNING_SECRET");
        assert!(
            line.contains("expected the endpoint's signing secret"),
            "{line}"
        );
    }
    Ok(())
}

/// Settings, P12: the secret's other name counts where the first is not set, and messages name the one that
/// was read.
#[test]
fn the_secret_is_read_under_its_other_name() -> anyhow::Result<()> {
    let (name, other) = ("CLERK_WEBHOOK_SIGNING_SECRET", "CLERK_WEBHOOK_SECRET");
    let line = refused(&run(&[], &[(other, "hunter2!")])?, "CLERK_WEBHOOK_SECRET: ");
    assert!(!line.contains("hunter2"), "{line}");
    let line = refused(
        &run(&[], &[(name, ""), (other, "hunter2!")])?,
        "CLERK_WEBHOOK_SECRET: ",
    );
    assert!(!line.contains("hunter2"), "{line}");
    refused(
        &run(&[], &[(name, "hunter2!"), (other, SECRET)])?,
        "CLERK_WEBHOOK_SIGNING_SECRET: ",
    );
    refused(
        &run(&[], &[(other, SECRET), ("MAX_BACKLOG", "x")])?,
        "MAX_BACKLOG",
    );
    refused(
        &run(&["--clerk-webhook-secret", SECRET], &[("MAX_BACKLOG", "x")])?,
        "MAX_BACKLOG",
    );
    Ok(())
}

/// Settings: the address is `INGEST_ADDR`, or else every one at `PORT`.
#[test]
fn the_port_counts_where_the_address_is_not_set() -> anyhow::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port().to_string();
    let other = [ENOUGH[0], ("ADMIN_ADDR", "127.0.0.1:0"), ("PORT", &port)];
    let line = refused(&run(&[], &other)?, "PORT: ");
    assert!(line.contains(&port), "{line}");
    let blank = [&other[..], &[("INGEST_ADDR", " ")]].concat();
    refused(&run(&[], &blank)?, "PORT: ");
    // Where it is set, nobody reads the port.
    let used = format!("127.0.0.1:{port}");
    let both = [
        ENOUGH[0],
        ("INGEST_ADDR", &used),
        ("ADMIN_ADDR", "127.0.0.1:0"),
        ("PORT", "http"),
    ];
    refused(&run(&[], &both)?, "INGEST_ADDR: ");
    Ok(())
}

/// P12: text of another encoding.
#[test]
fn a_setting_that_is_not_utf_8_is_named() -> anyhow::Result<()> {
    for name in ["CLERK_WEBHOOK_SIGNING_SECRET", "MAX_BACKLOG", "REDIS_URL"] {
        let not_utf_8 = OsString::from_vec(vec![b'h', b'u', b'n', 0xff]);
        let folder = tempfile::tempdir()?;
        let output = run_in(&folder, &[], &[(name.as_ref(), &not_utf_8)])?;
        refused(&output, name);
    }
    Ok(())
}

/// P12
#[test]
fn an_address_in_use_is_named() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let used = listener.local_addr()?.to_string();
    for (name, other) in [("INGEST_ADDR", "ADMIN_ADDR"), ("ADMIN_ADDR", "INGEST_ADDR")] {
        let environment = [ENOUGH[0], (name, &used), (other, "127.0.0.1:0")];
        let line = refused(&run(&[], &environment)?, name);
        assert!(line.contains(&used), "{line}");
    }
    Ok(())
}

/// Settings: blank is the default, as compose files pass unset variables.
#[tokio::test]
async fn a_blank_setting_is_the_default() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let blank = [
        "CLERK_WEBHOOK_SECRET",
        "PORT",
        "WEBHOOK_PATH",
        "IDLE_TIMEOUT_MS",
        "MAX_BODY_BYTES",
        "MAX_BACKLOG",
        "TRUSTED_PROXY_HOPS",
        "REDIS_MIN_REPLICAS",
        "REDIS_CA_FILE",
        "REDIS_PARTITIONS",
        "SHUTDOWN_GRACE_MS",
        "RUST_LOG",
        "LOG_FORMAT",
    ];
    let settings = blank.map(|name| (name, ""));
    let ingest = Ingest::start_with(&redis.url(), &settings).await?;
    let body = UserPayload::new("user_1", "a@example.com").created();
    assert_eq!(
        ingest.post(&signed("msg_1", &body)?, body).await?.status,
        200
    );
    // Not on a terminal, so it is JSON.
    assert!(
        ingest.logged("message", "ingest is listening") == 1,
        "{}",
        ingest.program.output()
    );
    Ok(())
}

/// Settings: a `.env` file is read, and the environment wins over it.
#[test]
fn a_dotenv_file_in_the_working_directory_is_read() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let dotenv = folder.path().join(".env");
    fs::write(
        &dotenv,
        format!("# secrets\nCLERK_WEBHOOK_SIGNING_SECRET={SECRET}\nMAX_BACKLOG=of_dotenv\n"),
    )?;
    let line = refused(&run_in(&folder, &[], &[])?, "MAX_BACKLOG");
    assert!(line.contains("\"of_dotenv\""), "{line}");
    let environment = [(OsStr::new("MAX_BACKLOG"), OsStr::new("of_environment"))];
    let line = refused(&run_in(&folder, &[], &environment)?, "MAX_BACKLOG");
    assert!(line.contains("\"of_environment\""), "{line}");

    // Two secrets, and a $ that is no variable.
    for (content, found) in [
        (
            format!(
                "CLERK_WEBHOOK_SIGNING_SECRET={SECRET} {OTHER_SECRET}\r\nMAX_BACKLOG=a$b # c\r\n"
            ),
            "\"a$b\"",
        ),
        (
            format!("export CLERK_WEBHOOK_SIGNING_SECRET='{SECRET}'\nMAX_BACKLOG: 'it\\'s $b'\n"),
            "\"it's $b\"",
        ),
        (
            format!(
                "\u{feff}CLERK_WEBHOOK_SIGNING_SECRET=\"{SECRET}\n{OTHER_SECRET}\"\nX=y\nMAX_BACKLOG=\"\\$b-$X\""
            ),
            "\"$b-y\"",
        ),
    ] {
        fs::write(&dotenv, content)?;
        let line = refused(&run_in(&folder, &[], &[])?, "MAX_BACKLOG");
        assert!(line.contains(found), "{line}");
    }
    Ok(())
}

/// P11, P12: a line of a `.env` file that cannot be read is named with its number and its variable.
#[test]
fn a_bad_line_of_a_dotenv_file_is_named_and_not_shown() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let dotenv = folder.path().join(".env");
    for (content, names) in [
        (&b"hunter2 is no setting\n"[..], ".env, line 1:"),
        (
            b"\n# a\nREDIS_URL redis://hunter2\n",
            ".env, line 3, REDIS_URL:",
        ),
        (
            b"A=1\nREDIS_URL=\"redis://:hunter2@h\nB=2\n",
            ".env, line 2, REDIS_URL:",
        ),
        (
            b"A='1\n2'\nREDIS_URL=\"hunter2${\"",
            ".env, line 3, REDIS_URL:",
        ),
        (b"A=hunter2\xff", ".env, line 1, A:"),
    ] {
        fs::write(&dotenv, content)?;
        let line = refused(&run_in(&folder, &[], &[])?, names);
        assert!(!line.contains("hunter2"), "{line}");
    }
    // As to compose, but not in silence: $word is gone.
    fs::write(&dotenv, "REDIS_URL=\"x$word\"\n")?;
    let output = String::from_utf8(run_in(&folder, &[], &[])?.stderr)?;
    assert!(
        output.starts_with("warning: .env, line 1, REDIS_URL: a $"),
        "{output}"
    );
    assert!(!output.contains("word"), "{output}");
    Ok(())
}

/// Settings: each is also a flag, which wins.
#[test]
fn a_flag_wins_over_the_environment() -> anyhow::Result<()> {
    let environment = [ENOUGH[0], ("MAX_BACKLOG", "of_environment")];
    let output = run(&["--max-backlog", "of_flag"], &environment)?;
    let line = refused(&output, "MAX_BACKLOG");
    assert!(line.contains("\"of_flag\""), "{line}");
    let flags = [
        "--clerk-webhook-signing-secret",
        SECRET,
        "--max-backlog=5",
        "--trusted-proxy-hops=of_flag",
    ];
    let output = run(&flags, &[("MAX_BACKLOG", "of_environment")])?;
    refused(&output, "TRUSTED_PROXY_HOPS");
    Ok(())
}

/// Settings; P11: the help lists every setting and shows the value of none.
#[test]
fn the_help_lists_every_setting_and_shows_no_value() -> anyhow::Result<()> {
    let settings = [
        ("CLERK_WEBHOOK_SIGNING_SECRET", "required"),
        ("CLERK_WEBHOOK_SECRET", "where the other is not set"),
        ("INGEST_ADDR", "0.0.0.0:8080"),
        ("PORT", "where INGEST_ADDR is not set"),
        ("WEBHOOK_PATH", "/api/webhooks/clerk"),
        ("IDLE_TIMEOUT_MS", "75000"),
        ("MAX_BODY_BYTES", "1048576"),
        ("MAX_BACKLOG", "1000000"),
        ("TRUSTED_PROXY_HOPS", "0"),
        ("REDIS_MIN_REPLICAS", "0"),
        ("REDIS_URL", "redis://127.0.0.1:6379"),
        ("REDIS_CA_FILE", "the system's"),
        ("REDIS_PARTITIONS", "1"),
        ("ADMIN_ADDR", "127.0.0.1:9100"),
        ("SHUTDOWN_GRACE_MS", "10000"),
        ("RUST_LOG", "info"),
        ("LOG_FORMAT", "text"),
    ];
    let environment = settings.map(|(name, _)| (name, "hunter2"));
    for flag in ["--help", "-h"] {
        let output = run(&[flag], &environment)?;
        assert!(output.status.success(), "{output:?}");
        let help = String::from_utf8(output.stdout)?;
        assert!(!help.contains("hunter2"), "{help}");
        for (name, default) in settings {
            let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
            assert!(
                help.contains(&flag) && help.contains(name),
                "{name}\n{help}"
            );
            assert!(help.contains(default), "{default}\n{help}");
        }
        assert!(help.contains("healthcheck"), "{help}");
    }
    Ok(())
}

/// Runs the ingest in an empty folder until it ends by itself.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Output> {
    let environment: Vec<_> = environment
        .iter()
        .map(|&(name, value)| (OsStr::new(name), OsStr::new(value)))
        .collect();
    run_in(&tempfile::tempdir()?, arguments, &environment)
}

/// The same in `folder`. An ingest that does not end is killed, so that a test that has found a
/// bad setting accepted fails and does not hang.
fn run_in(
    folder: &TempDir,
    arguments: &[&str],
    environment: &[(&OsStr, &OsStr)],
) -> anyhow::Result<Output> {
    Ok(Command::new("timeout")
        .args(["--signal=KILL", "20", env!("CARGO_BIN_EXE_ingest")])
        .args(arguments)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .envs(environment.iter().copied())
        .current_dir(folder.path())
        .output()?)
}

/// Also without the required settings.
#[test]
fn the_version_tells_the_commit() -> anyhow::Result<()> {
    let output = xtask::program::Program::run("ingest", &["--version"], &[])?;
    let line = String::from_utf8(output.stdout)?;
    let start = concat!("ingest ", env!("CARGO_PKG_VERSION"), " (");
    let commit = line
        .strip_prefix(start)
        .and_then(|rest| rest.strip_suffix(")\n"));
    let commit = commit.ok_or_else(|| anyhow::anyhow!("{line}"))?;
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    // Not that it is the newest: there may be another one by now.
    if option_env!("GIT_COMMIT").is_none() {
        let is_known = git(&["cat-file", "-e", &format!("{commit}^{{commit}}")]);
        assert_eq!(is_known, git(&["rev-parse", "HEAD"]), "{line}");
    }
    Ok(())
}
