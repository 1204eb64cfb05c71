//! Names of variables, and what separates them from the rest of a line.

/// Whether it can be the name of a setting.
pub(super) fn is_name(text: &str) -> bool {
    let begins_as_one = text.starts_with(|c: char| !c.is_ascii_digit());
    begins_as_one && name_length(text) == text.len()
}

/// How many bytes of a variable's name `text` begins with.
pub(super) fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// A statement without its `export`, if it begins with one.
pub(super) fn without_export(statement: &str) -> &str {
    match statement.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches(is_space),
        _ => statement,
    }
}

/// The name that a statement begins with, and what stands behind its `=` or `:` if it has one.
pub(super) fn name(statement: &str) -> Option<(&str, Option<&str>)> {
    let statement = without_export(statement);
    let end = statement.find(['=', ':', '\n']).unwrap_or(statement.len());
    let (name, rest) = statement.split_at(end);
    let name = name.trim_end();
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
    let after = rest.strip_prefix(['=', ':']);
    let is_name = !name.is_empty() && name.chars().all(is_plain);
    is_name.then_some((name, after))
}

/// White space within a line.
pub(super) fn is_space(character: char) -> bool {
    character != '\n' && character.is_whitespace()
}
