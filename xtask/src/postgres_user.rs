//! The user that PostgreSQL runs as: it refuses to run as root.

use std::path::Path;

use anyhow::bail;
use nix::unistd::{Uid, User};

use crate::child_process;

/// Whether a server can have its data in `parent`: not if we are root and the user `postgres` may
/// not enter it, as in a clone below `/root`.
pub fn can_work_in(parent: &Path) -> bool {
    let Ok(user) = unprivileged_user() else {
        return false;
    };
    user.is_none()
        || child_process::command("test", "KILL", user.as_ref())
            .arg("-x")
            .arg(parent)
            .status()
            .is_ok_and(|status| status.success())
}

/// `None` when we are not root: PostgreSQL can run as ourselves.
pub(crate) fn unprivileged_user() -> anyhow::Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    match User::from_name("postgres")? {
        Some(user) => Ok(Some(user)),
        None => bail!("PostgreSQL does not run as root, and there is no user named postgres"),
    }
}
