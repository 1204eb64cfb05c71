//! What an event waits for.

/// The object whose next event may let it through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// `FAMILY/ID`; without an id: any row that is linked.
    pub object: String,
    /// The svix-id of the object's newest event, as it was when this was found out.
    pub version: Option<String>,
}

impl Awaited {
    pub(crate) fn of(family: &str, object_id: Option<&str>, version: Option<String>) -> Self {
        Self {
            object: format!("{family}/{}", object_id.unwrap_or_default()),
            version,
        }
    }
}
