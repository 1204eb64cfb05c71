//! The two forms of a connection string, taken apart as libpq takes them apart
//! (<https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING>).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Keywords and values.
pub(crate) type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The parameters of a connection string, in their order. `None` where it is none.
pub(crate) fn pairs(text: &str) -> Option<Pairs<'_>> {
    let url = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match url {
        Some(rest) => pairs_of_url(rest),
        None => pairs_of_words(text),
    }
}

/// `user:password@host:port,host:port/database?keyword=value&...`
fn pairs_of_url(rest: &str) -> Option<Pairs<'_>> {
    let decoded = |text| percent_decode_str(text).decode_utf8().ok();
    let mut pairs = Vec::new();
    // A password may hold `/` or `?`, not both: then the @ is one of a parameter.
    let is_user = |user: &&str| {
        !user
            .split_once('/')
            .is_some_and(|(_, path)| path.contains('?'))
    };
    let (user, rest) = match rest.split_once('@').filter(|(user, _)| is_user(user)) {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    if let Some(user) = user {
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        pairs.push(("user".into(), decoded(user)?));
        pairs.push(("password".into(), decoded(password)?));
    }
    let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        // An IPv6 address has its colons in brackets.
        let (name, port) = match host.strip_prefix('[') {
            Some(host) => host.split_once(']')?,
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        if !port.is_empty() && !port.starts_with(':') {
            return None;
        }
        names.push(decoded(name)?);
        ports.push(decoded(port.trim_start_matches(':'))?);
    }
    // Nothing at all leaves the word to PGHOST and PGPORT.
    for (keyword, values) in [("host", names), ("port", ports)] {
        if values.iter().any(|value| !value.is_empty()) {
            pairs.push((keyword.into(), values.join(",").into()));
        }
    }
    pairs.push(("dbname".into(), decoded(database)?));
    for parameter in parameters
        .split('&')
        .filter(|parameter| !parameter.is_empty())
    {
        let (keyword, value) = parameter.split_once('=')?;
        pairs.push((decoded(keyword)?, decoded(value)?));
    }
    Some(pairs)
}

/// `keyword=value keyword='a value with \' in it'`
fn pairs_of_words(text: &str) -> Option<Pairs<'_>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (keyword, value) = rest.split_once('=')?;
        let (value, after) = value_and_rest(value.trim_start())?;
        pairs.push((keyword.trim_end().into(), value.into()));
        rest = after.trim_start();
    }
    Some(pairs)
}

/// The value that `text` begins with, without its quotes, and what comes after it.
fn value_and_rest(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text[usize::from(quoted)..].chars();
    loop {
        let rest = characters.as_str();
        match characters.next() {
            Some('\\') => value.extend(characters.next()),
            Some('\'') if quoted => return Some((value, characters.as_str())),
            None if quoted => return None,
            Some(character) if quoted || !character.is_whitespace() => value.push(character),
            _ => return Some((value, rest)),
        }
    }
}
