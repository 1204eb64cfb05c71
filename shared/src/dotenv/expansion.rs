//! What double quotes do to a value: first its escapes are replaced, then the variables that it refers to.

use super::mistake::Wrong;
use super::name::{is_name, name_length};

const NOT_A_REFERENCE: Wrong = (
    "a ${ in double quotes that is no reference to a variable",
    "${NAME}, ${NAME:-default}, or \\$ for a dollar sign",
);

/// Replaces the escapes of double quotes, those of echo(1). Others stay as they are.
pub(super) fn escapes(value: &str) -> String {
    let mut replaced = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('\\') {
        replaced.push_str(before);
        let mut characters = after.chars();
        let character = match characters.next() {
            Some('a') => Some('\x07'),
            Some('b') => Some('\x08'),
            Some('f') => Some('\x0c'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('v') => Some('\x0b'),
            Some('\\') => Some('\\'),
            Some('"') => Some('"'),
            // What follows it is no variable: see below.
            Some('$') => {
                replaced.push('$');
                Some('$')
            }
            Some('0') => {
                let octal = after
                    .get(1..4)
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
                characters = after.get(4..).unwrap_or_default().chars();
                octal
                    .and_then(|digits| u8::from_str_radix(digits, 8).ok())
                    .map(char::from)
            }
            _ => None,
        };
        replaced.push(character.unwrap_or('\\'));
        rest = if character.is_some() {
            characters.as_str()
        } else {
            after
        };
    }
    replaced + rest
}

/// The variables that a value may refer to.
pub(super) struct References<'a> {
    variables: &'a dyn Fn(&str) -> Option<String>,
    /// Whether one of them was not set.
    pub(super) is_blank: bool,
}

impl<'a> References<'a> {
    pub(super) fn new(variables: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            variables,
            is_blank: false,
        }
    }

    /// The value with what the variables say.
    pub(super) fn replace(&mut self, text: &str) -> Result<String, Wrong> {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            replaced.push_str(before);
            rest = if let Some(after) = after.strip_prefix('$') {
                replaced.push('$');
                after
            } else if let Some(after) = after.strip_prefix('{') {
                let end = closing_brace(after).ok_or(NOT_A_REFERENCE)?;
                replaced.push_str(&self.braced(&after[..end])?);
                &after[end + 1..]
            } else {
                let length = if is_name(&after[..name_length(after)]) {
                    name_length(after)
                } else {
                    0
                };
                let (name, after) = after.split_at(length);
                match name {
                    "" => replaced.push('$'),
                    name => replaced.push_str(&self.plain(name)),
                }
                after
            };
        }
        Ok(replaced + rest)
    }

    fn plain(&mut self, name: &str) -> String {
        let value = (self.variables)(name);
        self.is_blank |= value.is_none();
        value.unwrap_or_default()
    }

    /// `NAME`, or `NAME:-default` and its likes.
    fn braced(&mut self, reference: &str) -> Result<String, Wrong> {
        let (name, operation) = reference.split_at(name_length(reference));
        if !is_name(name) {
            return Err(NOT_A_REFERENCE);
        }
        if operation.is_empty() {
            return Ok(self.plain(name));
        }
        let value = (self.variables)(name);
        let (value, operation) = match operation.strip_prefix(':') {
            Some(operation) => (value.filter(|value| !value.is_empty()), operation),
            None => (value, operation),
        };
        let mut characters = operation.chars();
        match (characters.next(), value) {
            (Some('-' | '?'), Some(value)) => Ok(value),
            (Some('-'), None) | (Some('+'), Some(_)) => self.replace(characters.as_str()),
            (Some('+'), None) => Ok(String::new()),
            (Some('?'), None) => Err((
                "a reference to a variable that is not set",
                "it to be set, as the ? in the reference says",
            )),
            _ => Err(NOT_A_REFERENCE),
        }
    }
}

/// Where the brace before `text` is closed.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (place, character) in text.char_indices() {
        match character {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(place);
        }
    }
    None
}
