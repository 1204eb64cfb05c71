//! What the worker does instead of working.

use std::path::PathBuf;

use clap::Subcommand;

use crate::settings::reconcile::ReconcileArguments;

/// The subcommands; without one the worker works.
#[derive(Subcommand, Debug, Clone)]
pub enum Command {
    /// Apply pending migrations and exit
    Migrate,
    /// Ask a running worker whether it is ready; exits 0 if so
    Healthcheck,
    /// Tell where an event is and why; exits 0 if it was found, 1 if not, 2 if that cannot be told
    Explain {
        /// The event's svix-id, as in the log or in Clerk's dashboard: msg_...
        svix_id: String,
    },
    /// Bring in the users, organizations and memberships that Clerk has already, and repair rows that differ; tells the counts by family; exits 0 if all lists were read to the end
    Reconcile(Box<ReconcileArguments>),
    /// Look at the tables file and at what it does
    #[command(subcommand)]
    Tables(TablesCommand),
}

/// What there is to ask about the tables file.
#[derive(Subcommand, Debug, Clone)]
pub enum TablesCommand {
    /// Tell what of the tables file does not fit the database, a line each; exits 0 if all of it fits, 1 if not
    Check,
    /// Show what events would write, values included, and write nothing; exits 0 if all of them would be applied, 1 if one would be a dead letter or the tables file does not fit the database, 2 for a file without an event
    Preview {
        /// Files with events as Clerk sends them: one, a list, or one a line; - reads standard input
        #[arg(required = true, value_name = "FILE.json")]
        files: Vec<PathBuf>,
    },
    /// Print a tables file for the tables that look like Clerk's objects; it reads the catalogue and no row
    Suggest,
}
