//! What the operator decides.

pub mod command;
pub mod preview;
pub mod reconcile;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Parser;
use shared::redis_servers::RedisServers;
use shared::settings::{CommonArguments, CommonSettings, Setting, SettingError, check_quotes};
use shared::svix_id::SvixId;
use shared::tls::unreadable;

use crate::database::url::DatabaseUrl;
use crate::finish::cache_tags::{CacheMode, fits_a_slot};
use crate::settings::command::{Command, TablesCommand};
use crate::settings::preview::PreviewSettings;
use crate::settings::reconcile::ReconcileSettings;
use crate::tables::Tables;
use crate::tables::file::Report;

const DEFAULT_ADMIN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9101);

/// Applies Clerk events from a Redis stream to PostgreSQL and deletes cache tags.
///
/// Run as many as needed. Each setting is a flag or an environment variable; a file .env is read too.
#[derive(Parser, Debug)]
#[command(version = shared::VERSION)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The PostgreSQL that holds the users: postgres://user:password@host:port/database?sslmode=... What it leaves out is read from libpq's variables: PGHOST, PGSSLMODE, PGPASSFILE, ... [required, or PGHOST]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
    /// The TOML file that says which tables and columns are written, and with what: docs/tables.md [default: the built-in file, for the table users]
    #[arg(long, env = "TABLES_FILE", hide_env_values = true, global = true)]
    tables_file: Option<String>,
    /// How many entries are applied in one transaction at the most [default: 256]
    #[arg(long, env = "BATCH_SIZE", hide_env_values = true)]
    batch_size: Option<String>,
    /// How many attempts an event has before it is dead-lettered [default: 25]
    #[arg(long, env = "MAX_ATTEMPTS", hide_env_values = true)]
    max_attempts: Option<String>,
    /// After how many milliseconds the entries of a silent worker are taken over [default: 30000]
    #[arg(long, env = "RECLAIM_AFTER_MS", hide_env_values = true)]
    reclaim_after_ms: Option<String>,
    /// The Redis that holds the cache [default: REDIS_URL]
    #[arg(long, env = "CACHE_REDIS_URL", hide_env_values = true)]
    cache_redis_url: Option<String>,
    /// What a cache tag is: keys (a key, or a SET of keys) or next (as the handlers redis-strings of Next.js have it) [default: keys]
    #[arg(long, env = "CACHE_MODE", hide_env_values = true)]
    cache_mode: Option<String>,
    /// With CACHE_MODE next: the handler's keyPrefix [default: nothing]
    #[arg(long, env = "CACHE_KEY_PREFIX", hide_env_values = true)]
    cache_key_prefix: Option<String>,
    /// After how many milliseconds cache tags are deleted a second time; 0: never [default: 0]
    #[arg(long, env = "CACHE_SECOND_DELETION_MS", hide_env_values = true)]
    cache_second_deletion_ms: Option<String>,
    /// What stands before every cache tag [default: nothing]
    #[arg(long, env = "CACHE_TAG_PREFIX", hide_env_values = true)]
    cache_tag_prefix: Option<String>,
    /// For how many days the ledger is kept [default: 90]
    #[arg(long, env = "LEDGER_RETENTION_DAYS", hide_env_values = true)]
    ledger_retention_days: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

/// What the process is to do.
pub enum Task {
    /// Work until a signal.
    Run(Box<Settings>),
    /// Apply pending migrations.
    Migrate(Box<(DatabaseUrl, CommonSettings, Report)>),
    /// Tell where an event is.
    Explain(Box<Settings>, SvixId),
    /// Bring in the users that Clerk has already.
    Reconcile(Box<(Settings, ReconcileSettings)>),
    /// Show what events would write.
    Preview(Box<PreviewSettings>),
    /// Propose a tables file.
    Suggest(Box<DatabaseUrl>),
    /// Ask the process with this admin address whether it is ready.
    CheckHealth(SocketAddr),
}

/// The settings, all of them valid.
#[derive(Debug)]
pub struct Settings {
    /// What both programs have.
    pub common: CommonSettings,
    /// Where the users are.
    pub database: DatabaseUrl,
    /// Which tables are written, and how.
    pub tables: Tables,
    /// What may be a mistake in the file that says so, a line each.
    pub tables_warnings: Vec<String>,
    /// How many entries are applied in one transaction at the most.
    pub batch_size: usize,
    /// How many attempts an event has.
    pub max_attempts: u32,
    /// After which silence of a worker its entries are taken over.
    pub reclaim_after: Duration,
    /// The cache's Redis, if it is not the queue's.
    pub cache_redis: Option<RedisServers>,
    /// What a cache tag is.
    pub cache_mode: CacheMode,
    /// How long after their deletion cache tags are deleted again, if at all.
    pub cache_second_deletion: Option<Duration>,
    /// What stands before every cache tag.
    pub cache_tag_prefix: String,
    /// For how many days the ledger is kept.
    pub ledger_retention_days: i32,
}

