//! What is in the tables, and what should be.
//!
//! All mapped columns are compared. What may depend on arrival, as the contract has it, is not: what `on_create` wrote.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use xtask::history::{Change, History, HistoryEvent, Reference};

/// Compares rows, versions and outcomes with what `history` comes to.
pub(super) fn check(has_users: bool, history: &History, lines: &str) -> Result<(), TestCaseError> {
    let reference = Reference::of(&history.events);
    let (ledger, found): (BTreeSet<&str>, BTreeSet<&str>) =
        lines.lines().partition(|line| line.starts_with("event "));
    let expected = expected(has_users, &reference);
    let missing: Vec<_> = expected
        .iter()
        .filter(|line| !found.contains(line.as_str()))
        .collect();
    let wrong: Vec<_> = found
        .iter()
        .filter(|line| !expected.contains(**line))
        .collect();
    prop_assert!(
        missing.is_empty() && wrong.is_empty(),
        "missing {missing:#?}, wrong {wrong:#?}"
    );
    let mut outcomes: BTreeMap<&str, &str> = ledger
        .into_iter()
        .filter_map(|line| line.strip_prefix("event ")?.split_once(' '))
        .collect();
    for event in &history.events {
        let outcome = outcomes.remove(event.svix_id.as_str()).unwrap_or("lost");
        prop_assert!(
            possible(has_users, &reference, event).contains(&outcome),
            "{} is {outcome}",
            event.svix_id
        );
    }
    prop_assert!(outcomes.is_empty(), "nobody sent {outcomes:?}");
    Ok(())
}

fn expected(has_users: bool, reference: &Reference<'_>) -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for (id, told) in &reference.organizations {
        expected.insert(match has_users {
            true => format!(
                "organization {id} {} {} {}",
                told.name, told.slug, told.updated_at
            ),
            false => format!("organization {id} {}", told.name),
        });
    }
    for told in reference.memberships(has_users) {
        let role = told.role.trim_start_matches("org:").to_uppercase();
        let (organization, user) = (&told.organization_id, &told.user_id);
        expected.insert(format!("member {organization} {user} {role} {}", told.desk));
    }
    if has_users {
        let users = reference.users.iter();
        expected.extend(users.map(|(id, told)| format!("user {id} {}", told.email)));
    }
    for (id, newest) in &reference.newest {
        if has_users || newest.family != "user" {
            let updated_at = match newest.change {
                Change::Delete => "deleted".to_owned(),
                _ => newest.updated_at.to_string(),
            };
            let HistoryEvent {
                family,
                svix_id,
                timestamp,
                ..
            } = newest;
            expected.insert(format!(
                "version {family} {id} {svix_id} {updated_at} {timestamp}"
            ));
        }
    }
    expected
}

/// What an event may have come to. Whether something newer came first is a matter of the order of delivery, and so is
/// whether a membership came before the deletion of what it refers to.
fn possible(
    has_users: bool,
    reference: &Reference<'_>,
    event: &HistoryEvent,
) -> &'static [&'static str] {
    let newest = reference.newest.get(event.object_id.as_str());
    let is_newest = newest.is_some_and(|newest| newest.svix_id == event.svix_id);
    match &event.change {
        Change::Ignore => &["ignored"],
        _ if event.family == "user" && !has_users => &["ignored"],
        Change::Membership(told) if !reference.has_parents(told, has_users) => {
            &["applied", "stale"]
        }
        _ if is_newest => &["applied"],
        _ => &["applied", "stale"],
    }
}

/// Compares the desks that were written with the events that are `applied`.
pub(super) fn check_writes(
    history: &History,
    applied: &dyn Fn(&str) -> bool,
    lines: &str,
) -> Result<(), TestCaseError> {
    let mut rows: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut expected: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for event in &history.events {
        if let Change::Membership(told) = &event.change {
            let row = (told.organization_id.as_str(), told.user_id.as_str());
            rows.insert(&told.desk, row);
            if applied(&event.svix_id) {
                expected.entry(row).or_default().push(&told.desk);
            }
        }
    }
    let mut found: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for line in lines.lines() {
        let (_, desk) = line.split_once(' ').unwrap_or_default();
        found.entry(rows[desk]).or_default().push(desk);
    }
    prop_assert_eq!(found, expected);
    Ok(())
}
