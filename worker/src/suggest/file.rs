//! The text of a tables file: TOML, with comments.

use std::fmt::{Display, Formatter, Result};

use toml_writer::{TomlStringBuilder, TomlWrite as _};

use shared::terminal::is_obeyed;

use crate::tables::file::shown;
pub(super) use crate::tables::file::{FILL_IN, as_key as key};

/// A text as a value of TOML, or in a comment: on one line.
pub(super) fn text(value: &str) -> String {
    let mut text = String::new();
    let _ = text.value(TomlStringBuilder::new(value).as_basic());
    shown(&text)
}

/// A text that may stand behind a #: on one line, and without what TOML has in no comment or a terminal obeys.
pub(super) fn comment(text: &str) -> String {
    text.replace(is_obeyed, " ")
}

/// `NAME = VALUE  # NOTE`
pub(super) struct Line {
    /// The name, as it is in the database.
    pub(super) name: String,
    /// TOML.
    pub(super) value: String,
    /// Why it may be wrong.
    pub(super) note: String,
    /// Whether it does not hold until somebody takes the # away.
    pub(super) is_choice: bool,
}

impl Line {
    pub(super) fn new(name: &str, value: impl Into<String>, note: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
            note: note.into(),
            is_choice: false,
        }
    }

    pub(super) fn choice(name: &str, value: impl Into<String>, note: impl Into<String>) -> Self {
        let is_choice = true;
        Self {
            is_choice,
            ..Self::new(name, value, note)
        }
    }
}

/// A section of the file.
pub(super) struct Section {
    pub(super) family: &'static str,
    /// What there is to say before it, a line each.
    pub(super) notes: Vec<String>,
    /// What stands directly below its name.
    pub(super) keys: Vec<Line>,
    /// What keeps a row from being deleted, a line each, where something does.
    pub(super) deletion_notes: Vec<String>,
    pub(super) columns: Vec<Line>,
    pub(super) on_create: Vec<Line>,
    pub(super) on_delete: Vec<Line>,
    /// Columns that nothing of Clerk's looks like.
    pub(super) others: Vec<String>,
}

impl Section {
    /// How many lines somebody has to fill in.
    pub(super) fn blanks(&self) -> usize {
        let lines = self.columns.iter().chain(&self.on_create);
        lines.filter(|line| line.value.contains(FILL_IN)).count()
    }
}

impl Display for Line {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let sign = if self.is_choice { "#" } else { "" };
        write!(formatter, "{sign}{} = {}", key(&self.name), self.value)?;
        match self.note.as_str() {
            "" => Ok(()),
            note => write!(formatter, "  # {}", comment(note)),
        }
    }
}

impl Display for Section {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        for note in &self.notes {
            writeln!(formatter, "# {}", comment(note))?;
        }
        writeln!(formatter, "[{}]", self.family)?;
        for line in &self.keys {
            writeln!(formatter, "{line}")?;
        }
        for note in &self.deletion_notes {
            writeln!(formatter, "# {}", comment(note))?;
        }
        if !self.deletion_notes.is_empty() {
            writeln!(formatter, "#on_delete = \"keep\"")?;
        }
        for (part, lines) in [
            ("columns", &self.columns),
            ("on_create", &self.on_create),
            ("on_delete", &self.on_delete),
        ] {
            if !lines.is_empty() {
                writeln!(formatter, "\n[{}.{part}]", self.family)?;
            }
            for line in lines {
                writeln!(formatter, "{line}")?;
            }
        }
        if !self.others.is_empty() {
            let others: Vec<_> = self.others.iter().map(|name| key(name)).collect();
            let others = comment(&others.join(", "));
            writeln!(formatter, "# Left to the application: {others}")?;
        }
        Ok(())
    }
}
