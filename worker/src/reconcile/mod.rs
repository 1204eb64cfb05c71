//! `worker reconcile`: brings in the users that Clerk has and whose webhooks never came, and repairs rows.
//!
//! What is missing or different goes on the stream as an event of the user's own `updated_at`, and the
//! workers apply it as they apply all others: something newer wins, a deleted user stays deleted.

pub mod clerk_api;
pub mod comparison;
mod counts;
pub mod deletion;
mod listed;
pub mod pages;
pub mod patience;
pub mod progress;
pub mod stream;
mod unlisted;

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::value::RawValue;
use shared::redis_link::RedisLink;

use crate::apply::target::{Target, Targets};
use crate::apply::winner::Winner;
use crate::database::Database;
use crate::event::Event;
use crate::event::reader::Reader;
use crate::operate::explain::line;
use crate::settings::Settings;
use crate::settings::reconcile::ReconcileSettings;
use clerk_api::ClerkApi;
use comparison::Comparison;
use counts::Counts;
use listed::Listed;
use pages::{ListedUser, Pages};
use patience::patiently;
use progress::Progress;
use stream::{Addition, Stream, too_long};
use unlisted::Unlisted;

/// The family that Clerk lists.
const FAMILY: &str = "user";
/// How often Clerk is asked for the users that it counts and has not listed.
const LOOKS: u32 = 3;

struct Reconciliation {
    settings: ReconcileSettings,
    api: ClerkApi,
    database: Database,
    /// Reads users as the workers do.
    reader: Reader,
    /// Where they go.
    target: Arc<Target>,
    stream: Stream,
    progress: Progress,
    counts: Counts,
    listed: Listed,
}

/// Reads all users of Clerk and puts what is missing or different on the stream. Tells the counts on
/// standard output.
///
/// # Errors
/// When Clerk or the database refuses something, Clerk does not list all users, a store stays away, standard
/// output cannot be written, or too many rows would be deleted; in one line.
pub async fn reconcile(settings: &Settings, options: ReconcileSettings) -> Result<(), String> {
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
    let target = snapshot.get(FAMILY).map(Arc::clone);
    let reconciliation = Reconciliation {
        api: ClerkApi::new(&options.api_url, authorization, progress.clone())?,
        database,
        reader: Reader::new(&settings.tables),
        target: target.ok_or("the tables file has no section [user]")?,
        stream: Stream::new(
            link,
            partitions,
            &options,
            &settings.database,
            progress.clone(),
        ),
        settings: options,
        progress: progress.clone(),
        counts: Counts::default(),
        listed: Listed::new(),
    };
    reconciliation.run().await?;
    progress.is_told()
}

impl Reconciliation {
    async fn run(mut self) -> Result<(), String> {
        // Only a run that has read the whole list knows that a user is missing.
        let can_resume = !self.settings.dry_run && !self.settings.delete_missing;
        let place = if can_resume && !self.settings.from_start {
            self.stream.place().await?.unwrap_or_default()
        } else {
            pages::Place::default()
        };
        let total = self.api.count().await?;
        self.progress.begin(total, place.offset as u64);
        if place.offset > 0 {
            let offset = place.offset;
            self.progress.say(&format!(
                "goes on after {offset} users of an interrupted run"
            ));
        }
        let mut pages = Pages::from(place);
        self.read(&mut pages, can_resume).await?;
        self.progress.end();
        if can_resume {
            self.stream.forget_place().await?;
        }
        self.progress.tell(&self.counts.to_string());
        if self.settings.dry_run {
            self.progress.tell("dry run: nothing was put on the stream");
        }
        if self.settings.delete_missing {
            self.delete_missing().await?;
        }
        Ok(())
    }

    /// Reads the list until it has named as many users as Clerk counts.
    async fn read(&mut self, pages: &mut Pages, can_resume: bool) -> Result<(), String> {
        let mut looks = 0;
        loop {
            let asked_at = SystemTime::now();
            if let Some(users) = pages.next(&mut self.api).await? {
                self.progress.read(users.len());
                self.take(&users, asked_at).await?;
                if can_resume {
                    self.stream.keep(pages.place()).await?;
                }
                continue;
            }
            let listed = pages.place().offset;
            let total = self.api.count().await?;
            let Some(total) = total.filter(|total| *total > listed as u64) else {
                return Ok(());
            };
            // Users that have come meanwhile are on the next page.
            looks += 1;
            if looks == LOOKS {
                let counts = &self.counts;
                return Err(format!(
                    "Clerk has {total} users and lists {listed} only ({counts})"
                ));
            }
        }
    }

