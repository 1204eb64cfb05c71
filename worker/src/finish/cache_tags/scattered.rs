//! Tags in a cluster, where each lies in a slot of its own and no step can be about several of them.

use std::time::Duration;

use redis::{ErrorKind, RedisResult, Script};
use shared::redis_link::RedisLink;
use tokio::task::JoinSet;

/// How many entries are deleted at once.
const ENTRIES_AT_ONCE: usize = 256;

/// Deletes tags, all at once, with the entries that bear them.
///
/// # Errors
/// When a server cannot be used.
pub(super) async fn delete(link: &RedisLink, tags: Vec<String>) -> RedisResult<()> {
    let mut deleting = JoinSet::new();
    for tag in tags {
        deleting.spawn(delete_tag(link.clone(), tag));
    }
    all(deleting).await
}

/// What a reader adds to the SET meanwhile stays in it, so that it is still named: the SET itself is not
/// deleted, and is gone with its last member. An entry that a reader writes again under the same name is
/// deleted once more when its name is gone.
async fn delete_tag(mut link: RedisLink, tag: String) -> RedisResult<()> {
    let entries: RedisResult<Vec<Vec<u8>>> = redis::cmd("SMEMBERS")
        .arg(&tag)
        .query_async(&mut link)
        .await;
    match entries {
        Ok(entries) => {
            for entries in entries.chunks(ENTRIES_AT_ONCE) {
                unlink(&link, entries).await?;
                let mut remove = redis::cmd("SREM");
                remove.arg(&tag).arg(entries).exec_async(&mut link).await?;
                unlink(&link, entries).await?;
            }
            Ok(())
        }
        Err(error) if error.code() == Some("WRONGTYPE") => {
            redis::cmd("UNLINK").arg(&tag).exec_async(&mut link).await
        }
        Err(error) => Err(error),
    }
}

/// Each by itself: of a command about several, the redis crate leaves out those whose server it does not
/// reach.
async fn unlink(link: &RedisLink, entries: &[Vec<u8>]) -> RedisResult<()> {
    let mut unlinking = JoinSet::new();
    for entry in entries {
        let (mut link, mut unlink) = (link.clone(), redis::cmd("UNLINK"));
        unlink.arg(entry);
        unlinking.spawn(async move { unlink.exec_async(&mut link).await });
    }
    all(unlinking).await
}

/// Waits for all of them, whatever becomes of some.
async fn all(mut tasks: JoinSet<RedisResult<()>>) -> RedisResult<()> {
    let mut outcome = Ok(());
    while let Some(done) = tasks.join_next().await {
        let panicked = |_| Err((ErrorKind::Client, "a task has panicked").into());
        outcome = outcome.and(done.unwrap_or_else(panicked));
    }
    outcome
}

/// Tags that await their second deletion, out of `awaiting`, each with its time; and milliseconds until
/// the next one's, or -1.
type Due = (Vec<(String, String)>, i64);

/// Writes down that `tags` are to be deleted again after `wait`; returns up to `count` whose time has come.
///
/// # Errors
/// When the server cannot be used.
pub(super) async fn await_second(
    link: &RedisLink,
    awaiting: &str,
    wait: Duration,
    tags: &[String],
    count: usize,
) -> RedisResult<Due> {
    let script = Script::new(include_str!("await_second_deletion.lua"));
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    script
        .key(awaiting)
        .arg(wait)
        .arg(count)
        .arg(tags)
        .invoke_async(&mut link.clone())
        .await
}

/// Tags that have been deleted a second time await nothing, unless they have been deleted a first time since.
///
/// # Errors
/// When the server cannot be used.
pub(super) async fn finish_second(
    link: &RedisLink,
    awaiting: &str,
    due: &[(String, String)],
) -> RedisResult<()> {
    let script = Script::new(include_str!("finish_second_deletion.lua"));
    let mut invocation = script.prepare_invoke();
    invocation.key(awaiting);
    for (tag, time) in due {
        invocation.arg(tag).arg(time);
    }
    invocation.invoke_async(&mut link.clone()).await
}
