//! What is to be said of a Redis, from what it says of its settings.

use std::collections::BTreeMap;

/// A setting of `redis.conf`.
struct Setting {
    name: &'static str,
    expected: &'static str,
    /// What happens with any other value.
    risk: &'static str,
    /// The field of INFO that tells it, and what that says for `expected`.
    in_info: Option<(&'static str, &'static str)>,
}

/// See <https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/> and, in Redis' `redis.conf`, what is said
/// of each.
const SETTINGS: [Setting; 4] = [
    Setting {
        name: "appendonly",
        expected: "yes",
        risk: "a crash of Redis loses all events since its last snapshot",
        in_info: Some(("aof_enabled", "1")),
    },
    Setting {
        name: "appendfsync",
        expected: "always",
        risk: "a crash of Redis or its machine loses the events of the last seconds",
        in_info: None,
    },
    Setting {
        name: "no-appendfsync-on-rewrite",
        expected: "no",
        risk: "a crash while Redis rewrites its append-only file loses the events of that time",
        in_info: None,
    },
    Setting {
        name: "maxmemory-policy",
        expected: "noeviction",
        risk: "a Redis that is full throws waiting events away",
        in_info: Some(("maxmemory_policy", "noeviction")),
    },
];

/// The names of the settings that matter.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.name)
}

/// What is to be said about a server.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Finding {
    /// It loses events.
    Wrong { setting: usize, found: String },
    /// It does not tell these settings.
    Untold(Vec<&'static str>),
}

/// Adds the settings that INFO tells and CONFIG did not.
pub(super) fn add_info(settings: &mut BTreeMap<String, String>, info: &str) {
    let fields: BTreeMap<&str, &str> = info
        .lines()
        .filter_map(|line| line.trim_end().split_once(':'))
        .collect();
    for setting in &SETTINGS {
        if let Some((field, good)) = setting.in_info
            && let Some(found) = fields.get(field)
        {
            let found = if *found == good {
                setting.expected
            } else {
                found
            };
            let place = settings.entry(setting.name.to_owned());
            place.or_insert_with(|| found.to_owned());
        }
    }
}

/// What is to be said of these settings.
pub(super) fn findings(settings: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut untold = Vec::new();
    for (number, setting) in SETTINGS.iter().enumerate() {
        match settings.get(setting.name) {
            None => untold.push(setting.name),
            Some(found) if found != setting.expected => findings.push(Finding::Wrong {
                setting: number,
                found: found.clone(),
            }),
            Some(_) => {}
        }
    }
    if !untold.is_empty() {
        findings.push(Finding::Untold(untold));
    }
    findings
}

impl Finding {
    /// Writes it into the log.
    pub(super) fn tell(&self, server: &str) {
        match self {
            Self::Wrong { setting, found } => {
                let Setting {
                    name,
                    expected,
                    risk,
                    ..
                } = &SETTINGS[*setting];
                tracing::warn!(
                    server,
                    found = format!("{name} {found}"),
                    risk,
                    remedy = format!(
                        "redis-cli CONFIG SET {name} {expected}, and in redis.conf: {name} {expected}"
                    ),
                    "Redis does not keep what it has acknowledged"
                );
            }
            Self::Untold(names) => tracing::warn!(
                server,
                untold = names.join(", "),
                expected = SETTINGS
                    .iter()
                    .filter(|setting| names.contains(&setting.name))
                    .map(|setting| format!("{} {}", setting.name, setting.expected))
                    .collect::<Vec<_>>()
                    .join(", "),
                "Redis does not tell whether it keeps what it has acknowledged: ask who runs it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    const GOOD: [(&str, &str); 4] = [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("no-appendfsync-on-rewrite", "no"),
        ("maxmemory-policy", "noeviction"),
    ];

    #[test]
    fn nothing_is_said_of_a_redis_that_keeps_what_it_acknowledges() {
        assert!(findings(&settings(&GOOD)).is_empty());
    }

    #[test]
    fn every_setting_that_is_wrong_is_found_in_one_run() {
        let wrong = [
            ("appendonly", "no"),
            ("appendfsync", "everysec"),
            ("no-appendfsync-on-rewrite", "yes"),
            ("maxmemory-policy", "allkeys-lru"),
        ];
        let found = findings(&settings(&wrong));
        for (number, (_, value)) in wrong.iter().enumerate() {
            let found_value = (*value).to_owned();
            assert!(found.contains(&Finding::Wrong {
                setting: number,
                found: found_value
            }));
        }
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn what_info_tells_counts_where_config_does_not_and_the_rest_is_named() {
        let mut known = settings(&[]);
        add_info(
            &mut known,
            "# Memory\r\nmaxmemory_policy:volatile-lru\r\n# Persistence\r\naof_enabled:1\r\n",
        );
        assert_eq!(
            findings(&known),
            [
                Finding::Wrong {
                    setting: 3,
                    found: "volatile-lru".to_owned()
                },
                Finding::Untold(vec!["appendfsync", "no-appendfsync-on-rewrite"]),
            ]
        );
        let mut known = settings(&[("appendonly", "yes")]);
        add_info(&mut known, "aof_enabled:0\r\n");
        assert_eq!(known["appendonly"], "yes");
    }
}
