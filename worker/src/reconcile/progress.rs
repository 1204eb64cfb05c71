//! What is said meanwhile: results on standard output, the rest on standard error, which on a terminal is
//! a bar.

use std::io::{self, ErrorKind, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How long there is no line about the progress.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Clones speak of the same.
#[derive(Clone)]
pub struct Progress {
    /// It shows nothing where standard error is no terminal.
    bar: ProgressBar,
    last_line: Arc<Mutex<Instant>>,
    /// Why a result could not be written, the first time.
    lost: Arc<Mutex<Option<io::Error>>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bar: ProgressBar::no_length(),
            last_line: Arc::new(Mutex::new(Instant::now())),
            lost: Arc::default(),
        }
    }

    /// What is read, how many there will be, as far as is known, and how many have been read in a run before.
    pub fn begin(&self, plural: &'static str, total: Option<u64>, already: u64) {
        let template = match total {
            Some(_) => "{wide_bar} {pos}/{len} {prefix}, {eta} left",
            None => "{pos} {prefix}, {elapsed}",
        };
        self.bar.reset();
        self.bar.unset_length();
        self.bar.set_prefix(plural);
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(already);
        self.bar.reset_eta();
    }

    /// So many more have been read.
    pub fn read(&self, objects: usize) {
        self.bar.inc(objects as u64);
        let mut last_line = self
            .last_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.bar.is_hidden() && last_line.elapsed() >= BETWEEN_LINES {
            *last_line = Instant::now();
            let total = self.bar.length().map(|total| format!(" of {total}"));
            let total = total.unwrap_or_default();
            let (read, plural) = (self.bar.position(), self.bar.prefix());
            self.say(&format!("{read}{total} {plural} read"));
        }
    }

    /// All have been read.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// A line on standard error.
    pub fn say(&self, line: &str) {
        // Who has closed it does not want to know.
        self.bar.suspend(|| drop(writeln!(io::stderr(), "{line}")));
    }

    /// A line on standard output.
    pub fn tell(&self, line: &str) {
        let written = self.bar.suspend(|| writeln!(io::stdout(), "{line}"));
        if let Err(error) = written
            // Who has closed it has seen enough.
            && error.kind() != ErrorKind::BrokenPipe
        {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert(error);
        }
    }

    /// Whether all that was told has been written.
    ///
    /// # Errors
    /// Why it has not, in words.
    pub fn is_told(&self) -> Result<(), String> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match lost.as_ref() {
            Some(error) => Err(format!("standard output cannot be written: {error}")),
            None => Ok(()),
        }
    }
}
