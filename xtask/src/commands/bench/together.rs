//! The part `together`: ingest, one worker, Redis and PostgreSQL at once. First the ingest's maximum
//! while the worker works too, then steady loads of a part of it. Where worker and ingest together
//! need more than the machine has, the backlog grows, and the rows show it.
//!
//! Latencies count from when a request was due to when its commit, and the deletion of its tag, were
//! heard of: see `probes` for how late that is.

mod backlog;
mod probes;
mod system;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use xtask::postgres_server::PostgresServer;

use self::{backlog::Backlog, probes::Seen, system::System};
use super::{
    super::stack::data_folder,
    events::Events,
    ingest::PATH,
    load::{Answered, Connections, Latencies, Schedule},
    measurement::{Measurement, Round},
    process_usage::usage,
    rows::CONNECTIONS,
    scale::Scale,
};

/// In percent of the ingest's maximum.
const LOADS: [usize; 3] = [25, 50, 75];
const PROBES_A_SECOND: f64 = 100.0;

/// How long each load lasts, in seconds.
struct Lengths {
    warm_up: f64,
    maximum: f64,
    steady: f64,
    /// More events a second than the ingest can take.
    beyond_maximum: f64,
}

/// The rows of one steady load.
struct StepRows {
    commit: Measurement,
    tag: Measurement,
    backlog: Measurement,
}

impl StepRows {
    fn new(load: usize) -> Self {
        let row = |what: &str, unit| {
            let name = format!("{what}, at {load} % of the maximum");
            Measurement::new("together", name, unit)
        };
        Self {
            commit: row("request to commit", "ms (p50)"),
            tag: row("request to deletion of the tag", "ms (p50)"),
            backlog: row("backlog at the end", "events"),
        }
    }
}

/// Measures everything in turn, `scale.rounds` times, each with new stores.
pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
    let lengths = if scale.short {
        Lengths {
            warm_up: 0.3,
            maximum: 0.5,
            steady: 1.0,
            beyond_maximum: 10_000.0,
        }
    } else {
        Lengths {
            warm_up: 1.0,
            maximum: 5.0,
            steady: 8.0,
            beyond_maximum: 50_000.0,
        }
    };
    let folder = data_folder("bench-")?;
    let postgres = PostgresServer::start_in(folder.path())?;
    let name = format!("ingest beside a worker, {CONNECTIONS} connections");
    let mut maximum = Measurement::new("together", name, "requests/s");
    let mut steps = LOADS.map(StepRows::new);
    for _ in 0..scale.rounds {
        let mut system = System::start(folder.path(), &postgres).await?;
        let round = system.maximum(&lengths).await?;
        let per_second = if scale.short { 200.0 } else { round.value };
        maximum.add(round);
        for (load, rows) in LOADS.into_iter().zip(&mut steps) {
            let rate = per_second * load as f64 / 100.0;
            let [commit, tag, backlog] = system.steady(rate, &lengths).await?;
            rows.commit.add(commit);
            rows.tag.add(tag);
            rows.backlog.add(backlog);
        }
        system.check(&postgres)?;
    }
    let steps = steps
        .into_iter()
        .flat_map(|rows| [rows.commit, rows.tag, rows.backlog]);
    Ok([maximum].into_iter().chain(steps).collect())
}

impl System {
    /// How many events a second the ingest takes when they come as fast as it answers.
    async fn maximum(&mut self, lengths: &Lengths) -> anyhow::Result<Round> {
        let seconds = lengths.warm_up + lengths.maximum;
        let count = (seconds * lengths.beyond_maximum) as usize;
        let events = Events::make(PATH, &self.secret, count, |_| false).await?;
        let mut connections = Connections::open(self.server.address, CONNECTIONS).await?;
        let warm_up = Duration::from_secs_f64(lengths.warm_up);
        let warm = connections.send(&events, 0..count, warm_up).await?;
        let rest = warm.requests..count;
        let before = usage(self.server.program.pid())?;
        let window = Duration::from_secs_f64(lengths.maximum);
        let answered = connections.send(&events, rest, window).await?;
        let after = usage(self.server.program.pid())?;
        self.accepted += warm.requests + answered.requests;
        let left = backlog::length(&mut self.connection).await?;
        self.wait_until_drained(0).await?;
        Ok(Round::of(&answered)
            .usage("ingest", before, after, answered.requests)
            .detail("backlog at the end", left as f64))
    }

