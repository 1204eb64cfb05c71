//! What Clerk says in which field.

/// The characters that Clerk's ids have at the most.
pub(crate) const ID_CHARACTERS: usize = 40;

/// What a path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
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

/// A field of `data`.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) says: Says,
    /// Whether Clerk never leaves it empty.
    pub(crate) is_always_said: bool,
}

/// Those of a user: `UserJSON` of `@clerk/backend` 3.25, and what Clerk sends besides.
pub(crate) const USER: [Field; 45] = [
    always("id", Says::Id),
    always("object", Says::Text),
    sometimes("username", Says::Text),
    sometimes("first_name", Says::Text),
    sometimes("last_name", Says::Text),
    sometimes("locale", Says::Text),
    sometimes("timezone", Says::Text),
    sometimes("external_id", Says::Anything),
    sometimes("image_url", Says::Text),
    sometimes("profile_image_url", Says::Text),
    always("has_image", Says::Boolean),
    sometimes("primary_email_address_id", Says::Id),
    sometimes("primary_phone_number_id", Says::Id),
    sometimes("primary_web3_wallet_id", Says::Id),
    always("password_enabled", Says::Boolean),
    always("two_factor_enabled", Says::Boolean),
    sometimes("totp_enabled", Says::Boolean),
    sometimes("backup_code_enabled", Says::Boolean),
    sometimes("email_addresses", Says::List),
    sometimes("phone_numbers", Says::List),
    sometimes("web3_wallets", Says::List),
    sometimes("passkeys", Says::List),
    sometimes("external_accounts", Says::List),
    sometimes("saml_accounts", Says::List),
    sometimes("enterprise_accounts", Says::List),
    sometimes("organization_memberships", Says::List),
    always("public_metadata", Says::Object),
    always("private_metadata", Says::Object),
    always("unsafe_metadata", Says::Object),
    sometimes("last_sign_in_at", Says::Time),
    always("banned", Says::Boolean),
    always("locked", Says::Boolean),
    sometimes("deprovisioned", Says::Boolean),
    sometimes("lockout_expires_in_seconds", Says::Number),
    sometimes("verification_attempts_remaining", Says::Number),
    sometimes("mfa_enabled_at", Says::Time),
    sometimes("mfa_disabled_at", Says::Time),
    sometimes("password_last_updated_at", Says::Time),
    sometimes("legal_accepted_at", Says::Time),
    sometimes("create_organization_enabled", Says::Boolean),
    sometimes("create_organizations_limit", Says::Number),
    sometimes("delete_self_enabled", Says::Boolean),
    sometimes("last_active_at", Says::Time),
    always("created_at", Says::Time),
    always("updated_at", Says::Time),
];

const fn always(name: &'static str, says: Says) -> Field {
    Field {
        name,
        says,
        is_always_said: true,
    }
}

const fn sometimes(name: &'static str, says: Says) -> Field {
    Field {
        name,
        says,
        is_always_said: false,
    }
}
