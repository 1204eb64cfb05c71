//! The picture: bars for what is compared, and below them the ratios in words.

use svg::{
    Document,
    node::element::{Description, Group, Line, Rectangle, Style, Text, Title},
};

use super::value;
use crate::commands::bench::{
    measurement::Measurement,
    ratio::{Outcome, Ratio},
    rows::{self, CONNECTIONS, Mix, grouped},
    scale::Scale,
};

const WIDTH: f64 = 780.0;
const MARGIN: f64 = 24.0;
/// Where bars begin, and how far the longest goes: its number stands behind it.
const BARS: f64 = 312.0;
const LONGEST_BAR: f64 = 370.0;
const LINE: f64 = 24.0;

/// Shown by itself, or as an image in a page, it follows the colours of whoever looks at it.
const STYLE: &str = "
svg { font: 13px system-ui, sans-serif; }
.ground { fill: #ffffff; } text { fill: #1f2328; } .faint { fill: #59636e; }
.heading { font-weight: 600; font-size: 15px; } .end { text-anchor: end; }
.ours { fill: #0969da; } .others { fill: #afb8c1; } line { stroke: #afb8c1; }
.reached { fill: #1a7f37; } .missed { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; } text { fill: #f0f6fc; } .faint { fill: #9198a1; }
  .ours { fill: #4493f8; } .others { fill: #59636e; } line { stroke: #59636e; }
  .reached { fill: #3fb950; } .missed { fill: #f85149; }
}
";

/// A bar of ours is marked.
struct Bar<'a> {
    measurement: &'a Measurement,
    ours: bool,
}

/// What is drawn so far, and down to where.
struct Canvas {
    group: Group,
    bottom: f64,
}

pub(super) fn chart(
    scale: Scale,
    machine: &[(&str, String)],
    measurements: &[Measurement],
    ratios: &[Ratio],
) -> String {
    let mut canvas = Canvas {
        group: Group::new(),
        bottom: MARGIN,
    };
    for (heading, names) in comparisons(scale) {
        let bars = names.iter().filter_map(|(name, ours)| {
            let measurement = measurements.iter().find(|row| row.name == *name)?;
            let ours = *ours;
            Some(Bar { measurement, ours })
        });
        canvas.bars(&heading, &bars.collect::<Vec<_>>());
    }
    canvas.ratios(ratios);
    canvas.machine(scale, machine);
    let height = canvas.bottom + MARGIN;
    Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .set("aria-labelledby", "title description")
        .add(Title::new("Benchmark of ingest and worker").set("id", "title"))
        .add(
            Description::new()
                .set("id", "description")
                .add(svg::node::Text::new(in_words(ratios))),
        )
        .add(Style::new(STYLE))
        .add(
            Rectangle::new()
                .set("class", "ground")
                .set("width", "100%")
                .set("height", "100%"),
        )
        .add(canvas.group)
        .to_string()
}

/// Headings, and the names of the rows below each; `true` where it is our own program.
fn comparisons(scale: Scale) -> [(String, Vec<(String, bool)>); 3] {
    let [few, many, very_many] = scale.backlogs();
    let upserts = |events, workers| (rows::drain(events, Mix::Upserts, workers), true);
    [
        (
            format!("Events taken in a second, {CONNECTIONS} connections"),
            vec![
                (rows::ingest(CONNECTIONS), true),
                (rows::queueing_server(CONNECTIONS), false),
                (rows::verifying_server(CONNECTIONS), false),
                (rows::bare_server(CONNECTIONS), false),
                (rows::redis_alone(1), false),
                (rows::redis_alone(16), false),
                (rows::NODE_INLINE.into(), false),
                (rows::NODE_BULLMQ.into(), false),
            ],
        ),
        (
            "Events applied in a second".into(),
            vec![
                upserts(many, 1),
                upserts(many, 2),
                upserts(many, 4),
                (rows::ONE_BY_ONE.into(), false),
                (rows::BATCHED.into(), false),
            ],
        ),
        (
            "The same, by what waits".into(),
            vec![
                upserts(few, 1),
                upserts(very_many, 1),
                (rows::drain(many, Mix::Deletes, 1), true),
                (rows::drain(many, Mix::Refused, 1), true),
            ],
        ),
    ]
}

/// For those who cannot see it.
fn in_words(ratios: &[Ratio]) -> String {
    let sentence = |ratio: &Ratio| {
        let outcome = ratio.outcome().name();
        format!("{}: {} ({outcome}).", ratio.name, value(ratio))
    };
    ratios.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

impl Canvas {
    fn bars(&mut self, heading: &str, bars: &[Bar<'_>]) {
        if bars.is_empty() {
            return;
        }
        self.heading(heading);
        let medians = bars.iter().filter_map(|bar| bar.measurement.median());
        let longest = medians.fold(f64::MIN_POSITIVE, f64::max);
        for bar in bars {
            let Measurement { name, unit, .. } = bar.measurement;
            let median = bar.measurement.median();
            let length = median.map_or(0.0, |median| (median / longest * LONGEST_BAR).max(1.0));
            let label = median.map_or("not run".into(), grouped);
            let rectangle = Rectangle::new()
                .set("class", if bar.ours { "ours" } else { "others" })
                .set("x", BARS)
                .set("y", rounded(self.bottom + 4.0))
                .set("width", rounded(length))
                .set("height", LINE - 8.0)
                .set("rx", 2)
                // Shown where the pointer rests.
                .add(Title::new(format!("{name}: {label} {unit}")));
            self.text(BARS - 12.0, "end", name);
            self.add(rectangle);
            let class = if median.is_some() { "" } else { "faint" };
            self.text(BARS + length + 8.0, class, &label);
            self.bottom += LINE;
        }
        self.bottom += LINE / 2.0;
    }

    fn ratios(&mut self, ratios: &[Ratio]) {
        self.heading("Compared, and what is to be reached");
        for ratio in ratios {
            let outcome = ratio.outcome();
            let class = match outcome {
                Outcome::Reached => "reached",
                Outcome::Missed => "missed",
                Outcome::NotRun => "faint",
            };
            self.text(BARS - 12.0, "end", &ratio.name);
            self.text(BARS, "", &value(ratio));
            let reach = format!("{} {}", ratio.reach, ratio.unit);
            self.text(BARS + 150.0, "faint", reach.trim_end());
            self.text(BARS + 300.0, class, outcome.name());
            self.bottom += LINE;
        }
    }

    fn machine(&mut self, scale: Scale, machine: &[(&str, String)]) {
        self.bottom += LINE / 2.0;
        if scale.short {
            self.text(MARGIN, "missed", "A short run: it tells nothing of speed.");
            self.bottom += LINE;
        }
        for (name, value) in machine {
            self.text(MARGIN, "faint", name);
            self.text(MARGIN + 90.0, "faint", value);
            self.bottom += LINE * 0.75;
        }
    }

    fn heading(&mut self, heading: &str) {
        self.text(MARGIN, "heading", heading);
        self.bottom += LINE + 4.0;
        let y = rounded(self.bottom - 4.0);
        let line = Line::new().set("x1", MARGIN).set("x2", WIDTH - MARGIN);
        self.add(line.set("y1", y).set("y2", y));
    }

    /// One line, its middle in the middle of the next [`LINE`].
    fn text(&mut self, x: f64, class: &str, text: &str) {
        let text = Text::new(text)
            .set("x", rounded(x))
            .set("y", rounded(self.bottom + LINE / 2.0 + 5.0))
            .set("class", class);
        self.add(text);
    }

    fn add(&mut self, element: impl svg::Node) {
        let group = std::mem::replace(&mut self.group, Group::new());
        self.group = group.add(element);
    }
}

/// A tenth of a pixel is fine enough.
fn rounded(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}
