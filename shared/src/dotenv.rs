//! The file `.env`, read with docker compose's rules (the package dotenv of
//! <https://github.com/compose-spec/compose-go>), with one exception: `$` means something in double quotes only.
//!
//! | line | value |
//! | --- | --- |
//! | `NAME=a $b 'c' # comment` | `a $b 'c'`, literally |
//! | `NAME='a $b'` | `a $b`, literally; may have several lines; `\'` is a quotation mark |
//! | `NAME="a\n${b}"` | with escapes and with what other variables say; may have several lines |
//!
//! `export NAME=a` and `NAME: a` are read too. A name alone sets nothing.

mod expansion;

use std::fmt;

use self::expansion::{References, escapes};

/// A variable of the process's environment.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dotenv {
    /// Names and values, each name once.
    pub(crate) variables: Vec<(String, String)>,
    /// Places where a variable in double quotes is not set anywhere.
    pub(crate) blanks: Vec<Place>,
}

/// A line, and the variable that it sets if it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    line: usize,
    variable: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, ".env, line {}", self.line)?;
        match &self.variable {
            Some(variable) => write!(formatter, ", {variable}"),
            None => Ok(()),
        }
    }
}

/// A line that cannot be read. Its text shows nothing of a value.
#[derive(Debug, thiserror::Error)]
#[error("{place}: found {found}, expected {expected}")]
pub(crate) struct Mistake {
    place: Place,
    found: &'static str,
    expected: &'static str,
}

/// What is wrong with a value, and what is expected.
type Wrong = (&'static str, &'static str);

const NOT_A_SETTING: Wrong = (
    "a line that is not NAME=value",
    "every line to be NAME=value or a # comment",
);

impl Dotenv {
    /// Reads the content of a file. `environment` wins over the file where a value refers to a variable; a line
    /// without `=` is said to be about its first word only if that `is_setting`.
    ///
    /// # Errors
    /// Names the first line that cannot be read.
    pub(crate) fn parse(
        content: &[u8],
        environment: Environment<'_>,
        is_setting: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Mistake> {
        let text = utf_8(content, is_setting)?;
        let mut file = Self::default();
        let mut rest = text;
        let mut is_new_line = true;
        loop {
            let statement = rest.trim_start();
            is_new_line |= rest[..rest.len() - statement.len()].contains('\n');
            if statement.is_empty() {
                return Ok(file);
            }
            if statement.starts_with('#') {
                rest = statement.find('\n').map_or("", |end| &statement[end..]);
                continue;
            }
            let before = &text[..text.len() - statement.len()];
            let mistake = |(found, expected): Wrong| Mistake {
                place: Place::new(before, statement, is_setting),
                found,
                expected,
            };
            let (name, after) = name(statement).ok_or_else(|| mistake(NOT_A_SETTING))?;
            let Some(after) = after else {
                if !is_new_line {
                    let mut mistake = mistake((
                        "text behind the closing quotation mark",
                        "the end of the line, or a # comment",
                    ));
                    // The line is about the variable in front of it.
                    let last = file.variables.last().map(|(name, _)| name);
                    mistake.place.variable = last.filter(|name| is_name(name)).cloned();
                    return Err(mistake);
                }
                rest = &statement[statement.find('\n').unwrap_or(statement.len())..];
                continue;
            };
            let (value, after, is_blank) = file.value(after, environment).map_err(mistake)?;
            if value.contains('\0') {
                return Err(mistake(("a NUL character", "text")));
            }
            if is_blank {
                let place = Place::new(before, statement, is_setting);
                file.blanks.push(place);
            }
            is_new_line = after.starts_with('\n');
            rest = after;
            file.variables.retain(|(other, _)| other != name);
            file.variables.push((name.to_owned(), value));
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        let mut variables = self.variables.iter();
        let found = variables.find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone())
    }

    /// The value that `text` begins with, what comes after it, and whether a variable in it is not set.
    fn value<'a>(
        &self,
        text: &'a str,
        environment: Environment<'_>,
    ) -> Result<(String, &'a str, bool), Wrong> {
        let text = text.trim_start_matches(is_space);
        let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let (line, rest) = text.split_at(text.find('\n').unwrap_or(text.len()));
            let value = line.split(" #").next().unwrap_or_default().trim_end();
            return Ok((value.to_owned(), rest, false));
        };
        let (value, rest) = quoted(text, quote).ok_or((
            "a value whose quotation mark is not closed",
            "the same quotation mark at its end",
        ))?;
        if quote == '\'' {
            return Ok((value, rest, false));
        }
        let variables = |name: &str| environment(name).or_else(|| self.get(name));
        let mut references = References::new(&variables);
        let value = references.replace(&escapes(&value))?;
        Ok((value, rest, references.is_blank))
    }
}

