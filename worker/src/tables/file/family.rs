//! What is known of a family of Clerk's objects.

use crate::tables::fields;
use crate::tables::file::nearest::nearest;
use crate::tables::path::{Computed, EventField, Path};

/// The names of a user's fields.
const USER_FIELDS: [&str; fields::USER.len()] = {
    let mut names = [""; fields::USER.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = fields::USER[place].name;
        place += 1;
    }
    names
};

/// A family: what stands before the dot in the event types.
#[derive(Clone, Copy)]
pub(super) struct Family<'a> {
    pub(super) name: &'a str,
    /// The fields of `data` that Clerk sends: `@clerk/backend` has them. None where we do not know them.
    fields: &'static [&'static str],
    /// What takes more than one field.
    computed: &'static [Path],
    /// What applications call it, and which path says it.
    words: &'static [(&'static str, &'static str)],
    /// The fields of a deletion's `data`; none where it has all of them.
    deletion: &'static [&'static str],
}

/// Families whose fields we know.
const KNOWN: [&Family<'_>; 5] = [
    &USER,
    &ORGANIZATION,
    &MEMBERSHIP,
    &INVITATION,
    &WAITLIST_ENTRY,
];

/// Those whose fields we do not know. <https://clerk.com/docs/webhooks/overview>
const OTHERS: [&str; 10] = [
    "session",
    "role",
    "permission",
    "email",
    "sms",
    "organizationDomain",
    "subscription",
    "subscriptionItem",
    "paymentAttempt",
    "commercePlan",
];

/// Fields with which somebody can sign in: links of invitations, and messages with a one-time code or a link. The last two
/// are those of `EmailJSON` and `SMSMessageJSON`.
const SECRETS: [(&str, &[&str]); 4] = [
    ("organizationInvitation", &["url"]),
    ("waitlistEntry", &["invitation.url"]),
    ("email", &["subject", "body", "body_plain", "data"]),
    ("sms", &["message", "data"]),
];

/// Paths that any family has.
pub(super) const COMMON: [Path; 8] = [
    Path::Null,
    Path::Now,
    Path::Data,
    Path::Event(EventField::Id),
    Path::Event(EventField::Type),
    Path::Event(EventField::Timestamp),
    Path::Event(EventField::ReceivedAt),
    Path::Event(EventField::InstanceId),
];

const USER: Family<'_> = Family {
    name: "user",
    fields: &USER_FIELDS,
    computed: &[
        Path::Computed(Computed::FullName),
        Path::Computed(Computed::PrimaryEmailAddress),
        Path::Computed(Computed::PrimaryEmailVerified),
        Path::Computed(Computed::PrimaryEmailLocalPart),
        Path::Computed(Computed::PrimaryPhoneNumber),
        Path::Computed(Computed::PrimaryWeb3Wallet),
    ],
    words: &[
        ("email", "primary_email_address"),
        ("name", "full_name"),
        ("phone", "primary_phone_number"),
        ("avatar", "image_url"),
        ("picture", "image_url"),
        ("metadata", "public_metadata"),
        ("role", "public_metadata.role"),
        ("nickname", "username"),
        ("clerk_id", "id"),
        ("user_id", "id"),
    ],
    deletion: DELETION,
};

/// `OrganizationJSON`.
const ORGANIZATION: Family<'_> = Family {
    name: "organization",
    fields: &[
        "id",
        "object",
        "name",
        "slug",
        "image_url",
        "logo_url",
        "has_image",
        "created_by",
        "members_count",
        "pending_invitations_count",
        "max_allowed_memberships",
        "admin_delete_enabled",
        "public_metadata",
        "private_metadata",
        "created_at",
        "updated_at",
    ],
    computed: &[],
    words: &[("avatar", "image_url"), ("metadata", "public_metadata")],
    deletion: DELETION,
};

/// `OrganizationMembershipJSON`.
const MEMBERSHIP: Family<'_> = Family {
    name: "organizationMembership",
    fields: &[
        "id",
        "object",
        "organization",
        "public_user_data",
        "role",
        "role_name",
        "permissions",
        "public_metadata",
        "private_metadata",
        "created_at",
        "updated_at",
    ],
    computed: &[Path::Computed(Computed::MemberFullName)],
    words: &[
        ("name", "full_name"),
        ("organization_id", "organization.id"),
        ("user_id", "public_user_data.user_id"),
        ("metadata", "public_metadata"),
    ],
    deletion: &[],
};

