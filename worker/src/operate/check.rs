//! Whether the tables file and the database fit each other: `worker tables check`.

use std::io::Write;
use std::process::ExitCode;

use shared::terminal::escaped;

use crate::apply::target::Targets;
use crate::database::Database;
use crate::database::url::DatabaseUrl;
use crate::tables::Tables;
use crate::tables::file::Report;

/// Writes to `output` what does not fit and what may be a mistake, a line each; and if all fits, what that is.
///
/// # Errors
/// When PostgreSQL does not tell, or nobody reads the output.
pub async fn check(
    url: &DatabaseUrl,
    report: Report,
    output: &mut impl Write,
) -> Result<ExitCode, String> {
    let database = Database::with_one_connection(url)?;
    let tables = report.tables;
    let targets = Targets::new(tables.clone()).with_search_path(url.search_path());
    let agreement = targets.check_before_the_start(&database).await;
    let agreement = agreement.map_err(|failure| failure.reason().to_owned())?;
    let fits = agreement.errors.is_empty();
    let mut lines = agreement.errors;
    let warnings = report.warnings.iter().chain(&agreement.warnings);
    lines.extend(warnings.map(|line| format!("warning: {line}")));
    if fits {
        lines.extend(checked(&tables, &agreement.tables));
    }
    for line in lines {
        writeln!(output, "{line}").map_err(|error| error.to_string())?;
    }
    Ok(match fits {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What fits, a line each. Shows that `TABLES_FILE` was forgotten.
fn checked(tables: &Tables, found: &[(String, String)]) -> Vec<String> {
    let heading = match tables.is_built_in() {
        true => "the built-in tables file fits the database (TABLES_FILE is not set)".to_owned(),
        false => format!("{} fits the database", tables.places().file()),
    };
    let of_section = |family: &str| {
        let table = found.iter().find(|(other, _)| other == family);
        match table {
            Some((_, table)) => format!("  [{family}] {table}"),
            // Only that of the built-in file may be missing.
            None => format!("  [{family}] a table users, which the worker makes when it starts"),
        }
    };
    let sections = tables.sections().map(|section| of_section(&section.family));
    let lines = [heading].into_iter().chain(sections);
    lines.map(|line| escaped(&line)).collect()
}
