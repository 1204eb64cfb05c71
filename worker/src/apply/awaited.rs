//! What an event waits for, and whether that has changed since it was found in the way.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use shared::queue::object;
use tokio_postgres::types::{ToSql, Type};

use crate::apply::keep_if_sound;
use crate::apply::makers::Maker;
use crate::apply::target::Target;
use crate::database::Database;
use crate::database::failure::Failure;

/// How long to wait for an answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// An object that is in the way of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// Which, as [`shared::queue::object`] names it.
    pub object: String,
    /// How it was when it was found in the way.
    pub version: Version,
    /// Whether it has a unique value, so that it may wait in turn for one of the event's.
    pub is_of_a_value: bool,
    /// Why it is in the way, for the log and the dead letter.
    pub reason: String,
}

/// Which state of an object was in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// The one that came with the event of this svix-id; none where a row is there without any event.
    Of(Option<String>),
    /// One that only the transaction knew that found it, and that may never be committed.
    Uncommitted,
    /// That of a row.
    OfRow(Box<RowVersion>),
}

/// Which state of a row was in the way: who made it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowVersion {
    /// The family that makes such rows.
    pub family: String,
    /// The row's key, an array in JSON.
    pub key: String,
    /// The event by which it was made; none where it never was.
    pub svix_id: Option<String>,
}

impl Awaited {
    /// The object that has a unique value; a row that is nobody's may let go of it when it is linked.
    pub(crate) fn of(
        target: &Target,
        column: &str,
        holder: Option<&str>,
        version: Version,
    ) -> Self {
        let family = &target.section.family;
        let whose = if holder.is_some() { "another" } else { "no" };
        Self {
            object: object(family, holder.unwrap_or_default()),
            version,
            is_of_a_value: true,
            reason: format!(
                "the value of column \"{column}\" of {} belongs to a row of {whose} {family}",
                target.table
            ),
        }
    }
}

/// What others may have waited for where these events have changed or removed the rows of other objects: those, and rows
/// that are nobody's now.
///
/// # Errors
/// When PostgreSQL does not tell.
pub async fn touched_by(
    database: &Database,
    svix_ids: &[&str],
) -> Result<BTreeSet<String>, Failure> {
    let connection = database.connection().await?;
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&svix_ids, Type::TEXT_ARRAY)];
    let answer = async {
        // Without a name: see the module pooler.
        let sql = include_str!("touched_objects.sql");
        let mut objects = BTreeSet::new();
        for row in connection.query_typed(sql, &parameters).await? {
            let (family, id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            objects.insert(object(&family, &id));
            objects.insert(object(&family, ""));
        }
        Ok(objects)
    };
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
    keep_if_sound(connection, answer)
}

/// The objects among `awaited` whose version is not the one that was seen.
///
/// # Errors
/// When PostgreSQL does not tell.
pub async fn changed_since(
    database: &Database,
    awaited: &[&Awaited],
) -> Result<HashSet<String>, Failure> {
    let (mut changed, mut objects, mut versions) = (HashSet::new(), vec![], vec![]);
    let mut rows = Vec::new();
    for Awaited {
        object, version, ..
    } in awaited.iter().copied()
    {
        match version {
            Version::Of(svix_id) => {
                objects.push(object.as_str());
                versions.push(svix_id.as_deref());
            }
            Version::Uncommitted => {
                changed.insert(object.clone());
            }
            Version::OfRow(row) => rows.push((object, row)),
        }
    }
    if objects.is_empty() && rows.is_empty() {
        return Ok(changed);
    }
    let connection = database.connection().await?;
    // Without a name: see the module pooler.
    let sql = include_str!("changed_since.sql");
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&objects, Type::TEXT_ARRAY), (&versions, Type::TEXT_ARRAY)];
    let answer = async {
        let mut remade = HashSet::new();
        for (object, row) in rows {
            let maker = Maker {
                family: row.family.clone(),
                key_is_id: false,
            };
            let key = std::slice::from_ref(&row.key);
            let made = maker.made(&**connection, key).await?;
            if made.iter().any(|made| made.svix_id != row.svix_id) {
                remade.insert(object.clone());
            }
        }
        for row in connection.query_typed(sql, &parameters).await? {
            remade.insert(row.try_get(0)?);
        }
        Ok(remade)
    };
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
    let remade: HashSet<String> = keep_if_sound(connection, answer)?;
    changed.extend(remade);
    Ok(changed)
}