/// `OrganizationInvitationJSON`.
const INVITATION: Family<'_> = Family {
    name: "organizationInvitation",
    fields: &[
        "id",
        "object",
        "email_address",
        "organization_id",
        "public_organization_data",
        "role",
        "role_name",
        "status",
        "url",
        "public_metadata",
        "private_metadata",
        "expires_at",
        "created_at",
        "updated_at",
    ],
    computed: &[],
    words: &[("email", "email_address"), ("metadata", "public_metadata")],
    deletion: DELETION,
};

/// `WaitlistEntryJSON`.
const WAITLIST_ENTRY: Family<'_> = Family {
    name: "waitlistEntry",
    fields: &[
        "id",
        "object",
        "email_address",
        "status",
        "is_locked",
        "invitation",
        "created_at",
        "updated_at",
    ],
    computed: &[],
    words: &[("email", "email_address")],
    deletion: DELETION,
};

/// What most deletions say of the object that is gone.
const DELETION: &[&str] = &["id", "slug", "external_id"];

/// The names of those that we know.
pub(super) fn families<'a>() -> impl Iterator<Item = &'a str> {
    KNOWN.iter().map(|family| family.name).chain(OTHERS)
}

impl<'a> Family<'a> {
    /// The family that is called so.
    pub(super) fn of(name: &'a str) -> Self {
        let known = KNOWN.into_iter().find(|family| family.name == name);
        known.copied().unwrap_or(Family {
            name,
            fields: &[],
            computed: &[],
            words: &[],
            deletion: DELETION,
        })
    }

    /// Whether it is one of those that we know.
    pub(super) fn is_known(&self) -> bool {
        families().any(|name| name == self.name)
    }

    /// The one that somebody may have meant.
    pub(super) fn meant(&self) -> Option<&'static str> {
        nearest(self.name, families())
    }

    /// The fields of a deletion's `data`; none where it has all of them.
    pub(super) const fn deletion(&self) -> &'static [&'static str] {
        self.deletion
    }

    /// What takes more than one field, by its name.
    pub(super) fn computed(&self, name: &str) -> Option<&'static Path> {
        self.computed.iter().find(|path| path.to_string() == name)
    }

    pub(super) fn has_field(&self, name: &str) -> bool {
        self.fields.is_empty() || self.fields.contains(&name)
    }

    /// Whether somebody can sign in with what `path` says, all or part of it.
    pub(super) fn is_secret(&self, path: &str) -> bool {
        let is_in = |path: &str, whole: &str| {
            let rest = path.strip_prefix(whole);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        SECRETS.iter().any(|(family, secrets)| {
            let mut secrets = secrets.iter();
            *family == self.name && secrets.any(|secret| is_in(path, secret) || is_in(secret, path))
        })
    }

    /// The path that somebody may have meant, or else one that is a path.
    pub(super) fn expected(&self, text: &str) -> String {
        match self.nearest(text) {
            Some(path) => format!("{path:?}"),
            None => "a path, such as \"created_at\"".to_owned(),
        }
    }

    fn nearest(&self, text: &str) -> Option<String> {
        let fields = self.fields.iter().map(ToString::to_string);
        let computed = self.computed.iter().chain(&COMMON).map(ToString::to_string);
        let paths = computed.chain(fields).map(|path| (path.clone(), path));
        let words = self.words.iter();
        let words = words.map(|(word, path)| ((*word).to_owned(), (*path).to_owned()));
        let names: Vec<_> = words.chain(paths).collect();
        let nearest = nearest(text, names.iter().map(|(name, _)| name.as_str()))?;
        let path = names.iter().find(|(name, _)| name == nearest);
        path.map(|(_, path)| path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_path_is_what_somebody_has_meant() {
        for (word, path) in [
            ("email", "primary_email_address"),
            ("e_mail", "primary_email_address"),
            ("emails", "primary_email_address"),
            ("email_address", "email_addresses"),
            ("primaryEmail", "primary_email_address"),
            ("firstName", "first_name"),
            ("fullname", "full_name"),
            ("phoneNumbers", "phone_numbers"),
            ("imageUrl", "image_url"),
            ("avatar_url", "image_url"),
            ("createdAt", "created_at"),
            ("publicMetadata", "public_metadata"),
            ("user_name", "username"),
            ("role", "public_metadata.role"),
            ("clerkId", "id"),
            ("ID", "id"),
            ("last_sign_in", "last_sign_in_at"),
            ("event.time", "event.timestamp"),
        ] {
            assert_eq!(USER.nearest(word).as_deref(), Some(path), "{word}");
        }
        for word in ["free", "MEMBER", "admin", "favourite_colour", "theme", ""] {
            assert_eq!(USER.nearest(word), None, "{word}");
        }
    }
}
