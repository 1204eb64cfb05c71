//! All users, page by page, while users come and go.
//!
//! The API counts pages by offset. New users come at the end of the list, so they move nobody; but whoever
//! is deleted moves all who come after, and the next page would begin too late. So each page has to begin
//! with somebody who has been read before; where it does not, an earlier one is asked for.

use std::collections::HashSet;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::text::is_blank;
use crate::reconcile::clerk_api::ClerkApi;

/// How many users of the page before a page begins with, if none of them is deleted meanwhile.
const OVERLAP: usize = 20;
/// How often in a row an earlier page is asked for. From the end of a list of a million users it takes 16
/// steps to its beginning; a list that is in another order each time would have us step back for ever.
const MOST_STEPS: u32 = 64;

/// A user as the API gives it.
pub struct ListedUser {
    /// The JSON.
    pub json: Box<RawValue>,
    /// Its `id`, if it is text that is not blank.
    pub id: Option<String>,
    /// Its `created_at`, in milliseconds.
    created_at: Option<i64>,
}

/// How far the list has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// How many users stand before it.
    pub offset: usize,
    /// `created_at` of the last user before it.
    created_at: Option<i64>,
}

/// Reads the list.
#[derive(Default)]
pub struct Pages {
    place: Place,
    /// Whom the page before has named.
    known: HashSet<String>,
    /// How often it has stepped back since it last went forth.
    steps: u32,
}

impl From<Box<RawValue>> for ListedUser {
    fn from(json: Box<RawValue>) -> Self {
        // Each for itself: one that cannot be read does not take the other with it.
        #[derive(Deserialize, Default)]
        struct Head<'a> {
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            created_at: Option<&'a RawValue>,
        }
        let head: Head = serde_json::from_str(json.get()).unwrap_or_default();
        let id = head.id.and_then(|id| serde_json::from_str(id.get()).ok());
        let id = id.filter(|id: &String| !is_blank(id));
        let created_at = head.created_at;
        let created_at = created_at.and_then(|time| serde_json::from_str(time.get()).ok());
        Self {
            id,
            created_at,
            json,
        }
    }
}

impl ListedUser {
    /// What it is known by: all that it says, for want of an id.
    fn name(&self) -> &str {
        self.id.as_deref().unwrap_or_else(|| self.json.get())
    }
}

impl Pages {
    /// Goes on at `place`.
    #[must_use]
    pub fn from(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// How far it has come.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Users that the page before has not named; `None` after the last page.
    ///
    /// # Errors
    /// When Clerk does not give the page, or the list does not hold still at all; in words.
    pub async fn next(&mut self, api: &mut ClerkApi) -> Result<Option<Vec<ListedUser>>, String> {
        let mut overlap = OVERLAP;
        loop {
            let offset = self.place.offset.saturating_sub(overlap);
            let users = api.users(offset).await?.into_iter();
            let users: Vec<ListedUser> = users.map(ListedUser::from).collect();
            if offset > 0 && !users.first().is_some_and(|first| self.has_read(first)) {
                overlap = overlap.saturating_mul(2);
                self.steps += 1;
                if self.steps > MOST_STEPS {
                    return Err("Clerk's list of users changes faster than it can be read".into());
                }
                continue;
            }
            let Some(last) = users.last() else {
                return Ok(None);
            };
            // After a step back it is not the end that was asked for.
            let went_forth = overlap == OVERLAP;
            self.place = Place {
                offset: offset + users.len(),
                created_at: last.created_at,
            };
            if went_forth && users.iter().all(|user| self.has_named(user)) {
                return Ok(None);
            }
            if went_forth {
                self.steps = 0;
            }
            let names = users.iter().map(|user| user.name().to_owned()).collect();
            let known = std::mem::replace(&mut self.known, names);
            let is_new = |user: &ListedUser| !known.contains(user.name());
            return Ok(Some(users.into_iter().filter(is_new).collect()));
        }
    }

    fn has_named(&self, user: &ListedUser) -> bool {
        self.known.contains(user.name())
    }

    /// Whether everybody before `user` has been read. Not where two have the same time and no page in
    /// between: nobody knows which of them comes first.
    fn has_read(&self, user: &ListedUser) -> bool {
        let is_older = matches!(
            (user.created_at, self.place.created_at),
            (Some(created_at), Some(last)) if created_at < last
        );
        is_older || self.has_named(user)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let created_at = self.created_at.unwrap_or(i64::MIN);
        write!(formatter, "{} {created_at}", self.offset)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (offset, created_at) = text.split_once(' ').ok_or(())?;
        Ok(Self {
            offset: offset.parse().map_err(drop)?,
            created_at: Some(created_at.parse().map_err(drop)?),
        })
    }
}
