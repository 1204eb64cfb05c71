//! The names of the rows and of their details that the ratios are made of, said once for those who
//! measure and for those who compare.

/// At this number of connections the ingest is compared with everything else.
pub(crate) const CONNECTIONS: usize = 64;

pub(crate) fn ingest(connections: usize) -> String {
    format!("ingest, {connections} connections")
}

/// Reads the body and answers.
pub(crate) fn bare_server(connections: usize) -> String {
    format!("hyper that only answers, {connections} connections")
}

pub(crate) fn verifying_server(connections: usize) -> String {
    format!("hyper that verifies, {connections} connections")
}

/// Reads the body, puts it on a stream and answers; verifies nothing.
pub(crate) fn queueing_server(connections: usize) -> String {
    format!("hyper that only queues, {connections} connections")
}

/// The same XADDs from redis-benchmark.
pub(crate) fn redis_alone(pipeline: usize) -> String {
    format!("Redis alone, pipeline {pipeline}")
}

/// Verifies with npm's svix and writes the row through Drizzle before it answers.
pub(crate) const NODE_INLINE: &str = "Node, upsert inline";
/// Verifies with npm's svix and enqueues with BullMQ.
pub(crate) const NODE_BULLMQ: &str = "Node, BullMQ";

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Half inserts, half updates.
    Upserts,
    /// The same with 5 % deletes.
    Deletes,
    /// The same with 1 % that the database refuses.
    Refused,
    /// The first mix of memberships, whose organizations and users are there.
    Members,
}

pub(crate) fn drain(events: usize, mix: Mix, workers: usize) -> String {
    let mix = match mix {
        Mix::Upserts => "",
        Mix::Deletes => ", 5 % deletes",
        Mix::Refused => ", 1 % refused",
        Mix::Members => ", memberships",
    };
    let plural = if workers == 1 { "" } else { "s" };
    format!(
        "drain {}{mix}, {workers} worker{plural}",
        grouped(events as f64)
    )
}

/// One worker, where the table is Prisma's, with an id that the worker makes.
pub(crate) fn drain_to_prisma(events: usize) -> String {
    format!("drain {}, Prisma's table, 1 worker", grouped(events as f64))
}

/// pgbench: the upsert one statement an event, 8 clients.
pub(crate) const ONE_BY_ONE: &str = "pgbench, one by one, 8 clients";
/// The same three writes in batches of 256 straight from SQL, one connection.
pub(crate) const BATCHED: &str = "pgbench, batches of 256, 1 connection";

/// Of `ingest` or `worker` while nothing happens, in % of a core.
pub(crate) fn idle_cpu(program: &str) -> String {
    format!("{program} idle, CPU")
}

/// Of `ingest` or `worker` while nothing happens, in MB.
pub(crate) fn idle_memory(program: &str) -> String {
    format!("{program} idle, memory")
}

/// The detail of any row under load that tells the peak memory of `program`.
pub(crate) fn peak_memory(program: &str) -> String {
    format!("{program} peak memory, MB")
}

/// `1,234,567` from a thousand on, without decimals; below that with as many as tell something.
pub(crate) fn grouped(number: f64) -> String {
    if !number.is_finite() {
        return "–".into();
    }
    let decimals = match number.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{number:.decimals$}");
    let digits = text.find('.').unwrap_or(text.len());
    let sign = usize::from(text.starts_with('-'));
    let mut grouped = String::with_capacity(text.len() + 4);
    for (place, character) in text.char_indices() {
        if place > sign && place < digits && (digits - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(character);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (number, text) in [
            (0.0, "0"),
            (0.4321, "0.432"),
            (4.321, "4.32"),
            (43.21, "43.2"),
            (432.1, "432"),
            (4321.9, "4,322"),
            (1_000_000.0, "1,000,000"),
            (-123_456.0, "-123,456"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_row_says_what_was_done() {
        assert_eq!(
            drain(1_000_000, Mix::Upserts, 1),
            "drain 1,000,000, 1 worker"
        );
        assert_eq!(
            drain(100_000, Mix::Refused, 2),
            "drain 100,000, 1 % refused, 2 workers"
        );
    }
}
