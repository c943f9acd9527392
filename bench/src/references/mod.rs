//! What ibid is compared with, beside a plain compile by Wasmtime.

mod floor;
mod module_cache;
mod own_cache;
mod plain;

pub use floor::floor;
pub use module_cache::ModuleCache;
pub use own_cache::{Found, OwnCache};
pub use plain::Loaded;
pub(crate) use plain::precompile;
