//! What the worker does instead of working.

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
    /// Look at the tables file and the database
    #[command(subcommand)]
    Tables(TablesCommand),
    /// Bring in the users that Clerk has already, and repair rows that differ
    Reconcile(Box<ReconcileArguments>),
}

/// What there is to see of the tables.
#[derive(Subcommand, Debug, Clone)]
pub enum TablesCommand {
    /// Tell what of the tables file does not fit the database, a line each; exits 0 if all of it fits, 1 if not
    Check,
}
