//! How fast workers drain a backlog.

pub(crate) mod drain;

use std::collections::BTreeMap;

use super::{
    backlog::{Backlog, Mix},
    measurement::{Measurement, median},
    scale::Scale,
};
use drain::{Drained, Servers};

/// Drains backlogs of several sizes and mixes with several numbers of workers.
pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
    let mut servers = Servers::start().await?;
    let sizes: &[usize] = if scale.short {
        &[600]
    } else {
        &[10_000, 100_000]
    };
    let mut rows = Vec::new();
    for &events in sizes {
        let backlog = servers.build(Mix::Upserts, events).await?;
        rows.push(Row::new(backlog, Mix::Upserts, 1));
    }
    for _ in 0..scale.rounds {
        for row in &mut rows {
            let drained = servers.drain(&row.backlog, row.workers).await?;
            row.add(drained);
        }
    }
    Ok(rows.into_iter().map(Row::finish).collect())
}

struct Row {
    backlog: Backlog,
    workers: usize,
    measurement: Measurement,
    details: BTreeMap<String, Vec<f64>>,
}

impl Row {
    fn new(backlog: Backlog, mix: Mix, workers: usize) -> Self {
        let name = format!("drain of {}, {mix}, {workers} worker(s)", backlog.events);
        Self {
            backlog,
            workers,
            measurement: Measurement::new("worker", name, "events/s"),
            details: BTreeMap::new(),
        }
    }

    fn add(&mut self, drained: Drained) {
        eprintln!(
            "{}: {:.0} events/s {:?}",
            self.measurement.name, drained.events_per_second, drained.details
        );
        self.measurement.rounds.push(drained.events_per_second);
        for (name, value) in drained.details {
            self.details.entry(name).or_default().push(value);
        }
    }

    fn finish(mut self) -> Measurement {
        self.measurement.details = self
            .details
            .into_iter()
            .filter_map(|(name, values)| Some((name, median(&values)?)))
            .collect();
        self.measurement
    }
}
