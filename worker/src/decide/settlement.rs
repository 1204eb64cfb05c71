//! Values of unique columns, such as e-mail addresses, and events that arrive in any order: who may take a value now, who
//! has to wait until it is free, and who has to make room first.

use std::collections::{BTreeMap, BTreeSet};

/// A value of a unique column: the column, and a number that equal values share.
pub type Value = (usize, i64);

/// What is to happen to rows that are to get values in one transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct Settlement<'a> {
    /// Rows that have to wait, and for what: a row that keeps a value, or takes it first, and that value.
    pub waiting: BTreeMap<&'a str, (&'a str, Value)>,
    /// Values that go from one row to another in the same transaction.
    pub vacating: BTreeSet<Value>,
}

/// Settles.
///
/// - `moving`: the rows that are written, and the values that each is to have, the oldest event first: of two that want
///   the same value the first may have it, as it would if events came in order. What a row has and does not want any
///   more, it gives away.
/// - `held`: rows and what they have now; at least who has the wanted values.
#[must_use]
pub fn settle<'a>(moving: &[(&'a str, Vec<Value>)], held: &[(&'a str, Value)]) -> Settlement<'a> {
    let holders: BTreeMap<Value, &str> = held.iter().map(|(row, value)| (*value, *row)).collect();
    let wishes: BTreeMap<&str, &[Value]> = moving
        .iter()
        .map(|(row, values)| (*row, values.as_slice()))
        .collect();
    let mut waiting: BTreeMap<&'a str, (&'a str, Value)> = BTreeMap::new();
    loop {
        let is_moving = |row: &str| wishes.contains_key(row) && !waiting.contains_key(row);
        let gives_away = |row: &str, value: &Value| is_moving(row) && !wishes[row].contains(value);
        let holder = |row: &str, values: &[Value]| {
            let keeps = |value: &Value| {
                let holder = *holders.get(value)?;
                (holder != row && !gives_away(holder, value)).then_some((holder, *value))
            };
            values.iter().find_map(keeps)
        };
        let still_moving = || moving.iter().filter(|(row, _)| is_moving(row));
        let mut blocked: Vec<Blocked<'a>> = still_moving()
            .filter_map(|(row, values)| Some((*row, holder(row, values)?)))
            .collect();
        if blocked.is_empty() {
            blocked = late(still_moving());
        }
        if blocked.is_empty() {
            let wanted = still_moving().flat_map(|(row, values)| {
                let goes =
                    |value: &&Value| holders.get(*value).is_some_and(|holder| *holder != *row);
                Vec::from_iter(values.iter().filter(goes).copied())
            });
            let vacating = wanted.collect();
            return Settlement { waiting, vacating };
        }
        // Who waits keeps the values that somebody else may have counted on.
        waiting.extend(blocked);
    }
}

/// A row, and what it has to wait for.
type Blocked<'a> = (&'a str, (&'a str, Value));

/// Rows that want what an earlier one takes, and which one that is.
fn late<'r, 'a: 'r>(moving: impl Iterator<Item = &'r (&'a str, Vec<Value>)>) -> Vec<Blocked<'a>> {
    let mut taken: BTreeMap<Value, &'a str> = BTreeMap::new();
    let mut late = Vec::new();
    for (row, values) in moving {
        let first = values
            .iter()
            .find_map(|value| Some((*taken.get(value)?, *value)));
        match first {
            Some(first) => late.push((*row, first)),
            None => taken.extend(values.iter().map(|value| (*value, *row))),
        }
    }
    late
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(name: &str) -> Value {
        let letter = name.bytes().next().unwrap_or_default();
        (
            usize::from(letter.is_ascii_uppercase()),
            letter.to_ascii_lowercase().into(),
        )
    }

    /// Values are letters, those of a second column capital ones.
    fn settled<'a>(
        moving: &[(&'a str, &'a [&'a str])],
        held: &[(&'a str, &'a str)],
    ) -> (Vec<(&'a str, &'a str)>, Vec<Value>) {
        let values = |names: &[&str]| names.iter().map(|name| value(name)).collect();
        let moving: Vec<_> = moving
            .iter()
            .map(|(row, names)| (*row, values(names)))
            .collect();
        let held: Vec<_> = held.iter().map(|(row, name)| (*row, value(name))).collect();
        let settlement = settle(&moving, &held);
        (
            settlement
                .waiting
                .into_iter()
                .map(|(row, (holder, _))| (row, holder))
                .collect(),
            settlement.vacating.into_iter().collect(),
        )
    }

    #[test]
    fn a_free_value_is_taken() {
        assert_eq!(settled(&[("a", &["x"])], &[("a", "y")]), (vec![], vec![]));
    }

    #[test]
    fn who_wants_a_value_that_another_keeps_waits_for_it() {
        assert_eq!(
            settled(&[("a", &["x"])], &[("b", "x")]),
            (vec![("a", "b")], vec![])
        );
    }

    #[test]
    fn two_who_swap_make_room_for_each_other() {
        let held = [("a", "x"), ("b", "y")];
        assert_eq!(
            settled(&[("a", &["y"]), ("b", &["x"])], &held),
            (vec![], vec![value("x"), value("y")])
        );
    }

    #[test]
    fn who_waits_holds_up_who_counted_on_its_value() {
        let held = [("a", "x"), ("b", "y"), ("c", "z")];
        assert_eq!(
            settled(&[("a", &["y"]), ("b", &["z"])], &held),
            (vec![("a", "b"), ("b", "c")], vec![])
        );
    }

    #[test]
    fn of_two_who_want_one_value_the_first_gets_it() {
        assert_eq!(
            settled(&[("b", &["x"]), ("a", &["x"])], &[]),
            (vec![("a", "b")], vec![])
        );
    }

    #[test]
    fn who_gives_a_value_up_for_nothing_makes_room() {
        assert_eq!(
            settled(&[("a", &[]), ("b", &["x"])], &[("a", "x")]),
            (vec![], vec![value("x")])
        );
    }

    #[test]
    fn two_columns_are_two_things() {
        let held = [("a", "x"), ("a", "X"), ("b", "y"), ("c", "Y")];
        assert_eq!(
            settled(&[("a", &["y", "Y"]), ("b", &["x", "Z"])], &held),
            (vec![("a", "c"), ("b", "a")], vec![])
        );
        assert_eq!(
            settled(&[("a", &["x", "Z"]), ("b", &["X"])], &held),
            (vec![], vec![value("X")])
        );
    }

    proptest! {
        /// Whoever does not wait can be written: the values stay unique.
        #[test]
        fn values_stay_unique(
            present in proptest::collection::btree_map(0_u8..6, (0_u8..6, 0_u8..6), 0..6),
            next in proptest::collection::vec((0_u8..6, proptest::option::of(0_u8..6), 0_u8..6), 0..6),
        ) {
            const ROWS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
            let name = |number: &u8| ROWS[usize::from(*number)];
            let mut table: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
            for (row, (first, second)) in &present {
                let values = vec![(0, i64::from(*first)), (1, i64::from(*second))];
                if !table.values().flatten().any(|held| values.contains(held)) {
                    table.insert(name(row), values);
                }
            }
            let mut moving: Vec<(&str, Vec<Value>)> = Vec::new();
            for (row, first, second) in &next {
                if !moving.iter().any(|(known, _)| *known == name(row)) {
                    let first = first.map(|first| (0, i64::from(first)));
                    let values = first.into_iter().chain([(1, i64::from(*second))]);
                    moving.push((name(row), values.collect()));
                }
            }
            let held: Vec<(&str, Value)> = table
                .iter()
                .flat_map(|(row, values)| values.iter().map(|value| (*row, *value)))
                .collect();
            let settlement = settle(&moving, &held);
            let goes = |(row, _): &(&str, Vec<Value>)| !settlement.waiting.contains_key(row);
            table.extend(moving.iter().filter(|row| goes(row)).cloned());
            let all: Vec<&Value> = table.values().flatten().collect();
            let unique: BTreeSet<&&Value> = all.iter().collect();
            prop_assert_eq!(unique.len(), all.len());
        }
    }
}
