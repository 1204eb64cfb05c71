//! A table of the file, whose keys have a meaning of ours.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::tables::file::nearest::nearest;
use crate::tables::file::notes::{Notes, all};

/// What a key may say, and what that means.
pub(super) type Words<T> = [(&'static str, T)];

/// A table, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) table: &'a DeTable<'a>,
    pub(super) at: usize,
}

impl<'a> Keys<'a> {
    /// Tells the keys that are none of `known`, with the nearest that is, or all, or else what `or` says; whether all are known.
    pub(super) fn check(self, known: &[&str], or: &str, notes: &mut Notes) -> bool {
        let mut all_known = true;
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                all_known = false;
                let expected = match nearest(name, known.iter().copied()) {
                    Some(nearest) => format!("{nearest:?}"),
                    None => format!("one of {}", known.join(", ")),
                };
                let what = format!("{name:?} is unknown");
                notes.mistake(key.span().start, what, expected + or);
            }
        }
        all_known
    }

    pub(super) fn has(self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value, and where its key is.
    pub(super) fn get(self, key: &str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
        let (key, value) = self.table.get_key_value(key)?;
        Some((key.span().start, value))
    }

    /// The value, which is to be a text.
    pub(super) fn text(self, key: &str, notes: &mut Notes) -> Option<(usize, &'a str)> {
        let (at, value) = self.get(key)?;
        text_of(key, at, value.get_ref(), notes).map(|text| (at, text))
    }

    /// The texts of a list, or the one text that there is in place of a list; each with its place.
    pub(super) fn texts(self, key: &str, notes: &mut Notes) -> Option<Vec<(usize, &'a str)>> {
        let (at, value) = self.get(key)?;
        let DeValue::Array(list) = value.get_ref() else {
            return text_of(key, at, value.get_ref(), notes).map(|text| vec![(at, text)]);
        };
        let texts = list.iter().map(|value| {
            let at = value.span().start;
            text_of(key, at, value.get_ref(), notes).map(|text| (at, text))
        });
        all(texts)
    }

    /// The value, which is to be one of `words`.
    pub(super) fn word<T: Copy>(self, key: &str, words: &Words<T>, notes: &mut Notes) -> Option<T> {
        let (at, value) = self.get(key)?;
        let value = value.get_ref();
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            notes.mistake(
                at,
                format!("{key:?} is {}", described(value)),
                words.join(" or "),
            );
        }
        found.map(|(_, means)| *means)
    }

    /// The value, which is to be a table.
    pub(super) fn table(self, key: &str, notes: &mut Notes) -> Option<Self> {
        let (at, value) = self.get(key)?;
        let value = value.get_ref();
        let DeValue::Table(table) = value else {
            notes.mistake(at, format!("{key:?} is {}", described(value)), "a table");
            return None;
        };
        Some(Self { table, at })
    }
}

fn text_of<'a>(key: &str, at: usize, value: &'a DeValue<'a>, notes: &mut Notes) -> Option<&'a str> {
    let text = value.as_str();
    if text.is_none() {
        notes.mistake(
            at,
            format!("{key:?} is {}", described(value)),
            "a text in quotes",
        );
    }
    text
}

/// What a value is, in words.
pub(super) fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
