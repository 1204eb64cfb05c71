//! What a JSON string says.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

/// The text, as PostgreSQL can hold it: NUL is left out. JavaScript cuts strings between the halves of an emoji, and
/// JSON can carry such a half; UTF-8 cannot: it becomes U+FFFD. `None` if it is no string.
pub(crate) fn lossy(json: &RawValue) -> Option<Cow<'_, str>> {
    if let Some(plain) = plain(json) {
        return Some(plain.into());
    }
    let Lossy(text) = serde_json::from_str(json.get()).ok()?;
    Some(text.into())
}

/// The text, for what may not lose a character: that would be something else. `None` if it is no string, or no text.
pub(crate) fn exact(json: &RawValue) -> Option<Cow<'_, str>> {
    if let Some(plain) = plain(json) {
        return Some(plain.into());
    }
    let text: String = serde_json::from_str(json.get()).ok()?;
    Some(text.into())
}

/// Whether it is nothing but blanks.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// The text of a string without escapes, so without NUL.
fn plain(json: &RawValue) -> Option<&str> {
    let text = json.get().strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Lossy;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lossy, E> {
                let mut text = String::with_capacity(bytes.len());
                for chunk in bytes.utf8_chunks() {
                    text.extend(chunk.valid().split('\0'));
                    // A half is three bytes, each of them invalid; 0xED is the first.
                    if chunk.invalid() == [0xed] {
                        text.push(char::REPLACEMENT_CHARACTER);
                    }
                }
                Ok(Lossy(text))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_says_its_text_without_what_postgresql_cannot_hold() {
        for (json, expected_lossy, expected_exact) in [
            (r#""""#, Some(""), Some("")),
            (r#"" é😀 ""#, Some(" é😀 "), Some(" é😀 ")),
            (r#""a\"\\\/\n\u00e9""#, Some("a\"\\/\né"), Some("a\"\\/\né")),
            (r#""\ud83d\ude00""#, Some("😀"), Some("😀")),
            (r#""\u0000a\u0000b\u0000""#, Some("ab"), Some("\0a\0b\0")),
            (r#""a\ud83d""#, Some("a\u{fffd}"), None),
            (r#""\ude00\ud83db""#, Some("\u{fffd}\u{fffd}b"), None),
            (r#""\ud83d\u0000\ude00""#, Some("\u{fffd}\u{fffd}"), None),
            ("null", None, None),
            ("7", None, None),
            (r#"["a"]"#, None, None),
            (r#"[97]"#, None, None),
            (r#"{"a":"b"}"#, None, None),
        ] {
            let json: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(lossy(json).as_deref(), expected_lossy, "{json}");
            assert_eq!(exact(json).as_deref(), expected_exact, "{json}");
        }
    }
}
