//! Places: where in the instance code finds what a body names.
//!
//! An imported function, a table or a global lies in the instance (`VMContext`) behind the
//! memories, at an offset that counts what lies before it. One more import moves all of them,
//! and nothing but the offsets changes in the code.

use super::facts::ModuleFacts;
use std::ops::Range;
use wasmtime_environ::{
    DefinedGlobalIndex, DefinedTableIndex, FuncIndex, GlobalIndex, PtrSize, TableIndex, VMOffsets,
};

/// No place that moves is smaller, in bytes: smaller displacements are encoded in one byte.
pub(crate) const SMALLEST_PLACE: u32 = 128;

/// What lies in the instance behind the memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    /// An imported function.
    Function(u32),
    Table(u32),
    Global(u32),
}

/// Where an entity lies in the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) entity: Entity,
    /// Offset and size, in bytes.
    pub(crate) offset: u32,
    pub(crate) size: u32,
}

impl Entity {
    /// The same in a module that imports `more` functions before all others.
    pub(crate) fn behind(self, more: u32) -> Entity {
        match self {
            Entity::Function(index) => Entity::Function(index + more),
            entity => entity,
        }
    }
}

impl Place {
    /// The place of `entity` in instances that are laid out by `offsets`.
    pub(super) fn of(entity: Entity, offsets: &VMOffsets<u8>) -> Place {
        let ptr = offsets.ptr;
        let (offset, size) = match entity {
            Entity::Function(index) => (
                offsets.vmctx_vmfunction_import(FuncIndex::from_u32(index)),
                ptr.vm_function_import().size(),
            ),
            Entity::Table(index) => match index.checked_sub(offsets.num_imported_tables) {
                Some(defined) => (
                    offsets.vmctx_vmtable_definition(DefinedTableIndex::from_u32(defined)),
                    ptr.vm_table_definition().size(),
                ),
                None => (
                    offsets.vmctx_vmtable_import(TableIndex::from_u32(index)),
                    ptr.vm_table_import().size(),
                ),
            },
            Entity::Global(index) => match index.checked_sub(offsets.num_imported_globals) {
                Some(defined) => (
                    offsets.vmctx_vmglobal_definition(DefinedGlobalIndex::from_u32(defined)),
                    ptr.vm_global_definition().size(),
                ),
                None => (
                    offsets.vmctx_vmglobal_import(GlobalIndex::from_u32(index)),
                    ptr.vm_global_import().size(),
                ),
            },
        };
        Place {
            entity,
            offset,
            size: size.into(),
        }
    }
}

impl ModuleFacts {
    /// Where `entity` lies in the module's instances.
    pub(crate) fn place(&self, entity: Entity) -> Place {
        Place::of(entity, &self.offsets)
    }

    /// Whether a place may be a slot. That of a global that holds a reference may not: the
    /// compiler makes a number of its offset (`translate_global_set` in `func_environ.rs`).
    pub(super) fn may_move(&self, place: Place) -> bool {
        let is_reference = match place.entity {
            Entity::Global(index) => self.reference_globals[index as usize],
            Entity::Function(_) | Entity::Table(_) => false,
        };
        self.place_slots && place.offset >= SMALLEST_PLACE && !is_reference
    }

    /// Where in its instances everything lies that a module moves that imports more functions.
    pub(crate) fn moved_places(&self) -> Range<u32> {
        self.offsets.vmctx_imported_functions_begin()..self.offsets.size_of_vmctx()
    }

    /// Whether a module that imports more functions has the same types under the same numbers,
    /// whatever else it has none of: no type that it names refers to others.
    pub(super) fn names_plain_types(&self) -> bool {
        let mut named = self.type_indices.iter();
        named.all(|interned| self.types.each[*interned as usize].plain)
    }

    /// Whether this module says the same as `other` of what a function with place slots can
    /// name, but for `more` functions that it imports before all others.
    pub(crate) fn is_behind(&self, more: u32, other: &ModuleFacts) -> bool {
        let shifted = self.functions.get(more as usize..);
        // Behind the module's own types there may be one for a startup function.
        let mut types = self.types.each.iter().zip(&other.types.each);
        let last_named = other.type_indices.iter().max();
        last_named.is_none_or(|last| (*last as usize) < self.types.each.len())
            && types.all(|(a, b)| a.digest == b.digest)
            && self.type_indices == other.type_indices
            && shifted == Some(&other.functions)
            && self.memories == other.memories
            && self.accessed == other.accessed
            && self.tables == other.tables
            && self.globals == other.globals
    }
}
