//! A running ingest, and what a test asks of it.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use redis::{AsyncCommands as _, streams::StreamRangeReply};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use xtask::{
    free_port::free_port,
    http::{Answer, Http},
    program::Program,
    redis_server::RedisServer,
    sender::{seconds_since_epoch, signed_headers},
    wait::until,
};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
pub(crate) const PATH: &str = "/api/webhooks/clerk";
pub(crate) const EVENTS: &str = "{clerk:0}:events";

/// How long a condition may take to hold. Longer than every time-out of the ingest.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How long Svix waits for an answer before it counts the delivery as failed.
pub(crate) const SVIX_PATIENCE: Duration = Duration::from_secs(15);

/// A running ingest.
pub(crate) struct Ingest {
    pub(crate) program: Program,
    pub(crate) http: Http,
    address: String,
    admin_address: String,
}

impl Ingest {
    /// Starts one in front of `redis` and waits until it listens.
    pub(crate) async fn start(redis: &RedisServer) -> anyhow::Result<Self> {
        Self::start_with(&redis.url(), &[]).await
    }

    /// The same with more settings. They win.
    pub(crate) async fn start_with(
        redis_url: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let admin_address = format!("127.0.0.1:{}", free_port()?);
        let mut environment = vec![
            ("CLERK_WEBHOOK_SIGNING_SECRET", SECRET),
            ("INGEST_ADDR", &address),
            ("ADMIN_ADDR", &admin_address),
            ("REDIS_URL", redis_url),
        ];
        environment.extend(settings);
        let ingest = Self {
            program: Program::start("ingest", &environment)?,
            http: Http::new(),
            address,
            admin_address,
        };
        until("the ingest is alive", DEADLINE, async || {
            !ingest.program.is_running()
                || ingest
                    .admin("/healthz")
                    .await
                    .is_ok_and(|answer| answer.status == 200)
        })
        .await?;
        ensure!(ingest.program.is_running(), "{}", ingest.program.output());
        Ok(ingest)
    }

    /// The URL of a path of the webhook address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn admin_address(&self) -> &str {
        &self.admin_address
    }

    /// `GET path` of the admin address.
    pub(crate) async fn admin(&self, path: &str) -> anyhow::Result<Answer> {
        // It closes every connection after one request, so a client that keeps them may be late.
        let url = format!("http://{}{path}", self.admin_address);
        Http::new().get(&url).await
    }

    /// Posts `body` to the endpoint with just these headers.
    pub(crate) async fn post(
        &self,
        headers: &[(impl AsRef<str>, impl AsRef<str>)],
        body: impl Into<bytes::Bytes>,
    ) -> anyhow::Result<Answer> {
        self.http.send("POST", &self.url(PATH), headers, body).await
    }

    /// Posts `body` the way Svix does: signed with [`SECRET`] as of now.
    pub(crate) async fn deliver(&self, svix_id: &str, body: &str) -> anyhow::Result<Answer> {
        self.post(&signed(svix_id, body)?, body.to_owned()).await
    }

    /// Posts what nobody signed.
    pub(crate) async fn forge(&self) -> anyhow::Result<Answer> {
        self.forge_with(&[]).await
    }

    /// The same with more headers.
    pub(crate) async fn forge_with(&self, more: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let timestamp = seconds_since_epoch()?.to_string();
        let mut headers = vec![
            ("svix-id", "msg_forged"),
            ("svix-timestamp", &timestamp),
            ("svix-signature", "v1,Zm9yZ2Vk"),
        ];
        headers.extend(more);
        self.post(&headers, "{}").await
    }

    /// A connection to the webhook address.
    pub(crate) async fn connect(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect(&self.address).await
    }

    /// Writes `bytes` to a new connection and reads until the ingest closes it.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> anyhow::Result<String> {
        let mut stream = self.connect().await?;
        stream.write_all(bytes).await?;
        read_to_end(&mut stream).await
    }

    /// Begins a request over a new connection and returns once the ingest has asked for its body:
    /// from then on the request is in flight.
    pub(crate) async fn begin(&self, svix_id: &str, body: &str) -> anyhow::Result<TcpStream> {
        let mut stream = self.connect().await?;
        let head = head(
            &signed(svix_id, body)?,
            &format!("content-length: {}\r\nexpect: 100-continue\r\n", body.len()),
        );
        stream.write_all(head.as_bytes()).await?;
        let read = read_until(&mut stream, "\r\n\r\n").await?;
        ensure!(read.starts_with("HTTP/1.1 100 "), "{read}");
        Ok(stream)
    }

    /// The lines that it has logged.
    pub(crate) fn log(&self) -> Vec<Value> {
        let output = self.program.output();
        output
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// How many log lines have `value` in the field `field`.
    pub(crate) fn logged(&self, field: &str, value: &str) -> usize {
        self.log()
            .iter()
            .filter(|line| line[field] == value)
            .count()
    }

    /// The value of a metric, named as it stands in the text, labels included.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let metrics = self.admin("/metrics").await?.body;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .with_context(|| format!("no {name} in\n{metrics}"))?;
        Ok(value.parse()?)
    }

    /// The status of `GET /readyz`; 0 when the admin address does not answer.
    pub(crate) async fn readiness(&self) -> u16 {
        self.admin("/readyz")
            .await
            .map_or(0, |answer| answer.status)
    }
}

