use std::time::SystemTime;

use serde_json::value::RawValue;
use shared::svix_id::SvixId;

use super::*;
use crate::event::unusable::Unusable;
use crate::event::wanted::Wanted;
use crate::tables::example::{column, from, map, section, text};
use crate::tables::section::TooLong;

const DATA: &str = r#"{"id":"user_2g7np7","updated_at":1,"first_name":"Ada","last_name":null,"username":" ",
    "image_url":"  x","number":1.50,"flag":false,"list":[],"public_metadata":{"role":"Editor","plan":"pro"},
    "unsafe_metadata":{"role":"admin"},"primary_email_address_id":"a",
    "email_addresses":[{"id":"a","email_address":"ada@example.com","verification":{"status":"verified"}}]}"#;

fn about(svix_id: &SvixId) -> About<'_> {
    About {
        svix_id,
        event_type: "user.updated",
        timestamp: None,
        received_at: SystemTime::UNIX_EPOCH,
        instance_id: None,
        now: SystemTime::UNIX_EPOCH,
    }
}

fn read(section: &Section) -> Row {
    let wanted = Wanted::by(section.cells());
    let data: &RawValue = serde_json::from_str(DATA).unwrap();
    let svix_id = SvixId::parse("msg_1").unwrap();
    Row::read(section, &about(&svix_id), &wanted.read(data).unwrap())
}

fn cell_of(from: From) -> Cell {
    let section = section(vec![column("c", Content::From(from))]);
    read(&section).cells.remove(0)
}

fn said_text(says: &str, said_by: usize) -> Cell {
    Cell {
        value: Value::Text(says.to_owned()),
        keeps: false,
        said_by: Some(said_by),
        instead: None,
    }
}

fn unsaid(value: Value) -> Cell {
    Cell {
        value,
        keeps: false,
        said_by: None,
        instead: None,
    }
}

fn number(number: i64) -> Constant {
    Constant::Value(Value::Integer(number))
}

#[test]
fn the_first_path_that_says_something_wins() {
    assert_eq!(cell_of(from(&["full_name", "id"])), said_text("Ada", 0));
    assert_eq!(
        cell_of(from(&["last_name", "username", "id"])),
        said_text("user_2g7np7", 2)
    );
    assert_eq!(
        cell_of(from(&["last_name", "username"])),
        unsaid(Value::Nothing)
    );
    for (asked, value) in [
        ("flag", Value::Boolean(false)),
        ("list", Value::Json("[]".to_owned())),
    ] {
        let expected = Cell {
            value,
            ..said_text("", 0)
        };
        assert_eq!(cell_of(from(&[asked, "id"])), expected);
    }
}

#[test]
fn what_is_said_is_put_in_lower_case_then_in_other_words() {
    let words = map(&[
        ("editor", text("EDITOR")),
        ("pro", number(2)),
        ("1.50", text("{id:3}")),
        ("false", text("")),
    ]);
    let mapped = |paths: &[&str], as_lower| {
        cell_of(From {
            as_lower,
            map: words.clone(),
            default: Some(number(0)),
            ..from(paths)
        })
    };
    assert_eq!(
        mapped(&["public_metadata.role"], true),
        said_text("EDITOR", 0)
    );
    assert_eq!(
        mapped(&["public_metadata.role"], false),
        unsaid(Value::Integer(0))
    );
    let plan = Cell {
        value: Value::Integer(2),
        ..said_text("", 1)
    };
    assert_eq!(
        mapped(&["public_metadata.role", "public_metadata.plan"], false),
        plan
    );
    assert_eq!(mapped(&["number"], true), said_text("np7", 0));
    assert_eq!(mapped(&["flag"], false), said_text("", 0));
    assert_eq!(mapped(&["missing"], false), unsaid(Value::Integer(0)));
    let lower = From {
        as_lower: true,
        ..from(&["public_metadata.role"])
    };
    assert_eq!(cell_of(lower), said_text("editor", 0));
}

#[test]
fn where_nothing_is_said_the_default_is() {
    let silent = |default: Option<Constant>, keeps_when_silent| {
        cell_of(From {
            default,
            keeps_when_silent,
            ..from(&["username"])
        })
    };
    let named = Value::Text("user-2g7np7".to_owned());
    assert_eq!(
        silent(Some(text("user-{id:6}")), false),
        unsaid(named.clone())
    );
    assert_eq!(silent(None, false), unsaid(Value::Nothing));
    for (default, value) in [(Some(text("user-{id:6}")), named), (None, Value::Nothing)] {
        let expected = Cell {
            keeps: true,
            ..unsaid(value)
        };
        assert_eq!(silent(default, true), expected);
    }
    let said = From {
        default: Some(number(0)),
        keeps_when_silent: true,
        ..from(&["first_name"])
    };
    assert_eq!(cell_of(said), said_text("Ada", 0));
}

