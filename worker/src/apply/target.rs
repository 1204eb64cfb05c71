//! Where the objects of each family go: the section of the file, the table that the database has, and the statements that
//! follow from both.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use deadpool_postgres::Transaction;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::agreement::{self, Agreement, Circumstances};
use crate::apply::makers::Maker;
use crate::apply::statements::Statements;
use crate::apply::statements::references::{References, Tables as TablesOfSections};
use crate::apply::telling::Telling;
use crate::database::Database;
use crate::database::catalogue::table::Table;
use crate::database::catalogue::{self, Catalogue};
use crate::database::failure::Failure;
use crate::tables::Tables;
use crate::tables::section::{Key, MissingRow, Section};

/// How often the catalogue is read at the most because a value does not fit, or because the file does not.
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
    /// What follows from references to other sections, and from theirs to this one.
    pub references: References,
    /// Who makes the rows that this section waits for; nobody where it makes them itself, or the application does.
    pub(crate) maker: Option<Maker>,
}

impl Target {
    /// `None` where the tables have not all that the section names.
    #[must_use]
    pub(crate) fn new(family: &str, tables: &TablesOfSections<'_>) -> Option<Self> {
        let (section, table) = *tables.get(family)?;
        let references = References::new(family, tables)?;
        Some(Self {
            statements: Statements::new(section, table, references.lets_rows_go())?,
            references,
            maker: maker(section, table, tables),
            section: Arc::clone(section),
            table: table.clone(),
        })
    }
}

fn maker(section: &Section, table: &Table, tables: &TablesOfSections<'_>) -> Option<Maker> {
    let waits = section.missing_row == MissingRow::Wait;
    let mut others = tables.values().filter(|_| waits);
    let makes = |(other, others): &&(&Arc<Section>, &Table)| {
        others.id == table.id && other.missing_row == MissingRow::Create
    };
    let (maker, _) = others.find(makes)?;
    Some(Maker {
        family: maker.family.clone(),
        key_is_id: matches!(maker.key, Key::Id(_)),
    })
}

/// The tables that the catalogue has for the sections.
pub(crate) fn of_sections<'a>(
    tables: &'a Tables,
    catalogue: &'a Catalogue,
) -> TablesOfSections<'a> {
    let of_section = |section: &'a Arc<Section>| {
        let table = catalogue.table(&section.table)?;
        Some((section.family.as_str(), (section, table)))
    };
    tables.sections().filter_map(of_section).collect()
}

/// The targets as they were at one look, by family.
pub type Snapshot = Arc<BTreeMap<String, Arc<Target>>>;

