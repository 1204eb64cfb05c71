//! One module a command.

pub(crate) mod bench;
pub(crate) mod cargo;
pub(crate) mod chaos;
pub(crate) mod demo;
pub(crate) mod fuzz;
pub(crate) mod instructions;
pub(crate) mod newer_servers;
pub(crate) mod send;
pub(crate) mod stack;
pub(crate) mod stop_signal;
pub(crate) mod test;
