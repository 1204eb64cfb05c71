//! E-mail addresses are unique, and events arrive in any order: who may take an address now, who
//! has to wait until it is free, and who has to make room first.

use std::collections::{BTreeMap, BTreeSet};

/// What is to happen to a set of users who are to get addresses in one transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct Settlement<'a> {
    /// Users whose address somebody keeps or takes first, and who that is.
    pub waiting: BTreeMap<&'a str, &'a str>,
    /// Users whose present address goes to another user in the same transaction.
    pub vacating: BTreeSet<&'a str>,
}

/// Settles.
///
/// - `wanted`: users and the address that each is to have, the oldest event first: of two who want
///   the same address the first may have it, as it would if events came in order.
/// - `leaving`: users that the same transaction deletes.
/// - `held`: users and the address that each has now; at least the present holders of the wanted
///   addresses, and the present addresses of the users in `wanted`.
#[must_use]
pub fn settle<'a>(
    wanted: &[(&'a str, &'a str)],
    leaving: &BTreeSet<&str>,
    held: &[(&'a str, &'a str)],
) -> Settlement<'a> {
    let holders: BTreeMap<&str, &str> = held
        .iter()
        .map(|(user, address)| (*address, *user))
        .collect();
    let mut waiting = BTreeMap::new();
    loop {
        let moving: BTreeMap<&str, &str> = wanted
            .iter()
            .copied()
            .filter(|(user, _)| !waiting.contains_key(user))
            .collect();
        let mut taken = BTreeMap::new();
        let blocked: Vec<(&str, &str)> = wanted
            .iter()
            .filter(|(user, _)| moving.contains_key(user))
            .filter_map(|(user, address)| {
                let keeps = |holder: &&&str| {
                    let goes = leaving.contains(*holder)
                        || moving
                            .get(*holder)
                            .is_some_and(|next_address| next_address != address);
                    *holder != user && !goes
                };
                let in_the_way = holders.get(address).filter(keeps).copied();
                let in_the_way = in_the_way.or_else(|| taken.insert(*address, *user));
                in_the_way.map(|holder| (*user, holder))
            })
            .collect();
        if blocked.is_empty() {
            let vacating = moving
                .iter()
                .filter_map(|(user, address)| holders.get(address).filter(|holder| *holder != user))
                .filter(|holder| moving.contains_key(*holder))
                .copied()
                .collect();
            return Settlement { waiting, vacating };
        }
        // Who waits keeps the address that somebody else may have counted on.
        waiting.extend(blocked);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settled<'a>(
        wanted: &[(&'a str, &'a str)],
        leaving: &[&str],
        held: &[(&'a str, &'a str)],
    ) -> (Vec<&'a str>, Vec<&'a str>) {
        let settlement = settle(wanted, &leaving.iter().copied().collect(), held);
        (
            settlement.waiting.into_keys().collect(),
            settlement.vacating.into_iter().collect(),
        )
    }

    #[test]
    fn a_free_address_is_taken() {
        assert_eq!(settled(&[("a", "x")], &[], &[("a", "y")]), (vec![], vec![]));
    }

    #[test]
    fn who_wants_an_address_that_another_keeps_waits() {
        assert_eq!(
            settled(&[("a", "x")], &[], &[("b", "x")]),
            (vec!["a"], vec![])
        );
    }

    #[test]
    fn two_who_swap_make_room_for_each_other() {
        assert_eq!(
            settled(&[("a", "y"), ("b", "x")], &[], &[("a", "x"), ("b", "y")]),
            (vec![], vec!["a", "b"])
        );
    }

    #[test]
    fn the_address_of_a_deleted_user_is_free() {
        assert_eq!(
            settled(&[("a", "x")], &["b"], &[("b", "x")]),
            (vec![], vec![])
        );
    }

    #[test]
    fn who_waits_holds_up_who_counted_on_the_address() {
        let held = [("a", "x"), ("b", "y"), ("c", "z")];
        assert_eq!(
            settled(&[("a", "y"), ("b", "z")], &[], &held),
            (vec!["a", "b"], vec![])
        );
    }

    #[test]
    fn of_two_who_want_one_address_the_first_gets_it() {
        assert_eq!(
            settled(&[("b", "x"), ("a", "x")], &[], &[]),
            (vec!["a"], vec![])
        );
    }

    #[test]
    fn who_waits_learns_for_whom() {
        let wanted = [("a", "y"), ("b", "z"), ("d", "w"), ("e", "w")];
        let held = [("a", "x"), ("b", "y"), ("c", "z")];
        assert_eq!(
            settle(&wanted, &BTreeSet::new(), &held).waiting,
            BTreeMap::from([("a", "b"), ("b", "c"), ("e", "d")])
        );
    }

    proptest! {
        /// Whoever does not wait can be written: the addresses stay unique.
        #[test]
        fn addresses_stay_unique(
            addresses in proptest::collection::btree_map(0_u8..6, 0_u8..6, 0..6),
            next in proptest::collection::btree_map(0_u8..6, 0_u8..6, 0..6),
            leaving in proptest::collection::btree_set(0_u8..6, 0..3),
        ) {
            let name = |number: &u8| ["a", "b", "c", "d", "e", "f"][usize::from(*number)];
            let mut table: BTreeMap<&str, &str> = BTreeMap::new();
            for (user, address) in &addresses {
                if !table.values().any(|held| *held == name(address)) {
                    table.insert(name(user), name(address));
                }
            }
            let leaving: BTreeSet<&str> = leaving.iter().map(name).collect();
            let wanted: Vec<(&str, &str)> = next
                .iter()
                .map(|(user, address)| (name(user), name(address)))
                .filter(|(user, _)| !leaving.contains(user))
                .collect();
            let held: Vec<(&str, &str)> = table.clone().into_iter().collect();
            let settlement = settle(&wanted, &leaving, &held);
            table.retain(|user, _| !leaving.contains(user));
            table.extend(wanted.iter().copied().filter(|(user, _)| !settlement.waiting.contains_key(user)));
            let unique: BTreeSet<&&str> = table.values().collect();
            prop_assert_eq!(unique.len(), table.len());
        }
    }
}
