//! `.github/workflows/`: what GitHub's schema says to it, and that nothing in it moves by itself.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::python::Python;

fn workflows() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, fs::read_to_string(file.path()).unwrap())
        })
        .collect()
}

fn errors(python: &Python, texts: &[String]) -> Vec<Value> {
    let errors = python.ask("workflow_validator.py", &json!(texts));
    errors.as_array().unwrap().clone()
}

#[test]
fn every_workflow_is_what_the_schema_of_github_asks_for() {
    let Some(python) = Python::present() else {
        return;
    };
    let workflows = workflows();
    assert!(workflows.keys().eq(["release.yaml", "test.yaml"]));
    let right: Vec<String> = workflows.into_values().collect();
    let wrong: Vec<String> = right
        .iter()
        .map(|text| text.replace("contents: read", "contents: reed"))
        .collect();
    for errors in errors(python, &right) {
        assert_eq!(errors, json!([]));
    }
    for errors in errors(python, &wrong) {
        assert_ne!(errors, json!([]));
    }
}

/// A tag can be moved to other code, which would then run with the rights of the job.
#[test]
fn every_action_is_fixed_by_its_commit() {
    for (file, text) in workflows() {
        let used = text.lines().filter_map(|line| line.split_once("uses: "));
        for (_, action) in used.filter(|(_, action)| !action.starts_with("./")) {
            let commit = action.split([' ', '@']).nth(1).unwrap();
            let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
            assert!(is_commit, "{file}: {action}");
        }
    }
}
