//! An entry of the stream as Redis sends it.

/// The id that Redis gave an entry: `milliseconds-sequence`.
pub type EntryId = String;

/// An entry: its id, and its fields by name. Neither names nor values need be text, since anybody may add an entry by
/// hand.
pub type RawEntry = (EntryId, Vec<(Vec<u8>, Vec<u8>)>);

/// A field that is there and is text.
#[must_use]
pub fn text<'a>(entry: &'a RawEntry, field: &str) -> Option<&'a str> {
    std::str::from_utf8(bytes(entry, field)?).ok()
}

/// A field that is there. Of one that is there twice the last counts, as it does in the scripts.
#[must_use]
pub fn bytes<'a>(entry: &'a RawEntry, field: &str) -> Option<&'a [u8]> {
    entry
        .1
        .iter()
        .rev()
        .find(|(name, _)| name == field.as_bytes())
        .map(|(_, value)| value.as_slice())
}
