//! The commands.

mod cert;
mod delete;
mod init;
mod start;

pub(crate) use cert::cert;
pub(crate) use delete::delete;
pub(crate) use init::init;
pub(crate) use start::{run, start};
