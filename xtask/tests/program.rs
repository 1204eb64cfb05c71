//! Running a program; here it is xtask itself.

use std::time::Duration;

use xtask::program::Program;

#[test]
fn a_program_sees_only_the_environment_that_it_is_given() {
    let environment = [("CLERK_WEBHOOK_SIGNING_SECRET", "?")];
    let with = Program::run("xtask", &["send"], &environment).unwrap();
    assert!(
        String::from_utf8_lossy(&with.stderr).contains("signing secret"),
        "{with:?}"
    );
    let without = Program::run("xtask", &["send"], &[]).unwrap();
    assert!(
        String::from_utf8_lossy(&without.stderr).contains("--secret"),
        "{without:?}"
    );
}

#[test]
fn the_end_of_a_program_and_its_output_are_seen() {
    let program = Program::start("xtask", &[]).unwrap();
    let status = program.wait(Duration::from_secs(20)).unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(!program.is_running());
    assert!(program.output().contains("Usage"), "{}", program.output());
    let folder = program.output_file();
    drop(program);
    assert!(!folder.exists());
}

#[test]
fn a_program_that_is_not_built_is_named_with_the_command_that_builds_it() {
    let error = Program::start("no-such-program", &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("no-such-program"), "{error}");
    assert!(error.contains("cargo build --workspace --bins"), "{error}");
}
