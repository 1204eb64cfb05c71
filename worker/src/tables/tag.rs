//! A cache tag: `user:{row.id}`.

/// A tag, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(pub Vec<Part>);

/// A part of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands there.
    Text(String),
    /// What the row says in this column.
    Column(String),
}

impl Tag {
    /// The columns that it needs.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Column(column) => Some(column.as_str()),
        })
    }

    /// The tag of a row whose columns say this; `None` where one of them says NULL.
    pub fn of_row<'a>(&self, says: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Column(column) => says(column),
        });
        parts.collect()
    }
}
