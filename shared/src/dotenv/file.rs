//! What a file says: its statements, one after the other.

use super::expansion::{References, escapes};
use super::mistake::{Mistake, Place, Wrong};
use super::name::{is_space, name};

/// A variable of the process's environment.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dotenv {
    /// Names and values, each name once.
    pub(crate) variables: Vec<(String, String)>,
    /// Places where a variable in double quotes is not set anywhere.
    pub(crate) blanks: Vec<Place>,
}

const NOT_A_SETTING: Wrong = (
    "a line that is not NAME=value",
    "every line to be NAME=value or a # comment",
);

impl Dotenv {
    /// Reads the content of a file. `environment` wins over the file where a value refers to a variable; a line
    /// without `=` is said to be about its first word only if that `is_setting`.
    ///
    /// # Errors
    /// Names the first line that cannot be read.
    pub(crate) fn parse(
        content: &[u8],
        environment: Environment<'_>,
        is_setting: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Mistake> {
        let text = utf_8(content, is_setting)?;
        let mut file = Self::default();
        let mut rest = text;
        let mut is_new_line = true;
        loop {
            let statement = rest.trim_start();
            is_new_line |= rest[..rest.len() - statement.len()].contains('\n');
            if statement.is_empty() {
                return Ok(file);
            }
            if statement.starts_with('#') {
                rest = statement.find('\n').map_or("", |end| &statement[end..]);
                continue;
            }
            let before = &text[..text.len() - statement.len()];
            let mistake = |wrong| Mistake::new(Place::new(before, statement, is_setting), wrong);
            let (name, after) = name(statement).ok_or_else(|| mistake(NOT_A_SETTING))?;
            let Some(after) = after else {
                if !is_new_line {
                    // The text is about the variable in front of it.
                    let last = file.variables.last().map(|(name, _)| name.as_str());
                    let place = Place::new(before, statement, is_setting).about(last);
                    let wrong = (
                        "text behind the closing quotation mark",
                        "the end of the line, or a # comment",
                    );
                    return Err(Mistake::new(place, wrong));
                }
                rest = &statement[statement.find('\n').unwrap_or(statement.len())..];
                continue;
            };
            let (value, after, is_blank) = file.value(after, environment).map_err(mistake)?;
            if value.contains('\0') {
                return Err(mistake(("a NUL character", "text")));
            }
            if is_blank {
                let place = Place::new(before, statement, is_setting);
                file.blanks.push(place);
            }
            is_new_line = after.starts_with('\n');
            rest = after;
            file.variables.retain(|(other, _)| other != name);
            file.variables.push((name.to_owned(), value));
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        let mut variables = self.variables.iter();
        let found = variables.find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone())
    }

    /// The value that `text` begins with, what comes after it, and whether a variable in it is not set.
    fn value<'a>(
        &self,
        text: &'a str,
        environment: Environment<'_>,
    ) -> Result<(String, &'a str, bool), Wrong> {
        let text = text.trim_start_matches(is_space);
        let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let (line, rest) = text.split_at(text.find('\n').unwrap_or(text.len()));
            let value = line.split(" #").next().unwrap_or_default().trim_end();
            return Ok((value.to_owned(), rest, false));
        };
        let (value, rest) = quoted(text, quote).ok_or((
            "a value whose quotation mark is not closed",
            "the same quotation mark at its end",
        ))?;
        if quote == '\'' {
            return Ok((value, rest, false));
        }
        let variables = |name: &str| environment(name).or_else(|| self.get(name));
        let mut references = References::new(&variables);
        let value = references.replace(&escapes(&value))?;
        Ok((value, rest, references.is_blank))
    }
}

/// The content without the mark that some editors put in front of it.
fn utf_8<'a>(content: &'a [u8], is_setting: &dyn Fn(&str) -> bool) -> Result<&'a str, Mistake> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    std::str::from_utf8(content).map_err(|error| {
        let valid = String::from_utf8_lossy(&content[..error.valid_up_to()]);
        let line = valid.rsplit('\n').next().unwrap_or_default();
        let place = Place::new(&valid, line, is_setting);
        Mistake::new(place, ("text that is not UTF-8", "UTF-8"))
    })
}

/// What stands between the quotation mark that `text` begins with and the next one, which a backslash keeps
/// from being the end; and what comes after it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    characters.next();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next()? {
                escaped if escaped == quote => value.push(quote),
                other => value.extend(['\\', other]),
            },
            end if end == quote => return Some((value, characters.as_str())),
            other => value.push(other),
        }
    }
    None
}
