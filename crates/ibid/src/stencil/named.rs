//! The facts that keys hold, by name, so that a test can leave out one at a time.
//!
//! With the feature `drop-facts`, [`drop_fact`] leaves a fact out of all keys that are
//! made from then on. A fact that matters is one whose absence makes a wrong hit; the
//! test `crates/ibid/tests/facts.rs` shows it for each. Without the feature nothing
//! can be left out, and the names cost nothing.

use crate::bytes::Writer;

macro_rules! define_facts {
    ($( $(#[$doc:meta])* $name:ident, )*) => {
        /// A fact that keys hold, by its name.
        #[cfg_attr(not(feature = "drop-facts"), allow(unreachable_pub))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum KeyFact {
            $( $(#[$doc])* $name, )*
        }

        #[cfg(feature = "drop-facts")]
        impl KeyFact {
            /// All of them.
            pub const ALL: &'static [KeyFact] = &[$( KeyFact::$name, )*];
        }
    };
}

define_facts! {
    /// The function's own type.
    OwnSignature,
    /// The type of a direct call's callee.
    CalleeSignature,
    /// Whether a callee is imported.
    CalleeImported,
    /// Whether a component always satisfies an imported callee with one function, or with an
    /// intrinsic that is written in place.
    CalleeKnown,
    /// Which of a function's callees are the same function.
    CalleeTarget,
    /// The type of a block that names one.
    BlockType,
    /// The interned number of a type that the code names.
    NamedTypeNumber,
    /// The structure of a type that the code names.
    NamedTypeStructure,
    /// The type of a function that `ref.func` names.
    ReferenceType,
    /// Whether a function may be named by `ref.func`.
    ReferenceDeclared,
    /// A memory's type and limits.
    MemoryType,
    /// A memory's type as accesses that need no check of bounds see it.
    MemoryAccess,
    /// Whether a memory is exported.
    MemoryExported,
    /// Where a memory lies in the instance.
    MemoryPlace,
    /// A table's type and, where they are equal, limits.
    TableType,
    /// The types that a table's element type refers to.
    TableReferredTypes,
    /// Whether a table is exported.
    TableExported,
    /// A table's number, and whether the module defines it.
    TablePlace,
    /// A global's type and mutability.
    GlobalType,
    /// The types that a global's type refers to.
    GlobalReferredTypes,
    /// Whether a global is exported.
    GlobalExported,
    /// A global's number, and whether the module defines it.
    GlobalPlace,
    /// The value of an immutable global.
    GlobalValue,
    /// The numbers of a tag's types.
    TagType,
    /// All types, for a tag.
    TagReferredTypes,
    /// Where a tag lies in the instance.
    TagPlace,
    /// Whether a data segment is passive, and its number.
    DataNumber,
    /// Where a data segment's base and length lie in the instance.
    DataPlace,
    /// Whether an element segment is passive, and its number.
    ElementNumber,
    /// An element segment's type.
    ElementType,
    /// The hints of a function's branches.
    BranchHints,
    /// The widths of replaced operators, where there are branch hints.
    HintedWidths,
    /// Where constants are that may be addresses, of which classes they are, and which of them are
    /// equal.
    Mentions,
    /// Which of these are slots, and the numbers of those that are none.
    AddressSlots,
    /// Where in the instance imported callees, tables and globals lie.
    Places,
    /// The module's number and all types, where an operator asks for them.
    Environment,
    /// All that the module says, where an operator asks for it.
    Everything,
    /// The signature that an array-to-wasm trampoline adapts.
    ArrayToWasmSignature,
    /// The signature that a wasm-to-array trampoline adapts.
    WasmToArraySignature,
    /// Which builtin a trampoline is for.
    BuiltinNumber,
    /// What a component's trampoline does.
    TrampolineKind,
    /// The signature of a component's trampoline.
    TrampolineSignature,
    /// The options of a component's trampoline.
    TrampolineOptions,
    /// The resource that a component's trampoline drops.
    TrampolineResource,
    /// What the stream of a component's trampoline carries.
    TrampolinePayload,
    /// Where everything lies in a component's instance.
    ComponentPlaces,
    /// Which unsafe intrinsic it is.
    IntrinsicNumber,
    /// Initializers of globals, for the startup function.
    StartupGlobals,
    /// Passive element segments, for the startup function.
    StartupElements,
    /// Active element segments and tables' initial values, for the startup function.
    StartupTables,
    /// Tables' types and limits, for the startup function.
    StartupTableTypes,
    /// Active data segments, for the startup function.
    StartupData,
    /// The start function, for the startup function.
    StartupCall,
    /// All that the module says, in the key of a bundle.
    BundleEverything,
    /// The empty module's artifact, in the fingerprint: target, flags, tunables,
    /// features.
    EngineDescription,
    /// The size up to which memory images are dense, in the fingerprint.
    EngineDenseImages,
}

impl Writer {
    /// Writes `fact`, unless it is left out.
    pub(crate) fn fact(&mut self, fact: KeyFact, write: impl FnOnce(&mut Writer)) {
        if is_kept(fact) {
            write(self);
        }
    }
}

#[cfg(not(feature = "drop-facts"))]
pub(crate) fn is_kept(_: KeyFact) -> bool {
    true
}

#[cfg(feature = "drop-facts")]
pub use dropping::drop_fact;
#[cfg(feature = "drop-facts")]
pub(crate) use dropping::is_kept;

#[cfg(feature = "drop-facts")]
mod dropping {
    use super::KeyFact;
    use std::sync::atomic::{AtomicU8, Ordering};

    const NONE: u8 = u8::MAX;
    static DROPPED: AtomicU8 = AtomicU8::new(NONE);

    /// Leaves `fact` out of all keys that are made from now on, in the whole process;
    /// `None` leaves out nothing.
    ///
    /// For tests only: with a fact left out the compiler gives wrong code.
    pub fn drop_fact(fact: Option<KeyFact>) {
        DROPPED.store(fact.map_or(NONE, |fact| fact as u8), Ordering::SeqCst);
    }

    pub(crate) fn is_kept(fact: KeyFact) -> bool {
        DROPPED.load(Ordering::Relaxed) != fact as u8
    }
}
