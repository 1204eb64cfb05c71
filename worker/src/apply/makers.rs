//! Rows that another section makes, and the events that wait for them.

use shared::queue::object;
use tokio_postgres::GenericClient;
use tokio_postgres::types::{ToSql, Type};

use crate::apply::awaited::{Awaited, RowVersion, Version};
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::apply::winner::Winner;
use crate::apply::winners::LeftOuts;
use crate::database::failure::{Failure, Refusal, Remedy};
use crate::event::object::Object;
use crate::event::row::Cell;
use crate::tables::section::Key;

/// A section that makes the rows of a table that others share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Maker {
    /// Its family.
    pub(crate) family: String,
    /// Whether the keys of its rows are the ids of its objects.
    pub(crate) key_is_id: bool,
}

/// The event that last made a row, and whether its object is deleted.
#[derive(Clone, Default)]
pub(crate) struct Made {
    pub(crate) svix_id: Option<String>,
    is_deleted: bool,
}

/// What a row is called that is waited for, where its key is not the id of the object that makes it.
#[must_use]
pub(crate) fn row(family: &str, key: &str) -> String {
    // No family is called so.
    object(&format!("{family}="), key)
}

/// The row of an object, by what the object says of its key.
#[must_use]
pub fn row_of(made_by: &Object) -> Option<String> {
    let section = &made_by.section;
    matches!(section.key, Key::Said(_)).then(|| row(&section.family, &said_key(made_by)))
}

/// What an object says of the key of its row, before anything is looked up: an array in JSON.
fn said_key(object: &Object) -> String {
    let texts: Vec<Option<String>> = match &object.section.key {
        Key::Id(_) => vec![Some(object.id.as_str().to_owned())],
        Key::Said(places) => {
            let cells = places.iter().map(|place| object.row.cells.get(*place));
            let text = |cell: Option<&Cell>| Some(cell?.value.text()?.into_owned());
            cells.map(text).collect()
        }
    };
    serde_json::json!(texts).to_string()
}

/// What becomes of those who have no row, in a section that makes none and waits for them.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn wait<'a>(
    client: &impl GenericClient,
    target: &Target,
    rowless: &[&Winner<'a>],
) -> Result<LeftOuts<'a>, Failure> {
    let reason = format!("waits for a row of {} that belongs to it", target.table);
    let Some(maker) = &target.maker else {
        let refusal = Refusal {
            reason,
            remedy: Remedy::TryLater,
            ..Refusal::default()
        };
        let waits = |winner: &&Winner<'a>| {
            (
                winner.event.svix_id.as_str(),
                LeftOut::Refused(refusal.clone()),
            )
        };
        return Ok(rowless.iter().map(waits).collect());
    };
    let keys = rowless.iter().map(|winner| row_key(winner, maker));
    let keys: Vec<String> = keys.collect();
    let made = maker.made(client, &keys).await?;
    let left_out = |((winner, key), made): ((&&Winner<'a>, String), Made)| {
        let (object, version) = match maker.key_is_id {
            true => (object(&maker.family, &key), Version::Of(made.svix_id)),
            false => (
                row(&maker.family, &said_key(winner.object)),
                Version::OfRow(Box::new(RowVersion {
                    family: maker.family.clone(),
                    key,
                    svix_id: made.svix_id,
                })),
            ),
        };
        let awaited = Awaited {
            object,
            version,
            is_of_a_value: false,
            reason: reason.clone(),
        };
        // One of our deletions has removed the row: nobody makes it again.
        let left_out = match made.is_deleted {
            true => LeftOut::Stale,
            false => LeftOut::Waiting(awaited),
        };
        (winner.event.svix_id.as_str(), left_out)
    };
    Ok(rowless.iter().zip(keys).zip(made).map(left_out).collect())
}

/// The key of the row that a winner has none of: an id, or an array in JSON.
fn row_key(winner: &Winner<'_>, maker: &Maker) -> String {
    let id = winner.object.id.as_str();
    match (winner.key.as_slice(), maker.key_is_id) {
        ([], true) => id.to_owned(),
        ([key, ..], true) => key.clone(),
        ([], false) => serde_json::json!([id]).to_string(),
        (key, false) => serde_json::json!(key).to_string(),
    }
}

impl Maker {
    /// Who made the rows last that have these keys.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub(crate) async fn made(
        &self,
        client: &impl GenericClient,
        keys: &[String],
    ) -> Result<Vec<Made>, Failure> {
        let sql = match self.key_is_id {
            true => include_str!("known_versions.sql"),
            false => include_str!("row_makers.sql"),
        };
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&self.family, Type::TEXT), (&keys, Type::TEXT_ARRAY)];
        let mut made = vec![Made::default(); keys.len()];
        // Without a name: see the module pooler.
        for row in client.query_typed(sql, &parameters).await? {
            let number: i64 = row.try_get(0)?;
            let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
            if let Some(made) = made.get_mut(place) {
                made.svix_id = row.try_get(1)?;
                made.is_deleted = row.try_get(2)?;
            }
        }
        Ok(made)
    }
}
