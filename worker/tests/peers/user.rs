//! A user as Clerk tells of it, and as an application must read it.

use serde_json::{Value, json};
use xtask::clerk_payload::UserPayload;

/// What the events say, and `name` as it must be in the row.
pub(crate) struct User {
    pub(crate) id: &'static str,
    pub(crate) first_name: Option<&'static str>,
    pub(crate) last_name: Option<&'static str>,
    pub(crate) name: &'static str,
    pub(crate) email: &'static str,
    pub(crate) image_url: Option<&'static str>,
    /// In milliseconds since the epoch, as the other one.
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl User {
    pub(crate) fn new(id: &'static str, email: &'static str) -> Self {
        Self {
            id,
            first_name: Some("Ada"),
            last_name: Some("Lovelace"),
            name: "Ada Lovelace",
            email,
            image_url: None,
            created_at: 1_716_883_200_381,
            updated_at: 1_716_883_200_406,
        }
    }

    pub(crate) fn payload(&self) -> UserPayload {
        UserPayload::new(self.id, self.email)
            .first_name(self.first_name)
            .last_name(self.last_name)
            .image_url(self.image_url)
            .created_at(self.created_at)
            .updated_at(self.updated_at)
    }

    pub(crate) fn row(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "email": self.email, "imageUrl": self.image_url,
            "createdAt": self.created_at, "updatedAt": self.updated_at,
        })
    }
}
