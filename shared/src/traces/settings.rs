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
        let variables = Variables(variable);
        let Some(url) = variables.collector()? else {
            return Ok(None);
        };
        variables.check_headers()?;
        variables.check_encoding()?;
        variables.check_sampler()?;
        let (name, timeout) = variables.either(
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
        );
        let timeout = Setting::new(name, timeout.as_deref()).milliseconds(TIMEOUT, 1..=600_000)?;
        let (name, certificate) = variables.either(
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
        );
        let authorities = Setting::new(name, certificate.as_deref()).authorities()?;
        Ok(Some(Self {
            tls: url.scheme() == "https",
            authorities,
            timeout,
            service_is_named: variables.name_the_service(),
        }))
    }
}

/// The environment.
struct Variables<F>(F);

/// The name of a variable, and its value if it has one that is not blank.
type Variable = (&'static str, Option<String>);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn one(&self, name: &'static str) -> Variable {
        let value = self.0(name).filter(|value| !value.trim().is_empty());
        (name, value)
    }

    /// What is said of traces alone wins over what is said of all signals.
    fn either(&self, of_traces: &'static str, of_all: &'static str) -> Variable {
        let (name, value) = self.one(of_traces);
        match value {
            Some(_) => (name, value),
            None => self.one(of_all),
        }
    }

    /// Where traces go, if anything is to be traced.
    fn collector(&self) -> Result<Option<Url>, SettingError> {
        let endpoint = self.either(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        );
        let (_, disabled) = self.one("OTEL_SDK_DISABLED");
        let is_disabled = disabled.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let exporter = one_of(self.one("OTEL_TRACES_EXPORTER"), &["otlp", "none"])?;
        let (name, Some(url)) = endpoint else {
            return Ok(None);
        };
        if is_disabled || exporter == Some(1) {
            return Ok(None);
        }
        let expected = "an http:// or https:// URL, such as http://127.0.0.1:4318";
        let url = Setting::secret(name, Some(&url)).required(expected, |text| {
            let url = Url::parse(text).ok();
            url.filter(|url| matches!(url.scheme(), "http" | "https"))
        })?;
        Ok(Some(url))
    }

    /// What is sent along with spans, which may hold a secret.
    fn check_headers(&self) -> Result<(), SettingError> {
        for name in [
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "OTEL_EXPORTER_OTLP_HEADERS",
        ] {
            let (name, headers) = self.one(name);
            Setting::secret(name, headers.as_deref()).optional(
                "name=value of headers, with commas between; %2C for a comma in a value",
                |text| text.split_terminator(',').all(is_header).then_some(()),
            )?;
        }
        Ok(())
    }

    /// How spans are written.
    fn check_encoding(&self) -> Result<(), SettingError> {
        let protocol = self.either(
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        );
        one_of(protocol, &["http/protobuf"])?;
        let compression = self.either(
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
            "OTEL_EXPORTER_OTLP_COMPRESSION",
        );
        one_of(compression, &["none"])?;
        Ok(())
    }

    /// Which traces are kept.
    fn check_sampler(&self) -> Result<(), SettingError> {
        let samplers = [
            "parentbased_traceidratio",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "always_on",
            "always_off",
        ];
        one_of(self.one("OTEL_TRACES_SAMPLER"), &samplers)?;
        let (name, ratio) = self.one("OTEL_TRACES_SAMPLER_ARG");
        Setting::new(name, ratio.as_deref()).optional("a number from 0 to 1", |text| {
            let ratio = text.parse::<f64>().ok();
            ratio.filter(|ratio| (0.0..=1.0).contains(ratio))
        })?;
        Ok(())
    }

    fn name_the_service(&self) -> bool {
        let (_, attributes) = self.one("OTEL_RESOURCE_ATTRIBUTES");
        let names_it = |text: String| {
            text.split(',')
                .any(|one| one.trim().starts_with("service.name="))
        };
        self.one("OTEL_SERVICE_NAME").1.is_some() || attributes.is_some_and(names_it)
    }
}

/// The place of the value among `values`, the only ones that it may have.
fn one_of((name, value): Variable, values: &[&str]) -> Result<Option<usize>, SettingError> {
    let expected = values.join(" or ");
    let known = |text: &str| values.iter().position(|value| *value == text);
    Setting::new(name, value.as_deref()).optional(&expected, known)
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