impl Place {
    /// The line that begins where `before` ends.
    fn new(before: &str, statement: &str, is_setting: &dyn Fn(&str) -> bool) -> Self {
        let line = statement.lines().next().unwrap_or_default();
        let line = without_export(line);
        let end = line.find(['=', ':']);
        let variable = end.map(|end| line[..end].trim_end());
        let variable = variable.filter(|name| is_name(name)).or_else(|| {
            let word = line.split_whitespace().next()?;
            is_setting(word).then_some(word)
        });
        Self {
            line: before.matches('\n').count() + 1,
            variable: variable.map(str::to_owned),
        }
    }
}

/// The content without the mark that some editors put in front of it.
fn utf_8<'a>(content: &'a [u8], is_setting: &dyn Fn(&str) -> bool) -> Result<&'a str, Mistake> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    std::str::from_utf8(content).map_err(|error| {
        let valid = String::from_utf8_lossy(&content[..error.valid_up_to()]);
        let line = valid.rsplit('\n').next().unwrap_or_default();
        Mistake {
            place: Place::new(&valid, line, is_setting),
            found: "text that is not UTF-8",
            expected: "UTF-8",
        }
    })
}

/// Whether it can be the name of a setting.
fn is_name(text: &str) -> bool {
    let begins_as_one = text.starts_with(|c: char| !c.is_ascii_digit());
    begins_as_one && name_length(text) == text.len()
}

/// How many bytes of a variable's name `text` begins with.
fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn without_export(statement: &str) -> &str {
    match statement.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches(is_space),
        _ => statement,
    }
}

/// The name that a statement begins with, and what stands behind its `=` or `:` if it has one.
fn name(statement: &str) -> Option<(&str, Option<&str>)> {
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
fn is_space(character: char) -> bool {
    character != '\n' && character.is_whitespace()
}

/// What stands between the quotation mark that `text` begins with and the next one, which a backslash keeps
/// from being the end; and what comes after it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    characters.next();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next()? {
                escaped if escaped == quote => value.push(quote),
                other => value.extend(['\\', other]),
            },
            end if end == quote => return Some((value, characters.as_str())),
            other => value.push(other),
        }
    }
    None
}

/// Puts the variables of the file `.env`, here or in a folder above, into the environment, where they are not
/// set already.
///
/// # Errors
/// When there is such a file and it cannot be read. The text does not show what is in it.
pub(crate) fn load(is_setting: &dyn Fn(&str) -> bool) -> Result<(), String> {
    let Some(content) = content().map_err(|error| {
        format!(".env: found a file that cannot be read ({error}), expected a text file of NAME=value lines")
    })?
    else {
        return Ok(());
    };
    let environment = |name: &str| std::env::var(name).ok();
    let file =
        Dotenv::parse(&content, &environment, is_setting).map_err(|error| error.to_string())?;
    for place in &file.blanks {
        warn(&format!(
            "{place}: a $ in double quotes names a variable that is not set: nothing stands in its place \
             (\\$ is a dollar sign, and single quotes keep it)"
        ));
    }
    put_into_environment(&file.variables).map_err(|_| {
        ".env: found variables that the environment does not take, expected text".to_owned()
    })
}

fn content() -> std::io::Result<Option<Vec<u8>>> {
    let here = std::env::current_dir()?;
    let file = here
        .ancestors()
        .map(|folder| folder.join(".env"))
        .find(|file| file.is_file());
    file.map(std::fs::read).transpose()
}

/// Other threads may be reading the environment, so that changing it is unsafe. dotenvy does it in its own name,
/// when nothing else runs yet; it is given the values quoted.
fn put_into_environment(variables: &[(String, String)]) -> dotenvy::Result<()> {
    let is_free = |name: &str| is_name(name) && std::env::var_os(name).is_none();
    let mut lines = String::new();
    for (name, value) in variables.iter().filter(|(name, _)| is_free(name)) {
        lines.push_str(&quoted_for_dotenvy(name, value));
    }
    dotenvy::from_read(lines.as_bytes())
}

fn quoted_for_dotenvy(name: &str, value: &str) -> String {
    let mut line = format!("{name}=\"");
    for character in value.chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '\\' | '"' | '$' => line.extend(['\\', character]),
            other => line.push(other),
        }
    }
    line + "\"\n"
}

