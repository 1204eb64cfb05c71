//! What is compared with what, and the number to reach.

use super::{
    measurement::{Measurement, median},
    rows::{self, CONNECTIONS, Mix},
    scale::Scale,
};

const PROGRAMS: [&str; 2] = ["ingest", "worker"];

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

/// All of them, in the order in which they are shown.
pub(crate) fn ratios(scale: Scale, measurements: &[Measurement]) -> Vec<Ratio> {
    let quotient = |name: String, numerator: String, denominator: String, bound| Ratio {
        name,
        unit: "",
        value: quotient(measurements, &numerator, &denominator),
        reach: Reach::AtLeast(bound),
        rows: vec![numerator, denominator],
    };
    let [few, many, very_many] = scale.backlogs();
    let ingest = || rows::ingest(CONNECTIONS);
    let drain = |events| rows::drain(events, Mix::Upserts, 1);
    let waiting = |events: usize| rows::grouped(events as f64);
    let mut ratios = vec![
        quotient(
            "ingest / hyper that only answers".into(),
            ingest(),
            rows::bare_server(CONNECTIONS),
            0.42,
        ),
        quotient(
            "ingest / Node, upsert inline".into(),
            ingest(),
            rows::NODE_INLINE.into(),
            8.0,
        ),
        quotient(
            "ingest / Node, BullMQ".into(),
            ingest(),
            rows::NODE_BULLMQ.into(),
            4.0,
        ),
        quotient(
            "worker / pgbench, one by one".into(),
            drain(many),
            rows::ONE_BY_ONE.into(),
            2.5,
        ),
        quotient(
            "worker / batches straight from SQL".into(),
            drain(many),
            rows::BATCHED.into(),
            0.5,
        ),
        quotient(
            format!("worker, {} waiting / {}", waiting(very_many), waiting(few)),
            drain(very_many),
            drain(few),
            0.9,
        ),
        quotient(
            "worker, 1 % refused / none".into(),
            rows::drain(many, Mix::Refused, 1),
            drain(many),
            0.6,
        ),
    ];
    let below = |name: String, unit, value, bound, rows| Ratio {
        name,
        unit,
        value,
        reach: Reach::Below(bound),
        rows,
    };
    for program in PROGRAMS {
        for (row, unit, bound) in [
            (rows::idle_cpu(program), "% of a core", 0.5),
            (rows::idle_memory(program), "MB", 20.0),
        ] {
            let value = find(measurements, &row).and_then(Measurement::median);
            ratios.push(below(row.clone(), unit, value, bound, vec![row]));
        }
    }
    for (program, bound) in PROGRAMS.into_iter().zip([64.0, 96.0]) {
        let name = format!("{program}, peak memory under full load");
        let value = peak_memory(measurements, program);
        ratios.push(below(name, "MB", value, bound, vec![]));
    }
    ratios
}

fn find<'a>(measurements: &'a [Measurement], name: &str) -> Option<&'a Measurement> {
    measurements.iter().find(|row| row.name == name)
}

/// The median of the rounds' own quotients where both sides have as many rounds, since the two of one
/// round met the same noise; the quotient of the medians otherwise.
fn quotient(measurements: &[Measurement], numerator: &str, denominator: &str) -> Option<f64> {
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

/// The most that any row under load has seen.
fn peak_memory(measurements: &[Measurement], program: &str) -> Option<f64> {
    let detail = rows::peak_memory(program);
    let peaks = measurements
        .iter()
        .filter_map(|row| row.details.get(&detail));
    peaks.copied().max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Scale = Scale {
        short: false,
        rounds: 3,
    };

    fn row(name: impl Into<String>, rounds: &[f64]) -> Measurement {
        let mut row = Measurement::new("ingest", name, "requests/s");
        row.rounds = rounds.to_vec();
        row
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

    #[test]
    fn what_was_not_measured_is_not_run() {
        for ratio in ratios(FULL, &[]) {
            assert_eq!(ratio.outcome(), Outcome::NotRun, "{}", ratio.name);
            assert!(ratio.is_orphaned(&[]), "{}", ratio.name);
        }
    }

    #[test]
    fn each_ratio_is_made_of_its_own_rows() {
        let mut ingest = row(rows::ingest(CONNECTIONS), &[4200.0]);
        ingest.details.insert(rows::peak_memory("ingest"), 63.0);
        let mut large = row(rows::drain(1_000_000, Mix::Upserts, 1), &[90.0]);
        large.details.insert(rows::peak_memory("worker"), 96.0);
        let mut busier = row("another", &[1.0]);
        busier.details.insert(rows::peak_memory("worker"), 95.0);
        let measured = [
            ingest,
            row(rows::ingest(256), &[1.0]),
            row(rows::bare_server(CONNECTIONS), &[10_000.0]),
            row(rows::NODE_INLINE, &[600.0]),
            row(rows::NODE_BULLMQ, &[1000.0]),
            row(rows::drain(100_000, Mix::Upserts, 1), &[500.0]),
            row(rows::ONE_BY_ONE, &[250.0]),
            row(rows::BATCHED, &[1000.0]),
            large,
            row(rows::drain(10_000, Mix::Upserts, 1), &[100.0]),
            row(rows::drain(100_000, Mix::Refused, 1), &[400.0]),
            row(rows::idle_cpu("ingest"), &[0.1]),
            row(rows::idle_memory("ingest"), &[9.0]),
            row(rows::idle_cpu("worker"), &[0.5]),
            row(rows::idle_memory("worker"), &[21.0]),
            busier,
        ];
        let ratios = ratios(FULL, &measured);
        let values: Vec<f64> = ratios.iter().filter_map(|ratio| ratio.value).collect();
        assert_eq!(
            values,
            [
                0.42, 7.0, 4.2, 2.0, 0.5, 0.9, 0.8, 0.1, 9.0, 0.5, 21.0, 63.0, 96.0
            ]
        );
        assert!(!ratios.iter().any(|ratio| ratio.is_orphaned(&measured)));
        let missed: Vec<&str> = ratios
            .iter()
            .filter(|ratio| ratio.outcome() == Outcome::Missed)
            .map(|ratio| ratio.name.as_str())
            .collect();
        assert_eq!(
            missed,
            [
                "ingest / Node, upsert inline",
                "worker / pgbench, one by one",
                "worker idle, CPU",
                "worker idle, memory",
                "worker, peak memory under full load",
            ]
        );
    }
}
