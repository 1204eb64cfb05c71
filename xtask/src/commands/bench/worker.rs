//! Stub.

use super::{measurement::Measurement, scale::Scale};

pub(crate) async fn run(_scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
    Ok(vec![])
}
