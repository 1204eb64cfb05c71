//! How long nothing happened after a fault.

use std::{collections::BTreeMap, time::SystemTime};

use super::{deliveries::Delivered, fault::Kind, remains::Remains, schedule::Happened};

/// Of each kind of fault, how often it happened, and the longest time without a commit and without an
/// answer of 2xx that it has met.
pub(crate) fn print(happened: &[Happened], delivered: &[Delivered], remains: &Remains) {
    let mut answers: Vec<f64> = delivered
        .iter()
        .filter_map(|event| event.accepted)
        .map(seconds)
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
        let from = seconds(fault.begun);
        let until = happened
            .get(number + 1)
            .map_or(last_answer, |next| seconds(next.begun));
        let (count, without_commit, without_answer) = longest.entry(fault.kind).or_default();
        *count += 1;
        *without_commit = without_commit.max(longest_of(&commits, from, until));
        *without_answer = without_answer.max(longest_of(&answers, from, until));
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

/// The longest time without anything in `moments` (sorted) that a fault has met, in seconds: the rest
/// of the one during which the fault began, at `from`, however long it went on, and those that were
/// over when the next fault began, at `until`.
fn longest_of(moments: &[f64], from: f64, until: f64) -> f64 {
    let first = moments.partition_point(|moment| *moment < from);
    let Some((end, later)) = moments[first..].split_first() else {
        return 0.0;
    };
    let mut longest = end - from;
    let mut begin = end;
    for moment in later.iter().take_while(|moment| **moment < until) {
        longest = longest.max(moment - begin);
        begin = moment;
    }
    longest
}

/// Seconds since the epoch.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_stall_is_that_during_which_the_fault_began_or_one_before_the_next_fault() {
        let moments = [0.0, 1.0, 2.0, 2.5, 6.0, 6.5];
        assert_eq!(longest_of(&moments, 0.25, 0.5), 0.75);
        assert_eq!(longest_of(&moments, 3.0, 4.0), 3.0);
        assert_eq!(longest_of(&moments, 1.5, 6.25), 3.5);
        assert_eq!(longest_of(&moments, 1.5, 5.0), 0.5);
        assert_eq!(longest_of(&moments, 7.0, f64::INFINITY), 0.0);
    }
}
