//! What is measured: a number, in several rounds.

use std::collections::BTreeMap;

use super::{
    load::Answered,
    process_usage::Usage,
    rows::{grouped, peak_memory},
};

/// One line of the table: the same thing measured in several rounds.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// `ingest`, `worker`, `together` or `cost`.
    pub(crate) part: &'static str,
    /// What was measured, in words, such as `ingest, 64 connections`.
    pub(crate) name: String,
    /// What the number counts, such as `requests/s`.
    pub(crate) unit: &'static str,
    /// One number a round. None where it was not run, and then [`Measurement::not_run`] says why.
    pub(crate) rounds: Vec<f64>,
    /// Why there is no number.
    pub(crate) not_run: Option<String>,
    details: BTreeMap<String, Vec<f64>>,
}

/// What one round has shown.
pub(crate) struct Round {
    /// The number that stands in the table.
    pub(crate) value: f64,
    details: BTreeMap<String, f64>,
}

impl Measurement {
    /// Nothing measured yet.
    pub(crate) fn new(part: &'static str, name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            part,
            name: name.into(),
            unit,
            rounds: Vec::new(),
            not_run: None,
            details: BTreeMap::new(),
        }
    }

    /// With another round. It is told on stderr, too.
    pub(crate) fn with(mut self, round: Round) -> Self {
        self.add(round);
        self
    }

    /// Tells it on stderr, too.
    pub(crate) fn add(&mut self, round: Round) {
        let Self {
            part, name, unit, ..
        } = self;
        let details: String = round
            .details
            .iter()
            .map(|(name, value)| format!("; {name} {value:.2}"))
            .collect();
        eprintln!("{part}: {name}: {} {unit}{details}", grouped(round.value));
        self.rounds.push(round.value);
        for (name, value) in round.details {
            self.details.entry(name).or_default().push(value);
        }
    }

    pub(crate) fn leave_out(&mut self, reason: &str) {
        eprintln!("{}: {}: {reason}", self.part, self.name);
        self.not_run = Some(reason.into());
    }

    /// The median of the rounds; `None` if there are none.
    pub(crate) fn median(&self) -> Option<f64> {
        median(&self.rounds)
    }

    /// Further numbers, the median of the rounds, by name and unit: `p99, ms`, `CPU, s`, `peak memory, MB`.
    pub(crate) fn details(&self) -> BTreeMap<&str, f64> {
        let details = self.details.iter();
        details
            .filter_map(|(name, rounds)| Some((name.as_str(), median(rounds)?)))
            .collect()
    }
}

impl Round {
    pub(crate) fn new(value: f64) -> Self {
        Self {
            value,
            details: BTreeMap::new(),
        }
    }

    /// Of a window of requests.
    pub(crate) fn of(answered: &Answered) -> Self {
        Self::new(answered.per_second())
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
        .detail(peak_memory(program), after.peak_memory_bytes as f64 / 1e6)
    }
}

/// The middle one; of an even number the mean of the two in the middle.
pub(crate) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().checked_sub(1)? / 2;
    Some(f64::midpoint(sorted[middle], sorted[sorted.len() / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 100.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }
}
