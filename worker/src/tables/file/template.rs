//! From a text with braces to a template, or to a tag.

use std::num::NonZeroUsize;

use crate::tables::file::braces::{self, parts};
use crate::tables::file::identifier::identifier;
use crate::tables::file::notes::{Notes, all};
use crate::tables::file::path::path;
use crate::tables::file::scope::Scope;
use crate::tables::tag::{self, Tag};
use crate::tables::template::{self, Template};

const BRACES: &str = "{{ and }} for braces";

/// Reads the text of a constant.
pub(super) fn template(
    text: &str,
    at: usize,
    scope: Scope<'_>,
    notes: &mut Notes,
) -> Option<Template> {
    let Some(parts) = parts(text) else {
        let what = format!("in {text:?} a brace is alone");
        notes.mistake(at, what, format!("a path such as {{id}}, or {BRACES}"));
        return None;
    };
    let parts = parts.into_iter().map(|part| match part {
        // PostgreSQL has no NUL in a text.
        braces::Part::Text(text) => Some(template::Part::Text(text.replace('\0', ""))),
        braces::Part::Braced(braced) => path_part(braced, at, scope, notes),
    });
    all(parts).map(Template)
}

/// `path`, or `path:8`.
fn path_part(
    braced: &str,
    at: usize,
    scope: Scope<'_>,
    notes: &mut Notes,
) -> Option<template::Part> {
    let whole = format!("{{{braced}}}");
    let (text, last) = match braced.rsplit_once(':') {
        None => (braced, None),
        Some((text, digits)) => {
            let last = digits.parse::<NonZeroUsize>().ok();
            if last.is_none() || digits.starts_with('+') {
                let what = format!("in {whole:?} {digits:?} is no number of characters");
                notes.mistake(at, what, format!("one as in {{id:8}}, or {BRACES}"));
                return None;
            }
            (text, last.map(NonZeroUsize::get))
        }
    };
    match path(text, scope) {
        Ok(path) => Some(template::Part::Path(path, last)),
        Err(unknown) => {
            let expected = format!("{}, or {BRACES}", unknown.expected);
            notes.mistake(at, format!("in {whole:?} {}", unknown.what), expected);
            None
        }
    }
}

/// Reads a cache tag.
pub(super) fn tag(text: &str, at: usize, notes: &mut Notes) -> Option<Tag> {
    let expected = format!("{{row.x}}, where x is a column of the table, or {BRACES}");
    let Some(parts) = parts(text) else {
        let what = format!("in the tag {text:?} a brace is alone");
        notes.mistake(at, what, expected);
        return None;
    };
    if parts.is_empty() {
        notes.mistake(at, "a tag is empty", "one such as user:{row.id}");
        return None;
    }
    let parts = parts.into_iter().map(|part| match part {
        braces::Part::Text(text) => Some(tag::Part::Text(text)),
        braces::Part::Braced(braced) => {
            let Some(column) = braced.strip_prefix("row.") else {
                let what = format!("{:?} says nothing in a tag", format!("{{{braced}}}"));
                notes.mistake(at, what, &expected);
                return None;
            };
            identifier(column, at, notes).map(tag::Part::Column)
        }
    });
    all(parts).map(Tag)
}
