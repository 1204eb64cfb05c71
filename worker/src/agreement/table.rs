//! The table that a section names.

use crate::agreement::notes::Notes;
use crate::database::catalogue::Catalogue;
use crate::database::catalogue::name::{TableId, quoted};
use crate::database::catalogue::table::{Form, Table};
use crate::tables::file::nearest::nearest;
use crate::tables::section::{Section, TableName};

/// The table, if there is one; tells what is wrong with it. That of the built-in file is made at the start.
pub(super) fn find<'a>(
    section: &Section,
    catalogue: &'a Catalogue,
    is_built_in: bool,
    is_before_the_start: bool,
    notes: &mut Notes<'_>,
) -> Option<&'a Table> {
    let (at, name) = ([section.family.as_str(), "table"], &section.table);
    let session = &catalogue.session;
    let Some(table) = catalogue.table(name) else {
        let what = format!("there is no table {:?}", name.to_string());
        match (&session.schema, is_built_in && is_before_the_start) {
            (Some(_), true) if session.creates_tables => {}
            (Some(schema), true) => {
                let (schema, role) = (quoted(schema), quoted(&session.role));
                let what = format!("{what}, and the role {role} may not create it");
                notes.error(
                    &at,
                    what,
                    format!("GRANT CREATE ON SCHEMA {schema} TO {role};"),
                );
            }
            _ if is_built_in => notes.error(&at, what, "worker migrate"),
            _ => notes.error(&at, what, expected(name, catalogue)),
        }
        return None;
    };
    if let Form::Other(form) = table.form {
        let what = format!("{:?} is a {form}", name.to_string());
        notes.error(&at, what, "expected the table behind it");
        return None;
    }
    for rule in &table.rules {
        let what = format!("the rule {rule:?} rewrites statements");
        let remedy = format!("DROP RULE {} ON {};", quoted(rule), table.id.quoted());
        notes.error(&at, what, remedy);
    }
    let schemas: Vec<_> = catalogue
        .named(name)
        .map(|table| table.id.schema.as_str())
        .collect();
    if schemas.len() > 1 {
        let what = format!(
            "{:?} is in several schemas of the search path: {}",
            name.name,
            schemas.join(", ")
        );
        notes.error(&at, what, format!("expected {:?}", table.to_string()));
    }
    if !table.has_usage {
        let (schema, role) = (quoted(&table.id.schema), quoted(&session.role));
        let what = format!("the role {role} has no USAGE on the schema of {table}");
        notes.error(
            &at,
            what,
            format!("GRANT USAGE ON SCHEMA {schema} TO {role};"),
        );
    }
    Some(table)
}

/// The name that may have been meant: the same in another schema, or else the most similar one.
fn expected(name: &TableName, catalogue: &Catalogue) -> String {
    let shown = |id: &TableId| match catalogue.session.schema.as_ref() {
        Some(schema) if *schema == id.schema && name.schema.is_none() => id.name.clone(),
        _ => id.to_string(),
    };
    let others = &catalogue.others;
    let same = others.iter().find(|id| id.name == name.name);
    let names: Vec<_> = others.iter().map(shown).collect();
    let meant = match same {
        Some(id) => Some(shown(id)),
        None => nearest(&name.to_string(), names.iter().map(String::as_str)).map(str::to_owned),
    };
    match meant {
        Some(meant) => format!("expected {meant:?}"),
        None => "expected one that a migration of the application has created".to_owned(),
    }
}
