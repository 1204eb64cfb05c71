//! The objects that rows refer to: locked before everything else, and looked up when the rows are written.
//!
//! A transaction that writes a row locks the versions of its parents for share until it commits, and one that deletes a
//! parent locks that version for update. So the second always sees what the first has done: the deletion finds the row,
//! or the row finds the tombstone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use deadpool_postgres::Transaction;
use shared::queue::object;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::apply::awaited::{ANSWER_TIMEOUT, Awaited, Version};
use crate::apply::keep_if_sound;
use crate::apply::statements::references::{Fate, Lookup};
use crate::apply::target::{Snapshot, Target};
use crate::database::Database;
use crate::database::failure::Failure;
use crate::database::pooler;
use crate::event::object::{Object, ObjectId, Parent};
use crate::event::{Change, Event};

/// Objects that this transaction has locked; nothing where no row refers to any.
pub(crate) type Held = Option<HashSet<Parent>>;

/// What the rows say that events refer to.
#[derive(Debug, Default)]
pub(crate) struct Found(HashMap<(usize, String), ParentRow>);

/// What is known of an object that a row refers to.
#[derive(Debug)]
pub(crate) struct ParentRow {
    has_row: bool,
    /// What the row says in the column that is copied.
    pub(crate) value: Option<String>,
    pub(crate) is_deleted: bool,
    /// The svix-id of its newest event.
    version: Option<String>,
}

/// Locks the parents of all objects that `events` change, and the changed objects that others may refer to, in one order.
/// The inner error lists changed objects without a version yet: nothing of them can be locked, and claiming them later
/// would break the order.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn lock(
    transaction: &Transaction<'_>,
    snapshot: &Snapshot,
    events: &[&Event],
) -> Result<Result<Held, Vec<Parent>>, Error> {
    let changed = events.iter().filter_map(|event| event.changed());
    let takes_along = |event: &&Event| {
        let mut changed = event.changed().into_iter();
        matches!(event.change, Change::Delete(_)) && changed.any(|object| object.section.is_found)
    };
    let refers = |object: &Object| !object.parents.is_empty();
    if !changed.clone().any(refers) && !events.iter().any(takes_along) {
        return Ok(Ok(None));
    }
    let mut wanted: BTreeMap<(usize, &str, &str), bool> = BTreeMap::new();
    for object in changed {
        for Parent { family, id } in &object.parents {
            wanted
                .entry((depth(snapshot, family), family, id))
                .or_default();
        }
        let family = object.section.family.as_str();
        if object.section.is_found {
            wanted.insert((object.section.depth, family, object.id.as_str()), true);
        }
    }
    let families: Vec<&str> = wanted.keys().map(|(_, family, _)| *family).collect();
    let ids: Vec<&str> = wanted.keys().map(|(_, _, id)| *id).collect();
    let is_changed: Vec<bool> = wanted.values().copied().collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 3] = [
        (&families, Type::TEXT_ARRAY),
        (&ids, Type::TEXT_ARRAY),
        (&is_changed, Type::BOOL_ARRAY),
    ];
    let rows = pooler::query(transaction, include_str!("lock_parents.sql"), &parameters).await?;
    let parent = |row: &Row| {
        Ok(Parent {
            family: row.try_get(0)?,
            id: row.try_get(1)?,
        })
    };
    let held: HashSet<Parent> = rows.iter().map(parent).collect::<Result<_, _>>()?;
    let changed = wanted.into_iter().filter(|(_, is_changed)| *is_changed);
    let changed = changed.map(|((_, family, id), _)| Parent {
        family: family.to_owned(),
        id: id.to_owned(),
    });
    let unmet: Vec<Parent> = changed.filter(|parent| !held.contains(parent)).collect();
    Ok(match unmet.is_empty() {
        true => Ok(Some(held)),
        false => Err(unmet),
    })
}

fn depth(snapshot: &Snapshot, family: &str) -> usize {
    let target = snapshot.get(family);
    target.map_or(0, |target| target.section.depth)
}

/// Makes parents known of which no event was seen, so that they can be locked. In a transaction of its own: within
/// another one it would take locks out of order. In the order in which others claim them.
///
/// # Errors
/// When PostgreSQL does not do it.
pub(crate) async fn meet(
    database: &Database,
    snapshot: &Snapshot,
    parents: &[Parent],
) -> Result<(), Failure> {
    let mut parents: Vec<&Parent> = parents.iter().collect();
    parents.sort_by_key(|parent| {
        let (family, id) = (parent.family.as_str(), parent.id.as_str());
        (depth(snapshot, family), family, id)
    });
    let families: Vec<&str> = parents
        .iter()
        .map(|parent| parent.family.as_str())
        .collect();
    let ids: Vec<&str> = parents.iter().map(|parent| parent.id.as_str()).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&families, Type::TEXT_ARRAY), (&ids, Type::TEXT_ARRAY)];
    let connection = database.connection().await?;
    // Without a name: see the module pooler.
    let sql = include_str!("meet_parents.sql");
    // Another transaction may be making them known for long.
    let answer = async { Ok(connection.execute_typed(sql, &parameters).await?) };
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
    keep_if_sound(connection, answer).map(drop)
}

