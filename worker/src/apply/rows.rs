//! What is said to PostgreSQL about the rows of a table, as verbs.

use deadpool_postgres::Transaction;
use tokio_postgres::{Error, Row};

use crate::apply::arrays::{Array, Arrays};
use crate::apply::target::Target;
use crate::apply::winner::Winner;
use crate::database::pooler;

/// What a statement tells of a row.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Whose row it is; empty if it was nobody's.
    pub(crate) object_id: String,
    /// What it says in the columns that the tags need.
    pub(crate) columns: Vec<Option<String>>,
}

fn told(row: &Row) -> Result<Told, Error> {
    Ok(Told {
        // NULL where a trigger of the application has changed the key.
        object_id: row.try_get::<_, Option<String>>(0)?.unwrap_or_default(),
        columns: (1..row.len())
            .map(|place| row.try_get(place))
            .collect::<Result<_, _>>()?,
    })
}

/// A statement with its parameters; nothing where there is nothing to say.
type Step<'a> = Option<(&'a str, Arrays<'a>)>;

fn before<'a>(target: &'a Target, winners: &[&'a Winner<'a>]) -> Step<'a> {
    let sql = target.statements.before.as_deref()?;
    let ids = Arrays::of_objects(target, winners);
    let arrays = match target.section.link_by {
        Some(place) => ids.with_texts(winners.iter().map(|winner| winner.cells[place].text())),
        None => ids,
    };
    Some((sql, arrays))
}

fn updated<'a>(target: &Target, winners: &[&'a Winner<'a>]) -> Arrays<'a> {
    let columns = target.statements.cells_of_columns;
    Arrays::of_objects(target, winners)
        .with_cells(target, winners, columns)
        .with_keeping(target, winners)
}

fn update<'a>(target: &'a Target, winners: &[&'a Winner<'a>]) -> Step<'a> {
    let arrays = || updated(target, winners);
    (!winners.is_empty()).then(|| (target.statements.update.as_str(), arrays()))
}

fn update_older<'a>(target: &'a Target, winners: &[&'a Winner<'a>]) -> Step<'a> {
    let sql = target.statements.update_older.as_deref();
    let arrays = || updated(target, winners).with_updated_at(winners);
    sql.filter(|_| !winners.is_empty())
        .map(|sql| (sql, arrays()))
}

/// Who was first to want a row gets it.
fn link<'a>(target: &'a Target, winners: &[&'a Winner<'a>]) -> Step<'a> {
    let sql = target.statements.link.as_deref()?;
    let mut oldest_first: Vec<&Winner<'_>> = winners.to_vec();
    let link_by = target.section.link_by?;
    oldest_first.retain(|winner| winner.can_link(link_by));
    oldest_first.sort_by_key(|winner| winner.event.revision());
    let cells = target.statements.cell_types.len();
    let arrays = || {
        Arrays::of_objects(target, &oldest_first)
            .with_cells(target, &oldest_first, cells)
            .with_keeping(target, &oldest_first)
    };
    (!oldest_first.is_empty()).then(|| (sql, arrays()))
}

fn insert<'a>(target: &'a Target, winners: &[&'a Winner<'a>]) -> Step<'a> {
    let sql = target.statements.insert.as_deref()?;
    let cells = target.statements.cell_types.len();
    let mut fit = winners.to_vec();
    fit.retain(|winner| winner.unfit.is_none());
    let arrays = || Arrays::of_objects(target, &fit).with_cells(target, &fit, cells);
    (!fit.is_empty()).then(|| (sql, arrays()))
}

/// Says one thing and tells what PostgreSQL answers.
async fn say(transaction: &Transaction<'_>, step: &Step<'_>) -> Result<Vec<Told>, Error> {
    let Some((sql, arrays)) = step else {
        return Ok(Vec::new());
    };
    let rows = pooler::query(transaction, sql, &arrays.parameters()).await?;
    rows.iter().map(told).collect()
}

