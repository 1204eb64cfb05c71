//! The database itself, and the session.

use crate::agreement::Circumstances;
use crate::agreement::notes::Notes;
use crate::database::catalogue::name::quoted;
use crate::database::catalogue::session::Session;

pub(super) fn check(session: &Session, circumstances: &Circumstances, notes: &mut Notes<'_>) {
    let (database, role) = (quoted(&session.database), quoted(&session.role));
    if session.encoding != "UTF8" {
        let what = format!(
            "the database {database} is {} and cannot hold all that Clerk sends",
            session.encoding
        );
        let remedy = "another database: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;";
        notes.error(&[], what, remedy);
    }
    if let Some(asked) = &circumstances.search_path
        && plain(asked) != plain(&session.search_path)
    {
        let what = format!(
            "DATABASE_URL asks for the search_path {asked}, and the session has {} (a pooler does not pass it on)",
            session.search_path
        );
        let remedy = format!("ALTER ROLE {role} IN DATABASE {database} SET search_path = {asked};");
        notes.error(&[], what, remedy);
    }
}

/// Without blanks, which mean nothing between names.
fn plain(path: &str) -> String {
    path.split(',').map(str::trim).collect::<Vec<_>>().join(",")
}
