//! Where in an event a value stands.

/// A path of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `null`: nothing.
    Null,
    /// `now`: the worker's clock.
    Now,
    /// `event.…`
    Event(EventField),
    /// `data`: the whole object.
    Data,
    /// What no field of `data` says by itself.
    Computed(Computed),
    /// A field of `data`, then what stands in it: a name, or a number for a place in an array. At least one.
    Field(Vec<String>),
}

/// What an event says besides its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventField {
    /// `event.id`: the svix-id.
    Id,
    /// `event.type`
    Type,
    /// `event.timestamp`: when Clerk sent it.
    Timestamp,
    /// `event.received_at`: when the ingest received it.
    ReceivedAt,
    /// `event.instance_id`: which of Clerk's instances.
    InstanceId,
}

/// Values that take more than one field; of a user, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Computed {
    /// `full_name`: the names that are not blank, joined by a space.
    FullName,
    /// `full_name` of a membership: the same, of its user.
    MemberFullName,
    /// `primary_email_address`
    PrimaryEmailAddress,
    /// `primary_email_verified`: whether it is.
    PrimaryEmailVerified,
    /// `primary_email_local_part`: what stands before the last @.
    PrimaryEmailLocalPart,
    /// `primary_phone_number`
    PrimaryPhoneNumber,
    /// `primary_web3_wallet`
    PrimaryWeb3Wallet,
}

impl Path {
    /// Whether what it says is another thing each time, though Clerk's object is the same.
    #[must_use]
    pub const fn is_of_the_event(&self) -> bool {
        matches!(self, Self::Now | Self::Event(_))
    }

    /// The field of `data` that it begins with.
    #[must_use]
    pub fn first_field(&self) -> Option<&str> {
        match self {
            Self::Field(steps) => steps.first().map(String::as_str),
            _ => None,
        }
    }

    /// Whether it says somebody's name, which may be cut where there is no room for it.
    #[must_use]
    pub fn is_a_name(&self) -> bool {
        const NAMES: [&str; 5] = ["name", "first_name", "last_name", "full_name", "username"];
        match self {
            Self::Computed(Computed::FullName | Computed::MemberFullName) => true,
            Self::Field(steps) => steps
                .last()
                .is_some_and(|last| NAMES.contains(&last.as_str())),
            _ => false,
        }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Null => "null",
            Self::Now => "now",
            Self::Data => "data",
            Self::Event(EventField::Id) => "event.id",
            Self::Event(EventField::Type) => "event.type",
            Self::Event(EventField::Timestamp) => "event.timestamp",
            Self::Event(EventField::ReceivedAt) => "event.received_at",
            Self::Event(EventField::InstanceId) => "event.instance_id",
            Self::Computed(Computed::FullName | Computed::MemberFullName) => "full_name",
            Self::Computed(Computed::PrimaryEmailAddress) => "primary_email_address",
            Self::Computed(Computed::PrimaryEmailVerified) => "primary_email_verified",
            Self::Computed(Computed::PrimaryEmailLocalPart) => "primary_email_local_part",
            Self::Computed(Computed::PrimaryPhoneNumber) => "primary_phone_number",
            Self::Computed(Computed::PrimaryWeb3Wallet) => "primary_web3_wallet",
            Self::Field(steps) => return formatter.write_str(&steps.join(".")),
        })
    }
}
