//! The bodies of many events, quickly: a real one that was taken apart where users differ.

use xtask::clerk_payload::UserPayload;

use crate::commands::bench::template::Template;

/// What differs.
pub(crate) struct Values<'a> {
    /// Such as `user.created`.
    pub(crate) event_type: &'a str,
    pub(crate) object_id: &'a str,
    /// Of a user.
    pub(crate) first_name: &'a str,
    /// In ms since the epoch.
    pub(crate) created_at: i64,
    /// In ms since the epoch.
    pub(crate) updated_at: i64,
}

/// What stands in the body that is taken apart: in the order of [`Body::fill`].
const MARKS: [&str; 7] = [
    "<type>",
    "<user>",
    "<mailbox>",
    "<first name>",
    "1111111111111",
    "2222222222222",
    "3333333333333",
];

/// All kinds of events.
pub(crate) struct Body {
    upsert: Template,
    deletion: Template,
}

impl Body {
    pub(crate) fn new() -> Self {
        let user = UserPayload::new("<user>", "<mailbox>@example.com")
            .first_name("<first name>")
            // As long as Clerk's.
            .image_url("https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsImlpZCI6Imluc18yZzd0ZXN0IiwicmlkIjoi<user>IsImluaXRpYWxzIjoiQUwifQ")
            .created_at(1_111_111_111_111)
            .updated_at(2_222_222_222_222)
            .timestamp(3_333_333_333_333);
        Self {
            upsert: Template::of(&user.event("<type>"), &MARKS),
            deletion: Template::of(&user.deleted(), &MARKS),
        }
    }

    pub(crate) fn fill(&self, values: &Values<'_>) -> String {
        let template = if values.event_type == "user.deleted" {
            &self.deletion
        } else {
            &self.upsert
        };
        let updated_at = values.updated_at;
        let times = [values.created_at, updated_at, updated_at + 14];
        let [created_at, updated_at, timestamp] = times.map(|time| time.to_string());
        template.fill(&[
            values.event_type,
            values.object_id,
            // The part of the id that is random; 12 characters of it are enough to differ.
            values.object_id.get(5..17).unwrap_or_default(),
            values.first_name,
            &created_at,
            &updated_at,
            &timestamp,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn filled(event_type: &str) -> (usize, Value) {
        let body = Body::new().fill(&Values {
            event_type,
            object_id: "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
            first_name: "Grace",
            created_at: 1_716_883_200_381,
            updated_at: 1_716_883_200_406,
        });
        assert!(
            !body.contains('<') && !body.contains("1111111111111"),
            "{body}"
        );
        (body.len(), serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn a_body_is_as_long_as_a_real_one_and_tells_what_it_was_given() {
        let (length, event) = filled("user.updated");
        assert!((1600..2600).contains(&length), "{length} bytes");
        assert_eq!(event["type"], "user.updated");
        assert_eq!(event["timestamp"], 1_716_883_200_420_i64);
        let user = &event["data"];
        assert_eq!(user["id"], "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S");
        assert_eq!(user["first_name"], "Grace");
        assert_eq!(user["created_at"], 1_716_883_200_381_i64);
        assert_eq!(user["updated_at"], 1_716_883_200_406_i64);
        assert_eq!(
            user["email_addresses"][1]["email_address"],
            "2g7np7Hrk0SN@example.com"
        );
    }

    #[test]
    fn a_deletion_tells_whom() {
        let (_, event) = filled("user.deleted");
        assert_eq!(event["type"], "user.deleted");
        assert_eq!(event["data"]["id"], "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S");
        assert_eq!(event["timestamp"], 1_716_883_200_420_i64);
    }
}
