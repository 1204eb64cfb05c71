//! What kind of value Clerk says at a path, and which columns take it.

use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::name::quoted;
use crate::tables::path::{Computed, EventField, Path};

/// The characters that Clerk's ids have at the most.
pub(super) const ID_CHARACTERS: usize = 40;

/// What a path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// One of Clerk's ids.
    Id,
    Text,
    /// Milliseconds since the epoch.
    Time,
    /// A time in ISO 8601.
    Moment,
    Number,
    Boolean,
    Object,
    List,
    /// Whatever the application has put there, or what we do not know.
    Anything,
}

/// Fields of Clerk's users that always say this.
const FIELDS: [(Says, &[&str]); 7] = [
    (
        Says::Id,
        &[
            "primary_email_address_id",
            "primary_phone_number_id",
            "primary_web3_wallet_id",
        ],
    ),
    (
        Says::Text,
        &[
            "object",
            "username",
            "first_name",
            "last_name",
            "locale",
            "timezone",
            "image_url",
            "profile_image_url",
        ],
    ),
    (
        Says::Time,
        &[
            "last_sign_in_at",
            "mfa_enabled_at",
            "mfa_disabled_at",
            "password_last_updated_at",
            "legal_accepted_at",
            "last_active_at",
            "created_at",
            "updated_at",
        ],
    ),
    (
        Says::Number,
        &[
            "lockout_expires_in_seconds",
            "verification_attempts_remaining",
            "create_organizations_limit",
        ],
    ),
    (
        Says::Boolean,
        &[
            "has_image",
            "password_enabled",
            "two_factor_enabled",
            "totp_enabled",
            "backup_code_enabled",
            "banned",
            "locked",
            "deprovisioned",
            "create_organization_enabled",
            "delete_self_enabled",
        ],
    ),
    (
        Says::Object,
        &["public_metadata", "private_metadata", "unsafe_metadata"],
    ),
    (
        Says::List,
        &[
            "email_addresses",
            "phone_numbers",
            "web3_wallets",
            "passkeys",
            "external_accounts",
            "saml_accounts",
            "enterprise_accounts",
            "organization_memberships",
        ],
    ),
];

/// Those of users that Clerk never leaves empty.
const ALWAYS: [&str; 11] = [
    "object",
    "created_at",
    "updated_at",
    "has_image",
    "password_enabled",
    "two_factor_enabled",
    "banned",
    "locked",
    "public_metadata",
    "private_metadata",
    "unsafe_metadata",
];

impl Says {
    /// Of users we know all fields, and of any other object the id.
    pub(super) fn of(family: &str, path: &Path) -> Self {
        match path {
            Path::Null => Self::Anything,
            Path::Now => Self::Moment,
            Path::Event(EventField::Timestamp | EventField::ReceivedAt) => Self::Time,
            Path::Event(EventField::Id | EventField::Type | EventField::InstanceId) => Self::Text,
            Path::Data => Self::Object,
            Path::Computed(Computed::PrimaryEmailVerified) => Self::Boolean,
            Path::Computed(_) => Self::Text,
            Path::Field(steps) => match steps.as_slice() {
                [field] if field == "id" => Self::Id,
                [field] if family == "user" => {
                    let said = FIELDS
                        .iter()
                        .find(|(_, fields)| fields.contains(&field.as_str()));
                    said.map_or(Self::Anything, |(says, _)| *says)
                }
                _ => Self::Anything,
            },
        }
    }

    /// In words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Id => "one of Clerk's ids",
            Self::Text => "a text",
            Self::Time | Self::Moment => "a time",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Object => "an object",
            Self::List => "a list",
            Self::Anything => "anything",
        }
    }

    /// How a column of another type is made one that takes it, without losing what stands there.
    pub(super) fn change(self, column: &Column) -> String {
        let name = quoted(&column.name);
        match (self, &column.kind) {
            (Self::Time, Kind::Integer { .. }) => "TYPE bigint".to_owned(),
            (Self::Id | Self::Text | Self::Anything, _) => format!("TYPE text USING {name}::text"),
            (Self::Time | Self::Moment, _) => format!("TYPE timestamptz USING {name}::timestamptz"),
            (Self::Number, _) => format!("TYPE bigint USING {name}::bigint"),
            (Self::Boolean, _) => format!("TYPE boolean USING {name}::boolean"),
            (Self::Object | Self::List, _) => format!("TYPE jsonb USING to_jsonb({name})"),
        }
    }
}

/// Whether a path never says nothing.
pub(super) fn is_always_said(family: &str, path: &Path) -> bool {
    match path {
        Path::Now | Path::Data | Path::Event(_) => true,
        Path::Field(steps) => {
            let is_known = |field: &String| family == "user" && ALWAYS.contains(&field.as_str());
            matches!(steps.as_slice(), [field] if field == "id" || is_known(field))
        }
        Path::Null | Path::Computed(_) => false,
    }
}

/// Whether a column of this kind takes what is said; where a text may read as what it takes, it does.
pub(super) fn takes(kind: &Kind, says: Says) -> bool {
    // Milliseconds since the epoch.
    const A_TIME: i64 = 1_700_000_000_000;
    match (kind, says) {
        (_, Says::Anything) | (Kind::Json | Kind::Other, _) => true,
        (Kind::Text { .. } | Kind::Enum(_), says) => !matches!(says, Says::Object | Says::List),
        (Kind::Time | Kind::Date, says) => matches!(says, Says::Time | Says::Moment | Says::Number),
        (Kind::Boolean, says) => says == Says::Boolean,
        (Kind::Integer { greatest, .. }, Says::Time) => *greatest > A_TIME,
        (Kind::Integer { .. } | Kind::Numeric { .. } | Kind::Real, says) => {
            matches!(says, Says::Number | Says::Time)
        }
        // Clerk's lists are lists of objects.
        (Kind::Uuid | Kind::TextArray(_), _) => false,
    }
}
