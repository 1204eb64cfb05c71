//! The lines `host:port:database:user:password` of a password file.

/// The password in the first line for these: host, port, database and user.
pub(super) fn find(content: &str, wanted: [&str; 4]) -> Option<String> {
    content
        .split('\n')
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let rest = wanted.iter().try_fold(line, |line, wanted| {
                let (field, rest) = field(line)?;
                let is_it = line.starts_with("*:") || field == *wanted;
                is_it.then_some(rest?)
            })?;
            field(rest).map(|(password, _)| password)
        })
        .filter(|password| !password.is_empty())
}

/// The text before the next colon, or the end, without the backslashes that escape colons and backslashes; and
/// the text after that colon.
fn field(line: &str) -> Option<(String, Option<&str>)> {
    let mut field = String::new();
    let mut characters = line.chars();
    loop {
        match characters.next() {
            None => return Some((field, None)),
            Some(':') => return Some((field, Some(characters.as_str()))),
            Some('\\') => field.push(characters.next().unwrap_or('\\')),
            Some(other) => field.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = "# h:5432:d:me:comment\n\
                    h:5432:d:other:1\n\
                    h:5433:d:me:2\r\n\
                    \\:\\:1:*:a\\\\b:*:3\n\
                    h:5432:d:me:it\\:s \\\\ #4:ignored\n\
                    h:5432:d:me:late\n\
                    *:5432:e\\:f:me:5\n\
                    h:5432:too few\n\
                    \\*:*:*:*:6\n\
                    *:*:*:*:7";
        for (wanted, password) in [
            (["h", "5432", "d", "other"], "1"),
            (["h", "5433", "d", "me"], "2"),
            (["::1", "1", "a\\b", "x"], "3"),
            (["h", "5432", "d", "me"], "it:s \\ #4"),
            (["x", "5432", "e:f", "me"], "5"),
            (["*", "1", "d", "me"], "6"),
            (["x", "1", "d", "me"], "7"),
        ] {
            assert_eq!(find(file, wanted).as_deref(), Some(password), "{wanted:?}");
        }
        assert_eq!(find("h:1:d:me:\nx:1:d:me:y", ["h", "1", "d", "me"]), None);
        assert_eq!(find("h:1:d:me", ["h", "1", "d", "me"]), None);
    }
}
