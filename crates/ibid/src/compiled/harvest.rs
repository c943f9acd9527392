//! From Wasmtime's compiled function to the parts of a stencil.

use super::holes::{Holes, NoHoles, find as find_holes};
use super::layout::{CallSite, Handler, Parts, RelocationKind, RelocationRecord, StackMap, Target};
use crate::link::unwind;
use crate::sentinels::Sentinels;
use crate::stencil::{FunctionParameters, RelSourceLoc};
use cranelift_codegen::isa::unwind::UnwindInfo;
use cranelift_codegen::{ExceptionContextLoc, FinalizedMachExceptionHandler};
use rustc_hash::FxHashMap;
use wasmtime_environ::{Compiler, FuncKey, Tunables};
use wasmtime_internal_cranelift::CompiledFunction;

/// The compiled function holds something that the stored form has no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unstorable {
    #[error("a relocation of another kind than a call, or calls of several kinds")]
    RelocationKind,
    #[error("a relocation against something that is no callee of the function")]
    RelocationTarget,
    #[error("unwind information of another kind than System V's")]
    UnwindInfo,
    #[error("a source location outside the function's body")]
    SourceLocation,
    #[error("exception handlers whose context is in a register")]
    ExceptionContext,
    #[error("debug information")]
    DebugInfo,
    #[error("metadata that does not fit the code")]
    Malformed,
    #[error("an address in a place where it cannot be found or filled in")]
    Addresses,
    #[error("code that may depend on its addresses by chance")]
    Chance,
}

impl From<NoHoles> for Unstorable {
    fn from(_: NoHoles) -> Unstorable {
        Unstorable::Addresses
    }
}

/// Takes out of `compiled` all that the artifact needs, in terms of `parameters`, whose callees
/// are the functions that `callee` says; its body had `sentinels` for its addresses, if it has
/// slots for them.
pub(crate) fn harvest(
    compiled: &CompiledFunction,
    needs_gc_heap: bool,
    parameters: &FunctionParameters,
    sentinels: Option<&Sentinels<'_>>,
    callee: impl Fn(u32) -> Option<FuncKey>,
    compiler: &dyn Compiler,
    tunables: &Tunables,
) -> Result<Parts, Unstorable> {
    if compiled.debug_slot_descriptor.is_some() || compiled.buffer.debug_tags().next().is_some() {
        return Err(Unstorable::DebugInfo);
    }
    let call_sites = call_sites(compiled)?;
    let handlers = call_sites.iter().flat_map(|site| &site.handlers);
    let handlers: Vec<u32> = handlers.map(|handler| handler.offset).collect();
    Ok(Parts {
        code: compiled.buffer.data().to_vec(),
        alignment: compiled.alignment,
        needs_gc_heap,
        unwind: unwind_entry(compiled, compiler)?,
        kind: relocation_kind(compiled)?,
        relocations: relocations(compiled, parameters, callee)?,
        traps: compiled
            .traps(tunables)
            .map(|trap| (trap.code_offset, trap.trap_code.as_u8()))
            .collect(),
        address_map: address_map(compiled, parameters, sentinels)?,
        stack_maps: stack_maps(compiled),
        call_sites,
        holes: match sentinels {
            Some(sentinels) => find_holes(compiled.buffer.data(), sentinels, &handlers)?,
            None => Holes::default(),
        },
    })
}

fn unwind_entry(
    compiled: &CompiledFunction,
    compiler: &dyn Compiler,
) -> Result<Option<Vec<u8>>, Unstorable> {
    match compiled.unwind_info() {
        None => Ok(None),
        Some(UnwindInfo::SystemV(info)) => unwind::entry(compiler, info)
            .map(Some)
            .ok_or(Unstorable::UnwindInfo),
        Some(_) => Err(Unstorable::UnwindInfo),
    }
}

