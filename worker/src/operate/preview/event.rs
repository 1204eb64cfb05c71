//! What one event would write.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use deadpool_postgres::Transaction;
use shared::envelope::Envelope;
use shared::svix_id::SvixId;
use shared::terminal::escaped;
use tokio_postgres::Error;

use crate::apply::parents::Found;
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::apply::winner::{Winner, misfit};
use crate::database::catalogue::table::Table;
use crate::event::object::Object;
use crate::event::reader::Reader;
use crate::event::{Change, Event, time};
use crate::operate::preview::file::{Sample, no_event};
use crate::operate::preview::line::{Line, Saying, of_key};
use crate::operate::preview::sentence;
use crate::operate::preview::wording::{columns, paragraph};
use crate::tables::Tables;
use crate::tables::section::{Column, Content, OnDelete, Section};

/// In place of the svix-id, which stands in no payload: as long as one.
const SVIX_ID: &str = "msg_xxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// What there is to say of one event.
#[derive(Default)]
pub(super) struct Told {
    pub(super) text: String,
    /// It would be a dead letter.
    pub(super) is_refused: bool,
    /// It is something else.
    pub(super) is_no_event: bool,
}

impl Told {
    fn refuse(&mut self, what: &str, reason: &str) {
        self.is_refused = true;
        // In one line, to be searched for. Writing to a String never fails.
        let _ = writeln!(self.text, "  {what}: {}", escaped(reason));
    }
}

/// What it takes to tell.
pub(super) struct Preview<'a> {
    transaction: &'a Transaction<'a>,
    targets: BTreeMap<&'a str, Target>,
    reader: Reader,
    without_maps: Reader,
    prefix: &'a str,
}

impl<'a> Preview<'a> {
    /// Of a tables file, whose tables are these. `prefix` stands before every cache tag.
    pub(super) fn new(
        transaction: &'a Transaction<'a>,
        tables: &Tables,
        targets: BTreeMap<&'a str, Target>,
        prefix: &'a str,
    ) -> Self {
        Self {
            transaction,
            targets,
            reader: Reader::new(tables),
            without_maps: Reader::new(&without_maps(tables)),
            prefix,
        }
    }

