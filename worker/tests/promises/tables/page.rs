//! What the page of the tables file shows of a terminal is what a terminal shows.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::helpers::World;

const PAGE: &str = include_str!("../../../../docs/tables.md");
const EVENT: &str = include_str!("../../../../shared/fixtures/user.updated.json");

/// The blocks of the page in this language, in the order of the page.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let begin = format!("\n```{language}\n");
    let blocks = PAGE
        .match_indices(&begin)
        .map(|(at, begin)| &PAGE[at + begin.len()..]);
    let blocks: Vec<_> = blocks
        .map(|block| &block[..=block.find("\n```").unwrap()])
        .collect();
    blocks.into_iter()
}

/// Runs a line of a shell in a folder; what it prints.
fn printed(folder: &Path, database_url: &str, line: &str) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_worker")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let shell = Command::new("sh")
        .args(["-c", &format!("{{ {line}\n}} 2>&1")])
        .env_clear()
        .env("PATH", path)
        .env("DATABASE_URL", database_url)
        .current_dir(folder)
        .output();
    String::from_utf8(shell.unwrap().stdout).unwrap()
}

/// From a table to rows, as the page tells it: each command prints what stands below it.
#[test]
fn what_the_page_shows_of_a_terminal_is_what_is_printed() {
    let world = World::new();
    world.sql(blocks("sql").next().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (file, event) = (
        folder.path().join("users.toml"),
        folder.path().join("event.json"),
    );
    fs::write(event, EVENT).unwrap();
    let run = |line: &str| printed(folder.path(), &world.database_url, line);
    let mut commands = 0;
    for block in blocks("console") {
        for part in format!("\n{block}").split("\n$ ").skip(1) {
            let (line, shown) = part.split_once('\n').unwrap_or((part, ""));
            let found = run(line);
            assert_eq!(found.trim_end(), shown.trim_end(), "$ {line}\n{found}");
            commands += 1;
        }
        // What the text below the block says to do.
        if block.contains("expected plan = ") {
            assert!(PAGE.contains("Here `plan = { value = \"free\" }` is missing"));
            let text = fs::read_to_string(&file).unwrap();
            let mut lines = text.lines();
            let blank = lines
                .find(|line| line.starts_with("#plan = FILL_IN"))
                .unwrap();
            fs::write(&file, text.replace(blank, "plan = { value = \"free\" }")).unwrap();
        }
    }
    assert_eq!(commands, 5);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("\"primary_email_address\"", "\"emial\""),
    )
    .unwrap();
    let found = run("worker tables check --tables-file users.toml");
    assert_eq!(Some(found.as_str()), blocks("text").next(), "{found}");
}
