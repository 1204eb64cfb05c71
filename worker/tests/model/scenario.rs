//! What happened at Clerk, and what the table must be in the end.

/// How many users a history has at the most.
pub(crate) const USERS: usize = 2;
/// How many events a history has at the most.
pub(crate) const EVENTS: usize = 4;

/// An event, by its place in the order of `updated_at`.
pub(crate) type Event = usize;

/// What an event does: the user gets this address, or is deleted.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    pub(crate) user: usize,
    pub(crate) address: Option<&'static str>,
}

/// A history, and how much may go wrong while it is applied.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// The events, in the order of `updated_at`. They arrive in any order.
    pub(crate) events: &'static [Change],
    /// How many of them have been applied before it begins.
    pub(crate) past: usize,
    /// An event that the database refuses until an operator has mended the cause.
    pub(crate) refused: Option<Event>,
    /// How many entries a batch has at the most.
    pub(crate) batch_size: usize,
    /// How many faults happen at the most, of any kind and at any moment.
    pub(crate) faults: u8,
}

const fn has(user: usize, address: &'static str) -> Change {
    Change {
        user,
        address: Some(address),
    }
}

const fn is_deleted(user: usize) -> Change {
    Change {
        user,
        address: None,
    }
}

/// A user is created, changed and deleted.
pub(crate) const ONE_LIFE: Scenario = Scenario {
    events: &[has(0, "x"), has(0, "y"), is_deleted(0)],
    past: 0,
    refused: None,
    batch_size: 1,
    faults: 2,
};

/// A user changes twice while a worker may read both changes at once.
pub(crate) const TWO_CHANGES: Scenario = Scenario {
    events: &[has(0, "x"), has(0, "y"), has(0, "z")],
    past: 1,
    refused: None,
    batch_size: 2,
    faults: 2,
};

/// An address goes from a user, who gets another one, to a new user: whose event may come first and
/// is then parked.
pub(crate) const HAND_OVER: Scenario = Scenario {
    events: &[has(0, "x"), has(0, "y"), has(1, "x")],
    past: 0,
    refused: None,
    batch_size: 1,
    faults: 1,
};

/// Two users swap their addresses: possible only in one transaction, although no batch holds both.
pub(crate) const SWAP: Scenario = Scenario {
    events: &[has(0, "x"), has(1, "y"), has(0, "y"), has(1, "x")],
    past: 2,
    refused: None,
    batch_size: 1,
    faults: 2,
};

/// The database refuses an event; it is dead-lettered, and replayed once the cause is mended.
pub(crate) const REFUSAL: Scenario = Scenario {
    events: &[has(0, "x")],
    past: 0,
    refused: Some(0),
    batch_size: 2,
    faults: 3,
};

/// The same with a neighbour that is not refused, perhaps in the same batch.
pub(crate) const NEIGHBOUR: Scenario = Scenario {
    events: &[has(0, "x"), has(1, "y")],
    refused: Some(1),
    faults: 1,
    ..REFUSAL
};

/// The table after `events` in this order, each row by the event that wrote it.
pub(crate) fn reference<'a>(
    events: impl Iterator<Item = (Event, &'a Change)>,
) -> [Option<Event>; USERS] {
    let (mut rows, mut deleted) = ([None; USERS], [false; USERS]);
    for (event, change) in events {
        deleted[change.user] |= change.address.is_none();
        rows[change.user] = (!deleted[change.user]).then_some(event);
    }
    rows
}
