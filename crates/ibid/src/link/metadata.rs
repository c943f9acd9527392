//! The sections that lead from an address in the code to something else: the address
//! map, stack maps and traps, each through the builder that Wasmtime itself uses.

use super::{Linkable, Place};
use crate::fingerprint::EngineCompiler;
use object::write::Object;
use wasmtime_environ::{
    AddressMapSection, CompiledTrap, FilePos, InstructionAddressMap, StackMapSection,
    TrapEncodingBuilder, TrapInformation,
};

pub(super) fn append(
    object: &mut Object<'static>,
    engine: &EngineCompiler,
    functions: &[Linkable<'_>],
    places: &[Place],
) {
    let placed = || functions.iter().zip(places.iter().copied());
    if engine.tunables.generate_address_map {
        address_map(placed()).append_to(object);
    }
    stack_maps(placed()).append_to(object);
    traps(placed()).append_to(object);
}

fn address_map<'a>(placed: impl Iterator<Item = (&'a Linkable<'a>, Place)>) -> AddressMapSection {
    let mut section = AddressMapSection::default();
    let mut entries = Vec::new();
    for (function, place) in placed {
        entries.clear();
        entries.extend(function.code.address_map().map(|(code_offset, location)| {
            let offset = function.parameters.source_offset(location);
            InstructionAddressMap {
                srcloc: offset.map_or_else(FilePos::none, FilePos::new),
                code_offset,
            }
        }));
        section.push(place.range(), &entries);
    }
    section
}

fn stack_maps<'a>(placed: impl Iterator<Item = (&'a Linkable<'a>, Place)>) -> StackMapSection {
    let mut section = StackMapSection::default();
    for (function, place) in placed {
        for (offset, frame_size, frame_offsets) in function.code.stack_maps() {
            section.push(
                place.start + u64::from(offset),
                frame_size,
                frame_offsets.into_iter(),
            );
        }
    }
    section
}

fn traps<'a>(placed: impl Iterator<Item = (&'a Linkable<'a>, Place)>) -> TrapEncodingBuilder {
    let mut section = TrapEncodingBuilder::default();
    let mut entries = Vec::new();
    for (function, place) in placed {
        entries.clear();
        entries.extend(
            function
                .code
                .traps()
                .map(|(code_offset, code)| TrapInformation {
                    code_offset,
                    trap_code: CompiledTrap::from_u8(code).expect("checked when it was read"),
                }),
        );
        section.push(place.range(), &entries);
    }
    section
}
