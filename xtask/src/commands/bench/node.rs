//! What people would use instead, on Node.js. To change a version: edit `node/package.json`, then
//! `npm install --package-lock-only` beside it.

use std::{
    env,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, anyhow};
use xtask::program::Program;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("node/", $name)))),*]
    };
}

const FILES: [(&str, &str); 7] = files![
    ".npmrc",
    "bullmq.mjs",
    "inline.mjs",
    "package-lock.json",
    "package.json",
    "schema.mjs",
    "webhook_server.mjs",
];

/// The scripts, and the packages that they need.
pub(crate) struct Node {
    folder: PathBuf,
}

impl Node {
    /// Installs the packages in `target/bench-node`, unless these are there already. Whoever comes
    /// meanwhile, from another process, waits.
    ///
    /// # Errors
    /// When Node.js, npm or the packages cannot be had.
    pub(crate) fn install() -> anyhow::Result<Self> {
        for (program, name) in [("node", "Node.js"), ("npm", "npm")] {
            let version = Command::new(program).arg("--version").output();
            version.with_context(|| format!("{name} is missing"))?;
        }
        let program = env::current_exe()?;
        let target = program.ancestors().nth(2);
        let target = target.context("this program is in no folder")?;
        let folder = target.join("bench-node");
        fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        let complete = folder.join("complete");
        let wanted = format!("{FILES:?}");
        if fs::read_to_string(&complete).is_ok_and(|found| found == wanted) {
            return Ok(Self { folder });
        }
        // An error means that it is not there.
        let _ = fs::remove_file(&complete);
        for (name, text) in FILES {
            fs::write(folder.join(name), text)?;
        }
        let installed = Command::new("timeout")
            .args(["300", "npm", "ci"])
            .current_dir(&folder)
            .output()?;
        if !installed.status.success() {
            let reason = String::from_utf8_lossy(&installed.stderr).into_owned();
            return Err(anyhow!(reason).context("the packages of npm cannot be installed"));
        }
        fs::write(&complete, wanted)?;
        Ok(Self { folder })
    }

    /// Starts `inline.mjs`, the route that writes the row before it answers, or `bullmq.mjs`, the one that
    /// enqueues with BullMQ; `store` is the variable that tells where.
    pub(crate) fn start(
        &self,
        script: &str,
        address: SocketAddr,
        secret: &str,
        store: (&str, &str),
    ) -> anyhow::Result<Program> {
        let script = self.folder.join(script);
        Program::start_file(
            "node",
            Path::new("node"),
            &[script.to_str().context("a path that is not UTF-8")?],
            &[
                ("NODE_ENV", "production"),
                ("PORT", &address.port().to_string()),
                ("SIGNING_SECRET", secret),
                store,
            ],
        )
    }
}