fn relocation_kind(compiled: &CompiledFunction) -> Result<Option<RelocationKind>, Unstorable> {
    let mut kinds = compiled
        .relocations()
        .map(|relocation| RelocationKind::of(relocation.reloc, relocation.addend));
    let Some(first) = kinds.next() else {
        return Ok(None);
    };
    if first.is_some() && kinds.all(|kind| kind == first) {
        Ok(first)
    } else {
        Err(Unstorable::RelocationKind)
    }
}

fn relocations(
    compiled: &CompiledFunction,
    parameters: &FunctionParameters,
    callee: impl Fn(u32) -> Option<FuncKey>,
) -> Result<Vec<RelocationRecord>, Unstorable> {
    // The first of the slots that lead to one function; the stencil says which do.
    let mut slots: FxHashMap<FuncKey, u32> = FxHashMap::default();
    for (named, slot) in parameters.callees().iter().zip(0..) {
        if let Some(key) = callee(*named) {
            slots.entry(key).or_insert(slot);
        }
    }
    compiled
        .relocations()
        .map(|relocation| {
            Ok(RelocationRecord {
                offset: relocation.offset,
                target: match relocation.reloc_target {
                    FuncKey::WasmToBuiltinTrampoline(builtin) => Target::Builtin(builtin.index()),
                    key => match slots.get(&key) {
                        Some(slot) => Target::Slot(*slot),
                        None => return Err(Unstorable::RelocationTarget),
                    },
                },
            })
        })
        .collect()
}

fn address_map(
    compiled: &CompiledFunction,
    parameters: &FunctionParameters,
    sentinels: Option<&Sentinels<'_>>,
) -> Result<Vec<(u32, RelSourceLoc)>, Unstorable> {
    let in_input = |offset: u32| match sentinels {
        Some(sentinels) => sentinels.source_offset(offset),
        None => Some(offset),
    };
    compiled
        .address_map()
        .instructions
        .iter()
        .map(|entry| {
            let location = match entry.srcloc.file_offset() {
                None => RelSourceLoc::NONE,
                Some(offset) => in_input(offset)
                    .and_then(|offset| {
                        let location = parameters.relative(offset)?;
                        (parameters.source_offset(location) == Some(offset)).then_some(location)
                    })
                    .ok_or(Unstorable::SourceLocation)?,
            };
            Ok((entry.code_offset, location))
        })
        .collect()
}

fn stack_maps(compiled: &CompiledFunction) -> Vec<StackMap> {
    compiled
        .buffer
        .user_stack_maps()
        .iter()
        .map(|(offset, frame_size, map)| StackMap {
            offset: *offset,
            frame_size: *frame_size,
            frame_offsets: map.entries().map(|(_ty, offset)| offset).collect(),
        })
        .collect()
}

/// The call sites that have handlers, each handler with the context in force, as
/// `ExceptionTableBuilder::add_func` of `wasmtime-internal-unwinder` 48.0.8 lays them
/// out.
fn call_sites(compiled: &CompiledFunction) -> Result<Vec<CallSite>, Unstorable> {
    let mut sites = Vec::new();
    for site in compiled.buffer.call_sites() {
        let mut context = u32::MAX;
        let mut handlers = Vec::new();
        for handler in site.exception_handlers {
            let (tag, offset) = match handler {
                FinalizedMachExceptionHandler::Tag(tag, offset) => (tag.as_u32(), *offset),
                FinalizedMachExceptionHandler::Default(offset) => (u32::MAX, *offset),
                FinalizedMachExceptionHandler::Context(ExceptionContextLoc::SPOffset(offset)) => {
                    context = *offset;
                    continue;
                }
                FinalizedMachExceptionHandler::Context(ExceptionContextLoc::GPR(_)) => {
                    return Err(Unstorable::ExceptionContext);
                }
            };
            handlers.push(Handler {
                tag,
                context,
                offset,
            });
        }
        if !handlers.is_empty() {
            sites.push(CallSite {
                return_address: site.ret_addr,
                frame_offset: site.frame_offset.unwrap_or(u32::MAX),
                handlers,
            });
        }
    }
    Ok(sites)
}
