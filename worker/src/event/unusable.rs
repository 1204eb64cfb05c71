//! A payload that cannot be acted on.

use shared::envelope::NotAnEvent;

/// Why a payload cannot be acted on, now or ever. Holds nothing of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is not a Clerk event.
    #[error("the payload is {0}")]
    NotAnEvent(#[from] NotAnEvent),
    /// `data` is missing or no object, or a field that is read stands there twice.
    #[error("data is not an object of Clerk's")]
    Data,
    /// A field is missing, has another type, or a value that cannot be stored.
    #[error("data.{0} is missing or unusable")]
    Field(&'static str),
}
