//! How long nothing happened after a fault.

use std::time::SystemTime;

/// The longest time without anything in `moments` (sorted) that a fault has met, in seconds: the rest
/// of the one during which the fault began, at `from`, however long it went on, and those that were
/// over when the next fault began, at `until`.
pub(crate) fn longest(moments: &[f64], from: f64, until: f64) -> f64 {
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
pub(crate) fn seconds(time: SystemTime) -> f64 {
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
        assert_eq!(longest(&moments, 0.25, 0.5), 0.75);
        assert_eq!(longest(&moments, 3.0, 4.0), 3.0);
        assert_eq!(longest(&moments, 1.5, 6.25), 3.5);
        assert_eq!(longest(&moments, 1.5, 5.0), 0.5);
        assert_eq!(longest(&moments, 7.0, f64::INFINITY), 0.0);
    }
}