    /// What `sample` would come to.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub(super) async fn event(&self, sample: &Sample) -> Result<Told, Error> {
        let Sample { label, json } = sample;
        let payload = json.get().as_bytes();
        let mut told = Told::default();
        let Ok(envelope) = Envelope::parse(payload) else {
            return Ok(Told {
                text: format!("{label}: {}", no_event(json)),
                is_no_event: true,
                ..told
            });
        };
        let (event, unmapped) = (
            read(&self.reader, payload),
            read(&self.without_maps, payload),
        );
        let id = event.as_ref().ok().and_then(Event::object_id);
        let id = id.map_or_else(String::new, |id| format!(", {}", escaped(id.as_str())));
        // Writing to a String never fails.
        let _ = writeln!(told.text, "{label}: {}{id}", escaped(&envelope.event_type));
        let event = match event {
            Ok(event) => event,
            Err(reason) => {
                told.refuse("DEAD LETTER", &reason);
                return Ok(told);
            }
        };
        let family = envelope.event_type.split('.').next().unwrap_or_default();
        match (&event.change, self.targets.get(family)) {
            (Change::Upsert(object), Some(target)) => {
                self.change(&mut told, &event, object, unmapped.as_ref().ok(), target)
                    .await?;
                if let Some(deletion) = supposed(&self.reader, &event, object)
                    && let Change::Delete(object) = &deletion.change
                {
                    self.deletion(&mut told, &deletion, object, target, true)
                        .await?;
                }
            }
            (Change::Delete(object), Some(target)) => {
                self.deletion(&mut told, &event, object, target, false)
                    .await?;
            }
            _ => {
                let sentence = format!("is ignored: the tables file has no [{}]", escaped(family));
                paragraph(&mut told.text, &sentence);
            }
        }
        Ok(told)
    }

    async fn change(
        &self,
        told: &mut Told,
        event: &Event,
        object: &Object,
        unmapped: Option<&Event>,
        target: &Target,
    ) -> Result<(), Error> {
        let section = &target.section;
        let mut lines: Vec<Line> = of_key(self.transaction, target, object)
            .await?
            .into_iter()
            .collect();
        let written = self.lines(target, &section.columns, object, unmapped, 0, false);
        lines.extend(written.await?);
        let first = section.columns.len();
        let made = self.lines(target, &section.on_create, object, unmapped, first, false);
        let made = made.await?;
        // What does not fit is found first, then what only PostgreSQL can say.
        let winner = Winner::fit(event, object, target, &Found::default());
        let mut reasons: Vec<String> = winner.as_ref().err().into_iter().map(reason).collect();
        add_reasons(&mut reasons, &lines, target);
        for reason in &reasons {
            told.refuse("DEAD LETTER", reason);
        }
        if reasons.is_empty() {
            paragraph(&mut told.text, &sentence::row(target));
            if let (Ok(winner), Some(link)) = (&winner, section.link_by) {
                paragraph(&mut told.text, &sentence::link(winner, target, link));
            }
            if let Some(parents) = sentence::parents(section, object) {
                paragraph(&mut told.text, &parents);
            }
            let newest = section.newest.as_deref().map(sentence::newest);
            if let Some(newest) = newest {
                paragraph(&mut told.text, &newest);
            }
        }
        let mut of_new_rows = Vec::new();
        add_reasons(&mut of_new_rows, &made, target);
        for reason in &of_new_rows {
            told.refuse("DEAD LETTER, if the row has to be made", reason);
        }
        let heading = "and only when the row is made:".to_owned();
        told.text
            .push_str(&columns(&[(String::new(), lines), (heading, made)]));
        if reasons.is_empty() {
            sentence::tags(&mut told.text, section, object, self.prefix);
        }
        Ok(())
    }

    async fn deletion(
        &self,
        told: &mut Told,
        event: &Event,
        object: &Object,
        target: &Target,
        is_supposed: bool,
    ) -> Result<(), Error> {
        let section = &target.section;
        let set = match &section.on_delete {
            OnDelete::Set(columns) => columns.as_slice(),
            OnDelete::Delete | OnDelete::Keep => &[],
        };
        let lines = self
            .lines(target, set, object, None, 0, is_supposed)
            .await?;
        let winner = Winner::fit(event, object, target, &Found::default());
        let mut reasons: Vec<String> = winner.err().iter().map(reason).collect();
        add_reasons(&mut reasons, &lines, target);
        let what = match is_supposed {
            true => "DEAD LETTER, once it is deleted",
            false => "DEAD LETTER",
        };
        // Of its id the event itself has told.
        let news = reasons
            .iter()
            .filter(|reason| !is_supposed || !reason.starts_with("data.id "));
        for reason in news {
            told.refuse(what, reason);
        }
        let heading = sentence::deletion(target, is_supposed);
        match lines.is_empty() {
            true => paragraph(&mut told.text, &heading),
            false => told.text.push_str(&columns(&[(heading, lines)])),
        }
        for child in self.targets.values() {
            for sentence in sentence::child(child, section) {
                paragraph(&mut told.text, &sentence);
            }
        }
        // A row that is kept is not looked at.
        let has_tags = section.on_delete != OnDelete::Keep || section.tag_columns().is_empty();
        if reasons.is_empty() && !is_supposed && has_tags {
            sentence::tags(&mut told.text, section, object, self.prefix);
        }
        Ok(())
    }

    /// What would be written to `columns`, whose first cell has this place.
    async fn lines(
        &self,
        target: &Target,
        columns: &[Column],
        object: &Object,
        unmapped: Option<&Event>,
        first: usize,
        is_supposed: bool,
    ) -> Result<Vec<Line>, Error> {
        let mut lines = Vec::new();
        let unmapped = unmapped.and_then(Event::upserted);
        for (place, mapped) in (first..).zip(columns) {
            let cell = object.row.cells.get(place);
            let Some((cell, stored)) = cell.zip(target.table.column(&mapped.name)) else {
                continue;
            };
            let saying = Saying {
                mapped,
                stored,
                cell,
                unmapped: unmapped.and_then(|object| object.row.cells.get(place)),
                is_supposed,
                parent: self.parent(mapped),
            };
            lines.push(saying.line(self.transaction).await?);
        }
        Ok(lines)
    }

    /// The table of the row that a column refers to.
    fn parent(&self, column: &Column) -> Option<&Table> {
        match &column.content {
            Content::Find(find) => Some(&self.targets.get(find.family.as_str())?.table),
            _ => None,
        }
    }
}

fn reason(left_out: &LeftOut) -> String {
    left_out.reason().to_owned()
}

/// What does not fit, each once.
fn add_reasons(reasons: &mut Vec<String>, lines: &[Line], target: &Target) {
    for why in lines.iter().filter_map(|line| line.misfit.as_ref()) {
        let reason = misfit(target, why).reason;
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
}

/// An event as the worker reads it, or the reason of its dead letter.
fn read(reader: &Reader, payload: &[u8]) -> Result<Event, String> {
    let svix_id = SvixId::parse(SVIX_ID).ok_or("no svix-id")?;
    let event = reader.read(svix_id, SystemTime::now(), payload);
    event.map_err(|reason| reason.to_string())
}

/// The deletion of an object, as Clerk would tell it.
fn supposed(reader: &Reader, event: &Event, object: &Object) -> Option<Event> {
    let family = &object.section.family;
    let deletion = serde_json::json!({
        "type": format!("{family}.deleted"),
        "timestamp": time::milliseconds(event.event_at),
        "data": { "id": object.id.as_str(), "object": family, "deleted": true },
    });
    read(reader, deletion.to_string().as_bytes()).ok()
}

/// The same file, with nothing said in other words.
fn without_maps(tables: &Tables) -> Tables {
    let section = |section: &Arc<Section>| {
        let mut section = Section::clone(section);
        for column in section.columns.iter_mut().chain(&mut section.on_create) {
            if let Content::From(from) = &mut column.content {
                from.map = None;
            }
        }
        section
    };
    Tables::new(tables.sections().map(section), false)
}
