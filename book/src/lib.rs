//! The blocks of Rust on pages of the documentation, as doctests. `cargo xtask book` sees to it that
//! every page which has some is here.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
mod embedding {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/store.md")]
mod store {}
