//! What is compared with what, and the number to reach.

use super::{
    measurement::Measurement,
    ratio::{self, Ratio, Reach, find},
    rows::{self, CONNECTIONS, Mix},
    scale::Scale,
};

const PROGRAMS: [&str; 2] = ["ingest", "worker"];

/// All of them, in the order in which they are shown.
pub(crate) fn ratios(scale: Scale, measurements: &[Measurement]) -> Vec<Ratio> {
    let mut ratios = quotients(scale, measurements);
    for program in PROGRAMS {
        for (row, unit, bound) in [
            (rows::idle_cpu(program), "% of a core", 0.5),
            (rows::idle_memory(program), "MB", 20.0),
        ] {
            ratios.push(Ratio {
                name: row.clone(),
                unit,
                value: find(measurements, &row).and_then(Measurement::median),
                reach: Reach::Below(bound),
                rows: vec![row],
            });
        }
    }
    for (program, bound) in PROGRAMS.into_iter().zip([64.0, 96.0]) {
        ratios.push(Ratio {
            name: format!("{program}, peak memory under full load"),
            unit: "MB",
            value: peak_memory(measurements, program),
            reach: Reach::Below(bound),
            rows: vec![],
        });
    }
    ratios
}

/// Of a row and the one that it is compared with, and what the quotient must reach.
fn quotients(scale: Scale, measurements: &[Measurement]) -> Vec<Ratio> {
    let [few, many, very_many] = scale.backlogs();
    let ingest = rows::ingest(CONNECTIONS);
    let bare_server = rows::bare_server(CONNECTIONS);
    let [of_few, of_many, of_very_many] =
        [few, many, very_many].map(|events| rows::drain(events, Mix::Upserts, 1));
    let refused = rows::drain(many, Mix::Refused, 1);
    let to_prisma = rows::drain_to_prisma(many);
    let members = rows::drain(many, Mix::Members, 1);
    let [few, very_many] = [few, very_many].map(|events| rows::grouped(events as f64));
    let of_backlogs = format!("worker, {very_many} waiting / {few}");
    let (inline, bullmq) = (rows::NODE_INLINE, rows::NODE_BULLMQ);
    let (one_by_one, batched) = (rows::ONE_BY_ONE, rows::BATCHED);
    [
        (
            "ingest / hyper that only answers",
            &*ingest,
            &*bare_server,
            0.42,
        ),
        ("ingest / Node, upsert inline", &ingest, inline, 8.0),
        ("ingest / Node, BullMQ", &ingest, bullmq, 4.0),
        ("worker / pgbench, one by one", &of_many, one_by_one, 2.5),
        ("worker / batches straight from SQL", &of_many, batched, 0.5),
        (&of_backlogs, &of_very_many, &of_few, 0.9),
        ("worker, 1 % refused / none", &refused, &of_many, 0.6),
        ("worker, Prisma's table / users", &to_prisma, &of_many, 0.8),
        ("worker, memberships / users", &members, &of_many, 0.5),
    ]
    .map(|(name, numerator, denominator, bound)| Ratio {
        name: name.into(),
        unit: "",
        value: ratio::quotient(measurements, numerator, denominator),
        reach: Reach::AtLeast(bound),
        rows: vec![numerator.into(), denominator.into()],
    })
    .into()
}

/// The most that any row under load has seen.
fn peak_memory(measurements: &[Measurement], program: &str) -> Option<f64> {
    let detail = rows::peak_memory(program);
    let peaks = measurements
        .iter()
        .filter_map(|row| row.details().get(detail.as_str()).copied());
    peaks.max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{measurement::Round, ratio::Outcome},
        *,
    };

    const FULL: Scale = Scale {
        short: false,
        rounds: 3,
    };

    fn row(name: impl Into<String>, round: f64) -> Measurement {
        with(name, Round::new(round))
    }

    fn with(name: impl Into<String>, round: Round) -> Measurement {
        Measurement::new("ingest", name, "requests/s").with(round)
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
        let of_ingest = Round::new(4200.0).detail(rows::peak_memory("ingest"), 63.0);
        let of_worker = Round::new(90.0).detail(rows::peak_memory("worker"), 96.0);
        let of_another = Round::new(1.0).detail(rows::peak_memory("worker"), 95.0);
        let measured = [
            with(rows::ingest(CONNECTIONS), of_ingest),
            row(rows::ingest(256), 1.0),
            row(rows::bare_server(CONNECTIONS), 10_000.0),
            row(rows::NODE_INLINE, 600.0),
            row(rows::NODE_BULLMQ, 1000.0),
            row(rows::drain(100_000, Mix::Upserts, 1), 500.0),
            row(rows::ONE_BY_ONE, 250.0),
            row(rows::BATCHED, 1000.0),
            with(rows::drain(1_000_000, Mix::Upserts, 1), of_worker),
            row(rows::drain(10_000, Mix::Upserts, 1), 100.0),
            row(rows::drain(100_000, Mix::Refused, 1), 400.0),
            row(rows::drain_to_prisma(100_000), 375.0),
            row(rows::drain(100_000, Mix::Members, 1), 250.0),
            row(rows::idle_cpu("ingest"), 0.1),
            row(rows::idle_memory("ingest"), 9.0),
            row(rows::idle_cpu("worker"), 0.5),
            row(rows::idle_memory("worker"), 21.0),
            with("another", of_another),
        ];
        let ratios = ratios(FULL, &measured);
        let values: Vec<f64> = ratios.iter().filter_map(|ratio| ratio.value).collect();
        assert_eq!(
            values,
            [
                0.42, 7.0, 4.2, 2.0, 0.5, 0.9, 0.8, 0.75, 0.5, 0.1, 9.0, 0.5, 21.0, 63.0, 96.0
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
                "worker, Prisma's table / users",
                "worker idle, CPU",
                "worker idle, memory",
                "worker, peak memory under full load",
            ]
        );
    }
}
