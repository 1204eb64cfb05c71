//! What is printed in the end.

use std::{collections::BTreeMap, time::Duration};

use super::{deliveries::Delivered, remains::Remains, verification::Finding};

/// Offenders that are named for each finding.
const NAMED: usize = 20;

pub(crate) fn print_counts(delivered: &[Delivered], remains: &Remains, settled: Duration) {
    let mut answers: BTreeMap<&str, u32> = BTreeMap::new();
    for (answer, count) in delivered.iter().flat_map(|event| &event.answers) {
        *answers.entry(answer).or_default() += count;
    }
    line("events sent", delivered.len());
    line("deliveries", answers.values().sum::<u32>());
    for (answer, count) in answers {
        line(&format!("  answered {answer}"), count);
    }
    let accepted = delivered
        .iter()
        .filter(|event| event.accepted.is_some())
        .count();
    line("events answered 2xx", accepted);
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for recorded in remains.ledger.values() {
        *outcomes.entry(&recorded.outcome).or_default() += 1;
    }
    for outcome in ["applied", "stale", "ignored"] {
        line(outcome, outcomes.get(outcome).copied().unwrap_or_default());
    }
    line(
        "seconds from the last answer until all was finished",
        settled.as_secs(),
    );
    // An event that was delivered twice has two dead letters.
    let mut reasons: BTreeMap<&str, u32> = BTreeMap::new();
    for letter in &remains.dead_letters {
        *reasons.entry(&letter.reason).or_default() += 1;
    }
    line("dead letters", remains.dead_letters.len());
    for (reason, count) in reasons {
        line(&format!("  {reason}"), count);
    }
    let cached = delivered
        .iter()
        .filter(|event| event.cached.is_some())
        .count();
    line("cache entries written before an event", cached);
    line(
        "  of these still there, most before a stale event",
        remains.cached.len(),
    );
}

/// Returns whether all of them are without offenders.
pub(crate) fn print_findings(findings: &[Finding]) -> bool {
    println!("\nMust be 0:");
    for Finding { name, offenders } in findings {
        line(name, offenders.len());
        for offender in offenders.iter().take(NAMED) {
            println!("      {offender}");
        }
        if offenders.len() > NAMED {
            println!("      and {} more", offenders.len() - NAMED);
        }
    }
    findings.iter().all(|finding| finding.offenders.is_empty())
}

fn line(name: &str, count: impl std::fmt::Display) {
    println!("  {name:<60}{count:>8}");
}
