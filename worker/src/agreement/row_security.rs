//! Row-level security that applies to our role.

use crate::agreement::notes::Notes;
use crate::agreement::subject::Subject;
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::table::Table;

const COMMANDS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

pub(super) fn check(subject: Subject<'_>, notes: &mut Notes<'_>) {
    tell_policies(&subject.at("table"), subject.table, subject.role, notes);
}

/// Tells whether the policies of a table hide rows from us, or refuse some.
pub(super) fn tell_policies(at: &[&str], table: &Table, role: &str, notes: &mut Notes<'_>) {
    if !table.has_row_security {
        return;
    }
    let (name, role) = (table.id.quoted(), quoted(role));
    for policy in &table.policies {
        if !policy.is_permissive && !policy.says_true() {
            let what = format!(
                "the restrictive policy {:?} of {table} does not let every row pass",
                policy.name
            );
            notes.error(at, what, format!("ALTER ROLE {role} BYPASSRLS;"));
        }
    }
    let is_open = |command: &str| {
        let mut policies = table.policies.iter().filter(|policy| policy.is_permissive);
        policies.any(|policy| policy.is_about(command) && policy.says_true())
    };
    let closed: Vec<_> = COMMANDS
        .into_iter()
        .filter(|command| !is_open(command))
        .collect();
    if !closed.is_empty() {
        let what = format!(
            "row-level security of {table} applies to the role {role}, and no policy says true for {}",
            closed.join(", ")
        );
        let remedy = format!(
            "CREATE POLICY clerk_worker ON {name} TO {role} USING (true) WITH CHECK (true);"
        );
        notes.error(at, what, remedy);
    }
}
