//! What becomes of rows when an object is deleted that they refer to.

use serde_json::json;

use super::{FILE, ROWS, event, member, organization, organization_deleted, tables, user};
use crate::tables::{Application, deleted, updated};

/// P4, P7: whatever the foreign key says.
#[test]
fn children_go_before_their_parent_in_the_same_transaction() {
    std::thread::scope(|scope| {
        for foreign_keys in [
            None,
            Some(""),
            Some("on delete restrict"),
            Some("on delete cascade"),
            Some("deferrable initially deferred"),
        ] {
            scope.spawn(move || {
                let application = Application::new(&tables(foreign_keys), FILE);
                let world = &application.world;
                let _worker = application.worker();
                for payload in [
                    organization(1),
                    user(2),
                    member("created", "m_1", 3, "admin"),
                ] {
                    application.expect(&payload, "applied");
                }
                let id = world.sql("select id from memberships");
                world.redis(&["SET", &format!("member:{id}"), "stale"]);
                application.expect(&organization_deleted(4), "applied");
                assert_eq!(world.sql(ROWS), "", "{foreign_keys:?}");
                assert_eq!(world.sql("select count(*) from organizations"), "0");
                assert_eq!(world.redis(&["EXISTS", &format!("member:{id}")]), "0");
                assert_eq!(world.sql("select count(*) from clerk_sync.cache_tags"), "0");
                // What comes later finds the tombstone.
                application.expect(&member("updated", "m_1", 5, "member"), "stale");
                application.expect(&member("created", "m_2", 6, "member"), "stale");
                application.expect(&member("deleted", "m_2", 6, "member"), "applied");
                application.expect(&deleted("user_1", 7), "applied");
                assert_eq!(world.sql("select count(*) from users"), "0");
            });
        }
    });
}

/// A project of a person, who may be gone.
const PROJECTS: &str = "
    create table people (id serial primary key, clerk_id text unique, gone text);
    create table projects (id text primary key, owner int, note text);
    create table tasks (id text primary key, project text)";

fn projects(person: &str, gone: &str, project: &str) -> String {
    format!(
        r#"
        [user]
        table = "people"
        key = "clerk_id"
        {person}
        [project]
        table = "projects"
        key = "id"
        tags = ["project:{{row.id}}"]
        {project}
        [project.columns]
        note = "note"
        owner = {{ find = "user", id = "owner.id", column = "id"{gone} }}
        [task]
        table = "tasks"
        key = "id"
        tags = ["task:{{row.id}}"]
        [task.columns]
        project = {{ find = "project", id = "project_id", gone = "delete" }}
        "#
    )
}

fn project(second: i64, note: &str) -> String {
    let data = json!({"id": "p_1", "note": note, "owner": {"id": "user_1"}});
    event("project.updated", second, data)
}

