//! Bodies of Clerk's user events, with all the fields of real ones.

use std::sync::LazyLock;

use serde_json::{Value, json};

static CREATED: LazyLock<Value> =
    LazyLock::new(|| template(include_str!("../../shared/fixtures/user.created.json")));
static DELETED: LazyLock<Value> =
    LazyLock::new(|| template(include_str!("../../shared/fixtures/user.deleted.json")));

/// A fixture that is not JSON becomes `null` here; the tests below would see it.
fn template(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// One user, as an event describes it. Times are in milliseconds since the epoch.
#[derive(Clone, Debug)]
pub struct UserPayload {
    id: String,
    email: Option<String>,
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    image_url: Option<String>,
    created_at: i64,
    updated_at: i64,
    timestamp: Option<i64>,
}

impl UserPayload {
    /// Ada Lovelace with this id and primary e-mail address, created and last updated on 28 May 2024.
    pub fn new(id: &str, email: &str) -> Self {
        Self {
            id: id.into(),
            email: Some(email.into()),
            username: None,
            first_name: Some("Ada".into()),
            last_name: Some("Lovelace".into()),
            image_url: Some("https://img.clerk.com/ada.jpeg".into()),
            created_at: 1_716_883_200_381,
            updated_at: 1_716_883_200_406,
            timestamp: None,
        }
    }

    /// `None`: a user without any e-mail address.
    #[must_use]
    pub fn email<'a>(mut self, email: impl Into<Option<&'a str>>) -> Self {
        self.email = email.into().map(str::to_owned);
        self
    }

    /// Null unless set.
    #[must_use]
    pub fn username(mut self, username: &str) -> Self {
        self.username = Some(username.into());
        self
    }

    /// `None`: null.
    #[must_use]
    pub fn first_name<'a>(mut self, name: impl Into<Option<&'a str>>) -> Self {
        self.first_name = name.into().map(str::to_owned);
        self
    }

    /// `None`: null.
    #[must_use]
    pub fn last_name<'a>(mut self, name: impl Into<Option<&'a str>>) -> Self {
        self.last_name = name.into().map(str::to_owned);
        self
    }

    /// `None`: null.
    #[must_use]
    pub fn image_url<'a>(mut self, url: impl Into<Option<&'a str>>) -> Self {
        self.image_url = url.into().map(str::to_owned);
        self
    }

    /// The user's `created_at`, in ms.
    #[must_use]
    pub fn created_at(mut self, milliseconds: i64) -> Self {
        self.created_at = milliseconds;
        self
    }

    /// The user's `updated_at`, in ms.
    #[must_use]
    pub fn updated_at(mut self, milliseconds: i64) -> Self {
        self.updated_at = milliseconds;
        self
    }

    /// The envelope's `timestamp`, in ms; 14 ms after `updated_at` unless set.
    #[must_use]
    pub fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }

    /// The body of `user.created`.
    pub fn created(&self) -> String {
        self.event("user.created")
    }

    /// The body of `user.updated`.
    pub fn updated(&self) -> String {
        self.event("user.updated")
    }

    /// The body of `user.deleted`. Of all that was set it holds only the id and the timestamp.
    pub fn deleted(&self) -> String {
        let mut event = DELETED.clone();
        event["data"]["id"] = json!(self.id);
        self.finish(event)
    }

    /// The body of an event of any type whose data are the user.
    pub fn event(&self, event_type: &str) -> String {
        let mut event = CREATED.clone();
        event["type"] = json!(event_type);
        let user = &mut event["data"];
        user["id"] = json!(self.id);
        user["username"] = json!(self.username);
        user["first_name"] = json!(self.first_name);
        user["last_name"] = json!(self.last_name);
        user["image_url"] = json!(self.image_url);
        user["created_at"] = json!(self.created_at);
        user["updated_at"] = json!(self.updated_at);
        if let Some(email) = &self.email {
            let primary = user["primary_email_address_id"].clone();
            for address in user["email_addresses"].as_array_mut().into_iter().flatten() {
                if address["id"] == primary {
                    address["email_address"] = json!(email);
                }
            }
        } else {
            user["primary_email_address_id"] = Value::Null;
            user["email_addresses"] = json!([]);
        }
        self.finish(event)
    }

    fn finish(&self, mut event: Value) -> String {
        event["timestamp"] = json!(self.timestamp.unwrap_or(self.updated_at + 14));
        event.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_user_has_the_given_primary_address_and_the_fields_of_a_real_one() {
        let body = UserPayload::new("user_1", "a@example.com")
            .first_name(None)
            .created();
        let event: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(event["type"], "user.created");
        assert_eq!(event["timestamp"], 1_716_883_200_420_i64);
        let user = &event["data"];
        assert_eq!(user["id"], "user_1");
        assert_eq!(user["first_name"], Value::Null);
        assert_eq!(user["email_addresses"][1]["email_address"], "a@example.com");
        assert_eq!(
            user["email_addresses"][1]["id"],
            user["primary_email_address_id"]
        );
        assert_eq!(user["public_metadata"]["plan"], "pro");
        assert!(!body.contains('\n'));
    }

    #[test]
    fn a_user_without_address_has_no_primary_one() {
        let body = UserPayload::new("user_1", "a@example.com")
            .email(None)
            .updated();
        let event: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(event["type"], "user.updated");
        assert_eq!(event["data"]["primary_email_address_id"], Value::Null);
        assert_eq!(event["data"]["email_addresses"], json!([]));
    }
}
