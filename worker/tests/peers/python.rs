//! The packages of PyPI, in a virtual environment.

use std::sync::OnceLock;

use serde_json::Value;
use xtask::python_packages;

use crate::peer::{self, Installation};

const FILES: [(&str, &str); 5] = [
    ("application.py", include_str!("python/application.py")),
    (
        "manifest_validator.py",
        include_str!("python/manifest_validator.py"),
    ),
    ("requirements.txt", include_str!("python/requirements.txt")),
    ("svix_sender.py", include_str!("python/svix_sender.py")),
    (
        "workflow_validator.py",
        include_str!("python/workflow_validator.py"),
    ),
];

/// Python with the packages.
pub(crate) struct Python(Installation);

impl Python {
    pub(crate) fn present() -> Option<&'static Self> {
        static PYTHON: OnceLock<anyhow::Result<Python>> = OnceLock::new();
        peer::present(&PYTHON, || {
            Installation::of("peers-python", &FILES, |folder| {
                python_packages::install(&folder.file(""), &[])
            })
            .map(Self)
        })
    }

    /// Runs one of the scripts.
    pub(crate) fn ask(&self, script: &str, question: &Value) -> Value {
        self.0
            .ask(&["environment/bin/python", script], question)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }
}
