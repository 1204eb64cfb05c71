//! The status page in Chromium, as people see it: at a desk, on a phone, with a keyboard, read aloud.

use std::fs;
use std::path::Path;

use serde_json::json;
use xtask::clerk_payload::UserPayload;
use xtask::free_port::free_port;

use crate::browser::{Browser, Tab};
use crate::world::World;

const LINE: &str = "redis-cli --eval replay.lua '{clerk:0}:dead' '{clerk:0}:events' , msg_dead";
const HOSTILE: &str = "</script><img src=x onerror=\"document.title='owned'\">";

#[test]
fn the_status_page_is_good_to_use_in_chromium() {
    let Some(browser) = Browser::present() else {
        return;
    };
    let world = World::new();
    let admin = format!("127.0.0.1:{}", free_port().unwrap());
    let _worker = world.worker_with(&[("ADMIN_ADDR", &admin)]);
    let add = |svix_id: &str, payload: &str| {
        let entry = [
            "XADD",
            "{clerk:0}:events",
            "*",
            "svix-id",
            svix_id,
            "payload",
            payload,
        ];
        world.redis.cli(&entry).unwrap();
    };
    add(
        "msg_ada",
        &UserPayload::new("user_ada", "ada@example.com").created(),
    );
    add(
        "msg_dead",
        &UserPayload::new("user_dead", "x@example.com")
            .email(None)
            .created(),
    );
    world.settle();
    add(
        "msg_wait",
        &UserPayload::new("user_eve", "ada@example.com").created(),
    );
    let dead = "{clerk:0}:dead";
    let letter = [
        "XADD", dead, "*", "svix-id", HOSTILE, "payload", "{}", "reason", HOSTILE,
    ];
    world.redis.cli(&letter).unwrap();

    let url = format!("http://{admin}/status");
    let mut tab = browser.tab();
    tab.size(1200, 900, "light");
    tab.open(&url);
    tab.wait_for(&format!(
        "document.querySelector('#letters')?.innerText.includes({})",
        json!(LINE)
    ));
    tab.wait_for("document.querySelector('#verdict').textContent === '▲ Dead letters: 2'");
    tab.wait_for("document.querySelector('#retries tbody')?.innerText.includes('msg_wait')");
    tab.wait_for("document.querySelector('#outcomes tbody').innerText.includes('msg_ada')");
    tab.wait_for("document.querySelectorAll('#stores [data-level=good]').length === 3");
    tab.wait_for(
        "document.querySelector('#charts svg path:not(.area)').getAttribute('d').length > 5",
    );
    assert_eq!(
        tab.evaluate("document.querySelectorAll('main img, main script').length"),
        0
    );
    assert_ne!(tab.evaluate("document.title"), "owned");
    picture(&mut tab, "light");

    // The rows are refreshed under whoever has the focus in them.
    tab.evaluate("document.querySelector('#letters button').focus()");
    let moment = tab.evaluate("document.querySelector('#moment').textContent");
    tab.wait_for(&format!(
        "document.querySelector('#moment').textContent !== {moment}"
    ));
    assert_eq!(tab.evaluate("document.activeElement.localName"), "button");

    // The first Tab is the way to the look-up; what is typed there is looked up with Enter.
    tab.open(&url);
    tab.key("Tab", 9);
    tab.key("Enter", 13);
    tab.key("Tab", 9);
    assert_eq!(tab.evaluate("document.activeElement.id"), "svix-id");
    tab.insert("msg_ada");
    tab.key("Enter", 13);
    tab.wait_for("document.querySelector('#answer').textContent.includes('applied: user.created')");
    assert_eq!(tab.evaluate("location.search"), "?svix_id=msg_ada");

    // On a phone, in the dark, from a link.
    tab.size(390, 844, "dark");
    tab.open(&format!("{url}?svix_id=msg_dead"));
    tab.wait_for("document.querySelector('#answer').textContent.includes('dead letter')");
    tab.wait_for(&format!(
        "document.querySelector('#letters').innerText.includes({})",
        json!(LINE)
    ));
    assert_eq!(tab.evaluate("innerWidth"), 390);
    assert_eq!(tab.evaluate("document.documentElement.scrollWidth"), 390);
    // Nothing is cut off either.
    let outside = "[...document.querySelectorAll('main *')].filter(e => \
        e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML).join()";
    assert_eq!(tab.evaluate(outside), "");
    let ground = tab.evaluate("getComputedStyle(document.body).backgroundColor");
    assert_eq!(ground, "rgb(16, 19, 23)");
    picture(&mut tab, "dark");
    read_aloud(&mut tab);

    // A migration of the application that the tables file knows nothing of.
    world.sql("alter table users rename \"imageUrl\" to picture");
    add(
        "msg_bob",
        &UserPayload::new("user_bob", "bob@example.com").created(),
    );
    let verdict = "✖ Nothing is read, because the tables file does not fit: built-in tables file:";
    tab.wait_for(&format!(
        "document.querySelector('#verdict').textContent.startsWith({})",
        json!(verdict)
    ));
    assert_eq!(tab.evaluate(outside), "");

    assert_eq!(tab.complaints(), &[] as &[String]);
    // A browser that complained about nothing would prove nothing.
    tab.evaluate("document.body.append(Object.assign(document.createElement('style'), {textContent: 'p{}'}))");
    tab.wait_for("true");
    assert!(
        tab.complaints()
            .iter()
            .any(|text| text.contains("Content Security Policy"))
    );
}

/// What a screen reader is given where rows are shown as blocks.
fn read_aloud(tab: &mut Tab) {
    let tree = tab.ask("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let names = |role: &str| -> Vec<&str> {
        let nodes = nodes.iter().filter(|node| node["role"]["value"] == role);
        nodes
            .filter_map(|node| node["name"]["value"].as_str())
            .collect()
    };
    let tables = names("table");
    for caption in [
        "Dead letters",
        "Waiting retries",
        "Workers",
        "Last outcomes",
    ] {
        assert!(
            tables.iter().any(|name| name.starts_with(caption)),
            "{caption}: {tables:?}"
        );
    }
    assert!(
        names("columnheader").contains(&"Reason"),
        "{:?}",
        names("columnheader")
    );
    assert!(names("rowheader").contains(&"msg_dead"));
    assert!(names("searchbox").contains(&"svix-id") || names("textbox").contains(&"svix-id"));
    let pictures = names("image");
    assert!(
        pictures
            .iter()
            .any(|name| name.starts_with("Backlog: events in the queue")),
        "{pictures:?}"
    );
}

/// For whoever wants to look, and for the docs.
fn picture(tab: &mut Tab, name: &str) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("status-page-{name}.png"));
    fs::write(file, tab.screenshot()).unwrap();
}
