//! Lists of texts, for arrays.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::apply::fit::misfit::Problem;
use crate::apply::fit::{Fitted, Fitting, cut, without_padding};
use crate::database::catalogue::column::Kind;
use crate::event::text::lossy;
use crate::tables::section::TooLong;
use crate::tables::value::Value;

impl<'a> Fitting<'a, '_> {
    /// A list, each of whose texts is what an element of the column may be. Only what the file says is done about one
    /// that is too long.
    pub(super) fn list(self, texts: Vec<String>, element: &Kind) -> Result<Fitted<'a>, Problem> {
        let name = || self.stored.name.clone();
        let mut elements = Vec::with_capacity(texts.len());
        for text in texts {
            let text = match element {
                Kind::Enum(words) if !words.contains(&text) => {
                    return Err(Problem::NoWordInList(name()));
                }
                Kind::Text {
                    characters: Some(most),
                    is_padded,
                } => {
                    let text: Cow<'_, str> = text.into();
                    let text = match is_padded {
                        true => without_padding(text),
                        false => text,
                    };
                    match (text.chars().nth(*most), self.said_of_too_long()) {
                        (None, _) => text.into_owned(),
                        (Some(_), Some(TooLong::Cut)) => cut(text, *most, *is_padded).into_owned(),
                        (Some(_), Some(TooLong::Null)) => {
                            return self.null(Problem::TooLongInList);
                        }
                        (Some(_), _) => return Err(Problem::TooLongInList(name())),
                    }
                }
                _ => text,
            };
            elements.push(text);
        }
        Ok(Fitted::Text(array(&elements).into()))
    }
}

/// The texts of a JSON array, if it has nothing else.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    let Value::Json(json) = value else {
        return None;
    };
    let entries: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let texts = entries
        .into_iter()
        .map(|entry| lossy(entry).map(Cow::into_owned));
    texts.collect()
}

/// As PostgreSQL writes it: `{"a","b"}`.
fn array(texts: &[String]) -> String {
    let quoted = |text: &String| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
    let texts: Vec<String> = texts.iter().map(quoted).collect();
    format!("{{{}}}", texts.join(","))
}
