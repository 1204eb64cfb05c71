//! From a text to a path.

use crate::tables::file::family::{COMMON, Family};
use crate::tables::file::scope::{Place, Scope};
use crate::tables::path::Path;

/// A path that says nothing here.
pub(super) struct Unknown {
    /// What is wrong with it.
    pub(super) what: String,
    /// Which may have been meant.
    pub(super) expected: String,
}

/// Reads `text`.
///
/// # Errors
/// When no event of the family has such a field.
pub(super) fn path(text: &str, scope: Scope<'_>) -> Result<Path, Unknown> {
    if scope.place != Place::OnDelete {
        return any_path(text, scope.family);
    }
    let path = match text {
        field if scope.family.deletion().contains(&field) => {
            Ok(Path::Field(vec![field.to_owned()]))
        }
        _ => any_path(text, scope.family),
    };
    let path = path
        .ok()
        .filter(|path| is_of_a_deletion(path, scope.family));
    path.ok_or_else(|| Unknown {
        what: format!("{text:?} is nothing that a deletion says"),
        expected: match scope.family.deletion() {
            [] => scope.family.expected(text),
            fields => format!("{}, event.…, now, null", fields.join(", ")),
        },
    })
}

fn any_path(text: &str, family: &Family<'_>) -> Result<Path, Unknown> {
    let is_text = |path: &&Path| path.to_string() == text;
    // `data.x` is `x`, known or not.
    let of_data = text.strip_prefix("data.");
    let computed = family.computed(of_data.unwrap_or(text));
    if let Some(path) = computed.or_else(|| COMMON.iter().find(is_text)) {
        return Ok(path.clone());
    }
    let steps = of_data.unwrap_or(text).split('.').map(str::to_owned);
    let steps: Vec<String> = steps.collect();
    let first = steps.first().map_or("", String::as_str);
    let what = if steps.iter().any(String::is_empty) {
        format!("{text:?} is no path")
    } else if of_data.is_some() || family.has_field(first) {
        return Ok(Path::Field(steps));
    } else if first == "event" {
        format!("{text:?} is nothing that an event says")
    } else {
        format!("{first:?} is no field of Clerk's {}", family.name)
    };
    // Behind the first step there is nothing that a path could be compared with.
    let word = if first == "event" { text } else { first };
    let expected = family.expected(word);
    Err(Unknown { what, expected })
}

fn is_of_a_deletion(path: &Path, family: &Family<'_>) -> bool {
    match path {
        Path::Null | Path::Now | Path::Event(_) => true,
        Path::Data | Path::Computed(_) => family.deletion().is_empty(),
        Path::Field(steps) => match (family.deletion(), steps.as_slice()) {
            ([], _) => true,
            (fields, [field]) => fields.contains(&field.as_str()),
            _ => false,
        },
    }
}
