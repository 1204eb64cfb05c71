//! What the `OTEL_*` variables say. The SDK reads them too, and goes on where one makes no sense; here that stops
//! the process.

use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use url::Url;

use crate::settings::{Setting, SettingError};
use crate::tls::Authorities;

/// How long the collector may take to answer, in milliseconds.
const TIMEOUT: u64 = 10_000;

/// Traces that are on.
pub(super) struct Settings {
    /// Whether the collector is asked over TLS.
    pub(super) tls: bool,
    /// Whom to trust then, if not whom the system trusts.
    pub(super) authorities: Option<Authorities>,
    /// How long it may take to answer.
    pub(super) timeout: Duration,
    /// Whether the environment tells the name of the service.
    pub(super) service_is_named: bool,
}

impl Settings {
    /// `None` where nothing is to be traced. `variable` gives the values of environment variables.
    pub(super) fn parse(
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingError> {
        let value = |name| variable(name).filter(|value| !value.trim().is_empty());
        // What is said of traces alone wins over what is said of all signals.
        let either = |of_traces, of_all| match value(of_traces) {
            Some(value) => (of_traces, Some(value)),
            None => (of_all, value(of_all)),
        };
        let one_of = |(name, value): (&'static str, Option<String>), values: &[&str]| {
            let expected = values.join(" or ");
            let known = |text: &str| values.iter().position(|value| *value == text);
            Setting::new(name, value.as_deref()).optional(&expected, known)
        };
        let alone = |name| (name, value(name));

        let endpoint = either(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        );
        let disabled = value("OTEL_SDK_DISABLED")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let exporter = one_of(alone("OTEL_TRACES_EXPORTER"), &["otlp", "none"])?;
        let (name, Some(url)) = endpoint else {
            return Ok(None);
        };
        if disabled || exporter == Some(1) {
            return Ok(None);
        }
        let url = Setting::secret(name, Some(&url)).required(
            "an http:// or https:// URL, such as http://127.0.0.1:4318",
            |text| {
                Url::parse(text)
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https"))
            },
        )?;
        for name in [
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "OTEL_EXPORTER_OTLP_HEADERS",
        ] {
            Setting::secret(name, value(name).as_deref()).optional(
                "name=value of headers, with commas between; %2C for a comma in a value",
                |text| text.split_terminator(',').all(is_header).then_some(()),
            )?;
        }
        one_of(
            either(
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
                "OTEL_EXPORTER_OTLP_PROTOCOL",
            ),
            &["http/protobuf"],
        )?;
        one_of(
            either(
                "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
                "OTEL_EXPORTER_OTLP_COMPRESSION",
            ),
            &["none"],
        )?;
        one_of(
            alone("OTEL_TRACES_SAMPLER"),
            &[
                "parentbased_traceidratio",
                "traceidratio",
                "parentbased_always_on",
                "parentbased_always_off",
                "always_on",
                "always_off",
            ],
        )?;
        let ratio = value("OTEL_TRACES_SAMPLER_ARG");
        Setting::new("OTEL_TRACES_SAMPLER_ARG", ratio.as_deref()).optional(
            "a number from 0 to 1",
            |text| {
                text.parse::<f64>()
                    .ok()
                    .filter(|ratio| (0.0..=1.0).contains(ratio))
            },
        )?;
        let (name, timeout) = either(
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
        );
        let timeout = Setting::new(name, timeout.as_deref()).milliseconds(TIMEOUT, 1..=600_000)?;
        let (name, certificate) = either(
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
        );
        let authorities = Setting::new(name, certificate.as_deref()).authorities()?;
        let service_is_named = value("OTEL_SERVICE_NAME").is_some()
            || value("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|text| {
                text.split(',')
                    .any(|one| one.trim().starts_with("service.name="))
            });
        Ok(Some(Self {
            tls: url.scheme() == "https",
            authorities,
            timeout,
            service_is_named,
        }))
    }
}

/// Whether the SDK, which drops others, takes it.
fn is_header(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, value)| {
        HeaderName::try_from(name.trim()).is_ok() && HeaderValue::try_from(value.trim()).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    fn parse(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingError> {
        Settings::parse(&|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn are_on(variables: &[(&str, &str)]) -> bool {
        parse(variables).unwrap().is_some()
    }

    #[test]
    fn traces_are_off_unless_a_collector_is_named() {
        assert!(!are_on(&[]));
        assert!(!are_on(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
        assert!(!are_on(&[("OTEL_TRACES_EXPORTER", "otlp")]));
        assert!(are_on(&[ON]));
        assert!(are_on(&[(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://example.com/v1/traces"
        )]));
        assert!(are_on(&[ON, ("OTEL_SDK_DISABLED", "false")]));
        assert!(!are_on(&[ON, ("OTEL_SDK_DISABLED", "TRUE")]));
        assert!(!are_on(&[ON, ("OTEL_TRACES_EXPORTER", "none")]));
    }

    /// P11, P12
    #[test]
    fn what_makes_no_sense_is_named_and_no_secret_is_shown() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file.pem"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ] {
            let error = parse(&[ON, (name, value)]).err().unwrap().to_string();
            assert!(
                error.starts_with(&format!("{name}: found \"{value}\"")),
                "{error}"
            );
        }
        for (name, value) in [
            (ON.0, "grpc://ada:hunter2@example.com"),
            (ON.0, "http://ada:hunter2"),
            (ON.0, "hunter2"),
            (ON.0, "\"http://hunter2\""),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization: Bearer hunter2",
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "'authorization=hunter2'"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,hunter2"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x y=hunter2"),
        ] {
            let others = [ON].into_iter().filter(|(other, _)| *other != name);
            let variables: Vec<_> = others.chain([(name, value)]).collect();
            let error = parse(&variables).err().unwrap().to_string();
            assert!(error.starts_with(&format!("{name}: found")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let headers = "authorization=Bearer%20hunter2, x-key = a=b,";
        assert!(are_on(&[ON, ("OTEL_EXPORTER_OTLP_HEADERS", headers)]));
    }

    #[test]
    fn the_environment_may_name_the_service() {
        let is_named = |variable| parse(&[ON, variable]).unwrap().unwrap().service_is_named;
        assert!(is_named(("OTEL_SERVICE_NAME", "users")));
        assert!(is_named((
            "OTEL_RESOURCE_ATTRIBUTES",
            "a=b, service.name=users"
        )));
        assert!(!is_named((
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.namespace=users"
        )));
    }
}
