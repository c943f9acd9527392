//! What the last module said outside its bodies, kept for the next one: in a loop of edits
//! and compiles that is what is parsed and described again and again, and never changes.
//!
//! Translation sees a function body as a range of bytes, so that two modules whose bytes
//! are the same but for the bodies, and whose code sections begin at the same place
//! (`Scan::frame`), have the same translation but for these ranges. The kept translation is
//! then used with the bodies of the new module.

use crate::bodies::Scan;
use crate::fingerprint::EngineCompiler;
use crate::module::{OwnedModule, ParsedModule, Source};
use crate::stencil::Digest;
use std::fmt;

/// A module, parsed.
pub(crate) struct Kept {
    frame: Digest,
    /// Its types as they are serialized into the artifact.
    pub(crate) types: Vec<u8>,
    /// Whether its code needed a GC heap, which is a part of the description.
    pub(crate) needs_gc_heap: bool,
    module: OwnedModule,
}

/// What a module is kept by.
pub(crate) struct Seed {
    pub(crate) frame: Digest,
    pub(crate) types: Vec<u8>,
    pub(crate) needs_gc_heap: bool,
    pub(crate) wasm: Vec<u8>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}

impl Kept {
    /// Parses the module of `seed` again, to keep it. `None` if that fails, which it does
    /// not for a module that was compiled.
    pub(crate) fn new(engine: &EngineCompiler, seed: Seed) -> Option<Kept> {
        let Seed {
            frame,
            types,
            needs_gc_heap,
            wasm,
        } = seed;
        let module = OwnedModule::try_new(wasm, |wasm| {
            let mut module = ParsedModule::parse(engine, wasm)?;
            module.translation.module.needs_gc_heap |= needs_gc_heap;
            Ok::<_, wasmtime::Error>(module)
        });
        Some(Kept {
            frame,
            types,
            needs_gc_heap,
            module: module.ok()?,
        })
    }

    /// The module that `scan` is of, if it is the same but for its bodies.
    pub(crate) fn source<'s>(&'s self, scan: &'s Scan<'s>) -> Option<Source<'s>> {
        let same = scan.frame.is_some_and(|frame| frame == self.frame);
        let module = self.module.borrow_dependent();
        same.then(|| Source::with_bodies(module, &scan.bodies))?
    }
}
