//! What there is to tell about a file, while it is read.

use std::fmt::Display;

use shared::terminal::escaped;

use crate::tables::file::lines::Lines;

/// All of `items`, if there is each; each is looked at, so that each tells its mistakes.
pub(super) fn all<T, C: FromIterator<T>>(items: impl Iterator<Item = Option<T>>) -> Option<C> {
    let items: Vec<_> = items.collect();
    items.into_iter().collect()
}

/// Mistakes and warnings, each with the offset of what it is about.
#[derive(Default)]
pub(super) struct Notes {
    mistakes: Vec<(usize, String)>,
    warnings: Vec<(usize, String)>,
}

impl Notes {
    pub(super) fn mistake(&mut self, at: usize, what: impl Display, expected: impl Display) {
        self.mistakes
            .push((at, format!("{what}, expected {expected}")));
    }

    pub(super) fn warning(&mut self, at: usize, text: String) {
        self.warnings.push((at, text));
    }

    pub(super) const fn has_mistakes(&self) -> bool {
        !self.mistakes.is_empty()
    }

    pub(super) fn append(&mut self, mut others: Self) {
        self.mistakes.append(&mut others.mistakes);
        self.warnings.append(&mut others.warnings);
    }

    /// The mistakes and the warnings, a line each, in the order of the text that they are about.
    pub(super) fn into_lines(self, name: &str, lines: &Lines) -> (Vec<String>, Vec<String>) {
        let told = |mut notes: Vec<(usize, String)>| {
            notes.sort_by_key(|(at, _)| *at);
            let line = |(at, note)| escaped(&format!("{name}:{}: {note}", lines.number(at)));
            notes.into_iter().map(line).collect()
        };
        (told(self.mistakes), told(self.warnings))
    }
}
