//! **ibid** compiles WebAssembly for [Wasmtime](wasmtime) 48.0.8 incrementally: only the
//! functions that its store has not seen, and an artifact that is byte for byte what
//! Wasmtime makes.
//!
//! [`Compiler`] drops in where [`Engine::precompile_module`](wasmtime::Engine::precompile_module)
//! and [`Module::new`](wasmtime::Module::new) stood, or their likes for components:
//!
//! ```
//! use ibid::{Compiler, MemoryStore};
//! use wasmtime::{Engine, Instance, Store};
//!
//! let engine = Engine::default();
//! let compiler = Compiler::new(&engine, MemoryStore::new());
//!
//! let module = compiler.compile_module(
//!     br#"(module (func (export "answer") (result i32) i32.const 42))"#,
//! )?;
//! let mut store = Store::new(&engine, ());
//! let instance = Instance::new(&mut store, &module, &[])?;
//! let answer = instance.get_typed_func::<(), i32>(&mut store, "answer")?;
//! assert_eq!(answer.call(&mut store, ())?, 42);
//! # Ok::<(), wasmtime::Error>(())
//! ```
//!
//! # How it finds a function
//!
//! Cheapest first, and what is found further down is recorded higher up:
//!
//! 0. **Whole artifact.** The same input under the same settings, from its second sight
//!    on.
//! 1. **Exact body.** The same bytes in the same module environment.
//! 2. **Stencil.** The same body but for which functions it calls and where it lies; it
//!    survives functions added, removed and reordered. Neither validated nor translated.
//! 3. **CLIF.** Cranelift's own incremental cache, after translation: ibid finds all that
//!    Wasmtime's own cache would.
//!
//! # Guarantees
//!
//! - Artifacts and errors are Wasmtime's own, whatever the store holds.
//! - A store that is damaged, absent or full costs time, nothing else.
//! - What the keys do not cover is compiled plainly, and the [`Report`] says so.
//!
//! # Where to read on
//!
//! `docs/keys.md` has every fact that a key holds; `ARCHITECTURE.md` the map of this
//! code; `SECURITY.md` who is trusted with what. [`Functions`] shows the parts by hand.

mod bodies;
mod bundle;
mod bytes;
mod codegen;
pub mod compiled;
mod compiler;
mod details;
mod entries;
mod explain;
mod fingerprint;
mod jobs;
mod kept;
mod link;
mod module;
mod observe;
mod padded;
mod parallel;
mod pipeline;
mod plan;
mod primitives;
mod probe;
mod program;
mod progress;
mod rate;
mod report;
mod sentinels;
mod split;
mod stencil;
mod watched;
mod writer;

pub use bytes::Malformed;
pub use compiled::CompiledFunction;
pub use compiler::{Compilation, Compiler, Options};
pub use details::{Details, FunctionDetails, Phase, Span};
pub use entries::is_worth_sharing;
pub use explain::{
    Cause, CauseShare, Change, ChangeShare, Explanation, FunctionExplanation, Share,
};
pub use ibid_store::{CacheStore, MemoryStore};
pub use plan::Plan;
pub use primitives::Functions;
pub use progress::{Progress, ProgressCallback};
pub use report::{CodeBytes, Counts, Found, Report, SlotCounts, StoreReport, Times};
pub use stencil::{FunctionParameters, FunctionStencil, RelSourceLoc, StencilKey};
#[cfg(feature = "drop-facts")]
#[doc(hidden)]
pub use stencil::{KeyFact, drop_fact};
pub use watched::Watched;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: Watched = Watched::system();
