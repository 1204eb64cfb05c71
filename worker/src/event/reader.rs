//! Reads events as a tables file wants them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::value::RawValue;
use shared::envelope::Envelope;
use shared::svix_id::SvixId;

use crate::event::about::About;
use crate::event::object::{self, Object, ObjectId};
use crate::event::occasion::Occasion;
use crate::event::row::{Row, parents};
use crate::event::unusable::Unusable;
use crate::event::wanted::Wanted;
use crate::event::{ASKED_FOR, Change, Event, time};
use crate::tables::Tables;
use crate::tables::section::{Content, Section};

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
    /// Whether an event may set columns of rows that go along with another one's.
    sets_others: bool,
}

impl Reader {
    /// Works out once what is read of each family's objects.
    #[must_use]
    pub fn new(tables: &Tables) -> Self {
        let family = |section: &Arc<Section>| {
            let finds = section.cells();
            let finds = finds.filter(|column| matches!(column.content, Content::Find(_)));
            let family = Family {
                wanted: Wanted::by(section.cells()),
                wanted_of_deletion: Wanted::by(section.left_columns().iter().chain(finds)),
                sets_others: tables
                    .dependents(&section.family)
                    .into_iter()
                    .chain(section.finds().next().map(|_| section))
                    .any(|section| !section.left_columns().is_empty()),
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
        let (family, kind) = envelope.event_type.split_once('.').unwrap_or_default();
        let change = match self.families.get(family) {
            Some(family) => {
                let data = envelope.data.ok_or(Unusable::Data)?;
                family.change(kind == "deleted", &about, data)?
            }
            None => Change::Ignore(envelope.data.and_then(|data| self.id(data))),
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
            Row::of_deletion(section.left_columns(), about, &fields)
        } else {
            Row::read(section, about, &fields)
        };
        let updated_at = object::updated_at(&fields).or_else(|| sent_at(about));
        let object = Object {
            section: Arc::clone(section),
            id: object::id(&fields)?,
            updated_at: updated_at.unwrap_or(about.received_at),
            row,
            parents: parents(section, about, &fields),
            occasion: self.sets_others.then(|| Box::new(Occasion::of(about))),
        };
        Ok(if is_deletion {
            Change::Delete(object)
        } else {
            Change::Upsert(object)
        })
    }
}

fn sent_at(about: &About<'_>) -> Option<SystemTime> {
    time::of_number(about.timestamp?.get())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(payload: &str) -> Result<Event, Unusable> {
        let reader = Reader::new(&Tables::built_in());
        let svix_id = SvixId::parse("msg_1").unwrap();
        reader.read(svix_id, at(7), payload.as_bytes())
    }

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_user_is_read_with_its_id_and_time() {
        let payload = include_str!("../../../shared/fixtures/user.created.json");
        let event = read(payload).unwrap();
        let user = event.upserted().unwrap();
        assert_eq!(user.id.as_str(), "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S");
        assert_eq!(user.updated_at, at(1_716_883_200_406));
    }

    /// An object without a readable `updated_at` is as new as its event.
    #[test]
    fn what_says_no_time_is_as_new_as_its_event() {
        for (rest, expected) in [
            (r#""data":{"id":"a","updated_at":5},"timestamp":6"#, at(5)),
            (r#""data":{"id":"a"},"timestamp":6"#, at(6)),
            (r#""data":{"id":"a","updated_at":"x"},"timestamp":6"#, at(6)),
            (r#""data":{"id":"a"}"#, at(7)),
            (r#""data":{"id":"a"},"timestamp":{}"#, at(7)),
        ] {
            let event = read(&format!(r#"{{"type":"user.updated",{rest}}}"#)).unwrap();
            assert_eq!(event.upserted().unwrap().updated_at, expected, "{rest}");
        }
    }

    #[test]
    fn a_deletion_needs_only_the_id() {
        let event = read(r#"{"type":"user.deleted","data":{"id":"user_1"}}"#).unwrap();
        assert!(matches!(event.change, Change::Delete(_)));
        assert_eq!(event.object_id().unwrap().as_str(), "user_1");
        assert_eq!(event.event_at, SystemTime::UNIX_EPOCH);
        let error = read(r#"{"type":"user.deleted","data":{"deleted":true}}"#).unwrap_err();
        assert_eq!(error, Unusable::Field("id"));
    }

    /// Whatever Clerk invents for a family that has a section says how the object is now.
    #[test]
    fn every_other_type_of_a_family_says_how_the_object_is() {
        let event = read(r#"{"type":"user.frozen","data":{"id":"user_1"}}"#).unwrap();
        assert!(event.upserted().is_some());
    }

    #[test]
    fn a_family_without_a_section_is_ignored() {
        for (payload, id) in [
            (
                include_str!("../../../shared/fixtures/session.created.json"),
                true,
            ),
            (
                include_str!("../../../shared/fixtures/organization.created.json"),
                true,
            ),
            (r#"{"type":"users.created","data":{"id":"a"}}"#, true),
            (r#"{"type":"user","data":{"id":"a"}}"#, true),
            (r#"{"type":"session.created","data":{"id":7}}"#, false),
            (r#"{"type":"session.created","data":null}"#, false),
        ] {
            let event = read(payload).unwrap();
            assert!(matches!(event.change, Change::Ignore(_)), "{payload}");
            assert_eq!(event.object_id().is_some(), id, "{payload}");
        }
        let strange = format!(r#"{{"type":"a\u0000{}","data":{{}}}}"#, "b".repeat(300));
        assert_eq!(
            read(&strange).unwrap().event_type,
            format!("a\u{fffd}{}", "b".repeat(253))
        );
    }

    #[test]
    fn what_is_not_an_event_is_unusable() {
        for payload in [
            "",
            "{}",
            "[]",
            "nonsense",
            r#"{"type":"user.created","data":{"id":"#,
        ] {
            let error = read(payload).unwrap_err();
            assert!(matches!(error, Unusable::NotAnEvent(_)), "{payload}");
        }
    }

    #[test]
    fn data_that_is_no_object_is_unusable_where_it_has_to_be_one() {
        for data in [
            r#","data":{"id":"a","id":"b"}"#,
            r#","data":["user_1"]"#,
            r#","data":null"#,
            r#","data":"user_1""#,
            r#","data":{"id":"a"},"data":{"id":"a"}"#,
            "",
        ] {
            for event_type in [
                "user.created",
                "user.updated",
                "user.deleted",
                "user.invented",
            ] {
                let payload = format!(r#"{{"type":"{event_type}"{data}}}"#);
                assert_eq!(read(&payload).unwrap_err(), Unusable::Data, "{payload}");
            }
            for event_type in ["session.created", ""] {
                let payload = format!(r#"{{"type":"{event_type}"{data}}}"#);
                assert!(matches!(read(&payload).unwrap().change, Change::Ignore(_)));
            }
        }
    }
}
