//! The obvious wrong orders, and that the checker finds what each of them breaks.

use crate::check;
use crate::promises::{CONVERGES, DURABLE, FINISHES, NOT_STALE, ONCE, ONE_PLACE, WAKES};
use crate::scenario::{HAND_OVER, ONE_LIFE, REFUSAL, SWAP, Scenario, TWO_CHANGES};

/// One thing done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// XACK and XDEL, then the transaction.
    AcknowledgeBeforeCommit,
    /// Tags are deleted, then the transaction.
    TagsBeforeCommit,
    /// The ledger is written in a transaction of its own, before the change.
    LedgerBeforeTransaction,
    /// The ledger is written in a transaction of its own, after the change.
    LedgerAfterTransaction,
    /// A deletion removes the user's version.
    NoTombstone,
    /// Who is newer is decided from a snapshot, without the row lock.
    NoRowLock,
    /// 2xx, then XADD.
    AnswerBeforeXadd,
    /// No tags are deleted for what stands in the ledger already, and nobody is woken.
    TagsOfAppliedOnly,
    /// The entry is removed from the stream, then added to those that wait.
    ParkInTwoSteps,
    /// dead_letter.lua without looking who holds the entry.
    ZombieDeadLetters,
    /// A worker commits without asking whether it still holds the entries.
    NoFence,
    /// A worker claims back what was taken from it while it was at it.
    TakesBackItsOwn,
    /// Who has written a letter does not ask whether the event was applied in the meantime.
    NoSecondLook,
    /// Of several copies of a refused event in a batch, one is dead-lettered and the others finished.
    FinishesCopies,
    /// What is finished keeps the letter of another copy.
    FinishingLeavesLetter,
    /// Nobody claims what a dead worker has read.
    NoTakeOver,
    /// Who waits for an address does not look for others that wait.
    NoRing,
    /// Nobody puts back what waits.
    NoUnpark,
    /// Who is registered does not look again whether what it waits for has changed.
    NoLookAgain,
    /// What is parked is due as late as it is to be, before anybody has looked again.
    DueLateAtOnce,
    /// Who waits is looked for when the entries are gone.
    WakingAfterFinish,
}

fn breaks(defect: Defect, scenario: Scenario, promise: &'static str) {
    // One fault is enough for each of them.
    let scenario = Scenario {
        faults: 1,
        ..scenario
    };
    let found = check::counter_example(scenario, Some(defect), promise);
    assert!(found.is_some(), "{defect:?} goes unnoticed: {promise}");
}

/// P1
#[test]
fn acknowledging_before_the_commit_loses_events() {
    breaks(Defect::AcknowledgeBeforeCommit, ONE_LIFE, DURABLE);
}

/// P1
#[test]
fn answering_before_xadd_loses_events() {
    breaks(Defect::AnswerBeforeXadd, ONE_LIFE, DURABLE);
}

/// P1
#[test]
fn parking_in_two_steps_loses_events() {
    breaks(Defect::ParkInTwoSteps, HAND_OVER, DURABLE);
}

/// P1
#[test]
fn finishing_the_copies_of_a_dead_letter_loses_events() {
    breaks(Defect::FinishesCopies, REFUSAL, DURABLE);
}

/// P3
#[test]
fn a_ledger_written_before_the_transaction_tells_of_changes_that_never_were() {
    breaks(Defect::LedgerBeforeTransaction, ONE_LIFE, ONCE);
}

/// P3
#[test]
fn a_ledger_written_after_the_transaction_does_not_know_of_changes() {
    breaks(Defect::LedgerAfterTransaction, ONE_LIFE, ONCE);
}

/// P4
#[test]
fn without_a_tombstone_a_deleted_user_is_back() {
    breaks(Defect::NoTombstone, ONE_LIFE, CONVERGES);
}

/// P4
#[test]
fn without_the_row_lock_a_deleted_user_is_back() {
    breaks(Defect::NoRowLock, ONE_LIFE, CONVERGES);
}

/// P4
#[test]
fn without_the_row_lock_an_older_change_overwrites_a_newer_one() {
    breaks(Defect::NoRowLock, TWO_CHANGES, CONVERGES);
}

/// P5
#[test]
fn who_dead_letters_what_another_holds_leaves_it_in_two_places() {
    breaks(Defect::ZombieDeadLetters, REFUSAL, ONE_PLACE);
}

/// P5
#[test]
fn a_slow_worker_without_a_fence_applies_what_another_has_dead_lettered() {
    breaks(Defect::NoFence, REFUSAL, ONE_PLACE);
}

/// P5
#[test]
fn who_takes_back_its_own_entry_dead_letters_what_another_applies() {
    breaks(Defect::TakesBackItsOwn, REFUSAL, ONE_PLACE);
}

/// P5
#[test]
fn who_does_not_look_again_dead_letters_what_was_applied_in_the_meantime() {
    breaks(Defect::NoSecondLook, REFUSAL, ONE_PLACE);
}

/// P5
#[test]
fn finishing_without_dropping_the_letter_leaves_an_event_in_two_places() {
    breaks(Defect::FinishingLeavesLetter, REFUSAL, ONE_PLACE);
}

/// P7
#[test]
fn deleting_tags_before_the_commit_leaves_an_old_row_cached() {
    breaks(Defect::TagsBeforeCommit, ONE_LIFE, NOT_STALE);
}

/// P7
#[test]
fn deleting_no_tags_for_duplicates_leaves_an_old_row_cached() {
    breaks(Defect::TagsOfAppliedOnly, ONE_LIFE, NOT_STALE);
}

/// Nothing is accepted that is never finished.
#[test]
fn without_take_over_a_death_holds_up_an_event_for_ever() {
    breaks(Defect::NoTakeOver, ONE_LIFE, FINISHES);
}

/// Nothing is accepted that is never finished.
#[test]
fn what_is_parked_and_never_comes_back_is_never_finished() {
    breaks(Defect::NoUnpark, HAND_OVER, FINISHES);
}

/// Nothing is accepted that is never finished.
#[test]
fn who_does_not_look_for_a_ring_never_swaps() {
    breaks(Defect::NoRing, SWAP, FINISHES);
}

/// No wake-up is lost.
#[test]
fn who_does_not_look_again_once_it_is_registered_is_not_woken() {
    breaks(Defect::NoLookAgain, HAND_OVER, WAKES);
}

/// No wake-up is lost.
#[test]
fn who_is_due_late_before_its_worker_has_looked_again_is_not_woken_if_that_dies() {
    breaks(Defect::DueLateAtOnce, HAND_OVER, WAKES);
}

/// No wake-up is lost.
#[test]
fn who_wakes_when_the_entries_are_gone_may_die_before() {
    breaks(Defect::WakingAfterFinish, HAND_OVER, WAKES);
}

/// No wake-up is lost.
#[test]
fn who_wakes_nobody_for_duplicates_may_take_over_too_late() {
    breaks(Defect::TagsOfAppliedOnly, HAND_OVER, WAKES);
}
