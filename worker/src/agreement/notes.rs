//! What there is to tell, while it is found.

use std::fmt::Display;

use shared::terminal::escaped;

use crate::agreement::Agreement;
use crate::tables::places::Places;

/// Errors and warnings, each with its line.
pub(super) struct Notes<'a> {
    places: &'a Places,
    errors: Vec<(usize, String)>,
    warnings: Vec<(usize, String)>,
}

impl<'a> Notes<'a> {
    pub(super) const fn new(places: &'a Places) -> Self {
        Self {
            places,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Something at these keys does not fit.
    pub(super) fn error(&mut self, keys: &[&str], what: impl Display, remedy: impl Display) {
        let line = self.places.line(keys);
        self.errors.push((line, format!("{what}, {remedy}")));
    }

    pub(super) fn warning(&mut self, keys: &[&str], what: impl Display, remedy: impl Display) {
        let line = self.places.line(keys);
        self.warnings.push((line, format!("{what}, {remedy}")));
    }

    pub(super) fn into_agreement(self) -> Agreement {
        let file = self.places.file();
        let lines = |mut notes: Vec<(usize, String)>| {
            notes.sort_by_key(|(line, _)| *line);
            let told = |(line, note)| escaped(&format!("{file}:{line}: {note}"));
            notes.into_iter().map(told).collect()
        };
        Agreement {
            errors: lines(self.errors),
            warnings: lines(self.warnings),
            tables: Vec::new(),
        }
    }
}
