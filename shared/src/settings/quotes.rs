//! Quotation marks that came along with a value.

use super::error::SettingError;

/// Refuses a value that begins with a quotation mark: no setting does, but `docker run --env-file` takes quotes for
/// a part of the value.
///
/// # Errors
/// Names the variable; the value is not shown.
pub fn check_quotes(variable: &'static str, value: &str) -> Result<(), SettingError> {
    if value.trim_start().starts_with(QUOTES) {
        let found = "a value that begins with a quotation mark (hidden)";
        return Err(SettingError::new(variable, found, QUOTES_EXPECTED));
    }
    Ok(())
}

/// The quotation marks that people put round values.
pub const QUOTES: [char; 2] = ['"', '\''];

/// What is expected instead of a value in quotes.
pub const QUOTES_EXPECTED: &str = "no quotes round it: docker's --env-file keeps them";
