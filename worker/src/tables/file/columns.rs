//! Columns, and what they say.

use crate::tables::file::content::content;
use crate::tables::file::identifier::identifier;
use crate::tables::file::keys::Keys;
use crate::tables::file::notes::Notes;
use crate::tables::file::scope::{KEYS, Scope};
use crate::tables::path::Path;
use crate::tables::section::Column;

/// What gives rights: the user is not to write it.
const RIGHTS: [&str; 7] = [
    "role",
    "roles",
    "plan",
    "admin",
    "permission",
    "permissions",
    "tier",
];

/// Reads the columns of a part of a section.
pub(super) fn columns(keys: Keys<'_>, scope: Scope<'_>, notes: &mut Notes) -> Vec<Column> {
    let mut columns = Vec::new();
    for (key, value) in keys.table {
        let (at, name) = (key.span().start, key.get_ref().as_ref());
        let mut told = Notes::default();
        let content = content(value, at, scope, &mut told);
        if told.has_mistakes() && KEYS.contains(&name) {
            let section = scope.family.name;
            let what = format!("{name:?} stands below [{section}.{}]", scope.place.key());
            notes.mistake(at, what, format!("it above, directly below [{section}]"));
            continue;
        }
        notes.append(told);
        if let (Some(name), Some(content)) = (identifier(name, at, notes), content) {
            let column = Column { name, content };
            warn(&column, at, scope, notes);
            columns.push(column);
        }
    }
    columns
}

/// Tells what the application may not have thought of.
fn warn(column: &Column, at: usize, scope: Scope<'_>, notes: &mut Notes) {
    let name = &column.name;
    for path in column.paths() {
        let shown = path.to_string();
        if *path == Path::Data || path.first_field() == Some("private_metadata") {
            let text = format!("{shown:?} in the column {name:?}: what only the backend may see");
            notes.warning(at, text);
        } else if scope.family.is_secret(&shown) {
            let text =
                format!("{shown:?} in the column {name:?}: who reads it can sign in with it");
            notes.warning(at, text);
        }
        if path.first_field() == Some("unsafe_metadata") && gives_rights(&shown, name) {
            let text = format!(
                "{shown:?} in the column {name:?}: the user can write it; public_metadata is the backend's alone"
            );
            notes.warning(at, text);
        }
    }
}

fn gives_rights(path: &str, column: &str) -> bool {
    let mut words = path.split('.').chain([column]);
    words.any(|word| {
        let word = word.to_lowercase();
        RIGHTS.iter().any(|right| word.ends_with(right))
    })
}
