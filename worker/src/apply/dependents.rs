//! Rows that refer to those of deleted objects: they go first, or let go of them.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::apply::arrays::{Array, Arrays};
use crate::apply::statements::array_type;
use crate::apply::statements::dependents::Dependent;
use crate::apply::storage;
use crate::apply::tags;
use crate::apply::verdict::LeftOut;
use crate::apply::winner::{Winner, fit_left, misfit_of};
use crate::apply::winners::LeftOuts;
use crate::database::pooler;
use crate::event::row::Row as Said;
use crate::fit::Fitted;

/// What has become of others' rows.
#[derive(Default)]
pub(crate) struct Released<'a> {
    /// Their tags, before and after.
    pub(crate) tags: BTreeSet<String>,
    /// The objects whose deletion has taken rows along.
    pub(crate) parents: BTreeSet<String>,
    /// Deletions that set what a column does not take.
    pub(crate) left_out: LeftOuts<'a>,
}

/// A row that refers to one of a deleted object.
struct Child {
    /// Whose deletion takes it along.
    parent_id: String,
    /// Its own object, if it has one.
    object_id: Option<String>,
    /// Where it lies.
    part: String,
    place: String,
}

/// Does what the file wants of the rows that refer to those of `deleted`. What is known of their objects is locked first,
/// then the rows, in the order of their keys: those who delete another object that they refer to keep to the same.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn release<'a>(
    transaction: &Transaction<'_>,
    dependents: &[Dependent],
    deleted: &[&Winner<'a>],
) -> Result<Released<'a>, Error> {
    let mut released = Released::default();
    let by_id: HashMap<&str, &Winner<'a>> = deleted
        .iter()
        .map(|winner| (winner.object.id.as_str(), *winner))
        .collect();
    let ids: Vec<&str> = by_id.keys().copied().collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&ids, Type::TEXT_ARRAY)];
    for dependent in dependents.iter().filter(|_| !ids.is_empty()) {
        let found = pooler::query(transaction, &dependent.find, &parameters).await?;
        let Some(first) = found.first() else {
            continue;
        };
        let by: String = first.try_get(0)?;
        let objects = found.iter().map(|row| row.try_get(1));
        let objects: BTreeSet<Option<String>> = objects.collect::<Result<_, _>>()?;
        let objects: Vec<String> = objects.into_iter().flatten().collect();
        let family = &dependent.section.family;
        let svix_id = by_id.get(by.as_str()).map(|by| by.event.svix_id.as_str());
        let go_along = dependent.goes_along;
        storage::touch_versions(transaction, family, &objects, svix_id, go_along).await?;

        let locked = pooler::query(transaction, &dependent.lock, &parameters).await?;
        let children = locked.iter().map(Child::read);
        let children: Vec<Child> = children.collect::<Result<_, _>>()?;
        let set = match dependent.set(&children, &by_id) {
            Ok(set) => set,
            Err(left_out) => {
                released.left_out.extend(left_out);
                continue;
            }
        };
        let parents = children.iter().map(|child| child.parent_id.clone());
        released.parents.extend(parents);
        let arrays = dependent.changed(&children, &set);
        let changed = pooler::query(transaction, &dependent.change, &arrays.parameters()).await?;
        for (rows, before) in [(&locked, 4), (&changed, 1)] {
            for row in rows {
                dependent.add_tags(row, before, &mut released.tags)?;
            }
        }
    }
    Ok(released)
}

impl Child {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            parent_id: row.try_get(0)?,
            object_id: row.try_get(1)?,
            part: row.try_get(2)?,
            place: row.try_get(3)?,
        })
    }
}

impl Dependent {
    /// What is set in the rows of `children`. The error tells whose deletion says what does not fit.
    fn set<'a>(
        &self,
        children: &[Child],
        deleted: &HashMap<&str, &Winner<'a>>,
    ) -> Result<Vec<Vec<Fitted<'static>>>, LeftOuts<'a>> {
        let (mut set, mut left_out) = (Vec::new(), LeftOuts::new());
        for child in children.iter().filter(|_| !self.set.is_empty()) {
            // The statement returns one of the ids that it takes.
            let winner = deleted[child.parent_id.as_str()];
            let id = child.object_id.as_deref();
            let row: Said = winner.event.row_left(&self.section, id);
            let columns = self.set.iter().map(|(column, stored)| (column, stored));
            match fit_left(columns, &row) {
                Ok(fitted) => set.push(fitted),
                Err(why) => {
                    let refusal = LeftOut::Refused(misfit_of(&self.table, &why));
                    left_out.insert(winner.event.svix_id.as_str(), refusal);
                }
            }
        }
        match left_out.is_empty() {
            true => Ok(set),
            false => Err(left_out),
        }
    }

    fn changed<'a>(&self, children: &'a [Child], set: &'a [Vec<Fitted<'static>>]) -> Arrays<'a> {
        let parts = children.iter().map(|child| Some(child.part.as_str()));
        let places = children.iter().map(|child| Some(child.place.as_str()));
        let mut arrays = Arrays(Vec::new()).with_texts(parts).with_texts(places);
        for (place, (_, stored)) in self.set.iter().enumerate() {
            let cells = set.iter().map(|cells| &cells[place]);
            arrays.0.push(Array::of(&array_type(stored), cells));
        }
        arrays
    }

    /// The tags of a row, whose columns that tags need begin at the place `first`.
    fn add_tags(&self, row: &Row, first: usize, all: &mut BTreeSet<String>) -> Result<(), Error> {
        let columns = (first..row.len()).map(|place| row.try_get(place));
        let columns: Vec<Option<String>> = columns.collect::<Result<_, _>>()?;
        all.extend(tags::of_row(&self.section, &self.tag_columns, &columns));
        Ok(())
    }
}
