//! The oracle, which all tests share with the fuzz targets.
#![allow(unused_imports, reason = "each test file uses its own part")]

pub(crate) use ibid_campaign::{Oracle, RICH, compiled, difference, message};
