//! Clerk events, each one new and freshly signed.

use std::{ops::Range, sync::Arc};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Uri, header::HeaderValue};
use rand::{RngExt as _, distr::Alphanumeric};
use serde_json::Value;
use svix::webhooks::Webhook;
use xtask::{clerk_payload::UserPayload, sender::seconds_since_epoch};

use super::template::Template;

/// Stands in the template where the user's id and address go.
const PLACEHOLDER: &str = "PLACEHOLDER";
/// Letters and digits behind `user_` and `msg_`, as Clerk and Svix have them.
const ID_LENGTH: usize = 27;

/// Events of `user.created`, all about different users, in bodies of about 1.7 kB.
///
/// They are signed when they are made, so that signing takes nothing from what is measured. Svix
/// allows five minutes, so they are made for one window and not kept. What is the same in all of
/// them is kept once: a million events must not need gigabytes.
#[derive(Clone)]
pub(crate) struct Events(Arc<Inner>);

struct Inner {
    uri: Uri,
    timestamp: HeaderValue,
    body: Template,
    events: Vec<Event>,
}

struct Event {
    svix_id: HeaderValue,
    signature: HeaderValue,
    /// What stands in the place of [`PLACEHOLDER`].
    name: String,
}

impl Events {
    /// Makes `count` of them, to be sent to `path`. Blocks two threads for some seconds where there
    /// are many. Users whose number among them `is_probe` get an id that begins with `user_probe`.
    pub(crate) async fn make(
        path: &str,
        secret: &str,
        count: usize,
        is_probe: impl Fn(usize) -> bool + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let timestamp = seconds_since_epoch()?;
        let body = template()?;
        let webhook = Webhook::new(secret).context("the signing secret")?;
        let shared = Arc::new((webhook, body, is_probe));
        let make = move |numbers: Range<usize>| {
            let shared = Arc::clone(&shared);
            tokio::task::spawn_blocking(move || {
                let (webhook, body, is_probe) = &*shared;
                numbers
                    .map(|number| Event::make(webhook, body, timestamp, is_probe(number)))
                    .collect::<anyhow::Result<Vec<_>>>()
            })
        };
        let (first, second) = tokio::try_join!(make(0..count / 2), make(count / 2..count))?;
        let mut events = first?;
        events.extend(second?);
        Ok(Self(Arc::new(Inner {
            uri: path.parse()?,
            timestamp: HeaderValue::from(timestamp),
            body: template()?,
            events,
        })))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.events.len()
    }

    pub(crate) fn user_id(&self, number: usize) -> String {
        format!("user_{}", self.0.events[number].name)
    }

    /// The body alone, of the first event.
    pub(crate) fn first_body(&self) -> anyhow::Result<String> {
        let first = self.0.events.first().context("there are no events")?;
        Ok(self.0.body.fill(&[&first.name]))
    }

    /// A delivery as Svix makes it.
    pub(crate) fn request(&self, number: usize) -> Request<Full<Bytes>> {
        let Inner {
            uri,
            timestamp,
            body,
            events,
        } = &*self.0;
        let event = &events[number];
        let mut request = Request::new(Full::new(Bytes::from(body.fill(&[&event.name]))));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.reserve(6);
        headers.insert("host", HeaderValue::from_static("127.0.0.1"));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("user-agent", HeaderValue::from_static("Svix-Webhooks/1.40"));
        headers.insert("svix-id", event.svix_id.clone());
        headers.insert("svix-timestamp", timestamp.clone());
        headers.insert("svix-signature", event.signature.clone());
        request
    }
}

impl Event {
    fn make(
        webhook: &Webhook,
        body: &Template,
        timestamp: i64,
        is_probe: bool,
    ) -> anyhow::Result<Self> {
        let prefix = if is_probe { "probe" } else { "" };
        let name = format!("{prefix}{}", random_text(ID_LENGTH - prefix.len()));
        let svix_id = format!("msg_{}", random_text(ID_LENGTH));
        let signature = webhook.sign(&svix_id, timestamp, body.fill(&[&name]).as_bytes())?;
        Ok(Self {
            svix_id: HeaderValue::from_str(&svix_id)?,
            signature: HeaderValue::from_str(&signature)?,
            name,
        })
    }
}

fn random_text(length: usize) -> String {
    let letters = rand::rng().sample_iter(Alphanumeric).take(length);
    letters.map(char::from).collect()
}

/// The body, with the user's name left blank.
fn template() -> anyhow::Result<Template> {
    let id = format!("user_{PLACEHOLDER}");
    let address = format!("{PLACEHOLDER}@example.com");
    let mut event: Value = serde_json::from_str(&UserPayload::new(&id, &address).created())?;
    // Most users have one address; with it alone the body is as long as most bodies are.
    if let Some(addresses) = event["data"]["email_addresses"].as_array_mut() {
        addresses.retain(|other| other["email_address"] == address);
    }
    Ok(Template::of(&event.to_string(), &[PLACEHOLDER]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use http_body_util::BodyExt as _;
    use xtask::sender::new_secret;

    #[tokio::test]
    async fn events_differ_and_verify() {
        let secret = new_secret();
        let events = Events::make("/path", &secret, 20, |number| number == 7)
            .await
            .unwrap();
        let webhook = Webhook::new(&secret).unwrap();
        let (mut svix_ids, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for number in 0..events.len() {
            let (head, body) = events.request(number).into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            webhook.verify(&body, &head.headers).unwrap();
            assert!((1600..1900).contains(&body.len()), "{} bytes", body.len());
            let event: Value = serde_json::from_slice(&body).unwrap();
            let user_id = event["data"]["id"].as_str().unwrap();
            assert_eq!(user_id, events.user_id(number));
            assert_eq!(user_id.len(), "user_".len() + ID_LENGTH);
            assert_eq!(user_id.starts_with("user_probe"), number == 7);
            svix_ids.insert(head.headers["svix-id"].to_str().unwrap().to_owned());
            addresses.insert(event["data"]["email_addresses"][0]["email_address"].to_string());
        }
        assert_eq!((svix_ids.len(), addresses.len()), (20, 20));
    }
}
