//! What a deletion does to the row.

use serde_json::json;

use super::{Application, address, deleted, milliseconds, updated};

const PEOPLE: &str = "
    create table people (
      id serial primary key, clerk_id text unique, email text unique, name text not null, deleted_at timestamptz,
      gone_at timestamp, state text, heard text, svix_id text, is_active boolean default true, seats int default 3,
      external text, slug text, at timestamptz, received timestamptz, instance text, extra jsonb)";
const COLUMNS: &str = r#"
    [user]
    table = "people"
    key = "clerk_id"
    columns = { email = "primary_email_address", name = { from = "full_name", default = "User" } }
    "#;
const ROW: &str = "select clerk_id, email, name, deleted_at at time zone 'UTC', gone_at, state, heard, is_active, seats,
    external, slug, instance, extra from people order by id";

/// Which of its events are stale once an object is deleted: all, whatever their order and their batches.
fn stays_deleted(on_delete: &str, left: &str) {
    let application = Application::new(PEOPLE, &format!("{COLUMNS}{on_delete}"));
    let world = &application.world;
    let at = |id: &str, second: i64| {
        updated(
            id,
            second,
            &address(&format!("{id}-{second}@example.com"), true),
        )
    };
    let worker = application.worker();
    application.expect(&at("user_1", 1), "applied");
    application.expect(&deleted("user_1", 3), "applied");
    let left = left.replace("{id}", "user_1");
    assert_eq!(world.sql(ROW), left);
    // Older, newer than the deletion, and another deletion.
    for late in [at("user_1", 2), at("user_1", 9), deleted("user_1", 10)] {
        application.expect(&late, "stale");
        assert_eq!(world.sql(ROW), left);
    }
    // Whatever the application makes of the row, it is not ours any more.
    world.sql("update people set name = 'Ours'");
    application.expect(&at("user_1", 11), "stale");
    assert_eq!(
        world.sql("select distinct name from people"),
        if left.is_empty() { "" } else { "Ours" }
    );
    // Deletions of whom nobody has heard, and of a row that the application has removed.
    application.expect(&deleted("user_2", 3), "applied");
    application.expect(&at("user_2", 9), "stale");
    application.expect(&at("user_3", 1), "applied");
    world.sql("delete from people");
    application.expect(&deleted("user_3", 3), "applied");
    application.expect(&at("user_3", 9), "stale");
    assert_eq!(world.sql(ROW), "");
    drop(worker);
    // In one batch, the last one first.
    let gone = world.add_next(&deleted("user_4", 3));
    let late = [
        world.add_next(&at("user_4", 9)),
        world.add_next(&at("user_4", 1)),
    ];
    let _worker = application.worker();
    world.settle();
    assert_eq!(application.became(&gone), "applied");
    for late in late {
        assert_eq!(application.became(&late), "stale");
    }
    assert_eq!(world.sql(ROW), "");
    assert_eq!(
        world.sql(
            "select string_agg(object_id, ' ' order by 1) from clerk_sync.versions where deleted"
        ),
        "user_1 user_2 user_3 user_4"
    );
}

#[test]
fn a_deleted_object_stays_deleted_where_its_row_goes() {
    stays_deleted("", "");
}

#[test]
fn a_deleted_object_stays_deleted_where_its_row_is_deleted_by_that_word() {
    stays_deleted(r#"on_delete = "delete""#, "");
}

#[test]
fn a_deleted_object_stays_deleted_where_its_row_is_kept() {
    stays_deleted(
        r#"on_delete = "keep""#,
        "{id}|{id}-1@example.com|User||||||||||"
            .replace("User||||||", "User|||||t|3")
            .as_str(),
    );
}

#[test]
fn a_deleted_object_stays_deleted_where_its_row_is_marked() {
    stays_deleted(
        r#"
        [user.on_delete]
        deleted_at = "event.timestamp"
        gone_at = "event.timestamp"
        state = { value = "gone" }
        heard = "event.type"
        is_active = false
        seats = 0
        extra = { value = { why = ["deleted"] } }
        "#,
        r#"{id}|{id}-1@example.com|User|2024-05-28 08:00:03.05|2024-05-28 08:00:03.05|gone|user.deleted|f|0||||{"why": ["deleted"]}"#,
    );
}

#[test]
fn a_deleted_object_stays_deleted_where_its_row_is_unlinked() {
    stays_deleted(
        r#"
        [user.on_delete]
        clerk_id = "null"
        email = { value = "deleted-{id}@users.invalid" }
        name = { value = "{{{id:1}}}" }
        "#,
        "|deleted-{id}@users.invalid|{1}||||||||||"
            .replace("||||||||||", "|||||t|3||||")
            .as_str(),
    );
}

/// All that a deletion says, and a column that is in `columns` too.
#[test]
fn a_deletion_says_its_event_its_id_and_its_slug() {
    let application = Application::new(
        PEOPLE,
        &format!(
            r#"{COLUMNS}
            [user.on_delete]
            clerk_id = "null"
            email = "null"
            name = "id"
            external = "external_id"
            slug = {{ from = ["slug", "id"], as = "lower" }}
            svix_id = "event.id"
            at = "now"
            received = "event.received_at"
            instance = "event.instance_id"
            state = {{ from = "external_id", map = {{ crm_7 = "known" }}, default = "unknown" }}
            heard = {{ value = "{{id}} {{external_id}} {{event.type:7}}" }}
            "#
        ),
    );
    let world = &application.world;
    let _worker = application.worker();
    for id in ["user_A", "user_B"] {
        application.expect(
            &updated(id, 1, &address(&format!("{id}@example.com"), true)),
            "applied",
        );
    }
    let deletion = |data| {
        json!({"type": "user.deleted", "timestamp": milliseconds(3), "instance_id": "ins_1", "data": data}).to_string()
    };
    let data = json!({"id": "user_A", "deleted": true, "external_id": "crm_7", "slug": "Ada"});
    let first = application.expect(&deletion(data), "applied");
    let second = application.expect(&deletion(json!({"id": "user_B"})), "applied");
    assert_eq!(
        world.sql("select clerk_id, email, name, external, slug, svix_id, instance, state, heard from people order by id"),
        format!(
            "||user_A|crm_7|ada|{first}|ins_1|known|user_A crm_7 deleted\n||user_B||user_b|{second}|ins_1|unknown|user_B  deleted"
        )
    );
    assert_eq!(
        world.sql("select count(*) from people where now() - at < '1 minute' and at >= received and now() - received < '1 minute'"),
        "2"
    );
}

/// P6: what does not fit is told, and nothing of the deletion is done.
#[test]
fn a_deletion_whose_row_takes_no_null_is_dead_lettered() {
    let application = Application::new(
        PEOPLE,
        &format!(
            r#"{COLUMNS}on_delete = {{ state = {{ value = "gone" }}, name = "external_id" }}"#
        ),
    );
    let world = &application.world;
    let _worker = application.worker();
    application.expect(&updated("user_1", 1, &json!({})), "applied");
    application.expect(
        &deleted("user_1", 2),
        "dead: data.external_id says nothing, and column \"name\" takes no NULL (table public.people)",
    );
    application.expect(
        &updated("user_1", 3, &json!({"first_name": "Ada"})),
        "applied",
    );
    assert_eq!(world.sql("select name, state from people"), "Ada|");
}
