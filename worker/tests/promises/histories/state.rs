//! What is in the database, and what should be.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use xtask::history::{Change, History, Reference, User};

use super::table::Table;

/// Compares `lines` of the table with what `history` comes to, in a table that had the rows `before`.
pub(super) fn check(
    table: &Table,
    history: &History,
    before: &BTreeMap<String, User>,
    lines: &str,
) -> Result<(), TestCaseError> {
    let reference = Reference::of(&history.events);
    let users = reference
        .users
        .iter()
        .map(|(user_id, row)| table.line(user_id, row));
    let versions = reference.newest.iter().map(|(user_id, newest)| {
        let (svix_id, sent) = (&newest.svix_id, newest.timestamp);
        let updated_at = match newest.change {
            Change::Delete => "deleted".to_owned(),
            _ => newest.updated_at.to_string(),
        };
        format!("version {user_id} {svix_id} {updated_at} {sent}")
    });
    let expected: BTreeSet<String> = users.chain(versions).collect();
    let deletions = reference.newest.values();
    let deletions = deletions.filter(|newest| newest.change == Change::Delete);
    let left: BTreeSet<String> = deletions.map(|deletion| Table::left(deletion)).collect();
    let mut found = BTreeSet::new();
    let mut ledger: BTreeMap<&str, &str> = BTreeMap::new();
    for line in lines.lines() {
        match line
            .strip_prefix("event ")
            .and_then(|event| event.split_once(' '))
        {
            Some((svix_id, outcome)) => {
                ledger.insert(svix_id, outcome);
            }
            // Whether a row is left is a matter of the order of delivery.
            None if left.contains(line) => {}
            None => {
                found.insert(line.to_owned());
            }
        }
    }
    let missing: Vec<_> = expected.difference(&found).collect();
    let wrong: Vec<_> = found.difference(&expected).collect();
    prop_assert!(
        missing.is_empty() && wrong.is_empty(),
        "missing {missing:#?}, wrong {wrong:#?}"
    );
    for event in &history.events {
        let outcome = ledger.remove(event.svix_id.as_str()).unwrap_or("lost");
        let is_newest = reference
            .newest
            .get(event.object_id.as_str())
            .is_some_and(|newest| newest.svix_id == event.svix_id);
        let is_older_than_row = before
            .get(&event.object_id)
            .is_some_and(|row| event.updated_at < row.updated_at);
        let possible: &[&str] = match event.change {
            Change::Ignore => &["ignored"],
            _ if is_newest => &["applied"],
            Change::User(_) if is_older_than_row && table.may_be_newer => &["stale"],
            // Whether something newer came first is a matter of the order of delivery.
            _ => &["applied", "stale"],
        };
        prop_assert!(
            possible.contains(&outcome),
            "{} is {outcome}",
            event.svix_id
        );
    }
    prop_assert!(ledger.is_empty(), "nobody sent {ledger:?}");
    Ok(())
}

/// Compares the names that were written with the events that are `applied`.
pub(super) fn check_writes(
    history: &History,
    applied: &dyn Fn(&str) -> bool,
    lines: &str,
) -> Result<(), TestCaseError> {
    let found: Vec<&str> = lines.lines().collect();
    let mut expected = Vec::new();
    for event in &history.events {
        if let Change::User(row) = &event.change
            && applied(&event.svix_id)
        {
            expected.push(format!("{} {}", event.object_id, row.name));
        }
    }
    // Those of one user, each list in its own order.
    let by_user = |lines: &[&str]| {
        let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in lines {
            let (user_id, name) = line.split_once(' ').unwrap_or_default();
            users
                .entry(user_id.to_owned())
                .or_default()
                .push(name.to_owned());
        }
        users
    };
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    prop_assert_eq!(by_user(&found), by_user(&expected));
    Ok(())
}
