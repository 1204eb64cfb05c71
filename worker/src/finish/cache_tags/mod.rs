//! The cache tags of changed users.

mod scattered;

use std::collections::BTreeSet;
use std::time::Duration;

use redis::{RedisResult, Script};
use shared::redis_link::RedisLink;

/// What a tag is to the cache of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheMode {
    /// A key. Where it is a SET, its members name the entries that bear the tag.
    Keys,
    /// A field of the hash in which the handlers `redis-strings` of Next.js look up when a tag was
    /// revalidated.
    Next {
        /// The handler's `keyPrefix`.
        key_prefix: String,
    },
}

/// Cache tags in Redis.
#[derive(Clone)]
pub struct CacheTags {
    link: RedisLink,
    mode: CacheMode,
    /// What stands before every tag.
    prefix: String,
    /// How long after their deletion tags are deleted again, if at all.
    second_deletion: Option<Duration>,
}

impl CacheTags {
    /// Tags behind `prefix`.
    #[must_use]
    pub const fn new(
        link: RedisLink,
        mode: CacheMode,
        prefix: String,
        second_deletion: Option<Duration>,
    ) -> Self {
        Self {
            link,
            mode,
            prefix,
            second_deletion,
        }
    }

    /// Deletes tags, with the entries that bear them. If there is a second deletion, it is written down in the same step.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn delete(&self, tags: &BTreeSet<String>) -> RedisResult<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let tags = tags.iter().map(|tag| format!("{}{tag}", self.prefix));
        self.invoke(&Vec::from_iter(tags), 0).await.map(drop)
    }

    /// Deletes again the tags whose time has come, `count` at the most, whoever has deleted them before.
    /// Returns how many they were, and how long it is until the next one's time.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn delete_due(&self, count: usize) -> RedisResult<(usize, Option<Duration>)> {
        let (deleted, next) = self.invoke(&[], count).await?;
        Ok((deleted, u64::try_from(next).ok().map(Duration::from_millis)))
    }

    async fn invoke(&self, tags: &[String], due: usize) -> RedisResult<(usize, i64)> {
        let wait = self.second_deletion.map(|wait| wait.as_millis() as u64);
        let link = &mut self.link.clone();
        match &self.mode {
            CacheMode::Keys if self.link.is_cluster() => self.delete_scattered(tags, due).await,
            CacheMode::Keys => {
                let script = Script::new(include_str!("delete_tags.lua"));
                let mut invocation = script.prepare_invoke();
                for tag in tags {
                    invocation.key(tag);
                }
                if let Some(wait) = wait {
                    invocation.key(self.awaiting()).arg(wait).arg(due);
                }
                invocation.invoke_async(link).await
            }
            CacheMode::Next { key_prefix } => {
                let script = Script::new(include_str!("revalidate_tags.lua"));
                let mut invocation = script.prepare_invoke();
                invocation.key(revalidated_tags(key_prefix));
                if wait.is_some() {
                    invocation.key(self.awaiting());
                }
                invocation.arg(wait.unwrap_or_default()).arg(due).arg(tags);
                invocation.invoke_async(link).await
            }
        }
    }

    async fn delete_scattered(&self, tags: &[String], count: usize) -> RedisResult<(usize, i64)> {
        let mut tags = tags.to_vec();
        let Some(wait) = self.second_deletion else {
            scattered::delete(&self.link, tags).await?;
            return Ok((0, -1));
        };
        // Written down before the first deletion, and forgotten after the second one: what ends between
        // the steps is done again.
        let awaiting = self.awaiting();
        let (due, next) =
            scattered::await_second(&self.link, &awaiting, wait, &tags, count).await?;
        tags.extend(due.iter().map(|(tag, _)| tag.clone()));
        scattered::delete(&self.link, tags).await?;
        if !due.is_empty() {
            scattered::finish_second(&self.link, &awaiting, &due).await?;
        }
        Ok((due.len(), next))
    }

    /// The sorted set of the tags that await their second deletion, by its time.
    fn awaiting(&self) -> String {
        const NAME: &str = "clerk:second-deletions";
        match &self.mode {
            CacheMode::Keys => format!("{}{NAME}", self.prefix),
            // In a cluster in the slot of the hash, which a script changes together with it.
            CacheMode::Next { key_prefix }
                if self.link.is_cluster() && !has_hash_tag(key_prefix) =>
            {
                format!("{{{}}}:{NAME}", revalidated_tags(key_prefix))
            }
            CacheMode::Next { key_prefix } => format!("{key_prefix}{NAME}"),
        }
    }

    /// How long after their deletion tags are deleted again, if at all.
    #[must_use]
    pub const fn second_deletion(&self) -> Option<Duration> {
        self.second_deletion
    }

    /// Whether the cache's Redis answers.
    pub async fn answers(&self) -> bool {
        self.link.answers().await
    }
}

/// The hash in which the handlers look.
fn revalidated_tags(key_prefix: &str) -> String {
    format!("{key_prefix}__revalidated_tags__")
}

/// Whether the slot of a key that begins like this is that of what stands in its braces
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).
fn has_hash_tag(key: &str) -> bool {
    let behind = key.split_once('{').map(|(_, behind)| behind);
    behind.is_some_and(|behind| behind.find('}').is_some_and(|length| length > 0))
}

/// Whether the keys of a mode can lie in one slot, as they must in a cluster: a brace that closes nothing would
/// cut off the one that is put round the whole name.
#[must_use]
pub fn fits_a_slot(mode: &CacheMode) -> bool {
    match mode {
        CacheMode::Keys => true,
        CacheMode::Next { key_prefix } => has_hash_tag(key_prefix) || !key_prefix.contains('}'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_with_a_brace_that_closes_nothing_fits_no_slot() {
        let fits = |key_prefix: &str| {
            fits_a_slot(&CacheMode::Next {
                key_prefix: key_prefix.to_owned(),
            })
        };
        for key_prefix in ["", "app:", "{app}", "x{app}:", "a{b", "{{}}"] {
            assert!(fits(key_prefix), "{key_prefix}");
        }
        for key_prefix in ["a}b", "{}x", "{}{app}"] {
            assert!(!fits(key_prefix), "{key_prefix}");
        }
    }
}
