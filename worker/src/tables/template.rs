//! A text with paths in braces: `deleted-{id}@users.invalid`.

use crate::tables::path::Path;

/// A text, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub Vec<Part>);

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands there; `{{` and `}}` are single braces by now.
    Text(String),
    /// What the path says, nothing where it says nothing; no more than so many of its last characters.
    Path(Path, Option<usize>),
}

impl Template {
    /// The paths in it.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Path(path, _) => Some(path),
        })
    }
}
