//! `worker reconcile`: brings in the users that Clerk has and whose webhooks never came, and repairs rows.
//!
//! What is missing or different goes on the stream as an event of the user's own `updated_at`, and the
//! workers apply it as they apply all others: something newer wins, a deleted user stays deleted.

pub mod clerk_api;
pub mod comparison;
pub mod deletion;
pub mod pages;
pub mod patience;
pub mod progress;
pub mod stream;

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;
use shared::redis_link::RedisLink;

use crate::database::Database;
use crate::database::catalogue::Columns;
use crate::database::failure::Failure;
use crate::event::user::User;
use crate::operate::explain::line;
use crate::settings::Settings;
use crate::settings::reconcile::ReconcileSettings;
use clerk_api::ClerkApi;
use comparison::Comparison;
use deletion::Candidate;
use pages::{ListedUser, Pages};
use patience::Patience;
use progress::Progress;
use stream::{Addition, Stream};

/// How often Clerk is asked for the users that it counts and has not listed.
const LOOKS: u32 = 3;

struct Reconciliation {
    started: SystemTime,
    settings: ReconcileSettings,
    api: ClerkApi,
    database: Database,
    stream: Stream,
    progress: Progress,
    counts: Counts,
    /// Whom Clerk has listed, as far as it matters: eight bytes each. Two that are taken for one only keep
    /// a row.
    listed: HashSet<u64>,
    hasher: RandomState,
}

#[derive(Default)]
struct Counts {
    read: usize,
    equal: usize,
    missing: usize,
    different: usize,
    newer: usize,
    deleted: usize,
    unusable: usize,
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
    let reconciliation = Reconciliation {
        started: SystemTime::now(),
        api: ClerkApi::new(&options.api_url, authorization, progress.clone())?,
        database: Database::new(&settings.database)?,
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
        listed: HashSet::new(),
        hasher: RandomState::new(),
    };
    reconciliation.run().await?;
    progress.is_told()
}

