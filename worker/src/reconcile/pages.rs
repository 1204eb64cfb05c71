//! All objects of a family, page by page, while objects come and go.
//!
//! The API counts pages by offset. New objects come at the end of the list, so they move none; but one that
//! is deleted moves all that come after, and the next page would begin too late. So each page has to begin
//! with one that has been read before; where it does not, an earlier one is asked for.

use std::collections::HashSet;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::text::is_blank;
use crate::reconcile::clerk_api::{ClerkApi, Total};
use crate::reconcile::family::Family;

/// How many objects of the page before a page begins with, if none of them is deleted meanwhile.
const OVERLAP: usize = 20;
/// How often in a row an earlier page is asked for. From the end of a list of a million it takes 16
/// steps to its beginning; a list that is in another order each time would have us step back for ever.
const MOST_STEPS: u32 = 64;
/// How often Clerk is asked for the objects that it counts and has not listed.
const LOOKS: u32 = 3;

/// An object as the API gives it.
pub struct ListedObject {
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
    /// How many objects stand before it.
    pub offset: usize,
    /// `created_at` of the last object before it; `None` where it says nothing about the order.
    created_at: Option<i64>,
}

/// Reads the list.
pub struct Pages {
    family: &'static Family,
    place: Place,
    /// What the page before has named.
    known: HashSet<String>,
    /// How often it has stepped back since it last went forth.
    steps: u32,
    /// How often it has come to the end while Clerk counted more.
    looks: u32,
}

impl From<Box<RawValue>> for ListedObject {
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

impl ListedObject {
    /// What it is known by: all that it says, for want of an id.
    fn name(&self) -> &str {
        self.id.as_deref().unwrap_or_else(|| self.json.get())
    }
}

impl Pages {
    /// Goes on at `place`.
    #[must_use]
    pub fn from(family: &'static Family, place: Place) -> Self {
        Self {
            family,
            place,
            known: HashSet::new(),
            steps: 0,
            looks: 0,
        }
    }

    /// How far it has come.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Objects that the page before has not named; `None` after the last page.
    ///
    /// # Errors
    /// When Clerk does not give the page, or the list does not hold still at all; in words.
    pub async fn next(&mut self, api: &mut ClerkApi) -> Result<Option<Vec<ListedObject>>, String> {
        let mut overlap = OVERLAP;
        loop {
            let offset = self.place.offset.saturating_sub(overlap);
            let page = api.page(self.family, offset).await?.into_iter();
            let page: Vec<ListedObject> = page.map(ListedObject::from).collect();
            if offset > 0 && !page.first().is_some_and(|first| self.has_read(first)) {
                overlap = overlap.saturating_mul(2);
                self.steps += 1;
                if self.steps > MOST_STEPS {
                    let plural = self.family.plural;
                    return Err(format!(
                        "Clerk's list of {plural} changes faster than it can be read"
                    ));
                }
                continue;
            }
            let Some(last) = page.last() else {
                return Ok(None);
            };
            // After a step back it is not the end that was asked for.
            let went_forth = overlap == OVERLAP;
            let is_in_order = page.is_sorted_by_key(|object| object.created_at);
            self.place = Place {
                offset: offset + page.len(),
                created_at: last.created_at.filter(|_| is_in_order),
            };
            if went_forth && page.iter().all(|object| self.has_named(object)) {
                return Ok(None);
            }
            if went_forth {
                self.steps = 0;
            }
            let names = page.iter().map(|object| object.name().to_owned()).collect();
            let known = std::mem::replace(&mut self.known, names);
            let is_new = |object: &ListedObject| !known.contains(object.name());
            return Ok(Some(page.into_iter().filter(is_new).collect()));
        }
    }

    /// Whether as many objects have been listed as Clerk counts. If not, those that have come meanwhile are on the next
    /// page.
    ///
    /// # Errors
    /// When Clerk does not tell, or there are still more at the third time; in words.
    pub async fn are_complete(&mut self, api: &mut ClerkApi) -> Result<bool, String> {
        let (family, listed) = (self.family, self.place.offset);
        let total = match api.count(family).await? {
            Total::Told(Some(total)) if total > listed as u64 => total,
            _ => return Ok(true),
        };
        self.looks += 1;
        match self.looks {
            LOOKS => Err(format!(
                "Clerk has {total} {} and lists {listed} only",
                family.plural
            )),
            _ => Ok(false),
        }
    }

    fn has_named(&self, object: &ListedObject) -> bool {
        self.known.contains(object.name())
    }

    /// Whether all before `object` have been read. Not where two have the same time and no page in between: nobody knows
    /// which of them comes first.
    fn has_read(&self, object: &ListedObject) -> bool {
        let is_older = matches!(
            (object.created_at, self.place.created_at),
            (Some(created_at), Some(last)) if created_at < last
        );
        is_older || self.has_named(object)
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
