//! What a batch does, decided in memory: no database, no Redis, no clock. Property tests draw batches and check the
//! decisions against the promises.

pub mod outcome;
pub mod plan;
pub mod ring;
pub mod settlement;