/// What stands where: the file's choices, the rows after the owner's deletion, what a later event of the project comes
/// to, and the rows after it.
#[test]
fn what_becomes_of_children_the_file_says() {
    let delete = r#", gone = "delete""#;
    let stays = r#"on_delete = { gone = "event.type" }"#;
    let marks = r#"on_delete = { note = "event.type" }"#;
    let cases = [
        (
            "",
            delete,
            "",
            "people: projects: tasks:",
            "stale",
            "people: projects: tasks:",
        ),
        // Not said, and the column takes NULL.
        (
            "",
            "",
            "",
            "people: projects:p_1--one tasks:t_1",
            "applied",
            "people: projects:p_1--two tasks:t_1",
        ),
        (
            "",
            r#", gone = "keep""#,
            "",
            "people: projects:p_1-1-one tasks:t_1",
            "applied",
            "people: projects:p_1-1-two tasks:t_1",
        ),
        // The row of the parent stays: the child's own on_delete.
        (
            stays,
            delete,
            "",
            "people:user.deleted projects: tasks:",
            "stale",
            "people:user.deleted projects: tasks:",
        ),
        (
            stays,
            delete,
            marks,
            "people:user.deleted projects:p_1-1-user.deleted tasks:t_1",
            "stale",
            "people:user.deleted projects:p_1-1-user.deleted tasks:t_1",
        ),
        (
            stays,
            delete,
            "on_delete = \"keep\"",
            "people:user.deleted projects:p_1-1-one tasks:t_1",
            "stale",
            "people:user.deleted projects:p_1-1-one tasks:t_1",
        ),
        (
            stays,
            "",
            "",
            "people:user.deleted projects:p_1--one tasks:t_1",
            "applied",
            "people:user.deleted projects:p_1--two tasks:t_1",
        ),
        // The row of the parent goes.
        (
            "",
            delete,
            marks,
            "people: projects: tasks:",
            "stale",
            "people: projects: tasks:",
        ),
        (
            "",
            delete,
            "on_delete = \"keep\"\nmissing_row = \"wait\"",
            "people: projects:p_1-1-one tasks:t_1",
            "stale",
            "people: projects:p_1-1-one tasks:t_1",
        ),
    ];
    std::thread::scope(|scope| {
        for (person, gone, project_says, after, late, in_the_end) in cases {
            scope.spawn(move || {
                let file = projects(person, gone, project_says);
                let application = Application::new(PROJECTS, &file);
                let world = &application.world;
                world.sql("insert into projects (id) values ('p_1')");
                let _worker = application.worker();
                application.expect(&updated("user_1", 1, &json!({})), "applied");
                application.expect(&project(2, "one"), "applied");
                application.expect(&event("task.created", 3, json!({"id": "t_1", "project_id": "p_1"})), "applied");
                let rows = || world.sql(
                    "select 'people:' || coalesce((select string_agg(gone, ',') from people), '')
                       || ' projects:' || coalesce((select string_agg(concat(id, '-', owner, '-', note), ',') from projects), '')
                       || ' tasks:' || coalesce((select string_agg(id, ',') from tasks), '')",
                );
                world.redis(&["MSET", "project:p_1", "stale", "task:t_1", "stale"]);
                application.expect(&deleted("user_1", 4), "applied");
                assert_eq!(rows(), after, "{file}");
                let is_touched = after.contains("p_1-1-one");
                assert_eq!(world.redis(&["EXISTS", "project:p_1"]), u8::from(is_touched).to_string(), "{file}");
                let has_task = after.contains("t_1");
                assert_eq!(world.redis(&["EXISTS", "task:t_1"]), u8::from(has_task).to_string(), "{file}");
                application.expect(&project(5, "two"), late);
                assert_eq!(rows(), in_the_end, "{file}");
            });
        }
    });
}

/// P4: an event that moves a row to an object that is deleted removes it, as the deletion would have.
#[test]
fn a_row_that_moves_to_a_deleted_object_goes_with_it() {
    let application = Application::new(PROJECTS, &projects("", r#", gone = "delete""#, ""));
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&updated("user_1", 1, &json!({})), "applied");
    application.expect(&updated("user_2", 1, &json!({})), "applied");
    application.expect(&project(2, "one"), "applied");
    application.expect(
        &event("task.created", 3, json!({"id": "t_1", "project_id": "p_1"})),
        "applied",
    );
    application.expect(&deleted("user_2", 3), "applied");
    world.redis(&["MSET", "project:p_1", "stale", "task:t_1", "stale"]);
    application.expect(&project(4, "two").replace("user_1", "user_2"), "applied");
    assert_eq!(world.sql("select count(*) from projects"), "0");
    assert_eq!(world.sql("select count(*) from tasks"), "0");
    assert_eq!(world.redis(&["EXISTS", "project:p_1", "task:t_1"]), "0");
    application.expect(&project(5, "three"), "applied");
    assert_eq!(world.sql("select note from projects"), "three");
}