impl Arguments {
    /// Reads the text into settings.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn task(&self) -> Result<Task, SettingError> {
        let database =
            || DatabaseUrl::parse(self.database_url.as_deref(), &|name| std::env::var_os(name));
        match &self.command {
            Some(Command::Healthcheck) => {
                return self
                    .common
                    .admin_address(DEFAULT_ADMIN_ADDRESS)
                    .map(Task::CheckHealth);
            }
            Some(Command::Migrate) => {
                let common = self.common.settings(DEFAULT_ADMIN_ADDRESS)?;
                let task = (database()?, common, self.tables()?);
                return Ok(Task::Migrate(Box::new(task)));
            }
            Some(Command::Explain { svix_id }) => {
                let svix_id = SvixId::parse_plain(svix_id).ok_or_else(|| {
                    let expected = "a svix-id: letters, digits, _ - and . such as msg_2g7np7Hrk0SN6kj5EDMLDaKNL0S";
                    SettingError::new("svix-id", format!("{svix_id:?}"), expected)
                })?;
                return Ok(Task::Explain(
                    Box::new(self.settings(database()?)?),
                    svix_id,
                ));
            }
            Some(Command::Reconcile(arguments)) => {
                let options = arguments.settings()?;
                let settings = self.settings(database()?)?;
                return Ok(Task::Reconcile(Box::new((settings, options))));
            }
            Some(Command::Tables(TablesCommand::Preview { files })) => {
                return Ok(Task::Preview(Box::new(PreviewSettings {
                    database: database()?,
                    tables: self.tables()?,
                    cache_tag_prefix: self.cache_tag_prefix.clone().unwrap_or_default(),
                    files: files.clone(),
                })));
            }
            Some(Command::Tables(TablesCommand::Suggest)) => {
                return Ok(Task::Suggest(Box::new(database()?)));
            }
            None => {}
        }
        self.settings(database()?)
            .map(|settings| Task::Run(Box::new(settings)))
    }

    /// What `TABLES_FILE` says.
    fn tables(&self) -> Result<Report, SettingError> {
        let setting = Setting::new("TABLES_FILE", self.tables_file.as_deref());
        let file = setting.explained(|file| match std::fs::read_to_string(file) {
            Ok(text) => Ok((file, text)),
            Err(error) => Err((
                format!("{file:?}, {}", unreadable(&error)),
                "a file of TOML, in UTF-8".to_owned(),
            )),
        })?;
        match file {
            None => Ok(Report {
                tables: Tables::built_in(),
                warnings: Vec::new(),
            }),
            Some((name, text)) => Tables::parse(name, &text)
                .map_err(|mistakes| SettingError::InFile(mistakes.to_string())),
        }
    }

    fn settings(&self, database: DatabaseUrl) -> Result<Settings, SettingError> {
        let common = self.common.settings(DEFAULT_ADMIN_ADDRESS)?;
        let cache_redis = Setting::secret("CACHE_REDIS_URL", self.cache_redis_url.as_deref())
            .redis_url(common.redis_authorities.as_ref())?;
        let cache_mode = self.cache_mode()?;
        let cache_tag_prefix = self.cache_tag_prefix.clone().unwrap_or_default();
        check_quotes("CACHE_TAG_PREFIX", &cache_tag_prefix)?;
        if cache_redis.as_ref().unwrap_or(&common.redis).is_cluster() && !fits_a_slot(&cache_mode) {
            return Err(SettingError::new(
                "CACHE_KEY_PREFIX",
                format!("{:?}", self.cache_key_prefix.as_deref().unwrap_or_default()),
                "no } in it, or a hash tag such as {app}, in a cluster",
            ));
        }
        let tables = self.tables()?;
        Ok(Settings {
            tables: tables.tables,
            tables_warnings: tables.warnings,
            batch_size: Setting::new("BATCH_SIZE", self.batch_size.as_deref())
                .number(256, 1..=10_000)?
                .try_into()
                .unwrap_or(usize::MAX),
            max_attempts: Setting::new("MAX_ATTEMPTS", self.max_attempts.as_deref())
                .number(25, 1..=1_000_000)?
                .try_into()
                .unwrap_or(u32::MAX),
            reclaim_after: Setting::new("RECLAIM_AFTER_MS", self.reclaim_after_ms.as_deref())
                .milliseconds(30_000, 100..=86_400_000)?,
            cache_redis,
            cache_mode,
            cache_second_deletion: Some(
                Setting::new(
                    "CACHE_SECOND_DELETION_MS",
                    self.cache_second_deletion_ms.as_deref(),
                )
                .milliseconds(0, 0..=3_600_000)?,
            )
            .filter(|wait| !wait.is_zero()),
            common,
            database,
            cache_tag_prefix,
            ledger_retention_days: Setting::new(
                "LEDGER_RETENTION_DAYS",
                self.ledger_retention_days.as_deref(),
            )
            .number(90, 1..=36_500)?
            .try_into()
            .unwrap_or(i32::MAX),
        })
    }

    fn cache_mode(&self) -> Result<CacheMode, SettingError> {
        let key_prefix = self.cache_key_prefix.clone().unwrap_or_default();
        check_quotes("CACHE_KEY_PREFIX", &key_prefix)?;
        let mode = Setting::new("CACHE_MODE", self.cache_mode.as_deref())
            .optional("keys or next", |text| match text {
                "keys" => Some(CacheMode::Keys),
                "next" => Some(CacheMode::Next {
                    key_prefix: key_prefix.clone(),
                }),
                _ => None,
            })?
            .unwrap_or(CacheMode::Keys);
        if mode == CacheMode::Keys && !key_prefix.is_empty() {
            return Err(SettingError::new(
                "CACHE_KEY_PREFIX",
                format!("{key_prefix:?}"),
                "nothing, unless CACHE_MODE is next",
            ));
        }
        Ok(mode)
    }
}
