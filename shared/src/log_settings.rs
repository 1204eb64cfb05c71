//! What the operator decides about logs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl LogFormat {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    pub(crate) fn of_this_terminal() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// A lone word is a level: tracing itself would take a misspelt one for the name of a target, and then
/// nothing else is logged.
pub(crate) fn is_filter(text: &str) -> bool {
    let is_directive = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    text.split(',').all(|part| is_directive(part.trim()))
        && EnvFilter::builder().parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_no_filter() {
        for filter in ["info", "off", "warn,worker=debug", "worker=trace"] {
            assert!(is_filter(filter), "{filter}");
        }
        for filter in ["inof", "info,loud", "worker=loud"] {
            assert!(!is_filter(filter), "{filter}");
        }
    }
}
