//! Chromium without a window, driven by the Chrome DevTools Protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>) over its standard input and output.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::packages;

use crate::peer;
use crate::world::DEADLINE;

/// Seconds; a browser that hangs ends by itself.
const LIFETIME: &str = "300";

pub(crate) struct Browser(std::path::PathBuf);

/// A browser of its own with one page. Dropping it ends the browser.
pub(crate) struct Tab {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    session: String,
    asked: u64,
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn present() -> Option<&'static Self> {
        static BROWSER: OnceLock<anyhow::Result<Browser>> = OnceLock::new();
        peer::present(&BROWSER, || {
            packages::browser().map(Self).context("chromium is missing")
        })
    }

    pub(crate) fn tab(&self) -> Tab {
        let profile = tempfile::tempdir().unwrap();
        // The protocol wants the descriptors 3 and 4. Root, as in CI, has no sandbox.
        let mut process = Command::new("timeout")
            .args([
                LIFETIME,
                "sh",
                "-c",
                r#"exec "$@" 3<&0 4>&1 >/dev/null 2>&1"#,
                "sh",
            ])
            .arg(&self.0)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--hide-scrollbars",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut tab = Tab {
            commands: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
            session: String::new(),
            asked: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = tab.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = tab.ask(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        tab.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            tab.ask(&format!("{domain}.enable"), json!({}));
        }
        tab
    }
}

impl Tab {
    /// Sends a command and returns its result.
    pub(crate) fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut command = json!({ "id": self.asked, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let commands = self.commands.as_mut().unwrap();
        write!(commands, "{command}\0").unwrap();
        loop {
            let mut message = Vec::new();
            self.answers.read_until(0, &mut message).unwrap();
            assert_eq!(message.pop(), Some(0), "Chromium has ended at {method}");
            let message: Value = serde_json::from_slice(&message).unwrap();
            if message["id"] == self.asked {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            let is_complaint = matches!(
                message["method"].as_str(),
                Some("Log.entryAdded" | "Runtime.exceptionThrown" | "Runtime.consoleAPICalled")
            );
            if is_complaint {
                self.complaints.push(message["params"].to_string());
            }
        }
    }

    /// The value of an expression.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.ask(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, expression: &str) {
        let begin = Instant::now();
        while self.evaluate(expression) != true {
            let page =
                (begin.elapsed() > DEADLINE).then(|| self.evaluate("document.body.innerText"));
            assert_eq!(
                page, None,
                "{expression} is not true; {:?}",
                self.complaints
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Opens a page and waits until it is there.
    pub(crate) fn open(&mut self, url: &str) {
        self.evaluate("window.isOld = true");
        let answer = self.ask("Page.navigate", json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{answer}");
        self.wait_for("!window.isOld && document.readyState === 'complete'");
    }

    /// How large the page is in CSS pixels, and `light` or `dark`.
    pub(crate) fn size(&mut self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.ask("Emulation.setDeviceMetricsOverride", metrics);
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        );
    }

    /// Presses a key.
    pub(crate) fn key(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    /// Types text.
    pub(crate) fn insert(&mut self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text }));
    }

    /// A PNG of the whole page.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let mut clip = self.ask("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        clip["scale"] = json!(1);
        let picture = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.ask("Page.captureScreenshot", picture);
        BASE64_STANDARD
            .decode(picture["data"].as_str().unwrap())
            .unwrap()
    }

    /// What stands in the console: errors, refusals, what scripts write.
    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        // It ends when nobody commands it any more.
        self.commands = None;
        let _ = self.process.wait();
    }
}