impl Reconciliation {
    async fn run(mut self) -> Result<(), String> {
        // Who is to know that a user is missing has to have seen all of them.
        let can_resume = !self.settings.dry_run && !self.settings.delete_missing;
        let place = if can_resume && !self.settings.from_start {
            self.stream.place().await?.unwrap_or_default()
        } else {
            pages::Place::default()
        };
        let look = async || self.database.read_catalogue().await;
        patiently(&self.progress, look).await?;
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
            // Who has come meanwhile is on the next page.
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
    async fn take(&mut self, listed: &[ListedUser], asked_at: SystemTime) -> Result<(), String> {
        self.counts.read += listed.len();
        let columns = self.database.catalogue().columns();
        let mut users: Vec<(User, &RawValue)> = Vec::new();
        for ListedUser { json, id, .. } in listed {
            if let Some(id) = id
                && self.settings.delete_missing
            {
                self.listed.insert(self.hasher.hash_one(id.as_str()));
            }
            match usable(json, &columns) {
                Ok(user) => users.push((user, json)),
                Err(reason) => {
                    self.counts.unusable += 1;
                    let id = id.as_deref().unwrap_or("without an id");
                    self.progress
                        .tell(&format!("unusable {}: {reason}", line(id.as_bytes())));
                }
            }
        }
        let ids: Vec<&str> = users.iter().map(|(user, _)| user.id.as_str()).collect();
        let ask = async || comparison::present(&self.database, &ids).await;
        let mut present = patiently(&self.progress, ask).await?;
        let (mut additions, mut found) = (Vec::new(), Vec::new());
        for (user, json) in users {
            let present = present.remove(user.id.as_str()).unwrap_or_default();
            let (word, r#type, event_at) = match present.compare(&user, &columns, asked_at) {
                Comparison::Equal => {
                    self.counts.equal += 1;
                    continue;
                }
                Comparison::NewerHere => {
                    self.counts.newer += 1;
                    continue;
                }
                Comparison::DeletedHere => {
                    self.counts.deleted += 1;
                    continue;
                }
                Comparison::Missing(event_at) => {
                    self.counts.missing += 1;
                    ("missing", "user.created", event_at)
                }
                Comparison::Different(event_at) => {
                    self.counts.different += 1;
                    ("different", "user.updated", event_at)
                }
            };
            let id = line(user.id.as_str().as_bytes());
            if self.settings.dry_run {
                found.push(format!("{word} {id}"));
                continue;
            }
            match Addition::upsert(&user.id, r#type, json, user.updated_at, event_at) {
                Some(addition) => additions.push(addition),
                None => self.progress.tell(&too_long(&id)),
            }
        }
        if !found.is_empty() {
            self.progress.tell(&found.join("\n"));
        }
        self.stream.push(additions).await
    }

    async fn delete_missing(&mut self) -> Result<(), String> {
        let (mut count, mut left_over) = (0, 0);
        let counted = |row: Candidate| match row.was_deleted {
            true => left_over += 1,
            false => count += 1,
        };
        let rows = self.unlisted(counted).await?;
        self.progress.tell(&format!(
            "{count} of {rows} rows are of users that Clerk does not list"
        ));
        if left_over > 0 {
            self.progress.tell(&format!(
                "{left_over} more were written after their users' deletion was applied: no event deletes them"
            ));
        }
        if self.settings.dry_run {
            let tell = |row: Candidate| {
                let word = if row.was_deleted {
                    "left over"
                } else {
                    "unlisted"
                };
                let id = line(row.id.as_str().as_bytes());
                self.progress.tell(&format!("{word} {id}"));
            };
            return self.unlisted(tell).await.map(drop);
        }
        if count == 0 {
            return Ok(());
        }
        let share = self.settings.max_delete_share;
        if !deletion::is_within(share, count, rows) {
            return Err(format!(
                "{count} of {rows} rows are more than the {share} % that may be deleted (--max-delete-share)"
            ));
        }
        if !self.settings.yes && !deletion::confirm(&format!("Delete these {count} rows?"))? {
            return Err("nothing was deleted".to_owned());
        }
        // Only now, when it is known that they are few.
        let mut missing = Vec::new();
        let collect = |row: Candidate| {
            if !row.was_deleted && missing.len() < count {
                missing.push(row);
            }
        };
        self.unlisted(collect).await?;
        let (mut deleted, mut kept) = (0, 0);
        for candidate in missing {
            // It may have come while the list was read.
            if self.api.has(&candidate.id).await? {
                kept += 1;
                continue;
            }
            if let Some(addition) = Addition::deletion(&candidate.id, candidate.updated_at) {
                self.stream.push(vec![addition]).await?;
                deleted += 1;
            } else {
                let id = line(candidate.id.as_str().as_bytes());
                self.progress.tell(&too_long(&id));
            }
        }
        self.progress.tell(&format!(
            "{deleted} deletions were put on the stream; {kept} of the users are there after all"
        ));
        Ok(())
    }

    /// Gives `each` the rows of users that Clerk has not listed, other than those that are newer than its
    /// list; returns how many rows there are in all.
    async fn unlisted(&self, mut each: impl FnMut(Candidate)) -> Result<usize, String> {
        let (mut rows, mut last) = (0, String::new());
        loop {
            let ask = async || deletion::rows_after(&self.database, &last).await;
            let next = patiently(&self.progress, ask).await?;
            let Some(row) = next.last() else {
                return Ok(rows);
            };
            row.id.as_str().clone_into(&mut last);
            rows += next.len();
            for row in next {
                let is_listed = self.hasher.hash_one(row.id.as_str());
                if row.updated_at < self.started && !self.listed.contains(&is_listed) {
                    each(row);
                }
            }
        }
    }
}

/// The user, if `columns` can hold it.
fn usable(json: &RawValue, columns: &Columns) -> Result<User, String> {
    let user = User::parse(json).map_err(|reason| reason.to_string())?;
    columns.take(&user).map_err(|reason| reason.to_string())?;
    Ok(user)
}

fn too_long(id: &str) -> String {
    format!("unusable {id}: too long for a svix-id")
}

/// Asks PostgreSQL, and again while it is away.
async fn patiently<T>(
    progress: &Progress,
    mut ask: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<T, String> {
    let mut patience = Patience::new(progress);
    loop {
        let failure = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let reason = failure.reason();
        // No such table, or schema.
        let is_empty = ["42P01", "3F000"].iter().any(|code| reason.contains(code));
        // Such as a column that is not there. A right may yet be granted.
        let is_wrong = reason.contains("SQLSTATE 42") && !reason.contains("SQLSTATE 42501");
        if is_empty || is_wrong {
            let hint = if is_empty {
                " (worker migrate creates the tables)"
            } else {
                ""
            };
            return Err(format!(
                "PostgreSQL does not tell what is here: {reason}{hint}"
            ));
        }
        patience.wait(reason, Duration::ZERO).await?;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} users read: {} equal, {} missing, {} different, {} newer here, {} deleted here, {} unusable",
            self.read,
            self.equal,
            self.missing,
            self.different,
            self.newer,
            self.deleted,
            self.unusable
        )
    }
}
