use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::database::driver_config::driver_config;

fn write(file: &Path, content: &str, mode: u32) {
    fs::write(file, content).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

fn password(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
    let environment = |name: &str| {
        let variable = variables.iter().find(|(variable, _)| *variable == name);
        variable.map(|(_, value)| OsString::from(value))
    };
    let read = || {
        let parameters = Parameters::new(Some(url), &environment)?;
        let mut config = driver_config(&parameters)?;
        PasswordFile::new(&parameters, &mut config, &environment)?;
        Ok(config)
    };
    let config = read().map_err(|error: SettingError| error.to_string())?;
    let password = config.get_password();
    Ok(password.map(|password| String::from_utf8(password.to_vec()).unwrap()))
}

/// P11, P12
#[test]
fn a_file_is_looked_for_where_libpq_looks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (named, home) = (folder.path().join("named"), folder.path().join(".pgpass"));
    write(
        &named,
        "localhost:5432:d:me:named\nh:1:me:me:of the role\n*:*:d:me:any",
        0o600,
    );
    write(&home, "*:*:*:*:home", 0o400);
    let (name, folder) = (named.to_str().unwrap(), folder.path().to_str().unwrap());
    let (file, home_folder) = (("PGPASSFILE", name), ("HOME", folder));
    for (url, variables, expected) in [
        (
            "postgres://me@localhost/d",
            &[file, home_folder][..],
            Some("named"),
        ),
        (
            "postgres://me@%2Fvar%2Frun%2Fpostgresql/d",
            &[file],
            Some("named"),
        ),
        ("postgres://me@%2Felsewhere/d", &[file], Some("any")),
        ("postgres://me@x/d", &[file], Some("any")),
        ("host=h port=1 user=me", &[file], Some("of the role")),
        ("hostaddr=::1 user=me dbname=d", &[file], Some("any")),
        ("postgres://me@x/e", &[file, home_folder], None),
        ("postgres://me@x/e", &[home_folder], Some("home")),
        (
            "postgres://me:said@localhost/d",
            &[file, home_folder],
            Some("said"),
        ),
        (
            "postgres://me@localhost/d",
            &[file, ("PGPASSWORD", "said")],
            Some("said"),
        ),
        ("postgres://me@localhost/d", &[], None),
        ("postgres://me@localhost/d", &[("HOME", "/no/folder")], None),
    ] {
        assert_eq!(
            password(url, variables).unwrap().as_deref(),
            expected,
            "{url}, {variables:?}"
        );
    }
    let keyword = format!("postgres://me@localhost/d?passfile={name}");
    assert_eq!(
        password(&keyword, &[home_folder]).unwrap().as_deref(),
        Some("named")
    );

    // No password is shown, and one that is given makes the file needless.
    let error = password("postgres://me@localhost,x/d", &[file]).unwrap_err();
    assert!(error.contains("another password for each"), "{error}");
    for (mode, what) in [
        (0o604, "others may read (mode 0604)"),
        (0o620, "(mode 0620)"),
    ] {
        write(&named, "*:*:*:*:hunter2", mode);
        let error = password("postgres://me@h/d", &[file]).unwrap_err();
        assert!(
            error.starts_with("PGPASSFILE: found ") && error.contains(what),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
        assert!(password("postgres://me:said@h/d", &[file]).is_ok());
    }
    // As in libpq, that of the home folder is left alone then.
    write(&home, "*:*:*:*:hunter2", 0o644);
    assert_eq!(password("postgres://me@h/d", &[home_folder]), Ok(None));
    let error = password("postgres://me@h/d", &[("PGPASSFILE", folder)]).unwrap_err();
    assert!(error.contains("which is no plain file"), "{error}");
}
