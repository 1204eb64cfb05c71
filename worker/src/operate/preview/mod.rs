//! What events would write, and what would become of deletions: `worker tables preview`.
//!
//! It goes the worker's own way, from the bytes to what fits, and asks PostgreSQL what the columns would hold, in a
//! transaction that cannot write. It looks at no row, so its role needs no right to the tables; what depends on rows it
//! says in words. It is the only place that shows values: the person who runs it has the events.

mod event;
mod file;
mod line;
mod sentence;
mod wording;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use tokio_postgres::Error;

use self::event::Preview;
use self::file::Sample;
use crate::agreement;
use crate::apply::target::{Target, of_sections};
use crate::database::Database;
use crate::database::catalogue;
use crate::database::failure::Failure;
use crate::settings::preview::PreviewSettings;
use crate::tables::Tables;
use crate::tables::section::Section;

/// What all events have come to.
#[derive(Default)]
struct Outcome {
    /// One of them would be a dead letter, or the tables file does not fit the database.
    is_refused: bool,
    /// A file could not be read, or holds something else.
    is_misused: bool,
}

impl Outcome {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self {
                is_misused: true, ..
            } => ExitCode::from(2),
            Self {
                is_refused: true, ..
            } => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        }
    }
}

/// Writes to `output` what the events of the files would come to; what cannot be shown goes to standard error, a line
/// each.
///
/// # Errors
/// When PostgreSQL does not tell, or nobody reads the output.
pub async fn preview(
    settings: &PreviewSettings,
    output: &mut impl Write,
) -> Result<ExitCode, String> {
    let mut outcome = Outcome::default();
    let mut samples = Vec::new();
    for warning in &settings.tables.warnings {
        complain(warning)?;
    }
    for path in &settings.files {
        let (of_file, problem) = file::samples(path);
        samples.extend(of_file);
        if let Some(problem) = problem {
            complain(&problem)?;
            outcome.is_misused = true;
        }
    }
    let database = Database::with_one_connection(&settings.database)?;
    let mut connection = database.connection().await.map_err(of_failure)?;
    let transaction = connection.build_transaction().read_only(true);
    let transaction = transaction.start().await.map_err(of_postgres)?;
    let sql = include_str!("../../database/utc.sql");
    transaction.batch_execute(sql).await.map_err(of_postgres)?;
    let tables = &settings.tables.tables;
    match targets(&transaction, tables).await.map_err(of_postgres)? {
        Ok(targets) => {
            let prefix = &settings.cache_tag_prefix;
            let preview = Preview::new(&transaction, tables, targets, prefix);
            show(&preview, &samples, &mut outcome, output).await?;
        }
        Err(missing) => {
            outcome.is_refused = true;
            writeln!(output, "{}", missing.join("\n")).map_err(|error| error.to_string())?;
        }
    }
    Ok(outcome.exit_code())
}

fn of_failure(failure: Failure) -> String {
    failure.reason().to_owned()
}

fn of_postgres(error: Error) -> String {
    of_failure(error.into())
}

/// Where the objects of each family go, or what of the file does not fit the tables, a line each.
async fn targets<'a>(
    transaction: &Transaction<'_>,
    tables: &'a Tables,
) -> Result<Result<BTreeMap<&'a str, Target>, Vec<String>>, Error> {
    let names: Vec<_> = tables
        .sections()
        .map(|section| section.table.clone())
        .collect();
    let catalogue = catalogue::read(transaction, &names).await?;
    let agreement = agreement::check_forms(tables, &catalogue);
    if !agreement.errors.is_empty() {
        return Ok(Err(agreement.errors));
    }
    let target = |section: &'a Arc<Section>| {
        let family = section.family.as_str();
        Some((
            family,
            Target::new(family, &of_sections(tables, &catalogue))?,
        ))
    };
    Ok(Ok(tables.sections().filter_map(target).collect()))
}

async fn show(
    preview: &Preview<'_>,
    samples: &[Sample],
    outcome: &mut Outcome,
    output: &mut impl Write,
) -> Result<(), String> {
    for sample in samples {
        let told = preview.event(sample).await.map_err(of_postgres)?;
        outcome.is_refused |= told.is_refused;
        outcome.is_misused |= told.is_no_event;
        match told.is_no_event {
            true => complain(&told.text)?,
            false => writeln!(output, "{}", told.text).map_err(|error| error.to_string())?,
        }
    }
    Ok(())
}

fn complain(line: &str) -> Result<(), String> {
    writeln!(std::io::stderr(), "{line}").map_err(|error| error.to_string())
}
