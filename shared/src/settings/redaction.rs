//! What may be shown of a value that cannot be used.

/// What may be shown of a secret.
pub(crate) fn hidden(value: &str) -> String {
    format!("a value of {} characters (hidden)", value.chars().count())
}

/// Whether a secret is in it that Clerk's dashboard shows.
pub(super) fn holds_a_key_of_clerk(value: &str) -> bool {
    ["whsec_", "sk_live_", "sk_test_"]
        .iter()
        .any(|key| value.contains(key))
}

/// The beginning of a value.
pub(super) fn shortened(value: &str) -> &str {
    value
        .char_indices()
        .nth(80)
        .map_or(value, |(end, _)| &value[..end])
}

/// What URLs begin with, in settings of ours and in those that are mistaken for them.
const SCHEMES: [&str; 20] = [
    "redis",
    "rediss",
    "redis-cluster",
    "rediss-cluster",
    "redis-sentinel",
    "rediss-sentinel",
    "redis+sentinel",
    "valkey",
    "valkeys",
    "unix",
    "tcp",
    "postgres",
    "postgresql",
    "prisma",
    "prisma+postgres",
    "mysql",
    "http",
    "https",
    "grpc",
    "ftp",
];

/// What may be shown of a URL that cannot be used: all of it if nothing in it can be a password, or else its
/// scheme. Where a URL is wrong nobody knows which part of it was meant as the password: it may hold any sign
/// that separates, or the host behind it may be missing. So only a host without a port, and a path, are shown.
#[must_use]
pub fn redacted_url(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    match value.split_once("://") {
        Some((scheme, rest)) if SCHEMES.contains(&scheme) => {
            if rest.chars().all(is_plain) {
                format!("{:?}", shortened(value))
            } else {
                format!("a URL that begins with {scheme}:// (hidden)")
            }
        }
        _ => hidden(value),
    }
}
