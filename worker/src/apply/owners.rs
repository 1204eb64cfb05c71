//! Whose row a row is, where its key is not Clerk's id: an object that leaves and one that comes may say the same key.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::apply::arrays::Arrays;
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::apply::winner::{Winner, misfit};
use crate::apply::winners::{LeftOuts, Winners};
use crate::database::failure::Failure;
use crate::database::pooler;

/// The key of an object's row, by the object.
type Keys = HashMap<String, Vec<String>>;

/// Locks the owners of rows before the rows, and leaves only winners whose rows are theirs: those that a newer object
/// owns are not written, and a deleted object that has no row deletes none. Returns the winners that say another key than
/// their rows have. One whose row the application has deleted may take any key.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn own<'a>(
    transaction: &Transaction<'_>,
    target: &Target,
    winners: &mut Winners<'a>,
) -> Result<LeftOuts<'a>, Failure> {
    let Some(sql) = &target.statements.own else {
        return Ok(LeftOuts::new());
    };
    let all = winners.written.iter().chain(&winners.deleted);
    let mut before = lock(
        transaction,
        target,
        all.map(|winner| winner.object.id.as_str()),
    )
    .await?;
    let mut owned = Keys::new();
    let mut left: Vec<&Winner<'_>> = winners.written.iter().collect();
    let others = loop {
        take(transaction, target, sql, left, &before, &mut owned).await?;
        let says_another = |winner: &&Winner<'_>| {
            let id = winner.object.id.as_str();
            !owned.contains_key(id) && before.get(id).is_some_and(|key| !has(&owned, key))
        };
        let others: Vec<&Winner<'a>> = winners.written.iter().filter(says_another).collect();
        let without_row = disown(transaction, target, &others).await?;
        if without_row.is_empty() {
            break others;
        }
        before.retain(|id, _| !without_row.contains_key(id));
        left = others;
    };
    let others = others.into_iter();
    let others: LeftOuts<'_> = others.map(|winner| another_key(winner, target)).collect();
    winners.returning.retain(|id| owned.contains_key(*id));
    winners
        .written
        .retain(|winner| owned.contains_key(winner.object.id.as_str()));
    for winner in &mut winners.deleted {
        let key = before.get(winner.object.id.as_str());
        winner.key = key
            .filter(|key| !has(&owned, key))
            .cloned()
            .unwrap_or_default();
    }
    lock_links(transaction, target, &winners.written).await?;
    Ok(others)
}

/// Makes `left` the owners of the rows whose keys they say, as far as they may be. Whose row another one of them takes may
/// say another key than that row has.
async fn take(
    transaction: &Transaction<'_>,
    target: &Target,
    sql: &str,
    mut left: Vec<&Winner<'_>>,
    before: &Keys,
    owned: &mut Keys,
) -> Result<(), Failure> {
    while !left.is_empty() {
        let arrays = Arrays::of_objects(target, &left).with_revisions(&left);
        let rows = pooler::query(transaction, sql, &arrays.parameters()).await?;
        let taken = keys(&rows)?;
        left.retain(|winner| {
            let id = winner.object.id.as_str();
            let key = before.get(id).filter(|_| !taken.contains_key(id));
            key.is_some_and(|key| has(&taken, key))
        });
        owned.extend(taken);
    }
    Ok(())
}

fn has(keys: &Keys, key: &Vec<String>) -> bool {
    keys.values().any(|other| other == key)
}

/// Tells those of `others` whose rows are gone, and forgets that they were theirs.
async fn disown(
    transaction: &Transaction<'_>,
    target: &Target,
    others: &[&Winner<'_>],
) -> Result<Keys, Error> {
    let sql = target.statements.disown.as_ref();
    let Some(sql) = sql.filter(|_| !others.is_empty()) else {
        return Ok(Keys::new());
    };
    let ids = others.iter().map(|winner| winner.object.id.as_str());
    let ids: Vec<&str> = ids.collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&ids, Type::TEXT_ARRAY)];
    keys(&pooler::query(transaction, sql, &parameters).await?)
}

async fn lock_links(
    transaction: &Transaction<'_>,
    target: &Target,
    written: &[Winner<'_>],
) -> Result<(), Error> {
    let links = target
        .section
        .link_by
        .zip(target.statements.lock_links.as_ref());
    let Some((place, sql)) = links else {
        return Ok(());
    };
    let links = written.iter().filter(|winner| winner.can_link(place));
    let links: Vec<&str> = links
        .filter_map(|winner| winner.cells[place].text())
        .collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&links, Type::TEXT_ARRAY)];
    pooler::query(transaction, sql, &parameters).await.map(drop)
}

async fn lock(
    transaction: &Transaction<'_>,
    target: &Target,
    object_ids: impl Iterator<Item = &str>,
) -> Result<Keys, Error> {
    let object_ids: Vec<&str> = object_ids.collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [
        (&target.section.family, Type::TEXT),
        (&object_ids, Type::TEXT_ARRAY),
    ];
    let rows = pooler::query(transaction, include_str!("lock_owners.sql"), &parameters).await?;
    keys(&rows)
}

fn keys(rows: &[Row]) -> Result<Keys, Error> {
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

fn another_key<'a>(winner: &Winner<'a>, target: &Target) -> (&'a str, LeftOut) {
    let columns = target.section.key_columns().join("\" or \"");
    let why = format!("column \"{columns}\" is to say another key than its row has");
    (
        winner.event.svix_id.as_str(),
        LeftOut::Refused(misfit(target, &why)),
    )
}
