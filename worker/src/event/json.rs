//! JSON as PostgreSQL takes it.

use std::borrow::Cow;

/// The same JSON, where `\u0000` and half a surrogate, which `jsonb` refuses, are U+FFFD.
pub(crate) fn storable(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u") {
        return json.into();
    }
    let mut storable = String::with_capacity(json.len());
    let mut rest = json;
    // A backslash stands nowhere but in strings, and begins an escape.
    while let Some(start) = rest.find('\\') {
        let (before, escapes) = rest.split_at(start);
        let (length, replacement) = match code(escapes) {
            // A letter behind the backslash.
            None => (2, None),
            Some(0 | 0xdc00..=0xdfff) => (6, Some("\\ufffd")),
            Some(0xd800..=0xdbff) => match escapes.get(6..).and_then(code) {
                Some(0xdc00..=0xdfff) => (12, None),
                _ => (6, Some("\\ufffd")),
            },
            Some(_) => (6, None),
        };
        let (escape, after) = escapes.split_at(length);
        storable.push_str(before);
        storable.push_str(replacement.unwrap_or(escape));
        rest = after;
    }
    storable.push_str(rest);
    storable.into()
}

/// Of `\uXXXX` at the beginning.
fn code(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jsonb_refuses_is_replaced_and_all_else_stays_as_it_is() {
        for same in [
            "{}",
            "[]",
            r#"{"a": [1, "b\n"]}"#,
            r#"["\u00e9", "\ud83d\ude00", "\\u0000", "\\\\ud83d", "\uD83D\uDE00", "\udbff\udc00\ue000\ud7ff"]"#,
            r#"["\"\u0041\\", "u0000", "\ufffd", "😀"]"#,
        ] {
            assert_eq!(storable(same), same);
        }
        for (json, expected) in [
            (r#"["\u0000"]"#, r#"["\ufffd"]"#),
            (
                r#"["\ud800", "\udbff", "\udc00", "\udfff"]"#,
                r#"["\ufffd", "\ufffd", "\ufffd", "\ufffd"]"#,
            ),
            (r#"{"a\u0000b":"\\\u0000"}"#, r#"{"a\ufffdb":"\\\ufffd"}"#),
            (r#"["\ud83d"]"#, r#"["\ufffd"]"#),
            (
                r#"["\uDE00\ud83d\ud83d\ude00"]"#,
                r#"["\ufffd\ufffd\ud83d\ude00"]"#,
            ),
            (
                r#"["\ud83d\n", "\ud83d\u0041", "\ud83d"]"#,
                r#"["\ufffd\n", "\ufffd\u0041", "\ufffd"]"#,
            ),
            (
                r#"["\ud83dé", "\ud83d\\ude00"]"#,
                r#"["\ufffdé", "\ufffd\\ude00"]"#,
            ),
        ] {
            assert_eq!(storable(json), expected, "{json}");
        }
    }
}
