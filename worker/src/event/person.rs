//! What Clerk says of a user in more than one field.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::value::RawValue;

use crate::event::fields::{Fields, find};
use crate::event::text::{exact, is_blank, lossy};
use crate::tables::path::Computed;

/// How a user can be reached: several entries, one of which may be the primary one.
struct Contact {
    primary_id: &'static str,
    entries: &'static str,
    /// The field of an entry that says what it is about.
    entry: &'static str,
}

const EMAIL: Contact = Contact {
    primary_id: "primary_email_address_id",
    entries: "email_addresses",
    entry: "email_address",
};
const PHONE: Contact = Contact {
    primary_id: "primary_phone_number_id",
    entries: "phone_numbers",
    entry: "phone_number",
};
const WALLET: Contact = Contact {
    primary_id: "primary_web3_wallet_id",
    entries: "web3_wallets",
    entry: "web3_wallet",
};

const NAMES: [&str; 2] = ["first_name", "last_name"];
/// Where a membership has its user.
const MEMBER: &str = "public_user_data";

/// The fields that it takes.
pub(crate) const fn fields(computed: Computed) -> &'static [&'static str] {
    match computed {
        Computed::FullName => &NAMES,
        Computed::MemberFullName => &[MEMBER],
        Computed::PrimaryEmailAddress
        | Computed::PrimaryEmailVerified
        | Computed::PrimaryEmailLocalPart => &[EMAIL.primary_id, EMAIL.entries],
        Computed::PrimaryPhoneNumber => &[PHONE.primary_id, PHONE.entries],
        Computed::PrimaryWeb3Wallet => &[WALLET.primary_id, WALLET.entries],
    }
}

/// A user; what is primary is looked for once.
pub(crate) struct Person<'a> {
    fields: &'a Fields<'a>,
    email: OnceCell<Option<Entry<'a>>>,
    phone: OnceCell<Option<Entry<'a>>>,
    wallet: OnceCell<Option<Entry<'a>>>,
}

/// An entry of the ways to reach a user.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// What it is about, as it stands there.
    pub(crate) says: Option<&'a RawValue>,
    verification: Option<&'a RawValue>,
}

impl<'a> Person<'a> {
    pub(crate) const fn new(fields: &'a Fields<'a>) -> Self {
        Self {
            fields,
            email: OnceCell::new(),
            phone: OnceCell::new(),
            wallet: OnceCell::new(),
        }
    }

    /// The names that are not blank, joined.
    pub(crate) fn full_name(&self) -> Cow<'a, str> {
        joined(NAMES.map(|name| self.fields.get(name)))
    }

    /// The same of a membership's user.
    pub(crate) fn member_full_name(&self) -> Cow<'a, str> {
        let mut found = [None; 2];
        let member = self.fields.get(MEMBER);
        match member.map(|member| find(member, &NAMES, &mut found)) {
            Some(Ok(())) => joined(found),
            _ => Cow::default(),
        }
    }

    /// The entry that the value comes from; none of a name.
    pub(crate) fn primary(&self, computed: Computed) -> Option<Entry<'a>> {
        let (contact, entry) = match computed {
            Computed::FullName | Computed::MemberFullName => return None,
            Computed::PrimaryEmailAddress
            | Computed::PrimaryEmailVerified
            | Computed::PrimaryEmailLocalPart => (EMAIL, &self.email),
            Computed::PrimaryPhoneNumber => (PHONE, &self.phone),
            Computed::PrimaryWeb3Wallet => (WALLET, &self.wallet),
        };
        *entry.get_or_init(|| contact.primary(self.fields))
    }
}

fn joined(names: [Option<&RawValue>; 2]) -> Cow<'_, str> {
    let [first, last] = names.map(|name| {
        let name = name.and_then(lossy).filter(|name| !is_blank(name));
        name.unwrap_or_default()
    });
    match (first.is_empty(), last.is_empty()) {
        (false, false) => format!("{first} {last}").into(),
        (false, true) => first,
        (true, _) => last,
    }
}

impl Contact {
    /// The first entry whose id is the primary one. What stands beside it, readable or not, does not matter.
    fn primary<'a>(&self, fields: &Fields<'a>) -> Option<Entry<'a>> {
        let primary_id = exact(fields.get(self.primary_id)?)?;
        let entries: Vec<&RawValue> = serde_json::from_str(fields.get(self.entries)?.get()).ok()?;
        let names = ["id", self.entry, "verification"];
        entries.into_iter().find_map(|entry| {
            let mut found = [None; 3];
            find(entry, &names, &mut found).ok()?;
            let [id, says, verification] = found;
            (exact(id?)? == primary_id).then_some(Entry { says, verification })
        })
    }
}

impl Entry<'_> {
    pub(crate) fn is_verified(&self) -> bool {
        self.verification.is_some_and(is_verified)
    }
}

/// Whether the `status` of a `verification` says so.
pub(crate) fn is_verified(verification: &RawValue) -> bool {
    let mut status = [None];
    find(verification, &["status"], &mut status).is_ok()
        && status[0].and_then(exact).as_deref() == Some("verified")
}
