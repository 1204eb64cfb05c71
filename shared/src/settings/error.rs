//! What is wrong with a setting.

/// A setting that cannot be used. Its text shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A variable, in one line.
    #[error("{variable}: found {found}, expected {expected}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it says, redacted if it is secret.
        found: String,
        /// What it should say.
        expected: String,
    },
    /// What is wrong inside a file, a line for each mistake: `FILE:LINE: …`
    #[error("{0}")]
    InFile(String),
}

impl SettingError {
    /// `found` is shown as it is: redact it first if it is secret.
    #[must_use]
    pub fn new(
        variable: &'static str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Variable {
            variable,
            found: found.into(),
            expected: expected.into(),
        }
    }
}
