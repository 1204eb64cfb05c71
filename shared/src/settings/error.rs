//! What is wrong with a setting.

/// A setting that cannot be used. Its text is one line and shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: found {found}, expected {expected}")]
pub struct SettingError {
    variable: &'static str,
    found: String,
    expected: String,
}

impl SettingError {
    /// `found` is shown as it is: redact it first if it is secret.
    #[must_use]
    pub fn new(
        variable: &'static str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            variable,
            found: found.into(),
            expected: expected.into(),
        }
    }
}
