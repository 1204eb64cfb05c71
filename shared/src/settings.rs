//! Reading a setting, and the one line that says what is wrong with it.
//!
//! Every setting is an environment variable and a command line flag. clap collects both as plain
//! text; what the text means is decided here, so that a mistake is reported in one line that names
//! the variable and never shows a secret.
//!
//! clap's own parsers would quote the value that they refuse, a password among it, and use several lines.

mod common;
mod error;
mod quotes;
mod redaction;
mod setting;

pub use self::common::{CommonArguments, CommonSettings};
pub use self::error::SettingError;
pub use self::quotes::{QUOTES, QUOTES_EXPECTED, check_quotes};
pub(crate) use self::redaction::hidden;
pub use self::redaction::redacted_url;
pub use self::setting::Setting;
