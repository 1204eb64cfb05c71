//! The page about the guarantees names tests that exist.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

#[test]
fn every_test_that_the_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/guarantees.md")).unwrap();
    let mut tests = String::new();
    for folder in [
        "ingest/src",
        "ingest/tests",
        "shared/src",
        "worker/src",
        "worker/tests",
        "shared/src",
        "xtask/tests",
    ] {
        read(&root.join(folder), &mut tests);
    }
    let named: Vec<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        // Names of tests are sentences; those of settings, commands and keys are not.
        .filter(|word| word.matches('_').count() >= 3 && !word.contains([' ', '/', '.', ':']))
        .filter(|word| !word.contains(char::is_uppercase))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(tests.contains(&format!("fn {name}(")), "no test {name}");
    }
}

fn read(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
