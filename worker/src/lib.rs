#![doc = include_str!("../README.md")]

pub mod address;
pub mod apply;
pub mod back_off;
pub mod cache_tags;
pub mod consumer;
pub mod database;
pub mod entry;
pub mod event;
pub mod failure;
pub mod fence;
pub mod ledger;
pub mod metrics;
pub mod migration;
mod piece;
pub mod plan;
pub mod processor;
pub mod queue;
pub mod retention;
pub mod retry;
pub mod ring;
pub mod second_deletion;
pub mod settings;
pub mod storage;
mod transaction;
pub mod user;
pub mod visibility;
