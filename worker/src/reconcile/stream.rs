//! Puts events on the streams as the ingest does, in the room that it leaves.

use std::time::{Duration, SystemTime};

use redis::RedisResult;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use shared::partition::partition_of;
use shared::queue::{Keys, field};
use shared::redis_link::{self, RedisLink};
use shared::svix_id::SvixId;
use tokio::task::JoinSet;

use crate::database::url::DatabaseUrl;
use crate::event::ASKED_FOR;
use crate::event::object::{Object, ObjectId};
use crate::event::time::milliseconds;
use crate::operate::explain::line;
use crate::reconcile::family::Family;
use crate::reconcile::pages::Place;
use crate::reconcile::patience::Patience;
use crate::reconcile::progress::Progress;
use crate::settings::reconcile::ReconcileSettings;

/// How many events are sent at once.
const EVENTS_AT_ONCE: usize = 64;
/// Between two looks whether there is room.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// For how long an interrupted run can be gone on with, in seconds.
const PLACE_EXPIRY: u64 = 24 * 60 * 60;

/// An event about an object that no webhook has brought.
#[derive(Clone, Debug)]
pub struct Addition {
    svix_id: SvixId,
    object_id: ObjectId,
    r#type: String,
    payload: String,
}

impl Addition {
    /// The object looks like `json`; the type ends with `kind`. The same event always has the same svix-id, so that runs
    /// that overlap, or one that is repeated, change nothing twice. `None` where the id is too long for a svix-id.
    #[must_use]
    pub fn upsert(
        object: &Object,
        kind: &'static str,
        json: &RawValue,
        event_at: SystemTime,
    ) -> Option<Self> {
        let event_at = milliseconds(event_at);
        let name = format!("{}_{event_at}", milliseconds(object.updated_at));
        let r#type = format!("{}.{kind}", object.section.family);
        Self::new(&object.id, r#type, &name, event_at, json)
    }

    /// The object is gone, as was found out at `asked_at`.
    #[must_use]
    pub fn deletion(family: &Family, id: &ObjectId, asked_at: SystemTime) -> Option<Self> {
        #[derive(Serialize)]
        struct Deleted<'a> {
            id: &'a str,
            object: &'static str,
            deleted: bool,
        }
        let deleted = Deleted {
            id: id.as_str(),
            object: family.object,
            deleted: true,
        };
        let event_at = milliseconds(asked_at);
        let r#type = format!("{}.deleted", family.name);
        Self::new(id, r#type, "deleted", event_at, &deleted)
    }

    fn new(
        object_id: &ObjectId,
        r#type: String,
        name: &str,
        timestamp: i64,
        data: &(impl Serialize + ?Sized),
    ) -> Option<Self> {
        #[derive(Serialize)]
        struct Event<'a, D: ?Sized> {
            data: &'a D,
            object: &'static str,
            timestamp: i64,
            r#type: &'a str,
        }
        let event = Event {
            data,
            object: "event",
            timestamp,
            r#type: &r#type,
        };
        Some(Self {
            svix_id: SvixId::parse(&format!("{ASKED_FOR}{}_{name}", object_id.as_str()))?,
            object_id: object_id.clone(),
            payload: serde_json::to_string(&event).ok()?,
            r#type,
        })
    }
}

/// What to say of an object that gets no event because the id is too long for a svix-id.
pub(super) fn too_long(id: &ObjectId) -> String {
    let id = line(id.as_str().as_bytes());
    format!("unusable {id}: too long for a svix-id")
}

/// The streams, and what is remembered beside them.
pub struct Stream {
    link: RedisLink,
    /// The keys of the streams.
    streams: Vec<String>,
    max_waiting: u64,
    /// Where the places are kept, before the family: keys for each instance of Clerk and database, so that nobody goes on
    /// with the lists of another one.
    places: String,
    progress: Progress,
}

impl Stream {
    /// The streams of `partitions` partitions, for the workers of `database`.
    #[must_use]
    pub fn new(
        link: RedisLink,
        partitions: u32,
        settings: &ReconcileSettings,
        database: &DatabaseUrl,
        progress: Progress,
    ) -> Self {
        let mut instance = Sha256::new();
        instance.update(&settings.api_url);
        instance.update(settings.authorization.as_bytes());
        let config = &database.config;
        let hosts = (
            config.get_hosts(),
            config.get_hostaddrs(),
            config.get_ports(),
        );
        let name = config.get_dbname().or(config.get_user());
        instance.update(format!("{hosts:?} {name:?}"));
        let [first, second, third, fourth, ..] = instance.finalize().0;
        let instance = u32::from_be_bytes([first, second, third, fourth]);
        let streams = 0..partitions.max(1);
        Self {
            link,
            streams: streams.map(|number| Keys::of(number).events).collect(),
            max_waiting: settings.max_waiting,
            places: format!("{{clerk:0}}:reconcile:{instance:08x}"),
            progress,
        }
    }

