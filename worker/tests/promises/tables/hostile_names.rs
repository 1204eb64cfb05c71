//! Names, of files and in the database, that a terminal would obey; and a file with very many mistakes.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::program::Program;

use super::Application;
use crate::helpers::DEADLINE;

/// Turns a terminal red, gives it a title, ends the line, and turns its direction.
const HOSTILE: &str = "a\u{1b}[31m\u{1b}]0;x\u{7}\n\u{202e}b";

/// What a command prints, and its exit code.
fn printed(url: &str, arguments: &[&str]) -> (String, Option<i32>) {
    let output = Program::run("worker", arguments, &[("DATABASE_URL", url)]).unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    let is_obeyed = |character: char| character.is_control() && character != '\n';
    assert!(!text.contains(is_obeyed), "{text:?}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
    assert!(!text.contains("\nb"), "one line each: {text:?}");
    (text, output.status.code())
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file
}

/// P12
#[test]
fn no_name_of_a_file_a_table_or_a_column_is_obeyed_by_a_terminal() {
    let application = Application::new(
        &format!(
            "create table \"{HOSTILE} users\" (\"{HOSTILE}\" text primary key, email text not null, \"{HOSTILE} n\" int not null);
             create table posts (\"{HOSTILE}\" text references \"{HOSTILE} users\")"
        ),
        "",
    );
    let url = &application.world.database_url;
    let folder = tempfile::tempdir().unwrap();
    let (suggested, code) = printed(url, &["tables", "suggest"]);
    assert_eq!(code, Some(0), "{suggested}");
    assert!(suggested.contains("\\u001B[31m"), "{suggested}");
    let name = format!("{HOSTILE}.toml");
    let table = HOSTILE.escape_default().to_string();
    let table = table
        .replace("\\u{1b}", "\\u001B")
        .replace("\\u{7}", "\\u0007")
        .replace("\\u{202e}", "\\u202E");
    let fits = format!(
        "[user]\ntable = \"{table} users\"\nkey = \"{table}\"\n[user.columns]\nemail = \"primary_email_address\"\n\"{table} n\" = 1\n"
    );
    let (of_file, in_file) = (
        file(folder.path(), &name, &fits),
        "\\u{1b}[31m\\u{1b}]0;x\\u{7}\\n\\u{202e}b.toml",
    );
    let of_file = of_file.to_str().unwrap();
    let check = ["tables", "check", "--tables-file", of_file];
    let (told, code) = printed(url, &check);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains(&format!("{in_file} fits the database\n")),
        "{told}"
    );
    let events = file(
        folder.path(),
        &format!("{HOSTILE}.json"),
        include_str!("../../../../shared/fixtures/user.created.json"),
    );
    let events = events.to_str().unwrap();
    let (told, code) = printed(
        url,
        &["tables", "preview", "--tables-file", of_file, events],
    );
    assert_eq!(code, Some(0), "{told}");
    for (wrong, code) in [
        (fits.replace("email =", "mail ="), 1),
        (fits.replace("key =", "kee ="), 2),
        (format!("{fits}{HOSTILE}"), 2),
    ] {
        file(folder.path(), &name, &wrong);
        let (told, found) = printed(url, &check);
        assert_eq!(found, Some(code), "{told}");
        assert!(told.contains(&format!("{in_file}:")), "{told}");
    }
    printed(
        url,
        &["tables", "check", "--tables-file", &format!("/{HOSTILE}")],
    );
    printed(url, &["tables", HOSTILE]);
}

/// P12: all of them, in time that grows with the file and not faster.
#[test]
fn a_file_with_very_many_mistakes_is_checked_in_time() {
    const MISTAKES: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let comment = "-".repeat(500);
    let mut text = "[user]\ntable = \"t\"\nkey = \"id\"\n[user.columns]\n".to_owned();
    for number in 0..MISTAKES {
        text.push_str(&format!("c{number} = {{ from = [] }} # {comment}\n"));
    }
    let file = file(folder.path(), "many.toml", &text);
    let check = ["tables", "check", "--tables-file", file.to_str().unwrap()];
    let worker = Path::new(env!("CARGO_BIN_EXE_worker"));
    let environment = [("DATABASE_URL", "postgres://me@127.0.0.1:1/d")];
    let program = Program::start_file("worker", worker, &check, &environment).unwrap();
    let status = program
        .wait(DEADLINE)
        .unwrap_or_else(|_| panic!("it still checks"));
    assert_eq!(status.code(), Some(2));
    let told = program.output();
    assert_eq!(told.lines().count(), MISTAKES);
    let last = told.lines().next_back().unwrap();
    assert!(
        last.ends_with("many.toml:20004: from has no path, expected at least one"),
        "{last}"
    );
}
