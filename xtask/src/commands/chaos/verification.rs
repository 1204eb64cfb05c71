//! Whether what remains is what was promised.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Instant,
};

use super::{
    cache::GLOBAL_TAG,
    deliveries::Delivered,
    events::{Event, Expected, Fate},
    remains::Remains,
};

/// Something that must not be, and where it is: svix-ids or ids of objects, with what is wrong.
pub(crate) struct Finding {
    pub(crate) name: &'static str,
    pub(crate) offenders: Vec<String>,
}

/// Compares. Every finding is there, most of them without offenders.
pub(crate) fn verify(
    events: &BTreeMap<&str, &Event>,
    delivered: &[Delivered],
    expected: &Expected,
    remains: &Remains,
) -> Vec<Finding> {
    let places = Places::of(remains);
    let finding = |name, offenders| Finding { name, offenders };
    let of_events = |wrong: &dyn Fn(&Delivered) -> Option<String>| -> Vec<String> {
        delivered.iter().filter_map(wrong).collect()
    };
    vec![
        finding(
            "never answered 2xx",
            of_events(&|event| event.accepted.is_none().then(|| event.svix_id.clone())),
        ),
        finding(
            "lost",
            of_events(&|event| {
                let nowhere = places.of_event(&event.svix_id).is_empty();
                (event.accepted.is_some() && nowhere).then(|| event.svix_id.clone())
            }),
        ),
        finding(
            "unfinished",
            remains
                .stream
                .iter()
                .chain(&remains.waiting)
                .cloned()
                .collect(),
        ),
        finding(
            "in two places",
            of_events(&|event| {
                let of_event = places.of_event(&event.svix_id);
                (of_event.len() > 1).then(|| format!("{}: {of_event:?}", event.svix_id))
            }),
        ),
        finding(
            "with another fate than they should",
            wrong_fates(events, remains),
        ),
        finding("applied twice", applied_twice(events, remains)),
        finding(
            "recorded as applied, but not written",
            not_written(events, remains),
        ),
        finding("deleted objects that came back", came_back(remains)),
        finding(
            "wrong rows of users",
            differences(&expected.users, &remains.users),
        ),
        finding(
            "wrong rows of organizations",
            differences(&expected.organizations, &remains.organizations),
        ),
        finding(
            "wrong rows of memberships",
            differences(&expected.memberships, &remains.memberships),
        ),
        finding(
            "wrong versions and tombstones",
            differences(&expected.newest, &remains.versions),
        ),
        finding("tags left", tags_left(events, delivered, remains)),
    ]
}

/// Where each event is.
struct Places<'a>(BTreeMap<&'a str, BTreeSet<&'static str>>);

impl<'a> Places<'a> {
    fn of(remains: &'a Remains) -> Self {
        let mut places: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let in_stream = remains.stream.iter().map(|svix_id| (svix_id, "stream"));
        let waiting = remains.waiting.iter().map(|svix_id| (svix_id, "retry"));
        let dead = remains
            .dead_letters
            .iter()
            .map(|letter| (&letter.svix_id, "dead letters"));
        let recorded = remains.ledger.keys().map(|svix_id| (svix_id, "ledger"));
        for (svix_id, place) in in_stream.chain(waiting).chain(dead).chain(recorded) {
            places.entry(svix_id).or_default().insert(place);
        }
        Self(places)
    }

    fn of_event(&self, svix_id: &str) -> BTreeSet<&'static str> {
        self.0.get(svix_id).cloned().unwrap_or_default()
    }
}

/// Events whose outcome is not one of those that are right, and outcomes of no event.
fn wrong_fates(events: &BTreeMap<&str, &Event>, remains: &Remains) -> Vec<String> {
    let recorded = remains
        .ledger
        .iter()
        .map(|(svix_id, recorded)| (svix_id, recorded.outcome.as_str(), false));
    let dead = remains
        .dead_letters
        .iter()
        .map(|letter| (&letter.svix_id, letter.reason.as_str(), true));
    recorded
        .chain(dead)
        .filter(|(svix_id, became, dead)| {
            let right = match events.get(svix_id.as_str()).map(|event| event.fate) {
                Some(Fate::Upserted | Fate::Deleted) => {
                    !dead && ["applied", "stale"].contains(became)
                }
                Some(Fate::Ignored) => !dead && *became == "ignored",
                Some(Fate::DeadLettered(reason)) => *dead && *became == reason,
                None => false,
            };
            !right
        })
        .map(|(svix_id, became, _)| format!("{svix_id}: {became}"))
        .collect()
}

/// The writes of one object's row and the events that are recorded as applied to it; deletions apart.
fn writes_and_records<'a>(
    events: &BTreeMap<&str, &'a Event>,
    remains: &'a Remains,
) -> BTreeMap<(&'a str, bool), (usize, usize)> {
    let mut counts: BTreeMap<(&str, bool), (usize, usize)> = BTreeMap::new();
    for written in &remains.witness {
        counts
            .entry((&written.object_id, written.operation == "DELETE"))
            .or_default()
            .0 += 1;
    }
    for (svix_id, recorded) in &remains.ledger {
        if recorded.outcome == "applied"
            && let Some(event) = events.get(svix_id.as_str())
        {
            counts
                .entry((&event.object_id, event.fate == Fate::Deleted))
                .or_default()
                .1 += 1;
        }
    }
    counts
}

