//! What the last module said outside its bodies, kept for the next one: in a loop of edits
//! and compiles that is what is parsed and described again and again, and never changes.
//!
//! Translation sees a function body as a range of bytes, so that two modules or components
//! whose bytes are the same but for the bodies (`Scan::frame`) have the same translation but
//! for these ranges and the place of the code. The kept translation is then used with the
//! bodies of the new one.

use crate::bodies::Scan;
use crate::fingerprint::EngineCompiler;
use crate::link::SerializedTypes;
use crate::module::Source;
use crate::program::{Kind, Program};
use crate::stencil::Digest;
use std::fmt;
use wasmtime_environ::ScopeVec;

/// A module or component, parsed.
pub(crate) struct Kept {
    frame: Digest,
    kind: Kind,
    /// Its types as they are serialized into the artifact.
    pub(crate) types: SerializedTypes,
    /// Whether its code needed a GC heap, which is a part of the description.
    pub(crate) needs_gc_heap: bool,
    program: OwnedProgram,
}

/// An input's bytes, and room for the modules that Wasmtime adds to it.
struct Input {
    wasm: Vec<u8>,
    scope: ScopeVec<u8>,
}

self_cell::self_cell!(
    /// A parsed input with the bytes that it was parsed from.
    struct OwnedProgram {
        owner: Input,
        #[covariant]
        dependent: Program,
    }
);

/// What a module or component is kept by.
pub(crate) struct Seed {
    pub(crate) frame: Digest,
    pub(crate) kind: Kind,
    pub(crate) types: SerializedTypes,
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
    /// Parses the input of `seed` again, to keep it. `None` if that fails, which it does
    /// not for one that was compiled.
    pub(crate) fn new(
        engine: &EngineCompiler,
        intrinsics: Option<&str>,
        seed: Seed,
    ) -> Option<Kept> {
        let Seed {
            frame,
            kind,
            types,
            needs_gc_heap,
            wasm,
        } = seed;
        let scope = ScopeVec::new();
        let program = OwnedProgram::try_new(Input { wasm, scope }, |input| {
            let mut program = Program::parse(engine, kind, intrinsics, &input.wasm, &input.scope)?;
            program.say_gc_heap(needs_gc_heap);
            Ok::<_, wasmtime::Error>(program)
        });
        Some(Kept {
            frame,
            kind,
            types,
            needs_gc_heap,
            program: program.ok()?,
        })
    }

    /// The modules of what `scan` is of, if it is the same but for its bodies.
    pub(crate) fn sources<'s>(&'s self, kind: Kind, scan: &'s Scan<'s>) -> Option<Vec<Source<'s>>> {
        let same = kind == self.kind && scan.frame.is_some_and(|frame| frame == self.frame);
        same.then(|| self.program().edited(scan))?
    }

    pub(crate) fn program(&self) -> &Program<'_> {
        self.program.borrow_dependent()
    }
}
