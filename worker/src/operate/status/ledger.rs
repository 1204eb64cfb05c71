//! The newest rows of the ledger.
//!
//! They cost the more the longer the ledger is and the rarer events are: no index is in their order. So a
//! short time is looked through first, and whoever took long does not come again soon.

use std::time::{Duration, Instant};

use deadpool_postgres::Client;
use serde::Serialize;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::database::Database;
use crate::database::failure::Failure;

const ROWS: i64 = 20;
/// Seconds; the last is for ever.
const TIME_SPANS: [f64; 4] = [5.0, 600.0, 86_400.0, 3.0e9];
/// How long all of them may take together, the connection included: less than the page waits.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// How much longer than it took it is until the next time: PostgreSQL is busy with it for a
/// twentieth of the time.
const PAUSES: u32 = 19;
/// How long it is after one that was not waited for to the end.
const PAUSE_AFTER_NONE: Duration = Duration::from_secs(30);

/// What is remembered of it.
#[derive(Default)]
pub(crate) struct Ledger {
    /// `None` where it took too long.
    rows: Option<Vec<Outcome>>,
    /// When these rows were read, and when to read again.
    turn: Option<(Instant, Instant)>,
}

/// What became of an event.
#[derive(Clone, Serialize)]
pub(crate) struct Outcome {
    svix_id: String,
    r#type: String,
    object_id: Option<String>,
    outcome: String,
    /// Milliseconds since then.
    age: i64,
    /// In UTC.
    processed_at: String,
}

impl Ledger {
    /// The newest rows, or those of a moment ago; `None` where they take too long to find.
    pub(crate) async fn newest(
        &mut self,
        database: &Database,
    ) -> Result<Option<Vec<Outcome>>, Failure> {
        let began = Instant::now();
        let mut connection = database.connection().await?;
        if let Some((read, next)) = self.turn
            && began < next
        {
            connection.simple_query("SELECT 1").await?;
            let since = i64::try_from(read.elapsed().as_millis()).unwrap_or(0);
            let mut rows = self.rows.clone();
            for row in rows.iter_mut().flatten() {
                row.age += since;
            }
            return Ok(rows);
        }
        // In case nobody waits for the end of this.
        (self.rows, self.turn) = (None, Some((began, began + PAUSE_AFTER_NONE)));
        let rows = read(&mut connection, began + TIMEOUT).await;
        let now = Instant::now();
        self.turn = Some((now, now + (now - began) * PAUSES));
        self.rows = match rows {
            Ok(rows) => Some(rows),
            // PostgreSQL answers; the ledger is long or locked.
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(self.rows.clone())
    }
}

async fn read(
    connection: &mut Client,
    end: Instant,
) -> Result<Vec<Outcome>, tokio_postgres::Error> {
    let transaction = connection.build_transaction().read_only(true);
    let transaction = transaction.start().await?;
    let mut rows = Vec::new();
    for seconds in TIME_SPANS {
        let left = end.saturating_duration_since(Instant::now());
        // 0 would be for ever.
        let left = left.as_millis().max(1);
        let limit = format!("SET LOCAL statement_timeout = {left}");
        transaction.batch_execute(&limit).await?;
        let sql = include_str!("newest_events.sql");
        // Without a name: see the module pooler.
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&seconds, Type::FLOAT8), (&ROWS, Type::INT8)];
        rows = transaction.query_typed(sql, &parameters).await?;
        if rows.len() >= ROWS as usize {
            break;
        }
    }
    transaction.commit().await?;
    rows.iter().map(outcome).collect()
}

fn outcome(row: &tokio_postgres::Row) -> Result<Outcome, tokio_postgres::Error> {
    Ok(Outcome {
        svix_id: row.try_get(0)?,
        r#type: row.try_get::<_, String>(1)?.chars().take(100).collect(),
        object_id: row.try_get(2)?,
        outcome: row.try_get(3)?,
        age: row.try_get(4)?,
        processed_at: row.try_get(5)?,
    })
}
