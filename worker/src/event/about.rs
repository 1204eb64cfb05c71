//! What an event says besides its object.

use std::time::SystemTime;

use serde_json::value::RawValue;
use shared::svix_id::SvixId;

/// What an event says besides its object, and when it is read.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Its identity.
    pub svix_id: &'a SvixId,
    /// Its `type`.
    pub event_type: &'a str,
    /// When Clerk sent it, as it stands in the JSON.
    pub timestamp: Option<&'a RawValue>,
    /// When the ingest received it.
    pub received_at: SystemTime,
    /// Which of Clerk's instances sent it, as it stands in the JSON.
    pub instance_id: Option<&'a RawValue>,
    /// The worker's clock.
    pub now: SystemTime,
}
