//! When what goes wrong: a function of the seed and the length alone.

use std::time::{Duration, SystemTime};

use rand::{RngExt as _, rngs::StdRng, seq::SliceRandom as _};

use super::fault::{Fault, Kind};

/// So that there is something to disturb.
const HEAD_START: Duration = Duration::from_secs(2);
/// So that the last faults still meet deliveries.
const REST: Duration = Duration::from_secs(4);

/// A fault and when it is to begin, counted from the first delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// A fault that has happened.
pub(crate) struct Happened {
    pub(crate) kind: Kind,
    pub(crate) begun: SystemTime,
}

/// The faults of a run of this length, evenly spread: in each minute every kind once, in an order of
/// its own. As they last longer than the time between two, several are under way at once.
pub(crate) fn schedule(random: &mut StdRng, length: Duration) -> Vec<Planned> {
    let rounds = length.as_secs_f64() / 60.0;
    let mut kinds = Vec::new();
    for _ in 0..rounds.ceil() as usize {
        let mut round = Kind::all();
        round.shuffle(random);
        kinds.extend(round);
    }
    kinds.truncate(((rounds * Kind::all().len() as f64) as usize).max(1));
    let between = length.saturating_sub(HEAD_START + REST) / kinds.len().max(1) as u32;
    kinds
        .into_iter()
        .enumerate()
        .map(|(number, kind)| Planned {
            at: HEAD_START
                + between * number as u32
                + between.mul_f64(random.random_range(0.0..0.5)),
            fault: Fault::of(kind, random),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn of(seed: u64, seconds: u64) -> Vec<Planned> {
        schedule(
            &mut StdRng::seed_from_u64(seed),
            Duration::from_secs(seconds),
        )
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_at_the_same_times_and_another_seed_others() {
        assert_eq!(of(1, 180), of(1, 180));
        assert_ne!(of(1, 180), of(2, 180));
    }

    #[test]
    fn every_kind_happens_once_a_minute() {
        for seed in 0..20 {
            let faults = of(seed, 180);
            for minute in faults.chunks(Kind::all().len()) {
                let mut kinds: Vec<Kind> =
                    minute.iter().map(|planned| planned.fault.kind).collect();
                kinds.sort_unstable();
                assert_eq!(kinds, Kind::all());
            }
            assert_eq!(faults.len(), 3 * Kind::all().len());
        }
    }

    #[test]
    fn they_come_one_after_the_other_between_the_first_and_the_last_delivery() {
        for seconds in [10, 60, 90, 600] {
            let faults = of(7, seconds);
            assert!(faults.is_sorted_by_key(|planned| planned.at));
            assert!(faults.iter().all(|planned| planned.at.as_secs() < seconds));
        }
    }
}
