//! What the operator decides about a reconciliation.

use std::net::IpAddr;

use clap::Args;
use hyper::Uri;
use hyper::header::HeaderValue;
use shared::settings::{Setting, SettingError, redacted_url};

/// The flags, as text.
#[derive(Args, Debug, Clone)]
pub struct ReconcileArguments {
    /// Secret key of Clerk's Backend API: sk_live_... or sk_test_... [required]
    #[arg(long, env = "CLERK_SECRET_KEY", hide_env_values = true)]
    clerk_secret_key: Option<String>,
    /// Where Clerk's Backend API is [default: api.clerk.com, by HTTPS]
    #[arg(long, env = "CLERK_API_URL", hide_env_values = true)]
    clerk_api_url: Option<String>,
    /// How many entries the ingest lets wait, in all partitions together; this command fills half of it at the most [default: 1000000]
    #[arg(long, env = "MAX_BACKLOG", hide_env_values = true)]
    max_backlog: Option<String>,
    /// Only these of user, organization and organizationMembership; may be given several times [default: all that have a section in the tables file]
    #[arg(long = "family", value_name = "FAMILY")]
    families: Vec<String>,
    /// Tell by counts and ids what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not go on where an interrupted run has stopped
    #[arg(long)]
    from_start: bool,
    /// Also delete the rows of objects that Clerk no longer has, family by family
    #[arg(long)]
    delete_missing: bool,
    /// Delete without asking
    #[arg(long, requires = "delete_missing")]
    yes: bool,
    /// Refuse to delete more than so many percent of a family's rows [default: 5]
    #[arg(long, requires = "delete_missing")]
    max_delete_share: Option<String>,
}

/// All of it valid.
pub struct ReconcileSettings {
    /// `Bearer` and the secret key; marked as sensitive.
    pub authorization: HeaderValue,
    /// Where the API is, without a slash at the end.
    pub api_url: String,
    /// Only these families; none: all that have a section.
    pub families: Vec<String>,
    /// How many entries may wait in the streams, those of the ingest included.
    pub max_waiting: u64,
    /// Do nothing.
    pub dry_run: bool,
    /// Do not go on where an interrupted run has stopped.
    pub from_start: bool,
    /// Delete what Clerk no longer has.
    pub delete_missing: bool,
    /// Do not ask.
    pub yes: bool,
    /// Percent of the rows that may be deleted.
    pub max_delete_share: f64,
}

impl ReconcileArguments {
    /// Reads the text.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn settings(&self) -> Result<ReconcileSettings, SettingError> {
        let share = Setting::new("--max-delete-share", self.max_delete_share.as_deref());
        let max_delete_share = share.optional("a number of percent from 0 to 100", |text| {
            let share = text.trim_end_matches('%').trim_end().parse().ok();
            share.filter(|share| (0.0..=100.0).contains(share))
        })?;
        // Half: the rest is for webhooks, which must not be answered 503 because of us.
        let max_waiting = Setting::new("MAX_BACKLOG", self.max_backlog.as_deref())
            .number(1_000_000, 1..=1_000_000_000)?
            .div_ceil(2);
        Ok(ReconcileSettings {
            authorization: Setting::secret("CLERK_SECRET_KEY", self.clerk_secret_key.as_deref())
                .required(
                    "a secret key of Clerk's: sk_live_... or sk_test_...",
                    |key| {
                        let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic());
                        let mut value = HeaderValue::try_from(format!("Bearer {key}")).ok()?;
                        value.set_sensitive(true);
                        is_plain.then_some(value)
                    },
                )?,
            api_url: self.api_url()?,
            families: self.families.clone(),
            max_waiting,
            dry_run: self.dry_run,
            from_start: self.from_start,
            delete_missing: self.delete_missing,
            yes: self.yes,
            max_delete_share: max_delete_share.unwrap_or(5.0),
        })
    }

    fn api_url(&self) -> Result<String, SettingError> {
        let url = Setting::secret("CLERK_API_URL", self.clerk_api_url.as_deref());
        let url = url.explained(|text| {
            let url = text.trim_end_matches('/');
            is_api_url(url).then(|| url.to_owned()).ok_or_else(|| {
                let expected = "https://HOST, or http:// on this machine".to_owned();
                (redacted_url(text), expected)
            })
        })?;
        Ok(url.unwrap_or_else(|| "https://api.clerk.com".to_owned()))
    }
}

/// The secret goes to no other machine in clear.
fn is_api_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let scheme = uri.scheme_str();
    let is_kept = scheme == Some("https") || (scheme == Some("http") && is_here);
    is_kept && !host.is_empty() && !text.contains(['@', '?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_key_goes_to_another_machine_with_tls_alone() {
        for url in [
            "https://api.clerk.com",
            "https://proxy.example.com:8443/clerk",
            "http://localhost:1",
            "http://127.0.0.1:1",
            "http://[::1]:1",
        ] {
            assert!(is_api_url(url), "{url}");
        }
        for url in [
            "api.clerk.com",
            "http://api.clerk.com",
            "http://localhost.example.com",
            "https://me:secret@api.clerk.com",
            "https://api.clerk.com/?x=1",
            "ftp://localhost",
        ] {
            assert!(!is_api_url(url), "{url}");
        }
    }
}
