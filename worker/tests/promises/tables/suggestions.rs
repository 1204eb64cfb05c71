//! What `worker tables suggest` proposes, for people to read.

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use worker::tables::Tables;
use xtask::program::Program;

use super::Application;
use crate::helpers::World;
use crate::ingest::Ingest;

const FULL: &str = include_str!("../../../../shared/fixtures/user.updated.full.json");
const DELETED: &str = include_str!("../../../../shared/fixtures/user.deleted.json");
const NO_NAMES: &str = include_str!("../../../../shared/fixtures/user.created.no-names.json");

/// The tables of the documentation, and others of other habits, each with the name of the file that is proposed for it.
fn schemas() -> Vec<(String, PathBuf)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["../docs/tables", "tests/promises/tables/suggestions"];
    let files = folders.map(|folder| fs::read_dir(tests.join(folder)).unwrap());
    let files = files.into_iter().flatten().map(|file| file.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "sql"));
    let name = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
    files.map(|file| (name(&file), file)).collect()
}

/// What is printed for a database, and what is said on standard error.
fn suggested(world: &World) -> (String, String) {
    let url = [("DATABASE_URL", world.database_url.as_str())];
    let output = Program::run("worker", &["tables", "suggest"], &url).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (file, remarks) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{remarks}");
    (file, remarks)
}

/// The file with all that it leaves to choose.
fn chosen(file: &str) -> String {
    let choice = |line: &str| match line.strip_prefix('#') {
        Some(choice) if !choice.starts_with(' ') => choice.to_owned(),
        _ => line.to_owned(),
    };
    let lines: Vec<_> = file.lines().map(choice).collect();
    lines.join("\n").replace("FILL_IN", "\"now\"")
}

/// The person who changes what is proposed sees here what becomes of it: the expected files are beside the tables.
#[test]
fn what_is_suggested_is_as_it_was_read_by_somebody() {
    let schemas = schemas();
    assert!(schemas.len() > 25);
    let mut differences = Vec::new();
    for (name, schema) in schemas {
        let world = World::new();
        world.sql(&fs::read_to_string(schema).unwrap());
        let (file, _) = suggested(&world);
        let name = format!("{name}.toml");
        // To take over what has changed: cp target/tmp/suggestions/*.toml worker/tests/promises/tables/suggestions/
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("suggestions");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(&name), &file).unwrap();
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/tables/suggestions");
        if fs::read_to_string(folder.join(&name)).ok() != Some(file) {
            differences.push(name);
        }
    }
    assert!(differences.is_empty(), "{differences:?}");
}

/// What fits together only the database knows, so what is chosen of it is read as TOML only.
#[test]
fn what_is_suggested_is_toml_whatever_is_chosen_of_it() {
    for (name, schema) in schemas() {
        let world = World::new();
        world.sql(&fs::read_to_string(schema).unwrap());
        let (file, _) = suggested(&world);
        for text in [file.clone(), chosen(&file)] {
            let read = DeTable::parse(&text);
            assert!(read.is_ok(), "{name}: {:?}\n{text}", read.err());
        }
        if file.lines().any(|line| line.starts_with('[')) {
            let read = Tables::parse(&name, &file);
            assert!(read.is_ok(), "{:?}\n{file}", read.err());
        }
    }
}

