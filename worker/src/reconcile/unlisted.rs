//! Rows of objects that Clerk has not listed, and their deletion: counted, confirmed, and looked at once more.

use std::time::SystemTime;

use crate::apply::target::Target;
use crate::database::Database;
use crate::operate::explain::line;
use crate::reconcile::clerk_api::{ClerkApi, Total};
use crate::reconcile::deletion::{self, Candidate};
use crate::reconcile::family::Family;
use crate::reconcile::listed::Listed;
use crate::reconcile::pages::{Pages, Place};
use crate::reconcile::patience::patiently;
use crate::reconcile::progress::Progress;
use crate::reconcile::stream::{Addition, Stream, too_long};
use crate::settings::reconcile::ReconcileSettings;
use crate::tables::section::OnDelete;

/// The rows that Clerk's list does not know, and what it takes to delete them.
pub(super) struct Unlisted<'a> {
    pub(super) family: &'static Family,
    pub(super) listed: &'a Listed,
    pub(super) settings: &'a ReconcileSettings,
    pub(super) api: &'a mut ClerkApi,
    pub(super) database: &'a Database,
    pub(super) target: &'a Target,
    pub(super) stream: &'a Stream,
    pub(super) progress: &'a Progress,
}

/// How many rows there are.
struct Counts {
    rows: usize,
    unlisted: usize,
    /// Of objects whose deletion was applied.
    left_over: usize,
}

impl Unlisted<'_> {
    /// Puts deletions on the stream, or names the rows in a dry run.
    ///
    /// # Errors
    /// When there are too many, nobody confirms it, or Clerk or a store stays away.
    pub(super) async fn delete(&mut self) -> Result<(), String> {
        let counts = self.count().await?;
        self.tell(&counts);
        if self.settings.dry_run {
            return self.name_all().await;
        }
        if counts.unlisted == 0 {
            return Ok(());
        }
        self.confirm(&counts)?;
        // Only now, when it is known that they are few.
        let candidates = self.collect(counts.unlisted).await?;
        self.push(candidates).await
    }

    async fn count(&self) -> Result<Counts, String> {
        let (mut unlisted, mut left_over) = (0, 0);
        let count = |row: Candidate| match row.was_deleted {
            true => left_over += 1,
            false => unlisted += 1,
        };
        let rows = self.each(count).await?;
        Ok(Counts {
            rows,
            unlisted,
            left_over,
        })
    }

    fn tell(&self, counts: &Counts) {
        let Counts {
            rows,
            unlisted,
            left_over,
        } = counts;
        let plural = self.family.plural;
        self.progress.tell(&format!(
            "{unlisted} of {rows} rows are of {plural} that Clerk does not list"
        ));
        if *left_over > 0 {
            self.progress.tell(&format!(
                "{left_over} more were written after their {plural}' deletion was applied: no event deletes them"
            ));
        }
    }

    async fn name_all(&self) -> Result<(), String> {
        let tell = |row: Candidate| {
            let word = if row.was_deleted {
                "left over"
            } else {
                "unlisted"
            };
            let id = line(row.id.as_str().as_bytes());
            self.progress.tell(&format!("{word} {id}"));
        };
        self.each(tell).await.map(drop)
    }

    /// # Errors
    /// When they are too many, or nobody agrees.
    fn confirm(&self, counts: &Counts) -> Result<(), String> {
        let Counts { rows, unlisted, .. } = counts;
        let plural = self.family.plural;
        let share = self.settings.max_delete_share;
        if !deletion::is_within(share, *unlisted, *rows) {
            return Err(format!(
                "{unlisted} of {rows} rows are more than the {share} % that may be deleted (--max-delete-share)"
            ));
        }
        let question = format!("Delete these {unlisted} rows of {plural}?");
        if !self.settings.yes && !deletion::confirm(&question)? {
            return Err(format!("no {plural} were deleted"));
        }
        Ok(())
    }

    async fn collect(&self, most: usize) -> Result<Vec<Candidate>, String> {
        let mut candidates = Vec::new();
        let collect = |row: Candidate| {
            if !row.was_deleted && candidates.len() < most {
                candidates.push(row);
            }
        };
        self.each(collect).await?;
        Ok(candidates)
    }

    async fn push(&mut self, candidates: Vec<Candidate>) -> Result<(), String> {
        let again = match self.family.by_id {
            Some(_) => None,
            None => Some(self.list_again().await?),
        };
        let (mut deleted, mut kept) = (0, 0);
        for candidate in candidates {
            // It may have come while the list was read.
            let is_there = match &again {
                Some(again) => again.contains(candidate.id.as_str()),
                None => {
                    let object = self.api.object(self.family, &candidate.id).await?;
                    object.is_some()
                }
            };
            if is_there {
                kept += 1;
                continue;
            }
            let deletion = Addition::deletion(self.family, &candidate.id, SystemTime::now());
            if let Some(addition) = deletion {
                self.stream.push(vec![addition]).await?;
                deleted += 1;
            } else {
                self.progress.tell(&too_long(&candidate.id));
            }
        }
        let plural = self.family.plural;
        self.progress.tell(&format!(
            "{deleted} deletions were put on the stream; {kept} of the {plural} are there after all"
        ));
        Ok(())
    }

    /// Reads the whole list once more: where an object cannot be asked for by its id, only a list that has named as many
    /// different ones as Clerk counts, and none of them in the place of another one, tells that it is gone.
    async fn list_again(&mut self) -> Result<Listed, String> {
        let (family, plural) = (self.family, self.family.plural);
        self.progress
            .say(&format!("reads the list of {plural} once more"));
        let mut again = Listed::new();
        let mut pages = Pages::from(family, Place::default());
        loop {
            while let Some(page) = pages.next(self.api).await? {
                for id in page.iter().filter_map(|object| object.id.as_deref()) {
                    again.insert(id);
                }
            }
            if pages.are_complete(self.api).await? {
                break;
            }
        }
        let total = match self.api.count(family).await? {
            Total::Told(Some(total)) => total,
            _ => return Err(format!("Clerk does not tell how many {plural} it has")),
        };
        let expected = total.max(pages.place().offset as u64);
        let listed = again.len();
        if (listed as u64) < expected {
            return Err(format!(
                "Clerk has {expected} {plural} and lists {listed} different ones only: none were deleted"
            ));
        }
        Ok(again)
    }

    /// Gives `each` the rows of objects that Clerk has not listed, other than those that are newer than its
    /// list; returns how many rows there are in all.
    async fn each(&self, mut each: impl FnMut(Candidate)) -> Result<usize, String> {
        let (mut rows, mut last) = (0, String::new());
        loop {
            let ask = async || deletion::rows_after(self.database, self.target, &last).await;
            let next = patiently(self.progress, ask).await?;
            let Some(row) = next.last() else {
                return Ok(rows);
            };
            row.id.as_str().clone_into(&mut last);
            rows += next.len();
            for row in next {
                // A row that a deletion leaves is where it belongs.
                let is_left = row.was_deleted && self.target.section.on_delete != OnDelete::Delete;
                if !is_left && self.listed.should_have_named(&row) {
                    each(row);
                }
            }
        }
    }
}
