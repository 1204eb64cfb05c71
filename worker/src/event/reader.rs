//! Reads events as a tables file wants them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::value::RawValue;
use shared::envelope::Envelope;
use shared::svix_id::SvixId;

use crate::event::about::About;
use crate::event::object::{self, Object, ObjectId};
use crate::event::row::Row;
use crate::event::unusable::Unusable;
use crate::event::wanted::Wanted;
use crate::event::{ASKED_FOR, Change, Event, time};
use crate::tables::Tables;
use crate::tables::section::{Column, OnDelete, Section};

/// Characters of a type that the ledger keeps.
const LONGEST_TYPE: usize = 255;

/// Reads events. Clones are the same.
#[derive(Clone, Debug)]
pub struct Reader {
    families: Arc<BTreeMap<String, Family>>,
    /// Of objects whose family has no table.
    wanted: Arc<Wanted>,
}

#[derive(Debug)]
struct Family {
    section: Arc<Section>,
    wanted: Wanted,
    wanted_of_deletion: Wanted,
}

impl Reader {
    /// Works out once what is read of each family's objects.
    #[must_use]
    pub fn new(tables: &Tables) -> Self {
        let family = |section: &Arc<Section>| {
            let family = Family {
                wanted: Wanted::by(section.cells()),
                wanted_of_deletion: Wanted::by(left_columns(section)),
                section: Arc::clone(section),
            };
            (section.family.clone(), family)
        };
        Self {
            families: Arc::new(tables.sections().map(family).collect()),
            wanted: Arc::new(Wanted::by([])),
        }
    }

    /// Reads `payload`.
    ///
    /// # Errors
    /// When it cannot be acted on.
    pub fn read(
        &self,
        svix_id: SvixId,
        received_at: SystemTime,
        payload: &[u8],
    ) -> Result<Event, Unusable> {
        let envelope = Envelope::parse(payload)?;
        let about = About {
            svix_id: &svix_id,
            event_type: &envelope.event_type,
            timestamp: envelope.timestamp,
            received_at,
            instance_id: envelope.instance_id,
            now: SystemTime::now(),
        };
        let change = match envelope.event_type.split_once('.') {
            Some((family, kind)) if self.families.contains_key(family) => {
                let data = envelope.data.ok_or(Unusable::Data)?;
                self.families[family].change(kind == "deleted", &about, data)?
            }
            _ => Change::Ignore(envelope.data.and_then(|data| self.id(data))),
        };
        Ok(Event {
            event_type: envelope
                .event_type
                .replace('\0', "\u{fffd}")
                .chars()
                .take(LONGEST_TYPE)
                .collect(),
            event_at: sent_at(&about).unwrap_or(SystemTime::UNIX_EPOCH),
            received_at,
            change,
            svix_id,
        })
    }

    /// Reads an object of `family` that Clerk's list has, as if an event told of it that is sent now.
    ///
    /// # Errors
    /// When it cannot be acted on, or the family has no section.
    pub fn read_listed(&self, family: &str, data: &RawValue) -> Result<Event, Unusable> {
        let now = SystemTime::now();
        let event_type = format!("{family}.updated");
        let svix_id = SvixId::parse(ASKED_FOR).ok_or(Unusable::Data)?;
        let about = About {
            svix_id: &svix_id,
            event_type: &event_type,
            timestamp: None,
            received_at: now,
            instance_id: None,
            now,
        };
        let family = self.families.get(family).ok_or(Unusable::Data)?;
        let change = family.change(false, &about, data)?;
        Ok(Event {
            event_type,
            event_at: now,
            received_at: now,
            change,
            svix_id,
        })
    }

    fn id(&self, data: &RawValue) -> Option<ObjectId> {
        object::id(&self.wanted.read(data).ok()?).ok()
    }
}

impl Family {
    fn change(
        &self,
        is_deletion: bool,
        about: &About<'_>,
        data: &RawValue,
    ) -> Result<Change, Unusable> {
        let section = &self.section;
        let wanted = if is_deletion {
            &self.wanted_of_deletion
        } else {
            &self.wanted
        };
        let fields = wanted.read(data)?;
        let row = if is_deletion {
            Row::of_deletion(left_columns(section), about, &fields)
        } else {
            Row::read(section, about, &fields)
        };
        let updated_at = object::updated_at(&fields).or_else(|| sent_at(about));
        let object = Object {
            section: Arc::clone(section),
            id: object::id(&fields)?,
            updated_at: updated_at.unwrap_or(about.received_at),
            row,
        };
        Ok(if is_deletion {
            Change::Delete(object)
        } else {
            Change::Upsert(object)
        })
    }
}

fn left_columns(section: &Section) -> &[Column] {
    match &section.on_delete {
        OnDelete::Set(columns) => columns,
        OnDelete::Delete | OnDelete::Keep => &[],
    }
}

fn sent_at(about: &About<'_>) -> Option<SystemTime> {
    time::of_number(about.timestamp?.get())
}
