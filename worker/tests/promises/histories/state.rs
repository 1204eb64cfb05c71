//! What is in the database, and what should be.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use xtask::history::{Change, History, Reference, Row};

/// Notes every row that is written, in the order of the commits. A row that only makes room in a
/// swap is none.
pub(super) const WRITES: &str = "\
    create table writes (number bigint generated always as identity, id text, name text); \
    create function note() returns trigger language plpgsql as $$ \
      begin insert into writes (id, name) values (new.id, new.name); return new; end $$; \
    create trigger note after insert or update on users for each row \
      when (new.email not like '%@moving.invalid') execute function note()";

pub(super) const CLEAR: &str = "\
    delete from users; delete from writes; \
    delete from clerk_sync.events; delete from clerk_sync.versions";

/// One line for each row of users, for each version and for each event.
pub(super) const QUERY: &str = r#"
    select concat_ws(' ', 'user', id, name, email, coalesce("imageUrl", '-'),
                     (extract(epoch from "createdAt") * 1000)::bigint,
                     (extract(epoch from "updatedAt") * 1000)::bigint) from users
    union all
    select concat_ws(' ', 'version', object_id, svix_id,
                     case when deleted then 'deleted'
                     else ((extract(epoch from updated_at) * 1000)::bigint)::text end,
                     (extract(epoch from event_at) * 1000)::bigint)
      from clerk_sync.versions
    union all
    select concat_ws(' ', 'event', svix_id, outcome) from clerk_sync.events"#;

pub(super) const QUERY_WRITES: &str = "select id || ' ' || name from writes order by number";

/// Inserts rows that are not ours.
pub(super) fn insert(rows: &BTreeMap<String, Row>) -> String {
    let mut sql = String::new();
    for (user_id, row) in rows {
        let image_url = row
            .image_url
            .as_ref()
            .map_or("null".to_owned(), |url| format!("'{url}'"));
        sql += &format!(
            "insert into users values ('{user_id}', '{}', '{}', {image_url}, \
             to_timestamp({} / 1000.0), to_timestamp({} / 1000.0)); ",
            row.name, row.email, row.created_at, row.updated_at
        );
    }
    sql + "delete from writes"
}

fn line(user_id: &str, row: &Row) -> String {
    let image_url = row.image_url.as_deref().unwrap_or("-");
    format!(
        "user {user_id} {} {} {image_url} {} {}",
        row.name, row.email, row.created_at, row.updated_at
    )
}

/// Compares what [`QUERY`] gave with what `history` comes to, in a table that had the rows `before`.
pub(super) fn check(
    history: &History,
    before: &BTreeMap<String, Row>,
    lines: &str,
) -> Result<(), TestCaseError> {
    let reference = Reference::of(&history.events);
    let users = reference
        .users
        .iter()
        .map(|(user_id, row)| line(user_id, row));
    let versions = reference.newest.iter().map(|(user_id, newest)| {
        let (svix_id, sent) = (&newest.svix_id, newest.timestamp);
        let updated_at = match newest.change {
            Change::Delete => "deleted".to_owned(),
            _ => newest.updated_at.to_string(),
        };
        format!("version {user_id} {svix_id} {updated_at} {sent}")
    });
    let expected: BTreeSet<String> = users.chain(versions).collect();
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
            .get(event.user_id.as_str())
            .is_some_and(|newest| newest.svix_id == event.svix_id);
        let is_older_than_row = before
            .get(&event.user_id)
            .is_some_and(|row| event.updated_at < row.updated_at);
        let possible: &[&str] = match event.change {
            Change::Ignore => &["ignored"],
            _ if is_newest => &["applied"],
            Change::Upsert(_) if is_older_than_row => &["stale"],
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

/// Compares what [`QUERY_WRITES`] gave with the events that are `applied`: each was written once,
/// and never over a newer one.
pub(super) fn check_writes(
    history: &History,
    applied: impl Fn(&str) -> bool,
    lines: &str,
) -> Result<(), TestCaseError> {
    let found: Vec<&str> = lines.lines().collect();
    let mut expected = Vec::new();
    for event in &history.events {
        if let Change::Upsert(row) = &event.change
            && applied(&event.svix_id)
        {
            expected.push(format!("{} {}", event.user_id, row.name));
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
