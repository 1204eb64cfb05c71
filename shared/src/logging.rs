//! Logs: one line an entry on standard output, as text or JSON.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::log_settings::LogFormat;
use crate::settings::CommonSettings;

/// Begins to log. From then on a panic is logged by its place alone: its message may hold data.
pub fn start(settings: &CommonSettings) {
    let filter = EnvFilter::builder().parse_lossy(&settings.log_filter);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false);
    match settings.log_format {
        LogFormat::Text => subscriber.with_ansi(std::io::stdout().is_terminal()).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "a task panicked");
    }));
}
