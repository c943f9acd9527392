//! Chores of the project, as a library: `main.rs` is the command line over it.
//!
//! It is a library so that benchmarks can find the corpus the way the chores do.

pub mod bench;
pub mod book;
mod command;
pub mod corpus;
pub mod demo;
pub mod deny;
pub mod examples;
pub mod package;
mod python;
pub mod remote;
pub mod reproducible;
