//! Rows made of parameters.

/// A list of parameters of `unnest`, and the names of what they become.
#[derive(Default)]
pub(super) struct Source {
    parameters: Vec<String>,
    names: Vec<String>,
}

impl Source {
    pub(super) fn add(&mut self, sql_type: &str, name: impl Into<String>) {
        let number = self.parameters.len() + 1;
        self.parameters.push(format!("${number}::{sql_type}[]"));
        self.names.push(name.into());
    }

    pub(super) fn sql(&self, alias: &str) -> String {
        let (parameters, names) = (self.parameters.join(", "), self.names.join(", "));
        format!("unnest({parameters})\n    AS {alias} ({names})")
    }

    /// With `n`, the place of each.
    pub(super) fn numbered(&self, alias: &str) -> String {
        let (parameters, names) = (self.parameters.join(", "), self.names.join(", "));
        format!("unnest({parameters}) WITH ORDINALITY\n    AS {alias} ({names}, n)")
    }
}
