//! Where the objects of each family go: the section of the file, the table that the database has, and the statements that
//! follow from both.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use deadpool_postgres::Transaction;
use tokio_util::sync::CancellationToken;

use crate::apply::statements::Statements;
use crate::back_off::BackOff;
use crate::database::Database;
use crate::database::catalogue;
use crate::database::catalogue::table::Table;
use crate::database::failure::Failure;
use crate::tables::Tables;
use crate::tables::section::Section;

/// How often the catalogue is read at the most because a value does not fit.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Where the objects of one family go.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What the file says.
    pub section: Arc<Section>,
    /// What the database has.
    pub table: Table,
    /// What follows from both.
    pub statements: Statements,
}

impl Target {
    /// `None` where the table has not all that the section names.
    #[must_use]
    pub fn new(section: &Arc<Section>, table: Table) -> Option<Self> {
        Some(Self {
            statements: Statements::new(section, &table)?,
            section: Arc::clone(section),
            table,
        })
    }
}

/// The targets as they were at one look, by family.
pub type Snapshot = Arc<BTreeMap<String, Arc<Target>>>;

/// The targets of all sections. Clones know the same.
#[derive(Clone, Debug)]
pub struct Targets {
    tables: Tables,
    known: Arc<RwLock<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    snapshot: Snapshot,
    /// When it was last read because a value did not fit.
    doubted_at: Option<Instant>,
}

impl Targets {
    /// Knows nothing of the database yet.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self {
            tables,
            known: Arc::default(),
        }
    }

    /// The file.
    #[must_use]
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The targets as they were at the last look; none before the first.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known.snapshot)
    }

    /// Reads the catalogue, unless that was done before.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when something is missing, or PostgreSQL does not tell.
    pub async fn read(&self, database: &Database) -> Result<Snapshot, Failure> {
        let snapshot = self.snapshot();
        if snapshot.len() == self.tables.sections().count() {
            return Ok(snapshot);
        }
        self.read_again(database).await
    }

    /// Reads the catalogue.
    ///
    /// # Errors
    /// As [`Targets::read`].
    pub async fn read_again(&self, database: &Database) -> Result<Snapshot, Failure> {
        let mut connection = database.connection().await?;
        let transaction = connection.transaction().await?;
        self.look(&transaction).await?;
        transaction.commit().await?;
        Ok(self.snapshot())
    }

    /// Reads the catalogue until it has all that the file names; `None` if `stop` is cancelled before.
    pub async fn until_read(&self, database: &Database, stop: &CancellationToken) -> Option<()> {
        let mut back_off = BackOff::of_a_store();
        loop {
            match stop.run_until_cancelled(self.read(database)).await? {
                Ok(_) => return Some(()),
                Err(failure) => tracing::warn!(
                    reason = failure.reason(),
                    "the tables cannot be written yet"
                ),
            }
            stop.run_until_cancelled(tokio::time::sleep(back_off.after_failure()))
                .await?;
        }
    }

    /// Whether the catalogue says something else than `known`, which somebody else may have found before.
    ///
    /// # Errors
    /// As [`Targets::read`].
    pub(crate) async fn have_changed(
        &self,
        transaction: &Transaction<'_>,
        known: &Snapshot,
    ) -> Result<bool, Failure> {
        self.look(transaction).await?;
        Ok(*known != self.snapshot())
    }

    /// The same for a value that does not fit, once a second at the most: there may be many of them.
    ///
    /// # Errors
    /// As [`Targets::read`].
    pub(crate) async fn have_changed_lately(
        &self,
        transaction: &Transaction<'_>,
        known: &Snapshot,
    ) -> Result<bool, Failure> {
        {
            let mut latest = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if latest
                .doubted_at
                .is_some_and(|at| at.elapsed() < BETWEEN_LOOKS)
            {
                return Ok(*known != latest.snapshot);
            }
            latest.doubted_at = Some(Instant::now());
        }
        self.have_changed(transaction, known).await
    }

    /// Reads the catalogue in a transaction.
    ///
    /// # Errors
    /// As [`Targets::read`].
    pub(crate) async fn look(&self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        let mut targets = BTreeMap::new();
        let names: Vec<_> = self
            .tables
            .sections()
            .map(|section| section.table.clone())
            .collect();
        let catalogue = catalogue::read(transaction, &names).await?;
        for section in self.tables.sections() {
            let missing =
                || Failure::Unavailable(format!("{} or a column of it is missing", section.table));
            let table = catalogue.table(&section.table).ok_or_else(missing)?.clone();
            let target = Target::new(section, table).ok_or_else(missing)?;
            targets.insert(section.family.clone(), Arc::new(target));
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.snapshot = Arc::new(targets);
        Ok(())
    }
}
