//! What depends on the rows, in sentences.

use std::collections::BTreeSet;

use shared::terminal::escaped;

use crate::apply::target::Target;
use crate::apply::winner::Winner;
use crate::database::catalogue::table::gone;
use crate::event::object::Object;
use crate::operate::preview::wording::paragraph;
use crate::tables::path::Path;
use crate::tables::section::{Content, Gone, MissingRow, OnDelete, Section};
use crate::tables::tag::{Part, Tag};

/// Which row is written.
pub(super) fn row(target: &Target) -> String {
    let section = &target.section;
    let otherwise = match (section.missing_row, section.link_by) {
        (MissingRow::Create, None) => "is written, or made if there is none",
        (MissingRow::Create, Some(_)) => "is written, or linked or made if there is none",
        (MissingRow::Wait, None) => "is written; the event waits until there is one",
        (MissingRow::Wait, Some(_)) => {
            "is written, or linked if there is none; the event waits until there is one"
        }
        (MissingRow::Ignore, None) => "is written; if there is none, the event is ignored",
        (MissingRow::Ignore, Some(_)) => {
            "is written, or linked if there is none; if none can be, the event is ignored"
        }
    };
    format!("{} {otherwise}", named(target))
}

fn named(target: &Target) -> String {
    format!(
        "the row of {} with this {}",
        escaped(&target.table.to_string()),
        keys(&target.section)
    )
}

/// The columns of the key.
fn keys(section: &Section) -> String {
    let keys = section.key_columns().into_iter();
    Vec::from_iter(keys.map(|name| format!("{name:?}"))).join(" and ")
}

/// Whether another row can become the object's, and by what.
pub(super) fn link(winner: &Winner<'_>, target: &Target, place: usize) -> String {
    let (section, key) = (&target.section, keys(&target.section));
    let Some(column) = section.columns.get(place) else {
        return String::new();
    };
    let name = &column.name;
    if winner.can_link(place) {
        return format!(
            "it can be linked: to a row with this {name:?} whose {key} is NULL, or whose {} is deleted",
            section.family
        );
    }
    let paths = match &column.content {
        Content::From(from) => from.paths.as_slice(),
        Content::Constant(..) | Content::Uuid | Content::Find(_) => &[],
    };
    let cell = winner.object.row.cells.get(place);
    let path = cell
        .and_then(|cell| cell.said_by)
        .and_then(|place| paths.get(place));
    let why = match path {
        None => format!("Clerk says nothing for {name:?}"),
        Some(path) if !winner.object.row.can_link => format!("{path} is not verified"),
        Some(Path::Null) | Some(_) => format!("what Clerk says does not fit {name:?} as it is"),
    };
    format!("it cannot be linked to another row: {why}")
}

/// For which other rows the event waits.
pub(super) fn parents(section: &Section, object: &Object) -> Option<String> {
    let parents = section.finds().filter_map(|(place, find)| {
        let cell = object.row.cells.get(place)?;
        Some(format!("{} {}", find.family, escaped(&cell.value.text()?)))
    });
    let parents: BTreeSet<_> = parents.collect();
    let parents = Vec::from_iter(parents).join(", or of ");
    (!parents.is_empty()).then(|| format!("the event waits while there is no row of {parents}"))
}

/// What becomes of the rows of another section when an object of `parent` is deleted to which they refer.
pub(super) fn child(child: &Target, parent: &Section) -> Vec<String> {
    let section = &child.section;
    let goes = parent.on_delete == OnDelete::Delete && section.missing_row == MissingRow::Create;
    let finds = section.finds();
    let own = finds.filter(|(_, find)| find.family == parent.family);
    let sentence = |(place, find)| {
        let name = &section.cells().nth(place)?.name;
        let what = match (gone(find, child.table.column(name)?)?, &section.on_delete) {
            (Gone::Null, _) => format!("get NULL in {name:?}"),
            (Gone::Keep, _) => "stay as they are".to_owned(),
            (Gone::Delete, _) if goes => "are deleted first".to_owned(),
            (Gone::Delete, OnDelete::Delete) => "are deleted".to_owned(),
            (Gone::Delete, OnDelete::Keep) => "stay as they are".to_owned(),
            (Gone::Delete, OnDelete::Set(_)) => {
                format!("stay, and are set as [{}.on_delete] says", section.family)
            }
        };
        let table = escaped(&child.table.to_string());
        Some(format!(
            "the rows of {table} that refer to it by {name:?} {what}"
        ))
    };
    own.filter_map(sentence).collect()
}

/// When a row is left as it is.
pub(super) fn newest(column: &str) -> String {
    format!(
        "a row that was there before the first event stays as it is if its {column:?} is later than updated_at"
    )
}

/// What becomes of the row of an object that is deleted.
pub(super) fn deletion(target: &Target, is_supposed: bool) -> String {
    let what = match target.section.on_delete {
        OnDelete::Delete => "is deleted",
        OnDelete::Keep => "stays as it is",
        OnDelete::Set(_) => "stays, and is set to:",
    };
    match is_supposed {
        true => format!(
            "once the {} is deleted, the row {what}",
            target.section.family
        ),
        false => format!("{} {what}", named(target)),
    }
}

/// Which cache tags go.
pub(super) fn tags(text: &mut String, section: &Section, object: &Object, prefix: &str) {
    if section.tags.is_empty() {
        return;
    }
    let key = section.id_key();
    let known = |tag: &Tag| tag.columns().all(|column| Some(column) == key);
    let heading = match section.tags.iter().all(known) {
        true => "cache tags that are deleted:",
        false => "cache tags that are deleted, for the row before and after the change:",
    };
    paragraph(text, heading);
    for Tag(parts) in &section.tags {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Column(column) if Some(column.as_str()) == key => object.id.as_str().to_owned(),
            Part::Column(column) => format!("{{row.{column}}}"),
        };
        let tag: String = parts.iter().map(part).collect();
        text.push_str(&format!("    {}\n", escaped(&format!("{prefix}{tag}"))));
    }
}
