//! What `worker tables preview` is told.

use std::path::PathBuf;

use crate::database::url::DatabaseUrl;
use crate::tables::file::Report;

/// What is to be previewed, and where.
pub struct PreviewSettings {
    /// Where the tables are.
    pub database: DatabaseUrl,
    /// Which tables are written, and how.
    pub tables: Report,
    /// What stands before every cache tag.
    pub cache_tag_prefix: String,
    /// The files with events; `-` is standard input.
    pub files: Vec<PathBuf>,
}