/// Rows that were written more often than there are events to write them, or twice in the same way.
fn applied_twice(events: &BTreeMap<&str, &Event>, remains: &Remains) -> Vec<String> {
    let mut twice: Vec<String> = writes_and_records(events, remains)
        .into_iter()
        // With its organization or its user a membership's row goes too.
        .filter(|((id, deletion), _)| !deletion || !is_membership(id))
        .filter(|(_, (writes, records))| writes > records)
        .map(|((object_id, _), (writes, records))| {
            format!("{object_id}: {writes} writes, {records} recorded as applied")
        })
        .collect();
    let mut rows = BTreeSet::new();
    for written in remains
        .witness
        .iter()
        .filter(|written| written.operation != "DELETE")
    {
        let row = written.row.to_string();
        if !rows.insert(row.clone()) {
            twice.push(format!("{}: {row}", written.object_id));
        }
    }
    twice
}

/// The opposite. A deletion of an object that never had a row writes nothing, which is right.
fn not_written(events: &BTreeMap<&str, &Event>, remains: &Remains) -> Vec<String> {
    writes_and_records(events, remains)
        .into_iter()
        .filter(|((_, deletion), (writes, records))| !deletion && writes < records)
        .map(|((object_id, _), (writes, records))| {
            format!("{object_id}: {writes} writes, {records} recorded as applied")
        })
        .collect()
}

fn is_membership(id: &str) -> bool {
    id.starts_with("orgmem_")
}

fn came_back(remains: &Remains) -> Vec<String> {
    let mut deleted = BTreeSet::new();
    let mut back = Vec::new();
    for written in &remains.witness {
        if written.operation == "DELETE" {
            deleted.insert(&written.object_id);
        } else if deleted.contains(&written.object_id) {
            back.push(written.object_id.clone());
        }
    }
    back
}

/// Where two maps differ.
fn differences<T: PartialEq + fmt::Display>(
    right: &BTreeMap<String, T>,
    found: &BTreeMap<String, T>,
) -> Vec<String> {
    let ids: BTreeSet<&String> = right.keys().chain(found.keys()).collect();
    let text = |value: Option<&T>| value.map_or_else(|| "none".to_owned(), T::to_string);
    ids.into_iter()
        .map(|id| (id, right.get(id), found.get(id)))
        .filter(|(_, right, found)| right != found)
        .map(|(id, right, found)| format!("{id}: should be {}, is {}", text(right), text(found)))
        .collect()
}

/// Entries of the cache that were written before a change of what they show was so much as sent, and
/// are there still. Which event changed something, the ledger tells: one that is stale leaves the
/// cache as it is, so an entry that was written between the last change and a stale event may stay.
fn tags_left(
    events: &BTreeMap<&str, &Event>,
    delivered: &[Delivered],
    remains: &Remains,
) -> Vec<String> {
    let last_change = last_changes(events, delivered, remains);
    let users = last_change.iter().filter(|(id, _)| id.starts_with("user_"));
    let last_of_users = users.map(|(_, last)| last).max();
    delivered
        .iter()
        .filter(|delivery| remains.cached.contains(&delivery.svix_id))
        .filter(|delivery| {
            delivery.cached.as_ref().is_some_and(|cached| {
                let object_id = events[delivery.svix_id.as_str()].object_id.as_str();
                let last = if cached.tag == GLOBAL_TAG {
                    last_of_users
                } else {
                    last_change.get(object_id)
                };
                last.is_some_and(|last| *last >= cached.at)
            })
        })
        .map(|delivery| {
            let about = &events[delivery.svix_id.as_str()].object_id;
            format!("{}, about {about}", delivery.svix_id)
        })
        .collect()
}

/// When the last event was sent that changed each object.
fn last_changes<'a>(
    events: &BTreeMap<&str, &'a Event>,
    delivered: &[Delivered],
    remains: &Remains,
) -> BTreeMap<&'a str, Instant> {
    let mut last_change: BTreeMap<&str, Instant> = BTreeMap::new();
    let mut deletions: BTreeMap<&str, Instant> = BTreeMap::new();
    for delivery in delivered {
        let applied = remains
            .ledger
            .get(&delivery.svix_id)
            .is_some_and(|recorded| recorded.outcome == "applied");
        if let Some(event) = events.get(delivery.svix_id.as_str()).filter(|_| applied) {
            let id = event.object_id.as_str();
            if event.fate == Fate::Deleted {
                let first = deletions.entry(id).or_insert(delivery.begun);
                *first = (*first).min(delivery.begun);
            }
            if event.fate != Fate::Deleted || !is_membership(id) {
                let last = last_change.entry(id).or_insert(delivery.begun);
                *last = (*last).max(delivery.begun);
            }
        }
    }
    // A membership's row goes with its own deletion, its organization's or its user's, whichever comes first.
    let gone = remains.witness.iter();
    let gone = gone.filter(|written| written.operation == "DELETE");
    let gone: BTreeSet<&str> = gone.map(|written| written.object_id.as_str()).collect();
    for event in events.values() {
        let id = event.object_id.as_str();
        if gone.contains(id) && !event.parents.is_empty() {
            let may_be = event.parents.iter().map(String::as_str).chain([id]);
            let first = may_be.filter_map(|with| deletions.get(with)).min();
            if let Some(first) = first {
                let last = last_change.entry(id).or_insert(*first);
                *last = (*last).max(*first);
            }
        }
    }
    last_change
}

#[cfg(test)]
mod tests;
