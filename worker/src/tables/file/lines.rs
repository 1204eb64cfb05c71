//! The lines of a file.

/// Where the lines end.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(ends.map(|(at, _)| at).collect())
    }

    /// The line of what is at this offset, counted from 1.
    pub(super) fn number(&self, at: usize) -> usize {
        1 + self.0.partition_point(|end| *end < at)
    }
}
