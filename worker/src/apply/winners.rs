//! Whom a piece writes: the objects of which nothing newer is known.

use std::collections::{BTreeMap, HashMap, HashSet};

use deadpool_postgres::Transaction;
use shared::fault_point::{FaultPoint, reach};

use crate::apply::awaited::{Awaited, Version};
use crate::apply::fit::{Fitted, fit};
use crate::apply::rows::{self, Holder, Place, Winner};
use crate::apply::storage::Claim;
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::database::catalogue::column::Kind;
use crate::database::failure::{Failure, Refusal, Remedy};
use crate::decide::settlement::{Value, settle};
use crate::event::object::Object;
use crate::event::{Change, Event};
use crate::tables::section::{self, Content, OnDelete};

/// The objects that are to be written.
pub(crate) struct Winners<'a> {
    /// Rows to write, in the order of ids.
    pub(crate) written: Vec<Winner<'a>>,
    /// Of deleted objects.
    pub(crate) deleted: Vec<Winner<'a>>,
    /// Of which nothing was known.
    pub(crate) first_seen: HashSet<&'a str>,
}

/// Who does not get what it wants, by svix-id.
pub(crate) type LeftOuts<'a> = HashMap<&'a str, LeftOut>;

impl<'a> Winners<'a> {
    /// Fits what `newest` say to the columns of `target`, where the claims say that they have won. The error tells whose
    /// values do not fit.
    pub(crate) fn fit(
        newest: &[&'a Event],
        claims: &[Claim],
        target: &Target,
    ) -> Result<Self, LeftOuts<'a>> {
        let claims: HashMap<&str, bool> = claims
            .iter()
            .map(|claim| (claim.object_id.as_str(), claim.first_seen))
            .collect();
        let mut winners = Self {
            written: Vec::with_capacity(newest.len()),
            deleted: Vec::new(),
            first_seen: HashSet::new(),
        };
        let mut misfits = HashMap::new();
        for event in newest {
            let (object, columns) = match &event.change {
                Change::Upsert(object) => (object, object.section.cells().collect()),
                Change::Delete(object) => (object, set_on_delete(object)),
                Change::Ignore(_) => continue,
            };
            let Some(first_seen) = claims.get(object.id.as_str()) else {
                continue;
            };
            if *first_seen {
                winners.first_seen.insert(object.id.as_str());
            }
            let winner = match fit_cells(object, &columns, target) {
                Ok(cells) => Winner {
                    event,
                    object,
                    cells,
                },
                Err(refusal) => {
                    misfits.insert(event.svix_id.as_str(), LeftOut::Refused(refusal));
                    continue;
                }
            };
            match event.change {
                Change::Upsert(_) => winners.written.push(winner),
                _ => winners.deleted.push(winner),
            }
        }
        if misfits.is_empty() {
            Ok(winners)
        } else {
            Err(misfits)
        }
    }

    /// The rows to write of those that most likely have one, and of those that most likely have none.
    pub(crate) fn known_and_first_seen(&self) -> (Vec<&Winner<'a>>, Vec<&Winner<'a>>) {
        let is_known = |winner: &&Winner<'_>| !self.first_seen.contains(winner.object.id.as_str());
        self.written.iter().partition(is_known)
    }

    /// Lets the winners make room for each other in unique columns. Tells who has to wait, and for whom; then nothing
    /// that was written is good. `known` is the svix-id of the newest event of each object, without this piece.
    pub(crate) async fn make_room(
        &mut self,
        transaction: &Transaction<'_>,
        target: &Target,
        known: &HashMap<String, String>,
    ) -> Result<LeftOuts<'a>, Failure> {
        let mut oldest_first: Vec<&Winner<'_>> = self.written.iter().collect();
        oldest_first.sort_by_key(|winner| winner.event.revision());
        let places = rows::places(transaction, target, &oldest_first).await?;
        // The application's own row, newer than what we have: it will stay as it is. Every other one that is there is
        // written, though a trigger of the application may say meanwhile that it is newer: it must get its values.
        let stay: HashSet<String> = places
            .iter()
            .filter(|place| place.is_newer && self.first_seen.contains(place.object_id.as_str()))
            .map(|place| place.object_id.clone())
            .collect();
        for place in places
            .iter()
            .filter(|place| place.is_own && !stay.contains(&place.object_id))
        {
            self.first_seen.remove(place.object_id.as_str());
        }
        let mut oldest_first: Vec<&Winner<'_>> = self.written.iter().collect();
        oldest_first.sort_by_key(|winner| winner.event.revision());
        oldest_first.retain(|winner| !stay.contains(winner.object.id.as_str()));
        let rows: HashMap<&str, &Place> = places
            .iter()
            .map(|place| (place.object_id.as_str(), place))
            .collect();
        let mut wishes = Wishes::new(&oldest_first, &rows);
        for holders in &target.statements.holders {
            let held = rows::holders(transaction, holders, target, &oldest_first).await?;
            wishes.add(target, holders.0, held, known);
        }
        let (waiting, vacating) = wishes.settle(target);
        if !waiting.is_empty() {
            return Ok(waiting);
        }
        wishes.vacate(transaction, target, &vacating).await
    }
}