/// A file that is suggested, with its blanks filled in: the name of a column, and what is written for `FILL_IN`.
async fn check(name: &str, blanks: &[(&str, &str)]) {
    let (_, schema) = schemas()
        .into_iter()
        .find(|(other, _)| other == name)
        .unwrap();
    let application = Application::new(&fs::read_to_string(schema).unwrap(), "");
    let world = &application.world;
    let (mut file, _) = suggested(world);
    for (column, value) in blanks {
        let line = file
            .lines()
            .find(|line| line.starts_with(&format!("#{column} = ")));
        let line = line
            .unwrap_or_else(|| panic!("{name}: {column}"))
            .to_owned();
        file = file.replace(&line, &line[1..].replace("FILL_IN", value));
    }
    fs::write(application.file(), &file).unwrap();
    let _worker = application.worker();
    let ingest = Ingest::start(&world.redis.url(), &[]).await;
    for (svix_id, payload) in [("msg_1", NO_NAMES), ("msg_2", FULL)] {
        assert_eq!(
            ingest.deliver_with(svix_id, payload, &[]).await,
            200,
            "{name}"
        );
        world.settle();
        assert_eq!(application.became(svix_id), "applied", "{name}");
    }
    let table = file.lines().find_map(|line| line.strip_prefix("table = "));
    let table = table.unwrap().replace("\\\"", "\"\"");
    let rows = world.sql(&format!("select count(*) from {table}"));
    assert_eq!(rows, "2", "{name}");
    assert_eq!(
        ingest.deliver_with("msg_3", DELETED, &[]).await,
        200,
        "{name}"
    );
    world.settle();
    assert_eq!(application.became("msg_3"), "applied", "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_applied_as_the_suggested_file_says() {
    for name in [
        "course",
        "invited",
        "organizations",
        "prisma",
        "profiles",
        "rails",
        "seed",
        "accounts",
        "django_user",
        "fastapi",
        "ent",
    ] {
        check(name, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_know_is_all_that_is_left_to_fill_in() {
    check(
        "laravel",
        &[("role", r#"{ value = "user" }"#), ("plan_id", "7")],
    )
    .await;
    check("sqlalchemy", &[("settings", "{ value = {} }")]).await;
    check("laravel_teams", &[("personal_team", "true")]).await;
    check("django_organizations", &[("preferences", "{ value = {} }")]).await;
    check(
        "odd_names",
        &[
            (r#""first\nname""#, r#"{ value = "user" }"#),
            (r#""{plan}""#, r#"{ value = "free" }"#),
        ],
    )
    .await;
}

/// References are found by the right columns, and nobody has to drop a foreign key for them.
#[test]
fn what_is_suggested_for_organizations_and_memberships_fits_as_it_is() {
    for (name, schema) in schemas() {
        if !["organizations", "tenants", "gorm"].contains(&name.as_str()) {
            continue;
        }
        let application = Application::new(&fs::read_to_string(schema).unwrap(), "");
        let world = &application.world;
        if name == "gorm" {
            world.sql("create unique index on users (clerk_id); create unique index on workspaces (clerk_org_id)");
        }
        let (file, _) = suggested(world);
        assert!(
            file.contains("{ find = ") && !file.contains("FILL_IN ="),
            "{file}"
        );
        fs::write(application.file(), &file).unwrap();
        let arguments = ["tables", "check", "--tables-file", application.file()];
        let url = [("DATABASE_URL", world.database_url.as_str())];
        let output = Program::run("worker", &arguments, &url).unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {told}\n{file}");
        assert!(
            !told.contains("plain id") && !told.contains("refuses"),
            "{name}: {told}"
        );
    }
}

#[test]
fn what_is_not_found_or_not_known_is_said_on_standard_error() {
    for (sql, remarks) in [
        (
            "select 1",
            "no table of the search path looks like one that this version writes; the file says how to begin\n",
        ),
        (
            include_str!("suggestions/laravel.sql"),
            "[user] is for the table \"public.users\"\nlines to be filled in: 2; look for FILL_IN\n",
        ),
        (
            include_str!("suggestions/schemas.sql"),
            "[user] is for the table \"app.User\"\n",
        ),
        (
            include_str!("../../../../docs/tables/tenants.sql"),
            "[organization] is for the table \"public.tenants\"\n\
             [organizationMembership] is for the table \"public.tenant_users\"\n",
        ),
    ] {
        let world = World::new();
        world.sql(sql);
        assert_eq!(suggested(&world).1, remarks);
    }
}
