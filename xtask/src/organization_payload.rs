//! Bodies of Clerk's events about organizations and memberships, with all the fields of real ones.

use std::sync::LazyLock;

use serde_json::{Value, json};

static ORGANIZATION: LazyLock<Value> = LazyLock::new(|| {
    template(include_str!(
        "../../shared/fixtures/organization.updated.json"
    ))
});
static ORGANIZATION_DELETED: LazyLock<Value> = LazyLock::new(|| {
    template(include_str!(
        "../../shared/fixtures/organization.deleted.json"
    ))
});
static MEMBERSHIP: LazyLock<Value> = LazyLock::new(|| {
    template(include_str!(
        "../../shared/fixtures/organizationMembership.updated.json"
    ))
});

/// A fixture that is not JSON becomes `null` here; the tests below would see it.
fn template(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// One organization. Times are in milliseconds since the epoch.
#[derive(Clone, Debug)]
pub struct OrganizationPayload<'a> {
    /// Clerk's id.
    pub id: &'a str,
    /// What it is called.
    pub name: &'a str,
    /// No two organizations have the same one.
    pub slug: &'a str,
    /// When it was founded.
    pub created_at: i64,
    /// When it changed.
    pub updated_at: i64,
    /// The envelope's.
    pub timestamp: i64,
}

/// One membership. Times are in milliseconds since the epoch.
#[derive(Clone, Debug)]
pub struct MembershipPayload<'a> {
    /// Clerk's id.
    pub id: &'a str,
    /// Clerk's id of the organization.
    pub organization_id: &'a str,
    /// Clerk's id of the user.
    pub user_id: &'a str,
    /// `org:admin` or `org:member`.
    pub role: &'a str,
    /// Stands in the public metadata.
    pub desk: &'a str,
    /// When the user joined.
    pub created_at: i64,
    /// When the membership changed.
    pub updated_at: i64,
    /// The envelope's.
    pub timestamp: i64,
}

impl OrganizationPayload<'_> {
    /// The body of an event of this type, such as `organization.updated`.
    #[must_use]
    pub fn event(&self, event_type: &str) -> String {
        let mut event = ORGANIZATION.clone();
        event["type"] = json!(event_type);
        event["timestamp"] = json!(self.timestamp);
        let organization = &mut event["data"];
        organization["id"] = json!(self.id);
        organization["name"] = json!(self.name);
        organization["slug"] = json!(self.slug);
        organization["created_at"] = json!(self.created_at);
        organization["updated_at"] = json!(self.updated_at);
        event.to_string()
    }

    /// The body of `organization.deleted`, which says only id and slug.
    #[must_use]
    pub fn deleted(&self) -> String {
        let mut event = ORGANIZATION_DELETED.clone();
        event["timestamp"] = json!(self.timestamp);
        event["data"]["id"] = json!(self.id);
        event["data"]["slug"] = json!(self.slug);
        event.to_string()
    }
}

impl MembershipPayload<'_> {
    /// The body of an event of this type, such as `organizationMembership.deleted`, which says all that the others say.
    #[must_use]
    pub fn event(&self, event_type: &str) -> String {
        let mut event = MEMBERSHIP.clone();
        event["type"] = json!(event_type);
        event["timestamp"] = json!(self.timestamp);
        let membership = &mut event["data"];
        membership["id"] = json!(self.id);
        membership["organization"]["id"] = json!(self.organization_id);
        membership["public_user_data"]["user_id"] = json!(self.user_id);
        membership["role"] = json!(self.role);
        membership["public_metadata"]["desk"] = json!(self.desk);
        membership["created_at"] = json!(self.created_at);
        membership["updated_at"] = json!(self.updated_at);
        event.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_fields_of_real_ones() {
        let organization = OrganizationPayload {
            id: "org_1",
            name: "One",
            slug: "one",
            created_at: 1,
            updated_at: 2,
            timestamp: 3,
        };
        let event: Value =
            serde_json::from_str(&organization.event("organization.created")).unwrap();
        assert_eq!(event["type"], "organization.created");
        assert_eq!(event["data"]["slug"], "one");
        assert_eq!(event["data"]["public_metadata"]["seats"], 12);
        let event: Value = serde_json::from_str(&organization.deleted()).unwrap();
        assert_eq!(event["type"], "organization.deleted");
        assert_eq!(event["data"]["deleted"], true);
        let membership = MembershipPayload {
            id: "orgmem_1",
            organization_id: "org_1",
            user_id: "user_1",
            role: "org:admin",
            desk: "A1",
            created_at: 1,
            updated_at: 2,
            timestamp: 3,
        };
        let event: Value =
            serde_json::from_str(&membership.event("organizationMembership.deleted")).unwrap();
        assert_eq!(event["type"], "organizationMembership.deleted");
        assert_eq!(event["data"]["organization"]["name"], "Acme");
        assert_eq!(event["data"]["organization"]["id"], "org_1");
        assert_eq!(event["data"]["public_metadata"]["desk"], "A1");
    }
}
