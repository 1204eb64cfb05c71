//! A private Prometheus.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;

use crate::{free_port::free_port, http::Http, packages, program::Program, wait::until};

/// A real Prometheus on a free port of 127.0.0.1 that reads targets every second. Dropping it kills it.
#[derive(Debug)]
pub struct PrometheusServer {
    // Declared before the folder: dropped, and so killed, before it.
    _program: Program,
    port: u16,
    _folder: TempDir,
}

impl PrometheusServer {
    /// Starts one that reads `targets`, such as `127.0.0.1:9100`, and evaluates the rules of a file; waits until
    /// it answers queries.
    ///
    /// # Errors
    ///
    /// When Prometheus is not installed or does not start; the message holds its log.
    pub async fn start(targets: &[&str], rules: &Path) -> anyhow::Result<Self> {
        let program = packages::find("prometheus").context("prometheus is not installed")?;
        let folder = tempfile::Builder::new().prefix("prometheus-").tempdir()?;
        let settings = folder.path().join("prometheus.yaml");
        // JSON is YAML.
        let content = serde_json::json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [rules],
            "scrape_configs": [{ "job_name": "clerk", "static_configs": [{ "targets": targets }] }],
        });
        fs::write(&settings, content.to_string())?;
        let port = free_port()?;
        let arguments = [
            format!("--config.file={}", settings.display()),
            format!("--storage.tsdb.path={}/data", folder.path().display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let arguments = arguments.each_ref().map(String::as_str);
        let program = Program::start_file("prometheus", &program, &arguments, &[])?;
        // It listens before it is ready, and then answers 503.
        let ready = format!("http://127.0.0.1:{port}/-/ready");
        until("Prometheus is ready", Duration::from_secs(60), async || {
            let answer = Http::new().get(&ready).await;
            !program.is_running() || answer.is_ok_and(|answer| answer.status == 200)
        })
        .await?;
        ensure!(
            program.is_running(),
            "Prometheus has not started:\n{}",
            program.output()
        );
        Ok(Self {
            _program: program,
            port,
            _folder: folder,
        })
    }

    /// The series that a query has now.
    ///
    /// # Errors
    ///
    /// When Prometheus does not answer, or objects to the query.
    pub async fn query(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let data = self.ask(&format!("query?query={query}")).await?;
        let result = data["result"].as_array().context("no result")?;
        Ok(result.clone())
    }

    /// The rules that it has loaded.
    ///
    /// # Errors
    ///
    /// When Prometheus does not answer.
    pub async fn rules(&self) -> anyhow::Result<Vec<Value>> {
        let data = self.ask("rules").await?;
        let groups = data["groups"].as_array().context("no groups")?;
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        Ok(rules.flatten().cloned().collect())
    }

    async fn ask(&self, what: &str) -> anyhow::Result<Value> {
        let url = format!("http://127.0.0.1:{}/api/v1/{what}", self.port);
        let answer = Http::new().get(&url).await?;
        let mut body: Value = serde_json::from_str(&answer.body)?;
        ensure!(body["status"] == "success", "{what}: {body}");
        Ok(body["data"].take())
    }
}

/// Runs promtool in a folder; returns what it says, and whether it was content.
///
/// # Errors
///
/// When promtool is not installed.
pub fn promtool(folder: &Path, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let program = packages::find("promtool").context("promtool is not installed")?;
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}