    /// Puts all on the streams of their objects, as soon as there is room.
    ///
    /// # Errors
    /// When Redis has been away, or has refused it, for too long; in words.
    pub async fn push(&self, mut additions: Vec<Addition>) -> Result<(), String> {
        let mut patience = Patience::new(&self.progress);
        while !additions.is_empty() {
            let room = self.room().await?.min(additions.len());
            let rest = additions.split_off(room);
            let mut adding = JoinSet::new();
            for addition in additions {
                let (command, mut link) = (self.command(&addition), self.link.clone());
                adding.spawn(async move { (command.exec_async(&mut link).await, addition) });
            }
            let (mut failed, mut reason) = (rest, None);
            // None of them panics.
            while let Some(Ok((added, addition))) = adding.join_next().await {
                if let Err(error) = added {
                    reason = Some(redis_link::reason(&error));
                    failed.push(addition);
                }
            }
            additions = failed;
            match reason {
                Some(reason) => wait(&mut patience, &reason).await?,
                None => patience = Patience::new(&self.progress),
            }
        }
        Ok(())
    }

    fn command(&self, addition: &Addition) -> redis::Cmd {
        let partitions = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        let partition = partition_of(addition.object_id.as_str(), partitions);
        let mut command = redis::cmd("XADD");
        command
            .arg(&self.streams[partition as usize])
            .arg("*")
            .arg(field::SVIX_ID)
            .arg(addition.svix_id.as_str())
            .arg(field::TYPE)
            .arg(&addition.r#type)
            .arg(field::PAYLOAD)
            .arg(&addition.payload)
            .arg(field::RECEIVED_AT)
            .arg(milliseconds(SystemTime::now()));
        command
    }

    /// How many events may be added now, one at least.
    async fn room(&self) -> Result<usize, String> {
        let mut is_told = false;
        loop {
            let waiting = self.patiently(async || self.waiting().await).await?;
            let room = usize::try_from(self.max_waiting.saturating_sub(waiting));
            match room.unwrap_or(usize::MAX).min(EVENTS_AT_ONCE) {
                0 if is_told => {}
                0 => {
                    self.progress.say(&format!(
                        "{waiting} entries wait in the stream: no room yet"
                    ));
                    is_told = true;
                }
                room => return Ok(room),
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn waiting(&self) -> RedisResult<u64> {
        let mut sum = 0;
        for stream in &self.streams {
            let mut length = redis::cmd("XLEN");
            sum += length
                .arg(stream)
                .query_async::<u64>(&mut self.link.clone())
                .await?;
        }
        Ok(sum)
    }

    /// Where an interrupted run has stopped in the list of a family.
    ///
    /// # Errors
    /// As [`Stream::push`].
    pub async fn place(&self, family: &Family) -> Result<Option<Place>, String> {
        let mut command = redis::cmd("GET");
        command.arg(self.place_of(family));
        let ask = async || {
            command
                .query_async::<Option<String>>(&mut self.link.clone())
                .await
        };
        let place = self.patiently(ask).await?;
        Ok(place.and_then(|place| place.parse().ok()))
    }

    /// Remembers how far this one has come in it.
    ///
    /// # Errors
    /// As [`Stream::push`].
    pub async fn keep(&self, family: &Family, place: Place) -> Result<(), String> {
        let mut command = redis::cmd("SET");
        command.arg(self.place_of(family)).arg(place.to_string());
        command.arg("EX").arg(PLACE_EXPIRY);
        self.patiently(async || command.exec_async(&mut self.link.clone()).await)
            .await
    }

    /// This one has come to the end of all lists that it reads.
    ///
    /// # Errors
    /// As [`Stream::push`].
    pub async fn forget_place(&self, family: &Family) -> Result<(), String> {
        let mut command = redis::cmd("DEL");
        command.arg(self.place_of(family));
        self.patiently(async || command.exec_async(&mut self.link.clone()).await)
            .await
    }

    fn place_of(&self, family: &Family) -> String {
        format!("{}:{}", self.places, family.name)
    }

    async fn patiently<T>(
        &self,
        mut ask: impl AsyncFnMut() -> RedisResult<T>,
    ) -> Result<T, String> {
        let mut patience = Patience::new(&self.progress);
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => wait(&mut patience, &redis_link::reason(&error)).await?,
            }
        }
    }
}

async fn wait(patience: &mut Patience<'_>, reason: &str) -> Result<(), String> {
    let reason = format!("Redis cannot be asked ({reason})");
    patience.wait(&reason, Duration::ZERO).await
}
