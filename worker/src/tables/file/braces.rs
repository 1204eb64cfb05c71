//! Texts with something in braces: `{{` and `}}` are braces themselves.

/// A part of such a text.
pub(super) enum Part<'a> {
    Text(String),
    Braced(&'a str),
}

/// The parts of `text`; `None` where a brace is alone.
pub(super) fn parts(text: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        if let Some(behind) = behind.strip_prefix("{{") {
            plain.push('{');
            rest = behind;
        } else if let Some(behind) = behind.strip_prefix("}}") {
            plain.push('}');
            rest = behind;
        } else {
            let (braced, behind) = behind.strip_prefix('{')?.split_once('}')?;
            if braced.contains('{') {
                return None;
            }
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Braced(braced));
            rest = behind;
        }
    }
    parts.push(Part::Text(plain + rest));
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    Some(parts)
}