    /// Compares users with what is here, and puts on the stream what is missing or different.
    async fn take(&mut self, page: &[ListedUser], asked_at: SystemTime) -> Result<(), String> {
        self.counts.read += page.len();
        self.remember(page);
        let users = self.usable(page);
        let target = Arc::clone(&self.target);
        let winners = users
            .iter()
            .filter_map(|(event, _)| winner(event, &target).ok());
        let winners: Vec<Winner<'_>> = winners.collect();
        let ask = async || comparison::present(&self.database, &self.target, &winners).await;
        let mut present = patiently(&self.progress, ask).await?;
        let (mut additions, mut found) = (Vec::new(), Vec::new());
        for (winner, (_, json)) in winners.iter().zip(&users) {
            let object = winner.object;
            let present = present.remove(object.id.as_str()).unwrap_or_default();
            let comparison = present.compare(object, asked_at);
            if let (Comparison::Missing(_), Some(unfit)) = (comparison, &winner.unfit)
                && !present.can_be_linked()
            {
                self.tell_unusable(object.id.as_str(), &unfit.refusal.reason);
                continue;
            }
            self.counts.add(comparison);
            let (word, r#type, event_at) = match comparison {
                Comparison::Equal
                | Comparison::NewerHere
                | Comparison::DeletedHere
                | Comparison::WithoutRow => continue,
                Comparison::Missing(event_at) => ("missing", "user.created", event_at),
                Comparison::Different(event_at) => ("different", "user.updated", event_at),
            };
            if self.settings.dry_run {
                let id = line(object.id.as_str().as_bytes());
                found.push(format!("{word} {id}"));
                continue;
            }
            match Addition::upsert(&object.id, r#type, json, object.updated_at, event_at) {
                Some(addition) => additions.push(addition),
                None => self.progress.tell(&too_long(&object.id)),
            }
        }
        if !found.is_empty() {
            self.progress.tell(&found.join("\n"));
        }
        self.stream.push(additions).await
    }

    /// Notes who was listed, where that decides what is deleted.
    fn remember(&mut self, page: &[ListedUser]) {
        if self.settings.delete_missing {
            for id in page.iter().filter_map(|user| user.id.as_deref()) {
                self.listed.insert(id);
            }
        }
    }

    /// The users of a page that can be read and that their table can hold, as events; the others are told.
    fn usable<'page>(&mut self, page: &'page [ListedUser]) -> Vec<(Event, &'page RawValue)> {
        let mut users = Vec::new();
        for ListedUser { json, id, .. } in page {
            let read = self.reader.read_listed(FAMILY, json);
            let usable = read.map_err(|reason| reason.to_string()).and_then(|event| {
                winner(&event, &self.target)?;
                Ok(event)
            });
            match usable {
                Ok(event) => users.push((event, &**json)),
                Err(reason) => {
                    let id = id.as_deref().unwrap_or("without an id");
                    self.tell_unusable(id, &reason);
                }
            }
        }
        users
    }

    fn tell_unusable(&mut self, id: &str, reason: &str) {
        self.counts.unusable += 1;
        self.progress
            .tell(&format!("unusable {}: {reason}", line(id.as_bytes())));
    }

    async fn delete_missing(&mut self) -> Result<(), String> {
        let mut unlisted = Unlisted {
            listed: &self.listed,
            settings: &self.settings,
            api: &mut self.api,
            database: &self.database,
            target: &self.target,
            stream: &mut self.stream,
            progress: &self.progress,
        };
        unlisted.delete().await
    }
}

/// What is written of a user, or why it cannot be.
fn winner<'a>(event: &'a Event, target: &Target) -> Result<Winner<'a>, String> {
    let object = event.upserted().ok_or("not a user")?;
    Winner::fit(event, object, target).map_err(|refusal| refusal.reason)
}
