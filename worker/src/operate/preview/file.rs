//! Files with events, as people have them: one event, a list of them, or one a line.

use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::terminal::escaped;

/// What a file should hold.
const EXPECTED: &str =
    "an event as Clerk's webhooks send it: {\"type\": \"user.updated\", \"data\": { … }, …}";

/// One event of a file.
pub(super) struct Sample {
    /// The file, and which event of it where there are several.
    pub(super) label: String,
    /// As it stands there: what a webhook would bring.
    pub(super) json: Box<RawValue>,
}

/// The events of a file; and what is wrong with it, behind those that stand before.
pub(super) fn samples(path: &Path) -> (Vec<Sample>, Option<String>) {
    let is_input = path == Path::new("-");
    let name = match is_input {
        true => "standard input".to_owned(),
        false => escaped(&path.display().to_string()),
    };
    let mut bytes = Vec::new();
    let read = match is_input {
        true => std::io::stdin().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(path).map(|read| bytes = read),
    };
    if let Err(error) = read {
        let problem = format!("{name}: it cannot be read ({error}), expected {EXPECTED}");
        return (Vec::new(), Some(problem));
    }
    let (values, problem) = values(&bytes);
    let problem = match problem {
        Some((line, what)) => Some(format!("{name}:{line}: {what}, expected {EXPECTED}")),
        None if values.is_empty() => Some(format!("{name}: it is empty, expected {EXPECTED}")),
        None => None,
    };
    let is_one = values.len() == 1;
    let sample = |(number, json)| Sample {
        label: match is_one {
            true => name.clone(),
            false => format!("{name}, event {number}"),
        },
        json,
    };
    ((1..).zip(values).map(sample).collect(), problem)
}

/// The values that follow each other in a file, those of lists one by one; and the line at which it is not JSON.
fn values(bytes: &[u8]) -> (Vec<Box<RawValue>>, Option<(usize, String)>) {
    // What an editor of Windows puts there.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Box<RawValue>>() {
        match value {
            Ok(value) => match serde_json::from_str(value.get()) {
                Ok(list) => values.extend::<Vec<_>>(list),
                Err(_) => values.push(value),
            },
            Err(error) => {
                let what = match error.is_eof() {
                    true => "the JSON stops in the middle",
                    false => "this is not JSON",
                };
                return (values, Some((error.line(), what.to_owned())));
            }
        }
    }
    (values, None)
}

/// What stands there in place of an event, and what is expected.
pub(super) fn no_event(json: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Head {
        object: Option<String>,
        id: Option<String>,
    }
    let head: Option<Head> = serde_json::from_str(json.get()).ok();
    let object = head.and_then(|head| head.id.and(head.object));
    match object.as_deref() {
        Some(object @ ("user" | "organization" | "organization_membership")) => format!(
            "this is the {object} as Clerk's API returns it, not an event. Put it into one: {{\"type\": \"{}.updated\", \"data\": …}}",
            match object {
                "organization_membership" => "organizationMembership",
                object => object,
            }
        ),
        _ => format!("this is not an event, expected {EXPECTED}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> (Vec<String>, Option<(usize, String)>) {
        let (values, problem) = values(bytes);
        let texts = values.iter().map(|value| value.get().to_owned());
        (texts.collect(), problem)
    }

    #[test]
    fn a_file_has_one_event_a_list_or_one_a_line() {
        for (text, expected) in [
            ("", vec![]),
            (" \n", vec![]),
            ("[]", vec![]),
            (" {\"a\": 1}\n", vec!["{\"a\": 1}"]),
            ("\u{feff}{}", vec!["{}"]),
            ("{}{\"a\":1}", vec!["{}", "{\"a\":1}"]),
            ("{}\r\n\r\n{}\n", vec!["{}", "{}"]),
            ("[{}, {\"a\":[]}]", vec!["{}", "{\"a\":[]}"]),
            ("[{}]\n[7]\n\"x\"", vec!["{}", "7", "\"x\""]),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(told(text.as_bytes()), (expected, None), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_told_with_its_line() {
        for (text, before, line, what) in [
            ("type: user.created", 0, 1, "this is not JSON"),
            ("{}\n{\"a\":\n nonsense}", 1, 3, "this is not JSON"),
            ("{}\n{\"a\":", 1, 2, "the JSON stops in the middle"),
            ("[{},", 0, 1, "the JSON stops in the middle"),
            ("\u{fffd}", 0, 1, "this is not JSON"),
        ] {
            let (values, problem) = told(text.as_bytes());
            assert_eq!(values.len(), before, "{text}");
            assert_eq!(problem, Some((line, what.to_owned())), "{text}");
        }
        let utf_16 = b"\xff\xfe{\x00}\x00";
        assert_eq!(told(utf_16).1, Some((1, "this is not JSON".to_owned())));
    }

    #[test]
    fn what_is_no_event_is_told_as_what_it_is() {
        for (json, expected) in [
            (
                r#"{"id":"user_1","object":"user"}"#,
                r#"this is the user as Clerk's API returns it, not an event. Put it into one: {"type": "user.updated", "data": …}"#,
            ),
            (
                r#"{"id":"orgmem_1","object":"organization_membership"}"#,
                r#"this is the organization_membership"#,
            ),
            (
                r#"{"object":"event"}"#,
                "this is not an event, expected an event",
            ),
            ("7", "this is not an event, expected an event"),
        ] {
            let json: &RawValue = serde_json::from_str(json).unwrap();
            assert!(no_event(json).starts_with(expected), "{}", no_event(json));
        }
    }
}