impl Found {
    /// Looks up what the rows say that `events` refer to.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub(crate) async fn look_up(
        transaction: &Transaction<'_>,
        target: &Target,
        events: &[&Event],
    ) -> Result<Self, Error> {
        let mut found = Self::default();
        for lookup in &target.references.lookups {
            let ids = wanted(events, lookup);
            if !ids.is_empty() {
                let rows = pooler::query(transaction, &lookup.sql, &parameters(&ids)).await?;
                found.add(lookup, &rows)?;
            }
        }
        Ok(found)
    }

    /// The same for somebody who only reads.
    ///
    /// # Errors
    /// When PostgreSQL does not tell.
    pub(crate) async fn read(
        database: &Database,
        target: &Target,
        events: &[&Event],
    ) -> Result<Self, Failure> {
        let mut found = Self::default();
        for lookup in &target.references.lookups {
            let ids = wanted(events, lookup);
            if !ids.is_empty() {
                let rows = database.read(&lookup.sql, &parameters(&ids)).await?;
                found.add(lookup, &rows)?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, lookup: &Lookup, rows: &[Row]) -> Result<(), Error> {
        for row in rows {
            let parent = ParentRow {
                has_row: row.try_get(1)?,
                value: row.try_get(2)?,
                is_deleted: row.try_get(3)?,
                version: row.try_get(4)?,
            };
            self.0.insert((lookup.place, row.try_get(0)?), parent);
        }
        Ok(())
    }

    /// The objects of a look-up that have no row, and of which no deletion has told.
    pub(crate) fn missing(&self, lookup: &Lookup) -> impl Iterator<Item = &str> {
        let rows = self
            .0
            .iter()
            .filter(|((place, _), row)| *place == lookup.place && row.is_missing());
        rows.map(|((_, id), _)| id.as_str())
    }

    /// Whether an object is one of these.
    pub(crate) fn is_missing(&self, lookup: &Lookup, id: &str) -> bool {
        let parent = self.get(lookup.place, id);
        parent.is_some_and(ParentRow::is_missing)
    }

    /// What an event waits for that refers to this object, if it has to.
    pub(crate) fn awaited(&self, lookup: &Lookup, id: &str) -> Option<Awaited> {
        let parent = self.get(lookup.place, id)?;
        let is_awaited = parent.value.is_none() && !parent.is_deleted;
        is_awaited.then(|| parent.awaited(lookup, id))
    }

    /// What is known of the object that the cell at this place refers to.
    pub(crate) fn get(&self, place: usize, id: &str) -> Option<&ParentRow> {
        self.0.get(&(place, id.to_owned()))
    }

    /// What becomes of the row of `object`, if it goes along with one that is deleted. Of its cells the first `columns` say
    /// so, not what is written once.
    pub(crate) fn fate(&self, object: &Object, target: &Target, columns: usize) -> Option<Fate> {
        target.references.lookups.iter().find_map(|lookup| {
            let fate = lookup.fate.filter(|_| lookup.place < columns)?;
            let id = lookup.referred(object)?;
            let parent = self.get(lookup.place, id.as_str())?;
            parent.is_deleted.then_some(fate)
        })
    }

    /// Those that rows can refer to, though this transaction does not hold them: nothing was known of them.
    pub(crate) fn unmet(&self, target: &Target, held: &Held) -> Vec<Parent> {
        let lookups = target.references.lookups.iter();
        let parents = lookups.flat_map(|lookup| {
            let of_lookup = self
                .0
                .iter()
                .filter(|((place, _), _)| *place == lookup.place);
            let usable = of_lookup.filter(|(_, row)| row.value.is_some() && !row.is_deleted);
            usable.map(|((_, id), _)| Parent {
                family: lookup.family.clone(),
                id: id.clone(),
            })
        });
        let is_held = |parent: &Parent| held.as_ref().is_some_and(|held| held.contains(parent));
        parents.filter(|parent| !is_held(parent)).collect()
    }
}

impl ParentRow {
    const fn is_missing(&self) -> bool {
        !self.has_row && !self.is_deleted
    }

    /// What an event waits for that refers to it.
    pub(crate) fn awaited(&self, lookup: &Lookup, id: &str) -> Awaited {
        let Lookup { family, found, .. } = lookup;
        let mut reason = format!("waits for {family} {id}");
        if self.has_row {
            reason.push_str(&format!(", whose column \"{found}\" is NULL"));
        }
        Awaited {
            object: object(family, id),
            version: Version::Of(self.version.clone()),
            is_of_a_value: false,
            reason,
        }
    }
}

/// The ids that events say at the place of a look-up.
fn wanted(events: &[&Event], lookup: &Lookup) -> Vec<String> {
    let objects = events.iter().filter_map(|event| event.upserted());
    let ids = objects.filter_map(|object| lookup.referred(object));
    let ids: BTreeSet<ObjectId> = ids.collect();
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}

fn parameters(ids: &Vec<String>) -> [(&(dyn ToSql + Sync), Type); 1] {
    [(ids, Type::TEXT_ARRAY)]
}