#[allow(
    clippy::print_stderr,
    reason = "the log does not exist before the settings are known"
)]
fn warn(text: &str) {
    eprintln!("warning: {text}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(content: &[u8]) -> Result<Dotenv, String> {
        let environment = |name: &str| match name {
            "SET" => Some("process".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let is_setting = |word: &str| word == "DATABASE_URL";
        Dotenv::parse(content, &environment, &is_setting).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn assert_reads(content: &str, expected: &[(&str, &str)]) {
        let file = parse(content.as_bytes()).unwrap_or_else(|error| panic!("{content:?}: {error}"));
        let found: Vec<_> = file
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected, "{content:?}");
    }

    /// The cases of compose-go's own tests (dotenv/godotenv_test.go and its fixtures), but for `$` outside
    /// double quotes.
    #[test]
    fn a_file_means_what_it_means_to_docker_compose() {
        for (line, name, value) in [
            ("FOO=bar", "FOO", "bar"),
            ("FOO =bar", "FOO", "bar"),
            ("FOO= bar", "FOO", "bar"),
            ("FOO = bar", "FOO", "bar"),
            ("FOO=", "FOO", ""),
            ("FOO = ", "FOO", ""),
            (" KEY =value", "KEY", "value"),
            ("\tKEY=value", "KEY", "value"),
            ("FOO=\"bar\"", "FOO", "bar"),
            ("FOO='bar'", "FOO", "bar"),
            ("FOO=''", "FOO", ""),
            ("FOO=\"\"", "FOO", ""),
            (r#"FOO="escaped\"bar""#, "FOO", "escaped\"bar"),
            (r#"FOO="\"quoted\"""#, "FOO", "\"quoted\""),
            (r#"FOO="'d'""#, "FOO", "'d'"),
            (r"FOO='Let\'s go!'", "FOO", "Let's go!"),
            ("OPTION_A: 1", "OPTION_A", "1"),
            ("OPTION_A: Foo=bar", "OPTION_A", "Foo=bar"),
            ("OPTION_A=1:B", "OPTION_A", "1:B"),
            ("export OPTION_A=2", "OPTION_A", "2"),
            ("\texport\tOPTION_A=2", "OPTION_A", "2"),
            ("export export_FOO =2", "export_FOO", "2"),
            ("exportFOO=2", "exportFOO", "2"),
            (r"export OPTION_B='\n'", "OPTION_B", r"\n"),
            ("export OPTION_A=\"export A\"", "OPTION_A", "export A"),
            (r#"FOO="bar\nbaz""#, "FOO", "bar\nbaz"),
            (r"FOO=a\tb", "FOO", r"a\tb"),
            (r#"FOO="a\tb""#, "FOO", "a\tb"),
            (
                r#"KEY="Z\aZ\bZ\fZ\nZ\rZ\tZ\vZ\\Z\0123Z""#,
                "KEY",
                "Z\x07Z\x08Z\x0cZ\nZ\rZ\tZ\x0bZ\\ZSZ",
            ),
            (r#"FOO="bar\\\n\ b\az""#, "FOO", "bar\\\n\\ b\x07z"),
            (r#"FOO="bar\nbaz\\""#, "FOO", "bar\nbaz\\"),
            (
                r#"KEY="\x07\u12e4\c\0400\01""#,
                "KEY",
                r"\x07\u12e4\c\0400\01",
            ),
            ("FOO.BAR=foobar", "FOO.BAR", "foobar"),
            ("VAR-WITH-DASHES=dashes", "VAR-WITH-DASHES", "dashes"),
            ("FOO=foobar=", "FOO", "foobar="),
            ("FOO=bar ", "FOO", "bar"),
            ("FOO=bar # this is foo", "FOO", "bar"),
            ("FOO=bar #", "FOO", "bar"),
            ("FOO=123#not-a-comment", "FOO", "123#not-a-comment"),
            ("FOO=\"bar#baz\"#", "FOO", "bar#baz"),
            ("FOO='bar#baz' # comment", "FOO", "bar#baz"),
            (
                "FOO=\"first\nsecond\r\nthird\"",
                "FOO",
                "first\nsecond\r\nthird",
            ),
            ("FOO=with an è in a phrase", "FOO", "with an è in a phrase"),
            ("A=whsec_x whsec_y", "A", "whsec_x whsec_y"),
            ("A=bar\r", "A", "bar"),
            ("A=\"bar\"\r", "A", "bar"),
        ] {
            assert_reads(line, &[(name, value)]);
            assert_reads(&format!("# c\r\n\n{line}\n\n"), &[(name, value)]);
        }
        for nothing in [
            "",
            "\n",
            "\r\n",
            "\t\t ",
            "# A=b",
            "\t # comment",
            "NAME_ALONE",
            "A\nB\n",
        ] {
            assert_reads(nothing, &[]);
        }
        assert_reads("\u{feff}A=1", &[("A", "1")]);
        assert_reads("A=1\r\nB=2\r\nA=3", &[("B", "2"), ("A", "3")]);
        assert_reads(
            "A='1' # one\nB=\"2\"\nC=3",
            &[("A", "1"), ("B", "2"), ("C", "3")],
        );
    }

    #[test]
    fn a_dollar_sign_means_something_in_double_quotes_only() {
        for (value, read) in [
            ("pa$word", "pa$word"),
            ("${B}$", "${B}$"),
            ("'pa$B ${B}'", "pa$B ${B}"),
            ("\"$B\"", "b"),
            ("\"${B}x$B.y\"", "bxb.y"),
            ("\"$SET ${SET}\"", "process process"),
            ("\"$1 $ $\"", "$1 $ $"),
            (r#""\$B \${B} $$B""#, "$B ${B} $B"),
            (r#""a\\$B""#, "a\\b"),
            ("\"${UNSET:-x ${B}}\"", "x b"),
            ("\"${UNSET-x}${EMPTY-y}${EMPTY:-z}\"", "xz"),
            ("\"${B:+x}${EMPTY+y}${EMPTY:+z}${UNSET+w}\"", "xy"),
            ("\"${B:?must be set}\"", "b"),
        ] {
            assert_reads(
                &format!("SET=file\nB=b\nA={value}"),
                &[("SET", "file"), ("B", "b"), ("A", read)],
            );
        }
        let file = parse(b"\nA=\"x$word\"").unwrap();
        assert_eq!(file.variables, [("A".to_owned(), "x".to_owned())]);
        assert_eq!(file.blanks[0].to_string(), ".env, line 2, A");
    }

    /// P11, P12
    #[test]
    fn a_line_that_cannot_be_read_is_named_without_its_value() {
        for (content, named) in [
            (
                &b"hunter2 is no setting\n"[..],
                ".env, line 1: found a line that is not",
            ),
            (
                b"A=1\n\nhunter2$x=1",
                ".env, line 3: found a line that is not",
            ),
            (
                b"DATABASE_URL postgres://hunter2",
                ".env, line 1, DATABASE_URL: found a line",
            ),
            (
                b"A='1\n2'\nB=\"hunter2",
                ".env, line 3, B: found a value whose quotation mark",
            ),
            (
                b"export B='hunter2\\'",
                ".env, line 1, B: found a value whose quotation mark",
            ),
            (
                b"=hunter2",
                ".env, line 1: found a line that is not NAME=value",
            ),
            (
                b"B=\"hunter2\" hunter2",
                ".env, line 1, B: found text behind the closing",
            ),
            (
                b"A=1\nB=\"hunter2${\"",
                ".env, line 2, B: found a ${ in double quotes",
            ),
            (
                b"B=\"hunter2${x!y}\"",
                ".env, line 1, B: found a ${ in double quotes",
            ),
            (
                b"B=\"${UNSET:?hunter2}\"",
                ".env, line 1, B: found a reference to a variable",
            ),
            (
                b"A=1\nB=hunter2\xff\nC=1",
                ".env, line 2, B: found text that is not UTF-8",
            ),
            (
                b"\xff\xfeA\0=\0",
                ".env, line 1: found text that is not UTF-8",
            ),
            (b"B=hunter2\0", ".env, line 1, B: found a NUL character"),
        ] {
            let error = parse(content).unwrap_err();
            assert!(error.starts_with(named), "{error}");
            assert!(
                !error.contains("hunter2") && error.contains("expected"),
                "{error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_value_reaches_the_environment_as_it_is(value in "[^\0]*", quotes in r#"[\\"'$#\n\r =a]*"#) {
            for value in [value, quotes] {
                let line = quoted_for_dotenvy("NAME", &value);
                let read: Vec<_> = dotenvy::from_read_iter(line.as_bytes()).map(Result::unwrap).collect();
                prop_assert_eq!(read, [("NAME".to_owned(), value)]);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<Vec<u8>>(), signs in r#"([A="'$\\{}:+?\-#\n] ?)*"#) {
            let _ = parse(&text);
            let _ = parse(signs.as_bytes());
        }
    }
}
