//! Where in the file something stands.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of a file, and the lines of its keys. The default: of no file.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub(super) file: Arc<str>,
    /// By section, key and column, as many of them as there are.
    pub(super) lines: Arc<BTreeMap<Vec<String>, usize>>,
}

impl Places {
    /// The file, as people know it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether it has this key.
    #[must_use]
    pub fn has(&self, keys: &[&str]) -> bool {
        let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
        self.lines.contains_key(&keys)
    }

    /// The line of a key, or else of the one that it would stand below; counted from 1.
    #[must_use]
    pub fn line(&self, keys: &[&str]) -> usize {
        let found = (1..=keys.len()).rev().find_map(|depth| {
            let keys: Vec<_> = keys[..depth].iter().map(ToString::to_string).collect();
            self.lines.get(&keys)
        });
        found.copied().unwrap_or(1)
    }
}