/// What winners want of unique columns, and who has it.
struct Wishes<'w, 'a> {
    winners: &'w [&'w Winner<'a>],
    rows: Vec<Row<'w>>,
    wanted: Vec<Vec<Value>>,
    /// Of each value that is held: the row, and what to wait for.
    held: Vec<(Value, String, Awaited)>,
    /// Of each value a winner that wants it.
    wanting: BTreeMap<Value, usize>,
}

/// The row of a winner.
struct Row<'w> {
    /// Where it lies, or what stands for one that is to be made.
    place: &'w str,
    is_there: bool,
    /// Whether it is the winner's already, not one that the winner is to be linked to.
    is_own: bool,
}

impl<'w, 'a> Wishes<'w, 'a> {
    fn new(winners: &'w [&'w Winner<'a>], places: &HashMap<&str, &'w Place>) -> Self {
        let row = |winner: &&'w Winner<'a>| {
            let id = winner.object.id.as_str();
            let place = places.get(id);
            Row {
                // An id is no place, so the two are never taken for each other.
                place: place.map_or(id, |place| place.row.as_str()),
                is_there: place.is_some(),
                is_own: place.is_some_and(|place| place.is_own),
            }
        };
        Self {
            rows: winners.iter().map(row).collect(),
            wanted: vec![Vec::new(); winners.len()],
            held: Vec::new(),
            wanting: BTreeMap::new(),
            winners,
        }
    }

    fn add(
        &mut self,
        target: &Target,
        column: usize,
        holders: Vec<Holder>,
        known: &HashMap<String, String>,
    ) {
        let is_on_create = column >= target.statements.cells_of_columns;
        for holder in holders {
            let Some(winner) = self.winners.get(holder.wish) else {
                continue;
            };
            let value = (column, holder.value);
            let says_nothing = matches!(winner.cells[column], Fitted::Null);
            let row = &self.rows[holder.wish];
            let is_kept = row.is_there && self.keeps(holder.wish, column);
            if !(says_nothing || is_kept || is_on_create && row.is_own) {
                self.wanted[holder.wish].push(value);
                self.wanting.entry(value).or_insert(holder.wish);
            }
            if let Some(row) = holder.row {
                let whose = self.rows.iter().position(|known| known.place == row);
                // What stays as it is nobody else gets.
                if let Some(whose) =
                    whose.filter(|whose| is_on_create || self.keeps(*whose, column))
                {
                    self.wanted[whose].push(value);
                }
                let object_id = holder.object_id.as_deref();
                let name = target
                    .section
                    .cells()
                    .nth(column)
                    .map_or("", |cell| &cell.name);
                // What a winner of this piece has claimed here may end otherwise.
                let is_here = self
                    .winners
                    .iter()
                    .any(|winner| object_id == Some(winner.object.id.as_str()));
                let version = match object_id.filter(|_| is_here) {
                    Some(object_id) => known.get(object_id).cloned(),
                    None => holder.version,
                };
                let version = Version::Of(version);
                let awaited = Awaited::of(target, name, object_id, version);
                self.held.push((value, row, awaited));
            }
        }
    }

    /// Whether Clerk says nothing of the column, and it is then left as it is.
    fn keeps(&self, place: usize, column: usize) -> bool {
        let cells = &self.winners[place].object.row.cells;
        cells.get(column).is_some_and(|cell| cell.keeps)
    }

    /// Who has to wait, and which values change hands.
    fn settle(&self, target: &Target) -> (LeftOuts<'a>, Vec<Value>) {
        let moving: Vec<(&str, Vec<Value>)> = self
            .rows
            .iter()
            .zip(&self.wanted)
            .map(|(row, wanted)| (row.place, wanted.clone()))
            .collect();
        let held: Vec<(&str, Value)> = self
            .held
            .iter()
            .map(|(value, row, _)| (row.as_str(), *value))
            .collect();
        let settlement = settle(&moving, &held);
        let svix_id = |row: &str| {
            let place = self.rows.iter().position(|known| known.place == row)?;
            Some(self.winners[place].event.svix_id.as_str())
        };
        let waiting = settlement.waiting.iter().filter_map(|(row, holder)| {
            Some((
                svix_id(row)?,
                LeftOut::Waiting(self.awaited(target, holder)?),
            ))
        });
        (waiting.collect(), settlement.vacating.into_iter().collect())
    }

