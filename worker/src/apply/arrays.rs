//! The parameters of statements: an array for each column, of which `unnest` makes rows.

use std::time::SystemTime;

use tokio_postgres::types::{ToSql, Type};

use crate::apply::target::Target;
use crate::apply::winner::Winner;
use crate::fit::Fitted;
use crate::tables::section::Key;

/// An array for `unnest`.
pub(super) enum Array<'a> {
    Texts(Vec<Option<&'a str>>),
    Times(Vec<Option<SystemTime>>),
    Flags(Vec<bool>),
}

/// The parameters of a statement.
pub(crate) struct Arrays<'a>(pub(super) Vec<Array<'a>>);

impl<'a> Arrays<'a> {
    /// The objects' ids, and the keys of their rows where those are others.
    pub(super) fn of_objects(target: &Target, winners: &[&'a Winner<'a>]) -> Self {
        let ids = winners.iter().map(|winner| Some(winner.object.id.as_str()));
        let mut arrays = Self(vec![Array::Texts(ids.collect())]);
        if let Key::Said(columns) = &target.section.key {
            for place in 0..columns.len() {
                let key = |winner: &&'a Winner<'a>| winner.key.get(place).map(String::as_str);
                arrays = arrays.with_texts(winners.iter().map(key));
            }
        }
        arrays
    }

    pub(super) fn with_texts(mut self, texts: impl Iterator<Item = Option<&'a str>>) -> Self {
        self.0.push(Array::Texts(texts.collect()));
        self
    }

    /// The first `cells` cells.
    pub(super) fn with_cells(
        mut self,
        target: &Target,
        winners: &[&'a Winner<'a>],
        cells: usize,
    ) -> Self {
        for (place, kind) in target.statements.cell_types.iter().enumerate().take(cells) {
            if let Some(kind) = kind {
                let cells = winners.iter().map(|winner| &winner.cells[place]);
                self.0.push(Array::of(kind, cells));
            }
        }
        self
    }

    pub(super) fn with_keeping(mut self, target: &Target, winners: &[&'a Winner<'a>]) -> Self {
        for place in &target.statements.keeping {
            let keeps = |winner: &&Winner<'_>| winner.keeps(*place);
            self.0
                .push(Array::Flags(winners.iter().map(keeps).collect()));
        }
        self
    }

    /// What tells which of two events is newer.
    pub(super) fn with_revisions(mut self, winners: &[&'a Winner<'a>]) -> Self {
        let times = winners.iter().map(|winner| Some(winner.event.event_at));
        self = self.with_updated_at(winners);
        self.0.push(Array::Times(times.collect()));
        self.with_texts(
            winners
                .iter()
                .map(|winner| Some(winner.event.svix_id.as_str())),
        )
    }

    pub(super) fn with_updated_at(mut self, winners: &[&'a Winner<'a>]) -> Self {
        let times = winners.iter().map(|winner| Some(winner.object.updated_at));
        self.0.push(Array::Times(times.collect()));
        self
    }

    pub(crate) fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.0.iter().map(Array::parameter).collect()
    }
}

impl<'a> Array<'a> {
    fn parameter(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Texts(texts) => (texts, Type::TEXT_ARRAY),
            Self::Times(times) => (times, Type::TIMESTAMPTZ_ARRAY),
            Self::Flags(flags) => (flags, Type::BOOL_ARRAY),
        }
    }

    pub(super) fn of<'b: 'a>(kind: &Type, cells: impl Iterator<Item = &'a Fitted<'b>>) -> Self {
        if *kind == Type::TIMESTAMPTZ_ARRAY {
            Self::Times(cells.map(Fitted::time).collect())
        } else {
            Self::Texts(cells.map(Fitted::text).collect())
        }
    }
}
