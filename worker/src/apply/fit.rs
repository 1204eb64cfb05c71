//! stub
use std::borrow::Cow;
use std::time::SystemTime;
use crate::database::catalogue::column;
use crate::event::row::Cell;
use crate::tables::section;
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitted<'a> { Null, Text(Cow<'a, str>), Time(SystemTime) }
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("misfit")]
pub struct Misfit;
pub fn fit<'a>(_cell: &'a Cell, _mapped: &section::Column, _stored: &column::Column) -> Result<Fitted<'a>, Misfit> { Err(Misfit) }
