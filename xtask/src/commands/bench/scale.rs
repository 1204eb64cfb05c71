//! How much is measured.

/// The size of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Everything once with tiny sizes: shows that it works.
    pub(crate) short: bool,
    /// How often each thing is measured.
    pub(crate) rounds: usize,
}
