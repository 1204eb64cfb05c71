//! How much is measured.

/// The same for every part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Everything once, with tiny sizes: shows that it works, and nothing of speed.
    pub(crate) short: bool,
    /// How often each thing is measured, in turn with the others.
    pub(crate) rounds: usize,
}

impl Scale {
    /// How many events wait when a worker starts to drain: few, many, very many. The one in the
    /// middle is where the worker is compared with everything else.
    pub(crate) const fn backlogs(self) -> [usize; 3] {
        if self.short {
            [100, 400, 1_000]
        } else {
            [10_000, 100_000, 1_000_000]
        }
    }
}
