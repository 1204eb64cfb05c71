//! `worker reconcile`: brings in what Clerk has and whose webhooks never came, and repairs rows.
//!
//! What is missing or different goes on the stream as an event of the object's own `updated_at`, and the
//! workers apply it as they apply all others: something newer wins, a deleted object stays deleted. Each family that Clerk
//! lists is read in its turn, those first that others refer to.

pub mod clerk_api;
pub mod comparison;
mod counts;
pub mod deletion;
pub mod family;
mod list;
mod listed;
pub mod pages;
mod parents;
pub mod patience;
pub mod progress;
mod repairs;
pub mod stream;
mod unlisted;

use std::time::SystemTime;

use serde_json::value::RawValue;
use shared::redis_link::RedisLink;

use crate::apply::target::Targets;
use crate::database::Database;
use crate::event::Event;
use crate::event::reader::Reader;
use crate::operate::explain::line;
use crate::settings::Settings;
use crate::settings::reconcile::ReconcileSettings;
use clerk_api::{ClerkApi, Total};
use list::List;
use pages::{ListedObject, Pages, Place};
use patience::patiently;
use progress::Progress;
use stream::Stream;
use unlisted::Unlisted;

struct Reconciliation {
    settings: ReconcileSettings,
    api: ClerkApi,
    database: Database,
    /// Reads objects as the workers do.
    reader: Reader,
    stream: Stream,
    progress: Progress,
    /// Those that others refer to first.
    lists: Vec<List>,
    /// Whether it has been told that this instance of Clerk has no organizations.
    has_no_organizations: bool,
}

/// Reads Clerk's lists and puts what is missing or different on the stream. Tells the counts on standard output.
///
/// # Errors
/// When Clerk or the database refuses something, Clerk does not list all objects, a store stays away, standard
/// output cannot be written, or too many rows would be deleted; in one line.
pub async fn reconcile(settings: &Settings, options: ReconcileSettings) -> Result<(), String> {
    let chosen = family::chosen(&options.families, &settings.tables)?;
    let link = RedisLink::new(&settings.common.redis).map_err(|error| error.to_string())?;
    let progress = Progress::new();
    let authorization = options.authorization.clone();
    let partitions = settings.common.partitions;
    let database = Database::new(&settings.database)?;
    let targets = Targets::new(settings.tables.clone());
    let targets = targets.with_search_path(settings.database.search_path());
    let read = async || match targets.read(&database).await {
        Err(_) if !targets.misfits().is_empty() => Ok(Err(targets.misfits().join("\n"))),
        read => read.map(Ok),
    };
    let snapshot = patiently(&progress, read).await??;
    let reconciliation = Reconciliation {
        api: ClerkApi::new(&options.api_url, authorization, progress.clone())?,
        database,
        reader: Reader::new(&settings.tables),
        stream: Stream::new(
            link,
            partitions,
            &options,
            &settings.database,
            progress.clone(),
        ),
        lists: List::all(&snapshot, &chosen, options.delete_missing),
        settings: options,
        progress: progress.clone(),
        has_no_organizations: false,
    };
    reconciliation.run().await?;
    progress.is_told()
}

impl Reconciliation {
    async fn run(mut self) -> Result<(), String> {
        let mut read = Vec::new();
        for place in 0..self.lists.len() {
            if self.lists[place].is_chosen && self.read(place).await? {
                read.push(place);
            }
        }
        // Only now: reading a list may have brought in objects of the others.
        for (place, list) in self.lists.iter().enumerate() {
            if read.contains(&place) || list.counts.read > 0 {
                self.progress.tell(&list.counts.to_string());
            }
        }
        if self.can_resume() {
            for place in &read {
                self.stream.forget_place(self.lists[*place].family).await?;
            }
        }
        if self.settings.dry_run {
            self.progress.tell("dry run: nothing was put on the stream");
        }
        if self.settings.delete_missing {
            // Those first that refer to others.
            for place in read.into_iter().rev() {
                self.delete_missing(place).await?;
            }
        }
        Ok(())
    }

    /// Only a run that has read the whole list knows that an object is missing.
    const fn can_resume(&self) -> bool {
        !self.settings.dry_run && !self.settings.delete_missing
    }

    /// Reads a list until it has named as many objects as Clerk counts. Returns whether there is one.
    async fn read(&mut self, place: usize) -> Result<bool, String> {
        let family = self.lists[place].family;
        if family.needs_organizations && self.has_no_organizations {
            return Ok(false);
        }
        let from = if self.can_resume() && !self.settings.from_start {
            self.stream.place(family).await?.unwrap_or_default()
        } else {
            Place::default()
        };
        let total = match self.api.count(family).await? {
            Total::Told(total) => total,
            Total::NotEnabled(answer) => {
                self.has_no_organizations = true;
                self.progress.tell(&format!(
                    "this instance of Clerk has no organizations ({answer}): nothing is compared with their lists"
                ));
                return Ok(false);
            }
        };
        self.progress
            .begin(family.plural, total, from.offset as u64);
        if from.offset > 0 {
            let (offset, plural) = (from.offset, family.plural);
            self.progress.say(&format!(
                "goes on after {offset} {plural} of an interrupted run"
            ));
        }
        let mut pages = Pages::from(family, from);
        loop {
            let asked_at = SystemTime::now();
            if let Some(page) = pages.next(&mut self.api).await? {
                self.progress.read(page.len());
                self.take(place, &page, asked_at).await?;
                if self.can_resume() {
                    self.stream.keep(family, pages.place()).await?;
                }
                continue;
            }
            let are_complete = pages.are_complete(&mut self.api).await;
            let counts = &self.lists[place].counts;
            if are_complete.map_err(|reason| format!("{reason} ({counts})"))? {
                break;
            }
        }
        self.progress.end();
        Ok(true)
    }

    /// Compares objects with what is here, and puts on the stream what is missing or different.
    async fn take(
        &mut self,
        place: usize,
        page: &[ListedObject],
        asked_at: SystemTime,
    ) -> Result<(), String> {
        self.lists[place].note(page);
        let objects = self.readable(place, page);
        let additions = self.repairs(place, &objects, asked_at).await?;
        self.stream.push(additions).await
    }

    /// The objects of a page that can be read, as events; the others are told.
    fn readable<'page>(
        &mut self,
        place: usize,
        page: &'page [ListedObject],
    ) -> Vec<(Event, &'page RawValue)> {
        let mut objects = Vec::new();
        let family = self.lists[place].family.name;
        for ListedObject { json, id, .. } in page {
            match self.reader.read_listed(family, json) {
                Ok(event) => objects.push((event, &**json)),
                Err(reason) => {
                    let id = id.as_deref().unwrap_or("without an id");
                    self.tell_unusable(place, id, &reason.to_string());
                }
            }
        }
        objects
    }

    fn tell_unusable(&mut self, place: usize, id: &str, reason: &str) {
        self.lists[place].counts.unusable += 1;
        self.progress
            .tell(&format!("unusable {}: {reason}", line(id.as_bytes())));
    }

    async fn delete_missing(&mut self, place: usize) -> Result<(), String> {
        let list = &self.lists[place];
        let mut unlisted = Unlisted {
            family: list.family,
            listed: &list.listed,
            settings: &self.settings,
            api: &mut self.api,
            database: &self.database,
            target: &list.target,
            stream: &self.stream,
            progress: &self.progress,
        };
        unlisted.delete().await
    }
}