    /// Returns the rounds of commit, tag and backlog.
    async fn steady(&mut self, rate: f64, lengths: &Lengths) -> anyhow::Result<[Round; 3]> {
        let count = (rate * (lengths.warm_up + lengths.steady)) as usize;
        let warm_up = (rate * lengths.warm_up) as usize;
        let every = (rate / PROBES_A_SECOND).ceil() as usize;
        let is_probe = move |number: usize| number >= warm_up && number.is_multiple_of(every);
        let events = Events::make(PATH, &self.secret, count, is_probe).await?;
        let probes: Vec<usize> = (0..count).filter(|&number| is_probe(number)).collect();
        let users = probes.iter().map(|&number| events.user_id(number));
        self.probes.set_tags(users).await?;
        self.probes.take();

        let pids = [self.server.program.pid(), self.worker.pid()];
        let mut connections = Connections::open(self.server.address, CONNECTIONS).await?;
        let before = [usage(pids[0])?, usage(pids[1])?];
        let schedule = Schedule {
            begin: Instant::now(),
            rate,
        };
        let load = connections.send_steadily(&events, schedule);
        let window = schedule.due(warm_up);
        let (answered, waiting) = backlog::watch(&mut self.connection, window, load).await?;
        self.accepted += answered.requests;
        self.wait_until_drained(probes.len()).await?;
        let after = [usage(pids[0])?, usage(pids[1])?];

        let seen = self.probes.take();
        let [commit, tag] = latencies(&events, &probes, schedule, &seen)?;
        let commit = median_and_p99(&commit)
            .detail("probes", probes.len() as f64)
            .usage("ingest", before[0], after[0], answered.requests)
            .usage("worker", before[1], after[1], answered.requests);
        Ok([
            commit,
            median_and_p99(&tag),
            backlog_round(waiting, rate, &answered),
        ])
    }
}

/// From when each request was due to the commit, and to the deletion of the tag.
fn latencies(
    events: &Events,
    probes: &[usize],
    schedule: Schedule,
    seen: &Seen,
) -> anyhow::Result<[Latencies; 2]> {
    let (mut commits, mut deletions) = (Latencies::new()?, Latencies::new()?);
    for &number in probes {
        let (user, due) = (events.user_id(number), schedule.due(number));
        let commit = seen.commits.get(&user).context("a commit was not seen")?;
        let deletion = seen
            .deletions
            .get(&user)
            .context("a deletion was not seen")?;
        // The tag goes after the commit, whichever of the two was heard of first (P7).
        commits.add((*commit).min(*deletion).saturating_duration_since(due))?;
        deletions.add(deletion.saturating_duration_since(due))?;
    }
    Ok([commits, deletions])
}

fn median_and_p99(latencies: &Latencies) -> Round {
    Round::new(latencies.milliseconds(0.5)).detail("p99, ms", latencies.milliseconds(0.99))
}

fn backlog_round(backlog: Backlog, rate: f64, answered: &Answered) -> Round {
    Round::new(backlog.end as f64)
        .detail("at the start", backlog.start as f64)
        .detail("at the most", backlog.most as f64)
        .detail("requests/s due", rate)
        .detail("requests/s answered", answered.per_second())
        .detail("answer p50, ms", answered.latencies.milliseconds(0.5))
        .detail("answer p99, ms", answered.latencies.milliseconds(0.99))
}
