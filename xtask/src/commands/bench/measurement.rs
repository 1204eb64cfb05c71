//! What is measured: a number, in several rounds.

use std::collections::BTreeMap;

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
    /// Further numbers, the median of the rounds, by name and unit: `p99, ms`, `CPU, s`, `peak memory, MB`.
    pub(crate) details: BTreeMap<String, f64>,
    /// Why there is no number.
    pub(crate) not_run: Option<String>,
}

impl Measurement {
    /// Nothing measured yet.
    pub(crate) fn new(part: &'static str, name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            part,
            name: name.into(),
            unit,
            rounds: Vec::new(),
            details: BTreeMap::new(),
            not_run: None,
        }
    }

    /// The median of the rounds; `None` if there are none.
    pub(crate) fn median(&self) -> Option<f64> {
        median(&self.rounds)
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
