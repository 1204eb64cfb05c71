//! How many files, connections among them, this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to `needed`, as far as the hard limit lets it: the usual soft limit of 1024
/// comes before the connections that we have places for. Where that is not enough the log says so.
pub fn allow(needed: u64) {
    let allowed = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let allowed = soft.max(needed.min(hard));
        setrlimit(Resource::RLIMIT_NOFILE, allowed, hard)?;
        Ok(allowed)
    });
    match allowed {
        Ok(allowed) if allowed >= needed => {}
        Ok(allowed) => tracing::warn!(
            allowed,
            needed,
            "fewer files may be open than connections are accepted: raise the hard limit (ulimit -n)"
        ),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}
