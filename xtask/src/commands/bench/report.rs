//! What was measured, as a table, as JSON and as a picture.

mod chart;

use serde_json::{Value, json};

use super::{
    machine::machine, measurement::Measurement, ratio::Ratio, ratios::ratios, rows::grouped,
    scale::Scale,
};

/// Everything that one run has measured so far.
pub(crate) struct Report {
    scale: Scale,
    machine: Vec<(&'static str, String)>,
    measurements: Vec<Measurement>,
}

impl Report {
    pub(crate) fn new(scale: Scale) -> Self {
        Self {
            scale,
            machine: machine(),
            measurements: vec![],
        }
    }

    /// Prints and keeps what a part has measured.
    pub(crate) fn add(&mut self, measured: Vec<Measurement>) {
        if let Some(first) = measured.first() {
            println!("\n{}", first.part);
            print!(
                "{}",
                aligned(&measured.iter().map(cells).collect::<Vec<_>>())
            );
        }
        self.measurements.extend(measured);
    }

    pub(crate) fn print_machine(&self) {
        let rows = self.machine.iter();
        let rows: Vec<_> = rows
            .map(|(name, value)| vec![(*name).to_owned(), value.clone()])
            .collect();
        print!("{}", aligned(&rows));
    }

    pub(crate) fn print_ratios(&self) {
        let row = |ratio: &Ratio| {
            vec![
                ratio.name.clone(),
                value(ratio),
                format!("to reach: {} {}", ratio.reach, ratio.unit),
                ratio.outcome().name().to_owned(),
            ]
        };
        let rows: Vec<_> = self.ratios().iter().map(row).collect();
        print!("\nratios\n{}", aligned(&rows));
    }

    /// The names of ratios that nothing was measured for, nor said why not.
    pub(crate) fn orphaned_ratios(&self) -> Vec<String> {
        let ratios = self.ratios().into_iter();
        let orphans = ratios.filter(|ratio| ratio.is_orphaned(&self.measurements));
        orphans.map(|ratio| ratio.name).collect()
    }

    pub(crate) fn json(&self) -> anyhow::Result<String> {
        let measurement = |measurement: &Measurement| {
            json!({
                "part": measurement.part,
                "name": measurement.name,
                "unit": measurement.unit,
                "median": measurement.median(),
                "rounds": measurement.rounds,
                "details": measurement.details(),
                "not_run": measurement.not_run,
            })
        };
        let ratio = |ratio: &Ratio| {
            json!({
                "name": ratio.name,
                "unit": ratio.unit,
                "value": ratio.value,
                "reach": ratio.reach.to_string(),
                "outcome": ratio.outcome().name(),
                "rows": ratio.rows,
            })
        };
        let machine = self.machine.iter();
        let machine: serde_json::Map<String, Value> = machine
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let report = json!({
            "machine": machine,
            "short": self.scale.short,
            "measurements": self.measurements.iter().map(measurement).collect::<Vec<_>>(),
            "ratios": self.ratios().iter().map(ratio).collect::<Vec<_>>(),
        });
        Ok(serde_json::to_string_pretty(&report)? + "\n")
    }

    /// An SVG.
    pub(crate) fn chart(&self) -> String {
        chart::chart(
            self.scale,
            &self.machine,
            &self.measurements,
            &self.ratios(),
        )
    }

    fn ratios(&self) -> Vec<Ratio> {
        ratios(self.scale, &self.measurements)
    }
}

/// A ratio's number with its unit.
fn value(ratio: &Ratio) -> String {
    let number = ratio.value.map_or("–".into(), grouped);
    format!("{number} {}", ratio.unit).trim_end().to_owned()
}

/// Name, median, spread, details.
fn cells(measurement: &Measurement) -> Vec<String> {
    let name = measurement.name.clone();
    let Some(median) = measurement.median() else {
        let why = measurement.not_run.as_deref().unwrap_or("no numbers");
        return vec![name, format!("not run: {why}")];
    };
    let [least, most] = [f64::min, f64::max].map(|extreme| {
        measurement
            .rounds
            .iter()
            .copied()
            .reduce(extreme)
            .unwrap_or(median)
    });
    let spread = if measurement.rounds.len() > 1 {
        format!("({} … {})", grouped(least), grouped(most))
    } else {
        String::new()
    };
    let details = measurement.details();
    let details = details.iter().map(|(name, number)| {
        let (name, unit) = name.rsplit_once(", ").unwrap_or((name, ""));
        format!("{name} {} {unit}", grouped(*number))
            .trim_end()
            .to_owned()
    });
    vec![
        name,
        format!("{} {}", grouped(median), measurement.unit),
        spread,
        details.collect::<Vec<_>>().join(", "),
    ]
}

/// Lines of cells below each other. The last cell of a line takes the room that it needs.
fn aligned(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = vec![];
    for row in rows {
        let cells = &row[..row.len().saturating_sub(1)];
        for (column, cell) in cells.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(column) {
                Some(known) => *known = width.max(*known),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (column, cell) in row.iter().enumerate() {
            let width = widths.get(column).copied().unwrap_or_default();
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::measurement::Round, *};

    const SHORT: Scale = Scale {
        short: true,
        rounds: 1,
    };

    fn measured() -> Vec<Measurement> {
        let ingest = Measurement::new("ingest", "ingest, 64 connections", "requests/s")
            .with(Round::new(29_000.0).detail("p99, ms", 4.0))
            .with(Round::new(31_000.0).detail("p99, ms", 4.25))
            .with(Round::new(30_500.0).detail("p99, ms", 9.0));
        let mut node = Measurement::new("ingest", "Node, <BullMQ> & svix", "requests/s");
        node.not_run = Some("there is no Node here".into());
        vec![ingest, node]
    }

    fn report() -> Report {
        Report {
            scale: SHORT,
            machine: vec![("processor", "<one> & another".into())],
            measurements: measured(),
        }
    }

    #[test]
    fn a_line_tells_the_median_the_spread_and_the_details() {
        let rows: Vec<_> = measured().iter().map(cells).collect();
        assert_eq!(
            aligned(&rows),
            "  ingest, 64 connections  30,500 requests/s  (29,000 … 31,000)  p99 4.25 ms\n  \
             Node, <BullMQ> & svix   not run: there is no Node here\n"
        );
    }

    #[test]
    fn the_json_holds_every_round_and_why_something_was_not_run() {
        let json: Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        let [ingest, node] = [0, 1].map(|index: usize| &json["measurements"][index]);
        assert_eq!(ingest["median"], 30_500.0);
        assert_eq!(ingest["rounds"], json!([29_000.0, 31_000.0, 30_500.0]));
        assert_eq!(ingest["details"]["p99, ms"], 4.25);
        assert_eq!(node["median"], Value::Null);
        assert_eq!(node["not_run"], "there is no Node here");
        assert_eq!(json["ratios"][0]["outcome"], "not run");
    }
}
