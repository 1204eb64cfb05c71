//! Collects the rounds of a measurement.

use std::collections::BTreeMap;

use super::super::{
    load::Answered,
    measurement::{Measurement, median},
    process_usage::Usage,
    rows,
};

/// What one round has shown.
#[derive(Default)]
pub(crate) struct Round {
    /// The number that stands in the table.
    pub(crate) value: f64,
    /// As in [`Measurement::details`].
    pub(crate) details: BTreeMap<String, f64>,
}

impl Round {
    /// Of a window of requests.
    pub(crate) fn of(answered: &Answered) -> Self {
        Self {
            value: answered.per_second(),
            ..Self::default()
        }
        .detail("p50, ms", answered.latencies.milliseconds(0.5))
        .detail("p99, ms", answered.latencies.milliseconds(0.99))
        .detail("p99.9, ms", answered.latencies.milliseconds(0.999))
    }

    pub(crate) fn detail(mut self, name: impl Into<String>, value: f64) -> Self {
        self.details.insert(name.into(), value);
        self
    }

    /// What `program` has taken for `requests`, between `before` and `after`.
    pub(crate) fn usage(self, program: &str, before: Usage, after: Usage, requests: usize) -> Self {
        let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
        self.detail(
            format!("{program} CPU, s per 100,000"),
            cpu_seconds / requests as f64 * 100_000.0,
        )
        .detail(
            rows::peak_memory(program),
            after.peak_memory_bytes as f64 / 1e6,
        )
    }
}

/// A measurement in the making.
pub(crate) struct Row {
    measurement: Measurement,
    details: BTreeMap<String, Vec<f64>>,
}

impl Row {
    pub(crate) fn new(part: &'static str, name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            measurement: Measurement::new(part, name, unit),
            details: BTreeMap::new(),
        }
    }

    /// Tells it on stderr, too.
    pub(crate) fn add(&mut self, round: Round) {
        let Measurement { name, unit, .. } = &self.measurement;
        let details: String = round
            .details
            .iter()
            .map(|(name, value)| format!("; {name} {value:.2}"))
            .collect();
        eprintln!("{name}: {} {unit}{details}", rows::grouped(round.value));
        self.measurement.rounds.push(round.value);
        for (name, value) in round.details {
            self.details.entry(name).or_default().push(value);
        }
    }

    pub(crate) fn not_run(&mut self, reason: &str) {
        eprintln!("{}: {reason}", self.measurement.name);
        self.measurement.not_run = Some(reason.into());
    }

    pub(crate) fn finish(mut self) -> Measurement {
        let medians = self.details.into_iter();
        self.measurement.details = medians
            .filter_map(|(name, values)| Some((name, median(&values)?)))
            .collect();
        self.measurement
    }
}
