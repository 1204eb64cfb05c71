//! Parts of a file, for tests.

use std::collections::BTreeMap;

use crate::tables::path::{Computed, EventField, Path};
use crate::tables::section::{
    Column, Constant, Content, From, Key, MissingRow, OnDelete, Section, TableName,
};
use crate::tables::template::{Part, Template};

pub(crate) fn path(text: &str) -> Path {
    match text {
        "null" => Path::Null,
        "now" => Path::Now,
        "data" => Path::Data,
        "event.id" => Path::Event(EventField::Id),
        "event.type" => Path::Event(EventField::Type),
        "event.timestamp" => Path::Event(EventField::Timestamp),
        "event.received_at" => Path::Event(EventField::ReceivedAt),
        "event.instance_id" => Path::Event(EventField::InstanceId),
        "full_name" => Path::Computed(Computed::FullName),
        "primary_email_address" => Path::Computed(Computed::PrimaryEmailAddress),
        "primary_email_verified" => Path::Computed(Computed::PrimaryEmailVerified),
        "primary_email_local_part" => Path::Computed(Computed::PrimaryEmailLocalPart),
        "primary_phone_number" => Path::Computed(Computed::PrimaryPhoneNumber),
        "primary_web3_wallet" => Path::Computed(Computed::PrimaryWeb3Wallet),
        _ => Path::Field(text.split('.').map(str::to_owned).collect()),
    }
}

/// A text in which each path stands in braces of its own.
pub(crate) fn text(text: &str) -> Constant {
    let mut parts = Vec::new();
    for part in text.split_inclusive('}') {
        let (before, braces) = part.split_once('{').unwrap_or((part, ""));
        parts.push(Part::Text(before.to_owned()));
        if let Some(inside) = braces.strip_suffix('}') {
            let (inside, last) = inside.split_once(':').unwrap_or((inside, ""));
            parts.push(Part::Path(path(inside), last.parse().ok()));
        }
    }
    Constant::Text(Template(parts))
}

pub(crate) fn from(paths: &[&str]) -> From {
    From {
        paths: paths.iter().map(|text| path(text)).collect(),
        as_lower: false,
        map: None,
        default: None,
        keeps_when_silent: false,
        too_long: None,
    }
}

pub(crate) fn map(words: &[(&str, Constant)]) -> Option<BTreeMap<String, Constant>> {
    let word = |(word, constant): &(&str, Constant)| ((*word).to_owned(), constant.clone());
    Some(words.iter().map(word).collect())
}

pub(crate) fn column(name: &str, content: Content) -> Column {
    Column {
        name: name.to_owned(),
        content,
    }
}

pub(crate) fn section(columns: Vec<Column>) -> Section {
    Section {
        family: "user".to_owned(),
        table: TableName {
            schema: None,
            name: "users".to_owned(),
        },
        key: Key::Id("id".to_owned()),
        columns,
        on_create: Vec::new(),
        on_delete: OnDelete::Delete,
        missing_row: MissingRow::Create,
        link_by: None,
        newest: None,
        tags: Vec::new(),
        depth: 0,
        is_found: false,
        touches_tags: false,
    }
}
