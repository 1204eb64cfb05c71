//! Whether an error is the event's or PostgreSQL's own, found out by asking PostgreSQL (P6).
//!
//! The canary is what a batch does, without an event: it writes a row of `clerk_sync`, and lets the other
//! statements be explained. EXPLAIN takes the locks that a statement takes on its tables and checks the rights to them,
//! down to columns (ExecutorStart does both:
//! <https://www.postgresql.org/docs/15/sql-explain.html>), but touches no row and fires no trigger. What passes here and
//! not in the batch is said of a row. A table that is locked, a right that is missing, a database that is read-only,
//! full or about to stop does not let the canary pass. A disk that has room for the row and its log but none for
//! another row of `users` does.

use std::collections::BTreeSet;

use deadpool_postgres::Transaction;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use crate::apply::target::Snapshot;
use crate::database::failure::Failure;
use crate::event::Event;

/// What a batch says about clerk_sync, besides the row that is really written.
const LEDGER_AND_VERSIONS: [&str; 3] = [
    include_str!("claim_versions.sql"),
    include_str!("correct_outcomes.sql"),
    include_str!("forget_events.sql"),
];

const NULL: &(dyn ToSql + Sync) = &None::<&str>;

/// Passes if PostgreSQL lets us do what `events` need. Leaves nothing in the transaction.
///
/// # Errors
/// [`Failure::Unavailable`] when it does not.
pub(crate) async fn ask(
    transaction: &Transaction<'_>,
    snapshot: &Snapshot,
    events: impl Iterator<Item = &Event>,
) -> Result<(), Failure> {
    let families = events.filter_map(|event| Some(event.changed()?.section.family.as_str()));
    let families: BTreeSet<&str> = families.collect();
    let targets = families
        .into_iter()
        .filter_map(|family| snapshot.get(family));
    let rows = targets.flat_map(|target| target.statements.all().chain(target.references.all()));
    let rows: Vec<&str> = rows.collect();
    let answer = async {
        transaction
            .batch_execute("SAVEPOINT canary; SET LOCAL statement_timeout = '2s'")
            .await?;
        let svix_id = format!("canary_{}", uuid::Uuid::new_v4().simple());
        let write = include_str!("write_canary.sql");
        let svix_id: (&(dyn ToSql + Sync), Type) = (&svix_id, Type::TEXT);
        transaction.execute_typed(write, &[svix_id]).await?;
        for sql in LEDGER_AND_VERSIONS.into_iter().chain(rows) {
            explain(transaction, sql).await?;
        }
        transaction
            .batch_execute("ROLLBACK TO SAVEPOINT canary; RELEASE SAVEPOINT canary")
            .await
    };
    answer.await.map_err(|error: Error| {
        let reason = Failure::from(error).reason().to_owned();
        Failure::Unavailable(format!("{reason}, also without an event"))
    })
}

/// Lets a statement be explained with NULL for each of its parameters.
async fn explain(transaction: &Transaction<'_>, sql: &str) -> Result<(), Error> {
    // Between quotation marks is the name of somebody's table or column.
    let outside = || sql.split('"').step_by(2);
    let is_parameter = |number: &usize| {
        let parameter = format!("${number}::");
        outside().any(|sql| sql.contains(&parameter))
    };
    // Every parameter is cast where it stands in the statement, so PostgreSQL knows its type.
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> = (1..)
        .take_while(is_parameter)
        .map(|_| (NULL, Type::UNKNOWN))
        .collect();
    let sql = format!("EXPLAIN {sql}");
    transaction.query_typed(&sql, &parameters).await.map(drop)
}
