//! What to do where PostgreSQL lets nobody in: in words, with the names that the operator has given. Its own messages may
//! hold values, and are never shown.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Error};

use crate::database::catalogue::name::quoted;

/// Who wants in, and where.
#[derive(Clone)]
pub(super) struct Entry {
    role: String,
    database: String,
    /// The same as SQL writes them.
    grant: String,
}

impl Entry {
    pub(super) fn of(config: &Config) -> Self {
        let (user, database) = (config.get_user(), config.get_dbname().or(config.get_user()));
        let named = |what, name: Option<&str>| match name {
            Some(name) => format!("the {what} {name:?}"),
            // It is that of the operating system.
            None => format!("the {what} of the user who runs this process"),
        };
        let in_sql = |name: Option<&str>| name.map_or_else(|| "…".to_owned(), quoted);
        Self {
            role: named("role", user),
            database: named("database", database),
            grant: format!(
                "GRANT CONNECT ON DATABASE {} TO {};",
                in_sql(database),
                in_sql(user)
            ),
        }
    }

    /// Why nobody is let in, if that is what `error` says.
    pub(super) fn refusal(&self, error: &Error) -> Option<String> {
        let Self {
            role,
            database,
            grant,
        } = self;
        let code = error.as_db_error()?.code();
        let (what, remedy) = match *code {
            SqlState::INVALID_CATALOG_NAME => (
                format!("{database} does not exist"),
                "correct its name in DATABASE_URL, or create it".to_owned(),
            ),
            SqlState::INVALID_PASSWORD => (
                format!("PostgreSQL refuses {role} with this password"),
                "correct the role or the password in DATABASE_URL, PGPASSWORD or the password file"
                    .to_owned(),
            ),
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
                format!("PostgreSQL does not let {role} in"),
                "there is no such role, it may not log in, or pg_hba.conf or a client certificate forbids it"
                    .to_owned(),
            ),
            SqlState::INSUFFICIENT_PRIVILEGE => (
                format!("{role} may not connect to {database}"),
                grant.clone(),
            ),
            _ => return None,
        };
        Some(format!("{what} (SQLSTATE {}): {remedy}", code.code()))
    }
}
