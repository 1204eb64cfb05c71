//! What can happen at Clerk.

use rand::RngExt as _;
use rand::rngs::StdRng;

/// How many users an organization may have as members.
const USERS_OF_ONE: usize = 12;
/// How many of them are not those of the next one.
const USERS_BETWEEN: usize = 8;

/// Something that happens at Clerk. One that cannot happen, because an address or a name is taken or a user is
/// not there, makes no event.
#[derive(Clone, Debug)]
pub struct Step {
    /// What happens.
    pub action: Action,
    /// How its events follow on those before.
    pub tie: Tie,
}

/// What one user has at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Own {
    /// The primary e-mail address.
    Address,
    /// The username.
    Name,
}

/// What happens. Users, organizations, addresses and names are numbered; after a deletion the number is another one's.
#[derive(Clone, Debug)]
pub enum Action {
    /// The user changes, but keeps address and name. One who is not there yet signs up.
    Edit(usize),
    /// The user takes an address or a name, if it is free. One who is not there yet signs up with it.
    Take {
        /// Who.
        user: usize,
        /// What.
        own: Own,
        /// Which.
        number: usize,
    },
    /// Each of the users takes what the one before has.
    Pass {
        /// At least two who are there.
        users: Vec<usize>,
        /// What.
        own: Own,
        /// What becomes of the first.
        first: First,
    },
    /// Two users at a time swap what they have; afterwards each of them tells once what it is then.
    Swap(Vec<(Own, usize, usize)>),
    /// The user is deleted.
    Delete(usize),
    /// The user does something that nobody acts on.
    Other(usize),
    /// The organization changes, and takes a slug if it is free. One that is not there yet is founded.
    Organize {
        /// Which.
        organization: usize,
        /// Its slug.
        slug: usize,
    },
    /// The organization is deleted.
    Dissolve(usize),
    /// The user joins the organization, or gets another role in it. Who is not there yet signs up, or is founded.
    Join {
        /// Which.
        organization: usize,
        /// Who.
        user: usize,
        /// In which role.
        is_admin: bool,
    },
    /// The user leaves the organization.
    Leave {
        /// Which.
        organization: usize,
        /// Who.
        user: usize,
    },
}

/// What becomes of the first of those who pass on what they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// It takes a free one.
    Moves,
    /// It is deleted.
    Leaves,
    /// It takes that of the last: a swap, or a longer ring. Meanwhile it has a free one.
    Closes {
        /// Whether an event tells of that one. Clerk may send only what the user is in the end.
        told: bool,
    },
}

/// How an event follows on the event before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    /// It is of a later time.
    None,
    /// It has the same `updated_at`; if it is of the same user, its `timestamp` is later.
    UpdatedAt,
    /// If it is of the same user, the `timestamp` is the same too, and its svix-id is greater.
    Timestamp,
}

impl Step {
    pub(super) fn random(random: &mut StdRng, users: usize) -> Self {
        let mut one = || random.random_range(0..users);
        let (user, number) = (one(), one());
        let several: Vec<usize> = (0..4).map(|_| one()).collect();
        let first = match random.random_range(0..4) {
            0 => First::Moves,
            1 => First::Leaves,
            2 => First::Closes { told: true },
            _ => First::Closes { told: false },
        };
        let own = match random.random_range(0..3) {
            0 => Own::Name,
            _ => Own::Address,
        };
        let swaps = several.windows(2).zip([Own::Address, Own::Name, own]);
        let swaps = swaps.map(|(users, own)| (own, users[0], users[1]));
        let action = match random.random_range(0..21) {
            0..=7 => Action::Edit(user),
            8..=13 => Action::Take { user, own, number },
            14..=16 => Action::Pass {
                users: several[..random.random_range(2..=4)].to_vec(),
                own,
                first,
            },
            17..=18 => Action::Delete(user),
            19 => Action::Swap(swaps.collect()),
            _ => Action::Other(user),
        };
        Self {
            action,
            tie: Tie::random(random),
        }
    }

    /// Of organizations and their members. Each organization has users of its own who come and go, and shares some of
    /// them with the next one.
    pub(super) fn of_members(random: &mut StdRng, users: usize, organizations: usize) -> Self {
        let organization = random.random_range(0..organizations);
        let user = (organization * USERS_BETWEEN + random.random_range(0..USERS_OF_ONE)) % users;
        let action = match random.random_range(0..16) {
            0..=7 => Action::Join {
                organization,
                user,
                is_admin: random.random(),
            },
            8..=11 => Action::Leave { organization, user },
            12..=14 => Action::Organize {
                organization,
                slug: random.random_range(0..=organizations),
            },
            _ => Action::Dissolve(organization),
        };
        Self {
            action,
            tie: Tie::random(random),
        }
    }
}

impl Tie {
    fn random(random: &mut StdRng) -> Self {
        match random.random_range(0..8) {
            0 => Self::UpdatedAt,
            1 => Self::Timestamp,
            _ => Self::None,
        }
    }
}
