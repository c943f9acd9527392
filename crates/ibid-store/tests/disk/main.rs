//! What `DiskStore` guarantees, tested from outside.

mod bounds;
mod common;
mod damage;
mod handles;
mod lifecycle;
mod processes;
mod trust;
