//! Where histories are written to.

use proptest::strategy::BoxedStrategy;
use proptest::test_runner::TestCaseError;
use worker::database::Database;
use worker::tables::Tables;
use xtask::history::History;

use super::scenario::Scenario;
use crate::helpers::World;

/// What was written, in the order of the commits.
pub(super) const QUERY_WRITES: &str = "select id || ' ' || name from writes order by number";

/// Tables, the file that says how they are written, and what histories come to in them.
pub(super) trait Destination: Sync {
    /// What is drawn.
    fn strategy(&self) -> fn() -> BoxedStrategy<Scenario>;
    fn tables(&self) -> Tables;
    /// Makes the tables, and lets them note what is written.
    async fn create(&self, world: &World) -> Database;
    /// Empties them.
    fn clear(&self) -> String;
    /// Inserts the rows that are there before anything is delivered.
    fn before(&self, scenario: &Scenario) -> String;
    /// One line for each row, for each version and for each event.
    fn query(&self) -> String;
    /// Compares what [`Destination::query`] gave with what `history` comes to.
    fn check(
        &self,
        scenario: &Scenario,
        history: &History,
        lines: &str,
    ) -> Result<(), TestCaseError>;
    /// Compares what [`QUERY_WRITES`] gave with the events that are `applied`: each was written once,
    /// and never over a newer one.
    fn check_writes(
        &self,
        history: &History,
        applied: &dyn Fn(&str) -> bool,
        lines: &str,
    ) -> Result<(), TestCaseError>;
}
