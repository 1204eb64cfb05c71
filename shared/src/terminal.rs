//! What is shown on a terminal.

/// The text with escapes in place of what a terminal would obey: control characters, and those that turn the direction of
/// a line or cannot be seen.
#[must_use]
pub fn escaped(text: &str) -> String {
    let shown = |character: char| match is_obeyed(character) {
        true => character.escape_debug().to_string(),
        false => character.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Whether a terminal would do something else than show it.
#[must_use]
pub fn is_obeyed(character: char) -> bool {
    let is_hidden = matches!(
        character,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    character.is_control() || is_hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_would_obey_is_shown_as_it_is() {
        for (text, shown) in [
            (
                "Ada \"King\" \\ 😀é e\u{301} क्षि",
                "Ada \"King\" \\ 😀é e\u{301} क्षि",
            ),
            (
                "\u{1b}[2J\r\n\u{202e}\u{7f}\u{9b}\u{feff}",
                "\\u{1b}[2J\\r\\n\\u{202e}\\u{7f}\\u{9b}\\u{feff}",
            ),
        ] {
            assert_eq!(escaped(text), shown);
            assert_eq!(escaped(shown), shown);
        }
    }
}
