//! What a PostgreSQL has logged.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
};

/// The file that a server appends to, over all its starts.
#[derive(Debug)]
pub(super) struct Log(pub(super) PathBuf);

impl Log {
    /// Opens it for a server to write to.
    pub(super) fn open(&self) -> io::Result<File> {
        File::options().create(true).append(true).open(&self.0)
    }

    pub(super) fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }

    /// Whether a server that has not started may start if it is tried again: after a crash it refuses to while the
    /// old shared memory is in use.
    pub(super) fn may_heal(&self) -> bool {
        let text = self.text();
        let mut last = text.trim_end().rsplit('\n').take(3);
        last.any(|line| line.contains("shared memory block") || line.contains("is still in use"))
    }

    /// What it says of processes that have ended as they should not, if there were any.
    pub(super) fn crashes(&self) -> String {
        let text = self.text();
        let lines = text.lines().filter(|line| {
            [
                "PANIC",
                "was terminated by signal",
                "No space left",
                "shared memory",
            ]
            .iter()
            .any(|sign| line.contains(sign))
        });
        lines.flat_map(|line| ["\n", line]).collect()
    }
}
