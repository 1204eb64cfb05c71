//! What an event says of rows of other objects. Which these are, and whose, only the transaction finds out.

use std::time::SystemTime;

use serde_json::value::RawValue;

use crate::event::about::About;
use crate::event::fields::Fields;
use crate::event::row::Row;
use crate::event::wanted::Wanted;
use crate::event::{Change, Event};
use crate::tables::section::Section;

/// What an event says besides its object, as far as the event itself does not keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// As they stand in the JSON.
    timestamp: Option<String>,
    instance_id: Option<String>,
    now: SystemTime,
}

impl Occasion {
    /// Keeps it.
    #[must_use]
    pub fn of(about: &About<'_>) -> Self {
        let json = |value: Option<&RawValue>| value.map(|value| value.get().to_owned());
        Self {
            timestamp: json(about.timestamp),
            instance_id: json(about.instance_id),
            now: about.now,
        }
    }
}

impl Event {
    /// What it says of a row of `section` that stays though another object's deletion takes it along: when, and the id of
    /// the row's own object, if it has one; nothing else of that object.
    #[must_use]
    pub fn row_left(&self, section: &Section, id: Option<&str>) -> Row {
        let occasion = match &self.change {
            Change::Upsert(object) | Change::Delete(object) => object.occasion.as_deref(),
            Change::Ignore(_) => None,
        };
        let json = |text: &'_ Option<String>| -> Option<Box<RawValue>> {
            RawValue::from_string(text.clone()?).ok()
        };
        let timestamp = occasion.and_then(|occasion| json(&occasion.timestamp));
        let instance_id = occasion.and_then(|occasion| json(&occasion.instance_id));
        let about = About {
            svix_id: &self.svix_id,
            event_type: &self.event_type,
            timestamp: timestamp.as_deref(),
            received_at: self.received_at,
            instance_id: instance_id.as_deref(),
            now: occasion.map_or_else(SystemTime::now, |occasion| occasion.now),
        };
        let columns = section.left_columns();
        let wanted = Wanted::by(columns);
        let object = id.map(|id| serde_json::json!({ "id": id }).to_string());
        let object = object.and_then(|json| RawValue::from_string(json).ok());
        let fields = object.as_deref().and_then(|json| wanted.read(json).ok());
        Row::of_deletion(columns, &about, &fields.unwrap_or_else(Fields::none))
    }
}
