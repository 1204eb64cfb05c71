//! What winners want of unique columns, and who has it.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::Transaction;
use shared::fault_point::{FaultPoint, reach};

use crate::apply::awaited::{Awaited, Version};
use crate::apply::holders::{self, Holder, Place};
use crate::apply::target::Target;
use crate::apply::verdict::LeftOut;
use crate::apply::winner::Winner;
use crate::apply::winners::{Known, LeftOuts};
use crate::database::failure::{Failure, Remedy};
use crate::decide::settlement::{Value, settle};
use crate::fit::Fitted;

/// What winners want of unique columns, and who has it.
pub(super) struct Wishes<'w, 'a> {
    winners: &'w [&'w Winner<'a>],
    rows: Vec<Row<'w>>,
    /// Which winner's row lies at a place.
    places: HashMap<&'w str, usize>,
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
    pub(super) fn new(winners: &'w [&'w Winner<'a>], places: &HashMap<&str, &'w Place>) -> Self {
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
        let rows: Vec<Row<'_>> = winners.iter().map(row).collect();
        let places = rows.iter().enumerate();
        Self {
            places: places.map(|(winner, row)| (row.place, winner)).collect(),
            rows,
            wanted: vec![Vec::new(); winners.len()],
            held: Vec::new(),
            wanting: BTreeMap::new(),
            winners,
        }
    }

    pub(super) fn add(
        &mut self,
        target: &Target,
        column: usize,
        holders: Vec<Holder>,
        known: &Known<'_>,
    ) {
        let is_on_create = column >= target.statements.cells_of_columns;
        let name = target.section.cells().nth(column);
        let name = name.map_or("", |cell| &cell.name);
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
                let whose = self.places.get(row.as_str()).copied();
                // What stays as it is nobody else gets.
                if let Some(whose) =
                    whose.filter(|whose| is_on_create || self.keeps(*whose, column))
                {
                    self.wanted[whose].push(value);
                }
                let object_id = holder.object_id.as_deref();
                // What this piece has claimed may end otherwise: the version before counts.
                let version = match object_id.and_then(|id| known.get(id)) {
                    Some(before) => before.clone(),
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
        self.winners[place].keeps(column)
    }

    /// Who has to wait, and which values change hands.
    pub(super) fn settle(&self, target: &Target) -> (LeftOuts<'a>, Vec<Value>) {
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
        let waiting = settlement
            .waiting
            .iter()
            .filter_map(|(row, (holder, value))| {
                let winner = self.winners[*self.places.get(row)?];
                let awaited = self.awaited(target, holder, *value)?;
                Some((winner.event.svix_id.as_str(), LeftOut::Waiting(awaited)))
            });
        (waiting.collect(), settlement.vacating.into_iter().collect())
    }

    /// What to wait for: the next event of the object whose row has `value`, or is to get it.
    fn awaited(&self, target: &Target, row: &str, value: Value) -> Option<Awaited> {
        let holds = |(held, holder, _): &&(Value, String, Awaited)| *held == value && holder == row;
        if let Some((_, _, awaited)) = self.held.iter().find(holds) {
            return Some(awaited.clone());
        }
        // Somebody who takes the value in this very transaction.
        let winner = self.winners[*self.places.get(row)?];
        let name = target.section.cells().nth(value.0);
        let name = name.map_or("", |cell| &cell.name);
        let id = Some(winner.object.id.as_str());
        Some(Awaited::of(target, name, id, Version::Uncommitted))
    }

    /// Takes the values from the rows that have them. Where that is not possible, who wants them waits.
    pub(super) async fn vacate(
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
            let vacated = holders::vacate(transaction, sql, kind, fitted).await;
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
