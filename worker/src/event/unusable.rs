//! A payload that cannot be acted on.

use shared::envelope::NotAnEvent;

/// Why a payload cannot be acted on, now or ever. Holds nothing of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is not a Clerk event.
    #[error("the payload is {0}")]
    NotAnEvent(#[from] NotAnEvent),
    /// `data` is not a user: it is missing or no object, or a field stands there twice.
    #[error("data is not a Clerk user")]
    Data,
    /// A field is missing, has another type, or a value that its column cannot hold.
    #[error("data.{0} is missing or unusable")]
    Field(&'static str),
    /// The column `email` is NOT NULL.
    #[error("the user has no primary e-mail address")]
    NoPrimaryEmail,
}
