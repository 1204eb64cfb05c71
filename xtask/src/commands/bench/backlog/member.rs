//! The bodies of events about memberships, and the organizations and users that they are of.

use xtask::organization_payload::MembershipPayload;

use super::body::Values;
use crate::commands::bench::template::Template;

/// How many users there are; each is a member of two organizations.
const USERS: usize = 25_000;
const ORGANIZATIONS: usize = 500;

/// What stands in the body that is taken apart: in the order of [`MemberBody::fill`].
const MARKS: [&str; 6] = [
    "<type>",
    "<membership>",
    "<organization>",
    "<user>",
    "1111111111111",
    "2222222222222",
];

/// A real body that was taken apart where memberships differ.
pub(crate) struct MemberBody(Template);

/// Organizations and users are there, and known as if events had told of them.
pub(crate) fn parents() -> String {
    format!(
        "insert into users (clerk_id, email)
         select 'user_' || lpad(number::text, 27, '0'), number || '@example.com'
           from generate_series(0, {USERS} - 1) as number;
         insert into organizations (clerk_org_id, name, slug)
         select 'org_' || lpad(number::text, 27, '0'), 'Acme', number
           from generate_series(0, {ORGANIZATIONS} - 1) as number;
         insert into clerk_sync.versions (family, object_id, updated_at, event_at, svix_id, deleted)
         select family, object_id, '2024-05-01', '2024-05-01', 'msg_' || object_id, false
           from (select 'user', clerk_id from users
                 union all
                 select 'organization', clerk_org_id from organizations) as parent (family, object_id);
         analyze"
    )
}

impl MemberBody {
    pub(crate) fn new() -> Self {
        let membership = MembershipPayload {
            id: "<membership>",
            organization_id: "<organization>",
            user_id: "<user>",
            role: "org:member",
            desk: "B12",
            created_at: 1_111_111_111_111,
            updated_at: 2_222_222_222_222,
            timestamp: 2_222_222_222_222,
        };
        Self(Template::of(&membership.event("<type>"), &MARKS))
    }

    /// The body of an event of the membership of this number. No two are of the same organization and user, up to
    /// twice as many as there are users.
    pub(crate) fn fill(&self, number: usize, values: &Values<'_>) -> String {
        let user = number % USERS;
        let organization = (user + number / USERS) % ORGANIZATIONS;
        let times = [values.created_at, values.updated_at].map(|time| time.to_string());
        self.0.fill(&[
            values.event_type,
            values.object_id,
            &format!("org_{organization:027}"),
            &format!("user_{user:027}"),
            &times[0],
            &times[1],
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn each_membership_is_of_an_organization_and_a_user_of_its_own() {
        let body = MemberBody::new();
        let mut pairs = BTreeSet::new();
        for number in (0..2 * USERS).step_by(500) {
            let body = body.fill(
                number,
                &Values {
                    event_type: "organizationMembership.created",
                    object_id: "orgmem_1",
                    first_name: "",
                    created_at: 1,
                    updated_at: 2,
                },
            );
            let event: Value = serde_json::from_str(&body).unwrap();
            let data = &event["data"];
            assert_eq!(
                (&event["timestamp"], &data["created_at"]),
                (&2.into(), &1.into())
            );
            assert_eq!(data["id"], "orgmem_1");
            let pair = (
                &data["organization"]["id"],
                &data["public_user_data"]["user_id"],
            );
            pairs.insert(format!("{pair:?}"));
        }
        assert_eq!(pairs.len(), 100);
    }
}
