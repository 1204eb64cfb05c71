//! Where in the file a column is.

use crate::tables::file::family::Family;

/// The keys of a section.
pub(super) const KEYS: [&str; 9] = [
    "table",
    "key",
    "columns",
    "on_create",
    "on_delete",
    "missing_row",
    "link_by",
    "newest",
    "tags",
];

/// The part of a section that names columns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Columns,
    OnCreate,
    OnDelete,
}

/// Of which family, and in which part of its section.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) family: &'a Family<'a>,
    pub(super) place: Place,
}

impl Place {
    /// Its key in the file.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Columns => "columns",
            Self::OnCreate => "on_create",
            Self::OnDelete => "on_delete",
        }
    }
}
