//! The families that Clerk lists.
//!
//! What is known of the lists comes from Clerk's OpenAPI description (<https://github.com/clerk/openapi-specs>, the file
//! `bapi/2025-11-10.yml`) and from <https://clerk.com/docs/reference/backend-api>:
//!
//! - `limit` is 500 at the most, pages are counted by `offset`, and `order_by=+created_at` lists the oldest first. Nothing
//!   is said about objects of the same millisecond, nor whether `created_at` in the list of memberships is the
//!   membership's; [`pages`](super::pages) relies on neither.
//! - Organizations and memberships come as `{data, total_count}`, users as an array with a count of their own.
//! - The objects have the fields of those in webhooks (`webhooks/2025-04-15.yml`): a membership has its `organization` and
//!   its `public_user_data`. Only `members_count` of an organization has to be asked for.
//! - A membership cannot be asked for by its id, only by organization and user.
//! - Without organizations an instance answers 403, `organization_not_enabled_in_instance`.

use crate::tables::Tables;

/// A family that Clerk lists.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// As in the event types.
    pub name: &'static str,
    /// Some of its objects, in words.
    pub plural: &'static str,
    /// What its objects say of themselves in `object`.
    pub object: &'static str,
    /// Whether an instance may be without it.
    pub needs_organizations: bool,
    /// Where the list is, and its order; one more parameter may follow.
    pub(super) list: &'static str,
    /// Where it is told how many there are, if not with the list.
    pub(super) count: Option<&'static str>,
    /// Before and behind the id of a single object; `None`: it cannot be asked for by its id.
    pub(super) by_id: Option<(&'static str, &'static str)>,
}

/// All of them. A plus sign would be a space.
pub static LISTED: [Family; 3] = [
    Family {
        name: "user",
        plural: "users",
        object: "user",
        needs_organizations: false,
        list: "/v1/users?order_by=%2Bcreated_at",
        count: Some("/v1/users/count"),
        by_id: Some(("/v1/users/", "")),
    },
    Family {
        name: "organization",
        plural: "organizations",
        object: "organization",
        needs_organizations: true,
        list: "/v1/organizations?include_members_count=true&order_by=%2Bcreated_at",
        count: None,
        by_id: Some(("/v1/organizations/", "?include_members_count=true")),
    },
    Family {
        name: "organizationMembership",
        plural: "memberships",
        object: "organization_membership",
        needs_organizations: true,
        list: "/v1/organization_memberships?order_by=%2Bcreated_at",
        count: None,
        by_id: None,
    },
];

/// The families that are to be read: those of `names`, or else all that have a section.
///
/// # Errors
/// When Clerk has no list of one, or it has no section; in words.
pub(super) fn chosen(names: &[String], tables: &Tables) -> Result<Vec<&'static Family>, String> {
    let has_section = |family: &&Family| tables.section(family.name).is_some();
    let possible: Vec<&Family> = LISTED.iter().filter(has_section).collect();
    let have_both = possible.iter().map(|family| family.name);
    let have_both: Vec<&str> = have_both.collect();
    let unknown = |name: &&String| !have_both.contains(&name.as_str());
    if let Some(name) = names.iter().find(unknown) {
        let why = match LISTED.iter().any(|family| family.name == *name) {
            true => "has no section in the tables file",
            false => "is nothing that Clerk lists",
        };
        let expected = match have_both.join(", ") {
            none if none.is_empty() => "nothing".to_owned(),
            some => some,
        };
        return Err(format!(
            "--family: found {name:?}, which {why}, expected one of: {expected}"
        ));
    }
    if possible.is_empty() {
        let all = LISTED.iter().map(|family| format!("[{}]", family.name));
        let all = Vec::from_iter(all).join(", ");
        return Err(format!("the tables file has none of the sections {all}"));
    }
    let is_chosen =
        |family: &&Family| names.is_empty() || names.iter().any(|name| name == family.name);
    Ok(possible.into_iter().filter(is_chosen).collect())
}
