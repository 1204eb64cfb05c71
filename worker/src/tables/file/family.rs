//! What is known of a family of Clerk's objects.

use crate::tables::file::nearest::nearest;
use crate::tables::path::{Computed, EventField, Path};

/// A family: what stands before the dot in the event types.
pub(super) struct Family {
    pub(super) name: &'static str,
    /// The fields of `data` that Clerk sends: `@clerk/backend` has them.
    fields: &'static [&'static str],
    /// What takes more than one field.
    computed: &'static [Path],
    /// What applications call it, and which path says it.
    words: &'static [(&'static str, &'static str)],
    /// The fields of a deletion's `data`.
    pub(super) deletion: &'static [&'static str],
}

/// Families that may have a section.
pub(super) const FAMILIES: [&Family; 1] = [&USER];

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

/// `UserJSON` of `@clerk/backend` 3.25, and what Clerk sends besides.
pub(super) const USER: Family = Family {
    name: "user",
    fields: &[
        "id",
        "object",
        "username",
        "first_name",
        "last_name",
        "locale",
        "timezone",
        "external_id",
        "image_url",
        "profile_image_url",
        "has_image",
        "primary_email_address_id",
        "primary_phone_number_id",
        "primary_web3_wallet_id",
        "password_enabled",
        "two_factor_enabled",
        "totp_enabled",
        "backup_code_enabled",
        "email_addresses",
        "phone_numbers",
        "web3_wallets",
        "passkeys",
        "external_accounts",
        "saml_accounts",
        "enterprise_accounts",
        "organization_memberships",
        "public_metadata",
        "private_metadata",
        "unsafe_metadata",
        "last_sign_in_at",
        "banned",
        "locked",
        "deprovisioned",
        "lockout_expires_in_seconds",
        "verification_attempts_remaining",
        "mfa_enabled_at",
        "mfa_disabled_at",
        "password_last_updated_at",
        "legal_accepted_at",
        "create_organization_enabled",
        "create_organizations_limit",
        "delete_self_enabled",
        "last_active_at",
        "created_at",
        "updated_at",
    ],
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
        ("metadata", "public_metadata"),
    ],
    deletion: &["id", "slug", "external_id"],
};

impl Family {
    /// What takes more than one field, by its name.
    pub(super) fn computed(&self, name: &str) -> Option<&'static Path> {
        self.computed.iter().find(|path| path.to_string() == name)
    }

    pub(super) fn has_field(&self, name: &str) -> bool {
        self.fields.contains(&name)
    }

    /// The path that somebody may have meant.
    pub(super) fn nearest(&self, text: &str) -> String {
        let fields = self.fields.iter().map(ToString::to_string);
        let computed = self.computed.iter().chain(&COMMON).map(ToString::to_string);
        let paths = computed.chain(fields).map(|path| (path.clone(), path));
        let words = self.words.iter();
        let words = words.map(|(word, path)| ((*word).to_owned(), (*path).to_owned()));
        let names: Vec<_> = words.chain(paths).collect();
        let nearest = nearest(text, names.iter().map(|(name, _)| name.as_str()));
        let path = names.iter().find(|(name, _)| name == nearest);
        path.map_or_else(String::new, |(_, path)| path.clone())
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
            ("ID", "id"),
            ("last_sign_in", "last_sign_in_at"),
            ("event.time", "event.timestamp"),
        ] {
            assert_eq!(USER.nearest(word), path, "{word}");
        }
    }
}
