//! Names of tables and columns.

use crate::tables::file::notes::Notes;

/// Bytes of a name that PostgreSQL keeps; what is longer it cuts, and names another thing.
const MAX_BYTES: usize = 63;

/// The name, if PostgreSQL may have it.
pub(super) fn identifier(name: &str, at: usize, notes: &mut Notes) -> Option<String> {
    let what = if name.is_empty() {
        "a name is empty".to_owned()
    } else if name.contains('\0') {
        format!("the name {name:?} has a NUL in it")
    } else if name.len() > MAX_BYTES {
        format!("the name {name:?} has {} bytes", name.len())
    } else {
        return Some(name.to_owned());
    };
    let expected = format!("1 to {MAX_BYTES} bytes, none of them NUL, as PostgreSQL has names");
    notes.mistake(at, what, expected);
    None
}
