//! A user as the table holds it: every value fits its column.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::unusable::Unusable;

/// Characters that `users.id`, `name` and `email` hold; PostgreSQL counts characters as Rust does.
pub(crate) const MAX_TEXT: usize = 255;
/// Characters that `users."imageUrl"` holds.
pub(crate) const MAX_IMAGE_URL: usize = 1000;

/// What a user without names is called.
pub(crate) const NO_NAME: &str = "User";

/// A Clerk user id: 1 to 255 characters that PostgreSQL can store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(String);

impl UserId {
    /// `None` when `text` does not fit the column.
    #[must_use]
    pub fn parse(text: String) -> Option<Self> {
        is_storable(&text).then_some(Self(text))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A row of `users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `id`
    pub id: UserId,
    /// `name`, never blank
    pub name: String,
    /// `email`, never blank
    pub email: String,
    /// `"imageUrl"`
    pub image_url: Option<String>,
    /// `"createdAt"`
    pub created_at: SystemTime,
    /// `"updatedAt"`
    pub updated_at: SystemTime,
}

/// What we read of Clerk's `UserJSON`; the dozens of other fields are ignored.
#[derive(Deserialize)]
struct UserJson<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    first_name: Option<&'a RawValue>,
    #[serde(borrow)]
    last_name: Option<&'a RawValue>,
    #[serde(borrow)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow)]
    primary_email_address_id: Option<&'a RawValue>,
    #[serde(borrow)]
    email_addresses: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    updated_at: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct EmailAddressJson<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    email_address: Option<&'a RawValue>,
}

impl User {
    /// Reads `data` of `user.created` or `user.updated`.
    ///
    /// # Errors
    /// When a value that the row cannot do without is missing or does not fit its column.
    pub fn parse(data: &RawValue) -> Result<Self, Unusable> {
        let json: UserJson<'_> = serde_json::from_str(data.get()).map_err(|_| Unusable::Data)?;
        Ok(Self {
            id: id(json.id)?,
            name: name(
                lossy_text(json.first_name, "first_name")?,
                lossy_text(json.last_name, "last_name")?,
            ),
            email: email(json.email_addresses, json.primary_email_address_id)?,
            image_url: lossy_text(json.image_url, "image_url")?.filter(|url| {
                url.chars().count() <= MAX_IMAGE_URL && !url.contains(['\0', '\u{fffd}'])
            }),
            created_at: time(json.created_at, "created_at")?,
            updated_at: time(json.updated_at, "updated_at")?,
        })
    }
}

/// Reads `data.id`.
///
/// # Errors
/// When it is missing or does not fit the column.
pub fn id(json: Option<&RawValue>) -> Result<UserId, Unusable> {
    text(json, "id")?
        .and_then(UserId::parse)
        .ok_or(Unusable::Field("id"))
}

/// The names that are there, joined; cut where the column ends; never blank.
fn name(first: Option<String>, last: Option<String>) -> String {
    let given: Vec<String> = [first, last]
        .into_iter()
        .flatten()
        .map(|name| name.replace('\0', ""))
        .filter(|name| !name.trim().is_empty())
        .collect();
    let name: String = given.join(" ").chars().take(MAX_TEXT).collect();
    if name.trim().is_empty() {
        NO_NAME.to_owned()
    } else {
        name
    }
}

/// The address whose id is `primary_id`. What stands beside it, readable or not, does not matter.
fn email(addresses: Option<&RawValue>, primary_id: Option<&RawValue>) -> Result<String, Unusable> {
    let primary_id =
        text(primary_id, "primary_email_address_id")?.ok_or(Unusable::NoPrimaryEmail)?;
    let addresses: Option<Vec<&RawValue>> = addresses
        .map(|json| {
            serde_json::from_str(json.get()).map_err(|_| Unusable::Field("email_addresses"))
        })
        .transpose()?
        .flatten();
    addresses
        .into_iter()
        .flatten()
        .filter_map(address)
        .find(|(id, _)| *id == primary_id)
        .ok_or(Unusable::NoPrimaryEmail)
        .and_then(|(_, email)| text(email, "email_address"))?
        .filter(|email| is_storable(email) && !email.trim().is_empty())
        .ok_or(Unusable::Field("email_address"))
}

/// An entry of `email_addresses`: its id and what it says the address is.
fn address(json: &RawValue) -> Option<(String, Option<&RawValue>)> {
    // serde takes a JSON array for a struct too, field by field.
    if !json.get().starts_with('{') {
        return None;
    }
    let address: EmailAddressJson<'_> = serde_json::from_str(json.get()).ok()?;
    Some((text(address.id, "id").ok()??, address.email_address))
}

fn is_storable(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.chars().count()) && !text.contains('\0')
}

/// A JSON string, or nothing for `null` and for a missing field.
fn text(json: Option<&RawValue>, field: &'static str) -> Result<Option<String>, Unusable> {
    json.map_or(Ok(None), |json| serde_json::from_str(json.get()))
        .map_err(|_| Unusable::Field(field))
}

/// The same, for what may lose a character without meaning another user or address. JavaScript cuts
/// strings between the halves of an emoji, and JSON can carry such a half; UTF-8 and PostgreSQL
/// cannot. It becomes U+FFFD instead of costing the user its row.
fn lossy_text(json: Option<&RawValue>, field: &'static str) -> Result<Option<String>, Unusable> {
    json.map_or(Ok(None), |json| {
        serde_json::from_str::<Option<LossyText>>(json.get())
    })
    .map(|text| text.map(|text| text.0))
    .map_err(|_| Unusable::Field(field))
}

struct LossyText(String);

impl<'de> Deserialize<'de> for LossyText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = LossyText;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<LossyText, E> {
                let mut text = String::with_capacity(bytes.len());
                for chunk in bytes.utf8_chunks() {
                    text.push_str(chunk.valid());
                    // A half is three bytes, each of them invalid; 0xED is the first.
                    if chunk.invalid() == [0xed] {
                        text.push(char::REPLACEMENT_CHARACTER);
                    }
                }
                Ok(LossyText(text))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// A JSON number of milliseconds since the epoch, in the years 1 to 9999: what PostgreSQL and every
/// reader of its timestamps can hold.
///
/// # Errors
/// When it is missing, not such a number, or outside these years.
pub fn time(json: Option<&RawValue>, field: &'static str) -> Result<SystemTime, Unusable> {
    const YEAR_1: i64 = -62_135_596_800_000;
    const YEAR_10000: i64 = 253_402_300_800_000;
    let milliseconds = json
        .and_then(|json| serde_json::from_str::<serde_json::Number>(json.get()).ok())
        .and_then(|number| number.as_i64().or_else(|| whole(number.as_f64()?)))
        .filter(|milliseconds| (YEAR_1..YEAR_10000).contains(milliseconds))
        .ok_or(Unusable::Field(field))?;
    time_of(milliseconds).ok_or(Unusable::Field(field))
}

/// `None` where the system's clock cannot say it.
pub(crate) fn time_of(milliseconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    if milliseconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

/// Since the epoch.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    let count = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or_else(|before| -count(before.duration()), count)
}

/// A number that was written with a point or an exponent, such as 1.7e12.
#[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}
