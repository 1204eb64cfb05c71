//! Which fields of Clerk's `data` a section reads: worked out once, not for each event.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::event::fields::Fields;
use crate::event::object;
use crate::event::person;
use crate::event::unusable::Unusable;
use crate::tables::path::Path;
use crate::tables::section::Column;

/// The names of the fields of `data` that some columns need, and those that every event needs.
#[derive(Clone, Debug)]
pub struct Wanted(Vec<String>);

impl Wanted {
    /// By these columns.
    pub fn by<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Self {
        let paths = columns.into_iter().flat_map(Column::paths);
        let names: BTreeSet<&str> = paths.flat_map(names).chain(object::FIELDS).collect();
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// Reads them, in one pass.
    ///
    /// # Errors
    /// When `data` is no object, or one of them stands there twice.
    pub fn read<'a>(&'a self, data: &'a RawValue) -> Result<Fields<'a>, Unusable> {
        Fields::read(data, &self.0).map_err(|_| Unusable::Data)
    }
}

fn names(path: &Path) -> Vec<&str> {
    match path {
        Path::Null | Path::Now | Path::Event(_) | Path::Data => Vec::new(),
        Path::Computed(computed) => person::fields(*computed).to_vec(),
        Path::Field(steps) => steps.first().map(String::as_str).into_iter().collect(),
    }
}
