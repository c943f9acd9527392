//! The remote that the command line and the environment ask for.

#[cfg(feature = "remote")]
mod command;
#[cfg(feature = "remote")]
mod numbers;
#[cfg(feature = "remote")]
mod options;
#[cfg(feature = "remote")]
mod tier;

#[cfg(feature = "remote")]
pub(crate) use command::{Arguments, run};
#[cfg(feature = "remote")]
pub(crate) use options::RemoteOptions;
#[cfg(feature = "remote")]
pub(crate) use tier::Remote;

#[cfg(not(feature = "remote"))]
mod none;
#[cfg(not(feature = "remote"))]
pub(crate) use none::{Remote, RemoteOptions};
