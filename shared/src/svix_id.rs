//! The identity of an event.

use std::fmt;

/// A svix-id: 1 to 255 bytes without control characters, so that it fits an index of PostgreSQL
/// and a line of a log. Svix' own are `msg_` and 27 letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SvixId(String);

impl SvixId {
    /// `None` when `text` cannot be a svix-id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }

    /// The same of one that may stand in a command: letters, digits, `_`, `-` and `.`.
    #[must_use]
    pub fn parse_plain(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        Self::parse(text).filter(|_| text.bytes().all(is_plain) && !text.starts_with('-'))
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SvixId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_index_and_a_log_can_hold_is_an_identity() {
        assert!(SvixId::parse("msg_2g7usercreated0000000000000").is_some());
        assert!(SvixId::parse(&"x".repeat(255)).is_some());
        for text in ["", "a\0b", "a\nb", &"x".repeat(256)] {
            assert!(SvixId::parse(text).is_none(), "{text:?}");
        }
    }
}
