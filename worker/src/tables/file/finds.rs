//! References between sections.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;

use crate::tables::file::family::families;
use crate::tables::file::nearest::nearest;
use crate::tables::file::notes::Notes;
use crate::tables::file::scope::Place;
use crate::tables::section::{Find, Key, Section};

/// The sections of a file, those of them that could be read.
#[derive(Clone, Copy)]
struct File<'a> {
    table: &'a DeTable<'a>,
    sections: &'a [(usize, Section)],
}

/// Tells references that lead nowhere, each at the line of its column. Notes of sections how deep they are.
pub(super) fn check_finds(
    table: &DeTable<'_>,
    sections: &mut [(usize, Section)],
    notes: &mut Notes,
) {
    let file = File {
        table,
        sections: &*sections,
    };
    for (_, section) in file.sections {
        for (place, find) in section.finds() {
            let column = section.cells().nth(place);
            let at = column.and_then(|column| file.place(section, &column.name));
            file.check(section, find, at.unwrap_or_default(), notes);
        }
    }
    let mut depths: BTreeMap<String, usize> = BTreeMap::new();
    // Each round finds those that find in known ones alone; one in a circle is never found.
    while let Some((section, depth)) = sections.iter_mut().find_map(|(_, section)| {
        let depth = depth(section, &depths)?;
        let is_new = !depths.contains_key(&section.family);
        is_new.then_some((section, depth))
    }) {
        section.depth = depth;
        depths.insert(section.family.clone(), depth);
    }
    let found = sections.iter().flat_map(|(_, section)| section.finds());
    let found: BTreeSet<String> = found.map(|(_, find)| find.family.clone()).collect();
    for (_, section) in sections.iter_mut() {
        section.is_found = found.contains(&section.family);
    }
    // Deepest first: what touches tags does so for those that it refers to, too.
    let mut deepest_first: Vec<usize> = (0..sections.len()).collect();
    deepest_first.sort_by_key(|place| std::cmp::Reverse(sections[*place].1.depth));
    for place in deepest_first {
        let section = &sections[place].1;
        if section.touches_tags || !section.tags.is_empty() {
            let found = section.finds().map(|(_, find)| find.family.clone());
            let found: Vec<String> = found.collect();
            let parents = sections.iter_mut().map(|(_, parent)| parent);
            for parent in parents.filter(|parent| found.contains(&parent.family)) {
                parent.touches_tags = true;
            }
        }
    }
}

impl<'a> File<'a> {
    /// Where a column of a section is.
    fn place(self, section: &Section, column: &str) -> Option<usize> {
        let section = self.table.get(section.family.as_str())?;
        let section = section.get_ref().as_table()?;
        let mut parts = [Place::Columns, Place::OnCreate].into_iter();
        parts.find_map(|part| {
            let part = section.get(part.key())?.get_ref().as_table()?;
            let (key, _) = part.get_key_value(column)?;
            Some(key.span().start)
        })
    }

    fn section(self, family: &str) -> Option<&'a Section> {
        let mut sections = self.sections.iter().map(|(_, section)| section);
        sections.find(|section| section.family == family)
    }

    fn check(self, section: &Section, find: &Find, at: usize, notes: &mut Notes) {
        const PLAIN: &str = "a plain id: { from = … }";
        let family = find.family.as_str();
        if family == section.family {
            let what = format!("[{family}] finds in itself");
            notes.mistake(at, what, PLAIN);
        } else if !self.table.contains_key(family) {
            let what = format!("find = {family:?} leads to no section");
            let own = section.family.as_str();
            let others = self.table.keys().map(|key| key.get_ref().as_ref());
            let names = others.chain(families()).filter(|name| *name != own);
            let expected = match nearest(family, names) {
                Some(meant) if meant != family => format!("{meant:?}"),
                _ => format!("a section [{family}], or {PLAIN}"),
            };
            notes.mistake(at, what, expected);
        } else if let Some(found) = self.section(family) {
            if matches!(found.key, Key::Said(_)) {
                let what = format!("find = {family:?} leads to a key that is not Clerk's id");
                let expected = format!("a key of [{family}] that is, or {PLAIN}");
                notes.mistake(at, what, expected);
            }
            if let Some(way) = self.way(found, &section.family, &mut BTreeSet::new()) {
                let way = [vec![section.family.as_str()], way].concat().join(", ");
                let what = format!("the references lead in a circle: {way}");
                notes.mistake(at, what, PLAIN);
            }
        }
    }

    /// The families from a section to another one, these two included. Those that have been `passed` lead nowhere.
    fn way(
        self,
        from: &'a Section,
        to: &str,
        passed: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<&'a str>> {
        let own = from.family.as_str();
        if own == to {
            return Some(vec![own]);
        }
        passed.insert(own);
        let mut finds = from.finds().map(|(_, find)| find.family.as_str());
        let way = finds.find_map(|family| {
            let next = self.section(family).filter(|_| !passed.contains(family))?;
            self.way(next, to, passed)
        });
        way.map(|way| [vec![own], way].concat())
    }
}

/// `None` as long as the depth of a section is unknown that it finds in.
fn depth(section: &Section, depths: &BTreeMap<String, usize>) -> Option<usize> {
    let mut deepest = 0;
    for (_, find) in section.finds() {
        deepest = deepest.max(depths.get(&find.family)? + 1);
    }
    Some(deepest)
}
