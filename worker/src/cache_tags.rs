//! The cache tags of changed users.

use std::collections::BTreeSet;

use redis::{RedisResult, Script};
use shared::redis_link::RedisLink;

use crate::user::UserId;

/// Cache tags in Redis.
#[derive(Clone)]
pub struct CacheTags {
    link: RedisLink,
    prefix: String,
}

impl CacheTags {
    /// Tags behind `prefix`.
    #[must_use]
    pub const fn new(link: RedisLink, prefix: String) -> Self {
        Self { link, prefix }
    }

    /// Deletes the tags of `users`, each once, with the entries that bear them.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn delete(&self, users: &BTreeSet<&UserId>) -> RedisResult<()> {
        if users.is_empty() {
            return Ok(());
        }
        let script = Script::new(include_str!("../lua/delete_tags.lua"));
        let mut invocation = script.prepare_invoke();
        invocation.key(format!("{}global:users", self.prefix));
        for user in users {
            invocation.key(format!("{}id:{}:users", self.prefix, user.as_str()));
        }
        invocation.invoke_async(&mut self.link.clone()).await
    }

    /// Whether the cache's Redis answers.
    pub async fn answers(&self) -> bool {
        self.link.answers().await
    }
}