#[test]
fn a_text_that_begins_with_blanks_brings_the_default_along() {
    let blanks = |default| {
        cell_of(From {
            default,
            ..from(&["image_url"])
        })
    };
    assert_eq!(blanks(None), said_text("  x", 0));
    let expected = Cell {
        instead: Some(Box::new(Value::Text("user_2g7np7".to_owned()))),
        ..said_text("  x", 0)
    };
    assert_eq!(blanks(Some(text("{id}"))), expected);
}

#[test]
fn there_is_a_cell_for_each_column_in_their_order() {
    let constant = |constant| Content::Constant(constant, Some(TooLong::Cut));
    let mut section = section(vec![
        column("a", Content::From(from(&["first_name"]))),
        column("b", constant(number(7))),
    ]);
    section.on_create = vec![
        column("c", Content::Uuid),
        column("d", constant(text("{first_name}!"))),
    ];
    let expected = vec![
        said_text("Ada", 0),
        unsaid(Value::Integer(7)),
        unsaid(Value::Nothing),
        unsaid(Value::Text("Ada!".to_owned())),
    ];
    assert_eq!(read(&section).cells, expected);
}

#[test]
fn a_row_is_linked_by_what_clerk_has_said_and_verified() {
    let can_link = |content: Content| {
        let mut section = section(vec![
            column("a", Content::From(from(&["id"]))),
            column("b", content),
        ]);
        section.link_by = Some(1);
        read(&section).can_link
    };
    let said = |paths: &[&str]| Content::From(from(paths));
    assert!(can_link(said(&["primary_email_address"])));
    assert!(can_link(said(&[
        "unsafe_metadata.email",
        "primary_email_address"
    ])));
    assert!(!can_link(said(&[
        "unsafe_metadata.role",
        "primary_email_address"
    ])));
    assert!(!can_link(said(&["username"])));
    let default = From {
        default: Some(text("{primary_email_address}")),
        ..from(&["username"])
    };
    assert!(!can_link(Content::From(default)));
    let constant = Content::Constant(text("{primary_email_address}"), None);
    assert!(!can_link(constant));
    for (word, expected) in [("{id}", true), ("{unsafe_metadata.role}", false)] {
        let mapped = From {
            map: map(&[("pro", text(word))]),
            ..from(&["public_metadata.plan"])
        };
        assert_eq!(can_link(Content::From(mapped)), expected, "{word}");
    }
    let no_link = section(vec![column("a", said(&["primary_email_address"]))]);
    assert!(!read(&no_link).can_link);
}

#[test]
fn a_deletion_says_what_is_left_of_the_row() {
    let columns = [
        column("clerkId", Content::From(from(&["null"]))),
        column(
            "email",
            Content::Constant(text("deleted-{id}@users.invalid"), None),
        ),
        column("slug", Content::From(from(&["slug"]))),
    ];
    let wanted = Wanted::by(&columns);
    let data: &RawValue = serde_json::from_str(r#"{"id":"user_1","deleted":true}"#).unwrap();
    let svix_id = SvixId::parse("msg_1").unwrap();
    let row = Row::of_deletion(&columns, &about(&svix_id), &wanted.read(data).unwrap());
    let expected = [
        Value::Nothing,
        Value::Text("deleted-user_1@users.invalid".to_owned()),
        Value::Nothing,
    ];
    assert_eq!(row.cells, expected.map(unsaid));
    assert!(!row.can_link);
}

#[test]
fn a_wanted_field_that_stands_there_twice_is_an_error_and_another_is_not() {
    let columns = [column("c", Content::From(from(&["public_metadata.role"])))];
    let wanted = Wanted::by(&columns);
    for (data, is_error) in [
        (r#"{"id":1,"id":1}"#, true),
        (r#"{"updated_at":1,"updated_at":1}"#, true),
        (r#"{"public_metadata":1,"public_metadata":1}"#, true),
        (r#"{"role":1,"role":1}"#, false),
    ] {
        let data: &RawValue = serde_json::from_str(data).unwrap();
        let expected = is_error.then_some(Unusable::Data);
        assert_eq!(wanted.read(data).err(), expected, "{data}");
    }
}