/// The headers of a delivery that is signed with [`SECRET`] as of now.
pub(crate) fn signed(svix_id: &str, body: &str) -> anyhow::Result<[(&'static str, String); 3]> {
    signed_headers(SECRET, svix_id, seconds_since_epoch()?, body)
}

/// The head of a POST to the endpoint; `more` are whole header lines.
pub(crate) fn head(headers: &[(&str, String)], more: &str) -> String {
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("POST {PATH} HTTP/1.1\r\nhost: ingest\r\n{lines}{more}\r\n")
}

/// Reads until the other side closes the connection, in whatever way.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> anyhow::Result<String> {
    read_until(stream, "\0 never sent").await
}

/// Reads until `end` has been read or the other side closes the connection, in whatever way.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &str) -> anyhow::Result<String> {
    let mut read = Vec::new();
    let mut part = [0; 4096];
    let reading = async {
        while let Ok(length @ 1..) = stream.read(&mut part).await {
            read.extend_from_slice(&part[..length]);
            if String::from_utf8_lossy(&read).contains(end) {
                break;
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading)
        .await
        .context("the connection was neither answered nor closed")?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}

/// The fields of every entry of the stream, oldest first.
pub(crate) async fn entries(redis: &RedisServer) -> anyhow::Result<Vec<BTreeMap<String, Vec<u8>>>> {
    let client = redis::Client::open(redis.url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let range: StreamRangeReply = connection.xrange_all(EVENTS).await?;
    range
        .ids
        .into_iter()
        .map(|entry| {
            entry
                .map
                .into_iter()
                .map(|(field, value)| Ok((field, redis::from_redis_value(value)?)))
                .collect()
        })
        .collect()
}

/// The svix-id of every entry of the stream, oldest first.
pub(crate) async fn svix_ids(redis: &RedisServer) -> anyhow::Result<Vec<String>> {
    entries(redis)
        .await?
        .into_iter()
        .map(|mut entry| {
            Ok(String::from_utf8(
                entry.remove("svix-id").unwrap_or_default(),
            )?)
        })
        .collect()
}

/// How many entries stand in the stream.
pub(crate) fn backlog(redis: &RedisServer) -> anyhow::Result<u64> {
    Ok(redis.cli(&["XLEN", EVENTS])?.parse()?)
}

/// The most memory that a process has ever had, in MiB.
pub(crate) fn peak_memory(ingest: &Ingest) -> anyhow::Result<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", ingest.program.pid()))?;
    let kibibytes: usize = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next())
        .unwrap_or_default()
        .parse()?;
    Ok(kibibytes / 1024)
}

/// Lets this process, and those that it starts, open as many files as the hard limit says: a test that
/// opens thousands of connections needs more than the usual soft limit of 1024.
pub(crate) fn raise_file_limit() -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(hard >= 4096, "the hard limit of open files is {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(4096), hard)?;
    Ok(())
}
