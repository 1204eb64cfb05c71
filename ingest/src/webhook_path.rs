//! The path of the endpoint.

use hyper::http::uri::PathAndQuery;

/// A path of URLs. A slash at its end, or its lack, makes no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookPath {
    /// Without the slash at its end.
    path: String,
}

impl Default for WebhookPath {
    fn default() -> Self {
        Self {
            path: "/api/webhooks/clerk".to_owned(),
        }
    }
}

impl WebhookPath {
    /// `None` when `text` is not a path that a request can have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: PathAndQuery = text.parse().ok()?;
        // The parser takes `*` and leaves a query and what is behind `#` out.
        let is_path = text.starts_with('/') && parsed.path() == text;
        // No client sends these as they are (https://url.spec.whatwg.org/#path-state).
        let is_sent = text.is_ascii() && !text.split('/').any(|part| matches!(part, "." | ".."));
        (is_path && is_sent).then(|| Self {
            path: without_slash(text).to_owned(),
        })
    }

    /// Whether a request for `path` is one for the endpoint.
    #[must_use]
    pub fn is(&self, path: &str) -> bool {
        without_slash(path) == self.path
    }
}

fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

impl std::fmt::Display for WebhookPath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.path.is_empty() {
            "/"
        } else {
            &self.path
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_at_its_end_makes_no_difference() {
        for setting in ["/api/webhooks/clerk", "/api/webhooks/clerk/"] {
            let path = WebhookPath::parse(setting).unwrap();
            assert_eq!(path, WebhookPath::default());
            assert!(path.is("/api/webhooks/clerk") && path.is("/api/webhooks/clerk/"));
            assert!(!path.is("/api/webhooks/clerk//") && !path.is("/api/webhooks"));
        }
        let root = WebhookPath::parse("/").unwrap();
        assert!(root.is("/") && !root.is("/x"));
        assert_eq!(root.to_string(), "/");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "hooks",
            "*",
            "/a b",
            "/a?b",
            "/a#b",
            "https://host/a",
            "/a\nb",
            "/häkchen",
            "/a/../b",
            "/./a",
            "/a/..",
        ] {
            assert_eq!(WebhookPath::parse(text), None, "{text:?}");
        }
    }
}
