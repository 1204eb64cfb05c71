//! What the demo says of files that it cannot use; `.ci/run` runs it with files that it can.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use xtask::program::Program;

/// What it says, and that it fails.
fn refused(arguments: &[&str]) -> String {
    let arguments = [&["demo", "--once"], arguments].concat();
    let output = Program::run("xtask", &arguments, &[]).unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_table_of_ones_own_takes_both_files_and_each_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| fs::write(Path::new(&path(name)), text).unwrap();
    write("schema.sql", "create table members (id text primary key)");
    write("other.toml", "[organization]\ntable = 'teams'\nkey = 'id'");
    write("no_key.toml", "[user]\ntable = 'members'");
    write("no.toml", "[user");

    let (schema, missing) = (path("schema.sql"), path("missing"));
    let (other, no_key, no) = (path("other.toml"), path("no_key.toml"), path("no.toml"));
    for (arguments, expected) in [
        (&["--schema", &schema][..], "--tables <FILE.toml>"),
        (&["--tables", &other], "--schema <FILE.sql>"),
        (
            &["--schema", &missing, "--tables", &other],
            &*format!("cannot read {missing}: No such file"),
        ),
        (
            &["--schema", &schema, "--tables", &missing],
            &format!("cannot read {missing}: No such file"),
        ),
        (
            &["--schema", &schema, "--tables", &other],
            &format!("cannot use {other}: it has no section [user]"),
        ),
        (
            &["--schema", &schema, "--tables", &no_key],
            &format!("cannot use {no_key}: [user] has no key"),
        ),
        (
            &["--schema", &schema, "--tables", &no],
            &format!("cannot use {no}: TOML parse error at line 1"),
        ),
    ] {
        let said = refused(arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
