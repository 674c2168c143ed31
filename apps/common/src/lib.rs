//! What programs have in common: how they fail, what they log and print, how they are told to stop.

pub mod failure;
pub mod logging;
pub mod signals;
pub mod terminal;
