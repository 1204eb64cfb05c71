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
//!
//! dotenvy has other rules: it takes `$` for a variable outside quotes too, and refuses spaces there.

mod expansion;
mod file;
mod mistake;
mod name;
#[cfg(test)]
mod tests;

use self::file::Dotenv;
use self::name::is_name;

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
