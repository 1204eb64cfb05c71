//! A number that is made of measurements, and the one to reach.

use super::measurement::{Measurement, median};

/// A number that was made of measurements of this run, and the one to reach.
#[derive(Clone, Debug)]
pub(crate) struct Ratio {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// None where a measurement is missing.
    pub(crate) value: Option<f64>,
    pub(crate) reach: Reach,
    /// The names of the measurements; empty where it is made of a detail of whatever has it.
    pub(crate) rows: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reach {
    AtLeast(f64),
    Below(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Reached,
    Missed,
    NotRun,
}

impl Ratio {
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.value, self.reach) {
            (None, _) => Outcome::NotRun,
            (Some(value), Reach::AtLeast(bound)) if value >= bound => Outcome::Reached,
            (Some(value), Reach::Below(bound)) if value < bound => Outcome::Reached,
            _ => Outcome::Missed,
        }
    }

    /// Whether nobody has measured what it is made of, nor said why not.
    pub(crate) fn is_orphaned(&self, measurements: &[Measurement]) -> bool {
        let is_unknown = |row: &String| find(measurements, row).is_none();
        self.rows.iter().any(is_unknown) || (self.rows.is_empty() && self.value.is_none())
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(formatter, "≥ {bound}"),
            Self::Below(bound) => write!(formatter, "< {bound}"),
        }
    }
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Missed => "missed",
            Self::NotRun => "not run",
        }
    }
}

pub(crate) fn find<'a>(measurements: &'a [Measurement], name: &str) -> Option<&'a Measurement> {
    measurements.iter().find(|row| row.name == name)
}

/// The median of the rounds' own quotients where both sides have as many rounds, since the two of one
/// round met the same noise; the quotient of the medians otherwise.
pub(crate) fn quotient(
    measurements: &[Measurement],
    numerator: &str,
    denominator: &str,
) -> Option<f64> {
    let numerator = find(measurements, numerator)?;
    let denominator = find(measurements, denominator)?;
    let quotient = if numerator.rounds.len() == denominator.rounds.len() {
        let pairs = numerator.rounds.iter().zip(&denominator.rounds);
        median(
            &pairs
                .map(|(above, below)| above / below)
                .collect::<Vec<_>>(),
        )?
    } else {
        numerator.median()? / denominator.median()?
    };
    quotient.is_finite().then_some(quotient)
}

#[cfg(test)]
mod tests {
    use super::{super::measurement::Round, *};

    fn row(name: &str, rounds: &[f64]) -> Measurement {
        let row = Measurement::new("ingest", name, "requests/s");
        let rounds = rounds.iter().copied().map(Round::new);
        rounds.fold(row, Measurement::with)
    }

    #[test]
    fn rounds_that_ran_in_turn_are_compared_with_each_other() {
        // The machine was slower in the second round; the quotient of the medians would be 1.
        let measured = [
            row("a", &[100.0, 10.0, 50.0]),
            row("b", &[200.0, 20.0, 50.0]),
        ];
        assert_eq!(quotient(&measured, "a", "b"), Some(0.5));
        assert_eq!(quotient(&measured, "b", "a"), Some(2.0));
    }

    #[test]
    fn medians_are_compared_where_the_rounds_are_not_the_same() {
        let measured = [row("a", &[30.0]), row("b", &[10.0, 60.0, 20.0])];
        assert_eq!(quotient(&measured, "a", "b"), Some(1.5));
    }

    #[test]
    fn without_a_number_there_is_no_quotient() {
        let measured = [row("a", &[1.0]), row("none", &[]), row("zero", &[0.0])];
        for other in ["none", "zero", "unknown"] {
            assert_eq!(quotient(&measured, "a", other), None, "{other}");
        }
    }
}
