//! **ibid** compiles WebAssembly for [Wasmtime](wasmtime) incrementally: only the
//! functions that its store has not seen, and an artifact that is byte for byte what
//! Wasmtime makes.

mod bytes;
mod codegen;
pub mod compiled;
mod compiler;
mod entries;
mod fingerprint;
mod jobs;
mod link;
mod module;
mod parallel;
mod pipeline;
mod primitives;
mod probe;
mod progress;
mod report;
mod stencil;
mod writer;

pub use bytes::Malformed;
pub use compiled::CompiledFunction;
pub use compiler::{Compilation, Compiler, Options};
pub use ibid_store::{CacheStore, MemoryStore};
pub use primitives::Functions;
pub use progress::{Progress, ProgressCallback};
pub use report::{CodeBytes, Counts, Report, StoreReport, Times};
pub use stencil::{FunctionParameters, FunctionStencil, RelSourceLoc, StencilKey};
