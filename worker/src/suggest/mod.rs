//! `worker tables suggest`: from the catalogue to a tables file that somebody could have written by hand. What is a guess
//! says so in a comment. Only [`suggest`] asks the database.

mod candidate;
mod columns;
mod file;
mod names;
mod references;
mod section;
mod value;
mod words;

use crate::database::Database;
use crate::database::catalogue::{self, Catalogue};
use crate::database::failure::Failure;
use crate::suggest::candidate::{Candidate, candidates, left_out};
use crate::suggest::file::{FILL_IN, comment, text};
use crate::suggest::section::section;

/// How to begin where no table looks like users.
const BEGINNING: &str = r#"
# No table that this version can write was found. To begin, name yours:
#[user]
#table = "users"  # or schema.name
#key = "clerk_id"  # the column that holds Clerk's id, under a unique index

#[user.columns]
#email = "primary_email_address"
"#;

/// A tables file, and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The file: always TOML.
    pub text: String,
    /// What to know before reading it, for standard error; a line each.
    pub remarks: Vec<String>,
}

/// Proposes a file for the tables of the search path.
///
/// # Errors
/// When PostgreSQL does not tell what there is.
pub async fn suggest(database: &Database) -> Result<Suggestion, Failure> {
    let mut connection = database.connection().await?;
    let transaction = connection.build_transaction().read_only(true);
    let transaction = transaction.start().await?;
    let catalogue = catalogue::read_search_path(&transaction).await?;
    transaction.commit().await?;
    Ok(proposal(&catalogue))
}

fn proposal(catalogue: &Catalogue) -> Suggestion {
    let found = candidates(&catalogue.tables);
    let chosen: Vec<_> = found.iter().filter_map(|found| found.first()).collect();
    let mut sections = String::new();
    let mut remarks = Vec::new();
    let mut blanks = 0;
    for candidates in &found {
        let Some((first, others)) = candidates.split_first() else {
            continue;
        };
        let section = section(first, others, &chosen, &table_name(catalogue, first));
        let (family, table) = (section.family, text(&first.table.id.to_string()));
        remarks.push(format!("[{family}] is for the table {table}"));
        blanks += section.blanks();
        sections += &format!("\n{section}");
    }
    if sections.is_empty() {
        remarks.push("no table of the search path looks like one that this version writes; the file says how to begin".to_owned());
        BEGINNING.clone_into(&mut sections);
    }
    if blanks > 0 {
        remarks.push(format!(
            "lines to be filled in: {blanks}; look for {FILL_IN}"
        ));
    }
    Suggestion {
        text: header(catalogue) + &sections,
        remarks,
    }
}

fn header(catalogue: &Catalogue) -> String {
    let path = comment(&catalogue.session.search_path);
    let mut header = format!(
        "# Proposed by worker tables suggest. Only the schemas of the search path were read: {path}
# Remove a # that is right before a name to use that line. Replace each {FILL_IN}.
# Then: worker tables check --tables-file FILE
"
    );
    for table in left_out(&catalogue.tables) {
        let table = text(&table.id.to_string());
        header += &format!(
            "# Left out: {table}. A tables file cannot name it, because of its dots or quotes.\n"
        );
    }
    header
}

/// The table as the file names it: with its schema, unless that is `public` and no other schema has one of this name.
fn table_name(catalogue: &Catalogue, candidate: &Candidate<'_>) -> String {
    let id = &candidate.table.id;
    let namesakes = catalogue
        .tables
        .iter()
        .filter(|table| table.id.name == id.name)
        .count();
    match id.schema == "public" && namesakes == 1 {
        true => id.name.clone(),
        false => id.to_string(),
    }
}