/// The targets of all sections. Clones know the same.
///
/// A look is the check of the file against the database. While they do not fit each other there are no targets, so nothing
/// is written; see [`Targets::fitting`].
#[derive(Clone, Debug)]
pub struct Targets {
    tables: Tables,
    /// The `search_path` that the URL asks for.
    search_path: Option<String>,
    known: Arc<RwLock<Known>>,
    /// Whether file and database fit each other, as far as is known.
    fitting: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct Known {
    snapshot: Snapshot,
    telling: Telling,
    /// When the catalogue was last read because something did not fit.
    doubted_at: Option<Instant>,
}

impl Targets {
    /// Knows nothing of the database yet.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self {
            tables,
            search_path: None,
            known: Arc::default(),
            fitting: Arc::new(watch::Sender::new(true)),
        }
    }

    /// The same in sessions that are to have this `search_path`.
    #[must_use]
    pub fn with_search_path(mut self, search_path: Option<String>) -> Self {
        self.search_path = search_path;
        self
    }

    /// The file.
    #[must_use]
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The targets as they were at the last look; none before the first, nor where something did not fit.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known.snapshot)
    }

    /// Whether file and database fit each other, as far as is known. While they do not, nothing is to be read.
    #[must_use]
    pub fn fitting(&self) -> watch::Receiver<bool> {
        self.fitting.subscribe()
    }

    /// What does not fit, a line each.
    #[must_use]
    pub fn misfits(&self) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.telling.errors().to_vec()
    }

    /// Reads the catalogue, unless that was done before; where something did not fit, once a second at the most.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when something does not fit, or PostgreSQL does not tell.
    pub async fn read(&self, database: &Database) -> Result<Snapshot, Failure> {
        let snapshot = self.snapshot();
        if snapshot.len() == self.tables.sections().count() {
            return Ok(snapshot);
        }
        if let Some(line) = self.misfits().into_iter().next()
            && !self.may_doubt()
        {
            return Err(Failure::Unavailable(line));
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

    /// Checks file and database before the worker has made what is its own.
    ///
    /// # Errors
    /// When PostgreSQL does not tell.
    pub async fn check_before_the_start(&self, database: &Database) -> Result<Agreement, Failure> {
        let mut connection = database.connection().await?;
        let transaction = connection.transaction().await?;
        let (_, agreement) = self.compare(&transaction, true).await?;
        transaction.commit().await?;
        self.tell(&agreement);
        Ok(agreement)
    }

    /// Why the database could not be made ready, with all that is missing of it.
    pub async fn with_misfits(&self, reason: String, database: &Database) -> String {
        let agreement = self.check_before_the_start(database).await;
        let misfits = agreement.map(|agreement| agreement.errors);
        [vec![reason], misfits.unwrap_or_default()]
            .concat()
            .join("\n")
    }

    /// Reads the catalogue until file and database fit each other; `None` if `stop` is cancelled before.
    pub async fn until_read(&self, database: &Database, stop: &CancellationToken) -> Option<()> {
        loop {
            match stop.run_until_cancelled(self.read_again(database)).await? {
                Ok(_) => return Some(()),
                Err(failure) if self.misfits().is_empty() => tracing::warn!(
                    reason = failure.reason(),
                    "the catalogue cannot be read yet"
                ),
                // It has been told.
                Err(_) => {}
            }
            stop.run_until_cancelled(tokio::time::sleep(BETWEEN_LOOKS))
                .await?;
        }
    }

    /// Looks again whenever something is found not to fit, until it does, so that nobody has to ask.
    pub async fn keep_looking(self, database: Database, stop: CancellationToken) {
        let mut fitting = self.fitting();
        loop {
            let unfit = fitting.wait_for(|fits| !fits);
            let Some(Ok(_)) = stop.run_until_cancelled(unfit).await else {
                return;
            };
            tokio::time::sleep(BETWEEN_LOOKS).await;
            if self.until_read(&database, &stop).await.is_none() {
                return;
            }
        }
    }

    /// Waits until file and database fit each other, as far as is known.
    pub async fn until_fitting(&self) {
        // An error means that the sender is gone, and we have it.
        let _ = self.fitting().wait_for(|fits| *fits).await;
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
        if self.may_doubt() {
            return self.have_changed(transaction, known).await;
        }
        Ok(*known != self.snapshot())
    }

    /// Whether the catalogue may be read again, once a second; `true` counts as that reading.
    fn may_doubt(&self) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let doubted_at = known.doubted_at;
        let may_doubt = doubted_at.is_none_or(|at| at.elapsed() >= BETWEEN_LOOKS);
        if may_doubt {
            known.doubted_at = Some(Instant::now());
        }
        may_doubt
    }

    /// Reads the catalogue in a transaction.
    ///
    /// # Errors
    /// As [`Targets::read`].
    pub(crate) async fn look(&self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        let (catalogue, agreement) = self.compare(transaction, false).await?;
        let targets = self.targets(&catalogue);
        let misfit = agreement.errors.first();
        let snapshot = if misfit.is_none() {
            targets
        } else {
            BTreeMap::new()
        };
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.snapshot = Arc::new(snapshot);
        }
        self.tell(&agreement);
        match misfit {
            Some(line) => Err(Failure::Unavailable(line.clone())),
            None => Ok(()),
        }
    }

    /// What follows from the sections whose tables have all that they name.
    fn targets(&self, catalogue: &Catalogue) -> BTreeMap<String, Arc<Target>> {
        let tables = of_sections(&self.tables, catalogue);
        let target = |section: &Arc<Section>| {
            let target = Target::new(&section.family, &tables)?;
            Some((section.family.clone(), Arc::new(target)))
        };
        self.tables.sections().filter_map(target).collect()
    }

    async fn compare(
        &self,
        transaction: &Transaction<'_>,
        is_before_the_start: bool,
    ) -> Result<(Catalogue, Agreement), Failure> {
        let catalogue = catalogue::read(transaction, &agreement::names(&self.tables)).await?;
        let circumstances = Circumstances {
            is_before_the_start,
            search_path: self.search_path.clone(),
        };
        let agreement = agreement::check(&self.tables, &catalogue, &circumstances);
        Ok((catalogue, agreement))
    }

    /// Says what has been found, and lets those go on who wait.
    fn tell(&self, agreement: &Agreement) {
        let fits = agreement.errors.is_empty();
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.telling.tell(agreement);
        }
        self.fitting.send_if_modified(|fitting| {
            let was_fitting = std::mem::replace(fitting, fits);
            was_fitting != fits
        });
    }
}
