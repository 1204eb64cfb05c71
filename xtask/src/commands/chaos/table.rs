//! What is printed in the end.

use std::{collections::BTreeMap, time::Duration};

use super::{
    deliveries::Delivered, fault::Kind, remains::Remains, schedule::Happened, stalls,
    verification::Finding,
};

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

/// Of each kind of fault, how often it happened, and the longest time without a commit and without an
/// answer of 2xx that it has met.
pub(crate) fn print_stalls(happened: &[Happened], delivered: &[Delivered], remains: &Remains) {
    let mut answers: Vec<f64> = delivered
        .iter()
        .filter_map(|event| event.accepted)
        .map(stalls::seconds)
        .collect();
    let mut commits: Vec<f64> = remains
        .ledger
        .values()
        .map(|recorded| recorded.processed_at)
        .collect();
    answers.sort_by(f64::total_cmp);
    commits.sort_by(f64::total_cmp);
    // Later on there is nothing to do, but for what waits.
    let last_answer = answers.last().copied().unwrap_or_default();
    let mut longest: BTreeMap<Kind, (u32, f64, f64)> = BTreeMap::new();
    for (number, fault) in happened.iter().enumerate() {
        let from = stalls::seconds(fault.begun);
        let until = happened
            .get(number + 1)
            .map_or(last_answer, |next| stalls::seconds(next.begun));
        let (count, without_commit, without_answer) = longest.entry(fault.kind).or_default();
        *count += 1;
        *without_commit = without_commit.max(stalls::longest(&commits, from, until));
        *without_answer = without_answer.max(stalls::longest(&answers, from, until));
    }
    println!("\nLongest time without … from each fault to the next one, in seconds:");
    println!("  {:<45}{:>6}{:>10}{:>8}", "", "times", "a commit", "a 2xx");
    for (kind, (count, without_commit, without_answer)) in longest {
        println!(
            "  {:<45}{count:>6}{without_commit:>10.1}{without_answer:>8.1}",
            kind.name()
        );
    }
}

fn line(name: &str, count: impl std::fmt::Display) {
    println!("  {name:<60}{count:>8}");
}