/// Says them one behind the other and waits for all of them, so that they take the time of one.
async fn say_all(
    transaction: &Transaction<'_>,
    steps: [Step<'_>; 4],
) -> Result<[Vec<Told>; 4], Error> {
    // One that has to be prepared would be sent after the next.
    for (sql, arrays) in steps.iter().flatten() {
        pooler::prepare(transaction, sql, &arrays.parameters()).await?;
    }
    let [first, second, third, fourth] = &steps;
    let (first, second, third, fourth) = tokio::try_join!(
        biased;
        say(transaction, first),
        say(transaction, second),
        say(transaction, third),
        say(transaction, fourth),
    )?;
    Ok([first, second, third, fourth])
}

/// Writes rows, and tells who was written, and of all rows what the tags need, before and after. Who is in `known` most
/// likely has a row, and who is in `first_seen` most likely has none; for those of whom this is wrong see [`write_again`].
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn write(
    transaction: &Transaction<'_>,
    target: &Target,
    known: &[&Winner<'_>],
    first_seen: &[&Winner<'_>],
) -> Result<(Vec<Told>, Vec<Told>), Error> {
    let all: Vec<&Winner<'_>> = known.iter().chain(first_seen).copied().collect();
    let steps = [
        before(target, &all),
        update(target, known),
        link(target, first_seen),
        insert(target, first_seen),
    ];
    let [before, updated, linked, inserted] = say_all(transaction, steps).await?;
    let written = updated.into_iter().chain(linked).chain(inserted);
    Ok((before, written.collect()))
}

/// Writes the rows of those whom [`write`] has not written, and tells who was written: of `yielding` if their rows do not
/// say that they are newer, of `there`, and of `gone`, whose rows somebody else has removed.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn write_again(
    transaction: &Transaction<'_>,
    target: &Target,
    yielding: &[&Winner<'_>],
    there: &[&Winner<'_>],
    gone: &[&Winner<'_>],
) -> Result<Vec<Told>, Error> {
    let steps = [
        update_older(target, yielding),
        update(target, there),
        link(target, gone),
        insert(target, gone),
    ];
    let written = say_all(transaction, steps).await?;
    Ok(written.into_iter().flatten().collect())
}

/// Remembers how new the rows of these objects are, where they are newer than what is known; returns those.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn adopt(
    transaction: &Transaction<'_>,
    target: &Target,
    winners: &[&Winner<'_>],
) -> Result<Vec<Told>, Error> {
    let sql = target.statements.adopt.as_deref();
    let step = sql
        .filter(|_| !winners.is_empty())
        .map(|sql| (sql, Arrays::of_objects(target, winners)));
    say(transaction, &step).await
}

/// Deletes the rows of `gone`, does in those of `left` what the section wants of deleted objects, and tells whose rows were
/// touched, as tags need them: before and after.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn delete(
    transaction: &Transaction<'_>,
    target: &Target,
    gone: &[&Winner<'_>],
    left: &[&Winner<'_>],
) -> Result<Vec<Told>, Error> {
    let statements = &target.statements;
    let delete = statements.delete.as_deref().filter(|_| !gone.is_empty());
    let delete = delete.map(|sql| (sql, Arrays::of_objects(target, gone)));
    let set = statements.set_on_delete.as_deref();
    let set = set.filter(|_| !left.is_empty()).map(|sql| {
        let mut arrays = Arrays::of_objects(target, left);
        for (place, kind) in statements.deleted_cell_types.iter().enumerate() {
            let cells = left.iter().map(|winner| &winner.cells[place]);
            arrays.0.push(Array::of(kind, cells));
        }
        (sql, arrays)
    });
    let before = set
        .is_some()
        .then_some(statements.before_deletion.as_deref());
    let before = before.flatten();
    let before = before.map(|sql| (sql, Arrays::of_objects(target, left)));
    let told = say_all(transaction, [before, set, delete, None]).await?;
    Ok(told.into_iter().flatten().collect())
}

/// The statement that compares the rows of objects with what they say, without writing.
pub(crate) fn comparison<'a>(
    target: &'a Target,
    winners: &[&'a Winner<'a>],
) -> (&'a str, Arrays<'a>) {
    let mut arrays = updated(target, winners);
    if let Some(place) = target.section.link_by {
        let can_link = winners.iter().map(|winner| winner.can_link(place));
        arrays.0.push(Array::Flags(can_link.collect()));
    }
    (&target.statements.compare, arrays)
}

/// Remembers how triggers have left the rows of these objects, where they are not as they were written.
///
/// # Errors
/// What PostgreSQL says.
pub(crate) async fn remember_altered(
    transaction: &Transaction<'_>,
    target: &Target,
    winners: &[&Winner<'_>],
) -> Result<(), Error> {
    if winners.is_empty() {
        return Ok(());
    }
    let arrays = updated(target, winners);
    let sql = &target.statements.remember_altered;
    pooler::query(transaction, sql, &arrays.parameters())
        .await
        .map(drop)
}
