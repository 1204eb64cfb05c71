//! The newest rows of the ledger.
//!
//! They cost the more the longer the ledger is and the rarer events are: no index is in their order. So a
//! short time is looked through first, and whoever took long does not come again soon.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_postgres::types::{ToSql, Type};

use crate::database::Database;
use crate::failure::Failure;

const ROWS: i64 = 20;
/// Seconds; the last is for ever.
const TIME_SPANS: [f64; 4] = [5.0, 600.0, 86_400.0, 3.0e9];
/// How long PostgreSQL works on one of them at the most.
const TIMEOUT: &str = "SET LOCAL statement_timeout = '1500ms'";
/// How much longer than it took it is until the next time: PostgreSQL is busy with it for a
/// twentieth of the time.
const PAUSES: u32 = 19;

/// What is remembered of it.
#[derive(Default)]
pub(crate) struct Ledger {
    rows: Vec<Outcome>,
    asked: Option<Instant>,
    next: Option<Instant>,
}

/// What became of an event.
#[derive(Clone, Serialize)]
pub(crate) struct Outcome {
    svix_id: String,
    r#type: String,
    user_id: Option<String>,
    outcome: String,
    /// Milliseconds since then.
    age: i64,
    /// In UTC.
    processed_at: String,
}

impl Ledger {
    /// The newest rows, or those of a moment ago.
    pub(crate) async fn newest(&mut self, database: &Database) -> Result<Vec<Outcome>, Failure> {
        let mut connection = database.connection().await?;
        if self.next.is_some_and(|next| Instant::now() < next) {
            connection.simple_query("SELECT 1").await?;
        } else {
            let began = Instant::now();
            // Also after a failure: a ledger that takes too long would do so again.
            self.next = Some(began + Duration::from_secs(30));
            let transaction = connection.build_transaction().read_only(true);
            let transaction = transaction.start().await?;
            transaction.batch_execute(TIMEOUT).await?;
            let mut rows = Vec::new();
            for seconds in TIME_SPANS {
                let sql = include_str!("../../sql/newest_events.sql");
                // Without a name: see the module pooler.
                let parameters: [(&(dyn ToSql + Sync), Type); 2] =
                    [(&seconds, Type::FLOAT8), (&ROWS, Type::INT8)];
                rows = transaction.query_typed(sql, &parameters).await?;
                if rows.len() >= ROWS as usize {
                    break;
                }
            }
            transaction.commit().await?;
            self.rows = rows.iter().map(outcome).collect::<Result<_, _>>()?;
            let now = Instant::now();
            self.asked = Some(now);
            self.next = Some(now + (now - began) * PAUSES);
        }
        let since = self.asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        let mut rows = self.rows.clone();
        for row in &mut rows {
            row.age += i64::try_from(since.as_millis()).unwrap_or(0);
        }
        Ok(rows)
    }
}

fn outcome(row: &tokio_postgres::Row) -> Result<Outcome, tokio_postgres::Error> {
    Ok(Outcome {
        svix_id: row.try_get(0)?,
        r#type: row.try_get::<_, String>(1)?.chars().take(100).collect(),
        user_id: row.try_get(2)?,
        outcome: row.try_get(3)?,
        age: row.try_get(4)?,
        processed_at: row.try_get(5)?,
    })
}