    /// The next event of whom to wait for, who has `row`.
    fn awaited(&self, target: &Target, row: &str) -> Option<Awaited> {
        let holds = self.held.iter().find(|(_, held, _)| held == row);
        if let Some((_, _, awaited)) = holds {
            return Some(awaited.clone());
        }
        // Somebody who takes the value in this very transaction.
        let place = self.rows.iter().position(|known| known.place == row)?;
        let object = self.winners[place].object;
        let column = self.wanted[place].first().map_or(0, |value| value.0);
        let name = target
            .section
            .cells()
            .nth(column)
            .map_or("", |cell| &cell.name);
        Some(Awaited::of(
            target,
            name,
            Some(object.id.as_str()),
            Version::Uncommitted,
        ))
    }

    /// Takes the values from the rows that have them. Where that is not possible, who wants them waits.
    async fn vacate(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        values: &[Value],
    ) -> Result<LeftOuts<'a>, Failure> {
        let statements = &target.statements;
        for (column, sql) in &statements.vacate {
            let of_column: Vec<Value> = values
                .iter()
                .copied()
                .filter(|value| value.0 == *column)
                .collect();
            let Some(kind) = statements.cell_types[*column]
                .as_ref()
                .filter(|_| !of_column.is_empty())
            else {
                continue;
            };
            let Some(sql) = sql else {
                return Ok(self.who_wants(&of_column));
            };
            let fitted = of_column.iter().filter_map(|value| {
                let winner = self.winners[*self.wanting.get(value)?];
                Some(&winner.cells[*column])
            });
            let vacated = rows::vacate(transaction, sql, kind, fitted).await;
            match vacated.map_err(Failure::from) {
                // A check or a trigger of the application refuses the placeholder, not the event.
                Err(Failure::Refused(refusal)) if refusal.remedy != Remedy::Repeat => {
                    return Ok(self.who_wants(&of_column));
                }
                outcome => outcome?,
            }
        }
        if !values.is_empty() {
            reach(FaultPoint::AddressesVacated).await;
        }
        Ok(HashMap::new())
    }

    fn who_wants(&self, values: &[Value]) -> LeftOuts<'a> {
        let waits = |(place, wanted): (usize, &Vec<Value>)| {
            let value = wanted.iter().find(|value| values.contains(value))?;
            let holds = |(held, row, _): &&(Value, String, Awaited)| {
                held == value && row != self.rows[place].place
            };
            let (_, _, awaited) = self.held.iter().find(holds)?;
            let svix_id = self.winners[place].event.svix_id.as_str();
            Some((svix_id, LeftOut::Waiting(awaited.clone())))
        };
        self.wanted.iter().enumerate().filter_map(waits).collect()
    }
}

fn set_on_delete(object: &Object) -> Vec<&section::Column> {
    match &object.section.on_delete {
        OnDelete::Set(columns) => columns.iter().collect(),
        OnDelete::Delete | OnDelete::Keep => Vec::new(),
    }
}

/// Fits what an object says to the columns of its table.
pub(crate) fn fit_cells<'a>(
    object: &'a Object,
    columns: &[&section::Column],
    target: &Target,
) -> Result<Vec<Fitted<'a>>, Refusal> {
    let mut fitted = Vec::with_capacity(columns.len());
    let key = target.table.column(&target.section.key);
    if let Some(Kind::Text {
        characters: Some(most),
        ..
    }) = key.map(|key| &key.kind)
        && object.id.as_str().chars().nth(*most).is_some()
    {
        let key = &target.section.key;
        return Err(misfit(
            target,
            &format!("data.id is too long for column \"{key}\""),
        ));
    }
    for (cell, column) in object.row.cells.iter().zip(columns) {
        // The statement makes it.
        if column.content == Content::Uuid {
            fitted.push(Fitted::Null);
            continue;
        }
        // The table has all that the section names.
        let Some(stored) = target.table.column(&column.name) else {
            continue;
        };
        fitted.push(fit(cell, column, stored).map_err(|why| misfit(target, &why))?);
    }
    Ok(fitted)
}

fn misfit(target: &Target, why: &impl std::fmt::Display) -> Refusal {
    Refusal {
        reason: format!("{why} (table {})", target.table),
        doubts_the_table: true,
        ..Refusal::default()
    }
}
