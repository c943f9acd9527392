//! Reading and writing of the bytes of a compiled stencil, which [the parent
//! module](super) draws.

use crate::bytes::{Malformed, Reader, Words, Writer};
use crate::stencil::RelSourceLoc;
use cranelift_codegen::binemit::Reloc;
use target_lexicon::Architecture;

const MAGIC: [u8; 4] = *b"ibF1";
const NEEDS_GC_HEAP: u32 = 1;
const HAS_UNWIND: u32 = 2;

/// The parts of a compiled stencil, read in place.
#[derive(Clone, Copy)]
pub(crate) struct Layout<'a> {
    pub(crate) code: &'a [u8],
    pub(crate) alignment: u32,
    pub(crate) needs_gc_heap: bool,
    pub(crate) unwind: Option<&'a [u8]>,
    relocations: Words<'a>,
    trap_offsets: Words<'a>,
    trap_codes: &'a [u8],
    address_map: Words<'a>,
    stack_maps: Words<'a>,
    call_sites: Words<'a>,
    handlers: Words<'a>,
}

/// The parts of a compiled stencil, before they are written.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) code: Vec<u8>,
    pub(crate) alignment: u32,
    pub(crate) needs_gc_heap: bool,
    pub(crate) unwind: Option<Vec<u8>>,
    pub(crate) relocations: Vec<RelocationRecord>,
    pub(crate) traps: Vec<(u32, u8)>,
    pub(crate) address_map: Vec<(u32, RelSourceLoc)>,
    pub(crate) stack_maps: Vec<StackMap>,
    pub(crate) call_sites: Vec<CallSite>,
}

/// A relocation as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelocationRecord {
    /// Offset of the hole in the code, in bytes.
    pub(crate) offset: u32,
    pub(crate) kind: RelocationKind,
    pub(crate) target: Target,
    pub(crate) addend: i64,
}

/// What a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A callee slot.
    Slot(u32),
    /// The trampoline of a builtin function, by its number.
    Builtin(u32),
}

/// The references between functions that Cranelift makes in a text section of
/// Wasmtime's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum RelocationKind {
    X86CallPcRel4 = 1,
    Arm64Call = 2,
    RiscvCallPlt = 3,
    S390xPltRel32Dbl = 4,
}

impl RelocationKind {
    const ALL: [RelocationKind; 4] = [
        RelocationKind::X86CallPcRel4,
        RelocationKind::Arm64Call,
        RelocationKind::RiscvCallPlt,
        RelocationKind::S390xPltRel32Dbl,
    ];

    pub(crate) fn of(reloc: Reloc) -> Option<RelocationKind> {
        Self::ALL.into_iter().find(|kind| kind.reloc() == reloc)
    }

    /// Cranelift's name for it.
    pub(crate) fn reloc(self) -> Reloc {
        match self {
            RelocationKind::X86CallPcRel4 => Reloc::X86CallPCRel4,
            RelocationKind::Arm64Call => Reloc::Arm64Call,
            RelocationKind::RiscvCallPlt => Reloc::RiscvCallPlt,
            RelocationKind::S390xPltRel32Dbl => Reloc::S390xPLTRel32Dbl,
        }
    }

    /// Whether Cranelift resolves this kind with this addend in a text section
    /// (`LabelUse::from_reloc` of each target in release 0.135.8).
    fn takes(self, addend: i64) -> bool {
        match self {
            RelocationKind::X86CallPcRel4 => addend == -4,
            RelocationKind::Arm64Call => addend == 0,
            RelocationKind::RiscvCallPlt => true,
            RelocationKind::S390xPltRel32Dbl => addend == 2,
        }
    }

    /// Whether code for `architecture` has relocations of this kind.
    pub(crate) fn is_of(self, architecture: Architecture) -> bool {
        match self {
            RelocationKind::X86CallPcRel4 => architecture == Architecture::X86_64,
            RelocationKind::Arm64Call => matches!(architecture, Architecture::Aarch64(_)),
            RelocationKind::RiscvCallPlt => matches!(architecture, Architecture::Riscv64(_)),
            RelocationKind::S390xPltRel32Dbl => architecture == Architecture::S390x,
        }
    }

    fn from_word(word: u32) -> Result<RelocationKind, Malformed> {
        Self::ALL
            .into_iter()
            .find(|kind| *kind as u32 == word)
            .ok_or(Malformed)
    }
}

/// The references that a frame holds at a point of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StackMap {
    pub(crate) offset: u32,
    pub(crate) frame_size: u32,
    pub(crate) frame_offsets: Vec<u32>,
}

/// A call with exception handlers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallSite {
    /// Offset in the code of the instruction behind the call.
    pub(crate) return_address: u32,
    pub(crate) frame_offset: u32,
    pub(crate) handlers: Vec<Handler>,
}

/// An exception handler; `u32::MAX` is "none", as in Wasmtime's own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handler {
    pub(crate) tag: u32,
    pub(crate) context: u32,
    pub(crate) offset: u32,
}

impl Parts {
    /// The bytes of the compiled stencil.
    pub(crate) fn write(&self) -> Vec<u8> {
        let stack_map_words: usize = self
            .stack_maps
            .iter()
            .map(|map| 3 + map.frame_offsets.len())
            .sum();
        let handlers: usize = self.call_sites.iter().map(|site| site.handlers.len()).sum();
        let unwind = self.unwind.as_deref().unwrap_or_default();
        let mut out = Writer::with_capacity(
            64 + self.code.len()
                + 20 * self.relocations.len()
                + 5 * self.traps.len()
                + 8 * self.address_map.len()
                + unwind.len()
                + 4 * stack_map_words,
        );
        out.raw(&MAGIC);
        out.u32(self.code.len());
        out.word(self.alignment);
        let gc = if self.needs_gc_heap { NEEDS_GC_HEAP } else { 0 };
        out.word(gc | if self.unwind.is_some() { HAS_UNWIND } else { 0 });
        out.u32(self.relocations.len());
        out.u32(self.traps.len());
        out.u32(self.address_map.len());
        out.u32(stack_map_words);
        out.u32(self.call_sites.len());
        out.u32(handlers);
        out.u32(unwind.len());
        out.raw(&self.code);
        out.pad();
        for record in &self.relocations {
            record.write(&mut out);
        }
        self.traps.iter().for_each(|(offset, _)| out.word(*offset));
        self.traps.iter().for_each(|(_, code)| out.raw(&[*code]));
        out.pad();
        for (offset, location) in &self.address_map {
            out.word(*offset);
            out.word(location.bits());
        }
        for map in &self.stack_maps {
            out.word(map.offset);
            out.word(map.frame_size);
            out.u32(map.frame_offsets.len());
            map.frame_offsets
                .iter()
                .for_each(|offset| out.word(*offset));
        }
        for site in &self.call_sites {
            out.word(site.return_address);
            out.word(site.frame_offset);
            out.u32(site.handlers.len());
        }
        for handler in self.call_sites.iter().flat_map(|site| &site.handlers) {
            out.word(handler.tag);
            out.word(handler.context);
            out.word(handler.offset);
        }
        out.raw(unwind);
        out.pad();
        out.into_bytes()
    }
}

impl RelocationRecord {
    const WORDS: usize = 5;

    fn write(&self, out: &mut Writer) {
        out.word(self.offset);
        out.word(self.kind as u32);
        out.word(match self.target {
            Target::Slot(slot) => slot << 1,
            Target::Builtin(builtin) => builtin << 1 | 1,
        });
        out.raw(&self.addend.to_le_bytes());
    }

    fn read(words: [u32; Self::WORDS]) -> Result<RelocationRecord, Malformed> {
        let [offset, kind, target, low, high] = words;
        Ok(RelocationRecord {
            offset,
            kind: RelocationKind::from_word(kind)?,
            target: if target & 1 == 0 {
                Target::Slot(target >> 1)
            } else {
                Target::Builtin(target >> 1)
            },
            addend: (u64::from(high) << 32 | u64::from(low)).cast_signed(),
        })
    }
}

impl<'a> Layout<'a> {
    /// Finds the parts in `bytes` and checks all that later reads rely on.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Layout<'a>, Malformed> {
        let mut input = Reader::new(bytes);
        if input.raw(4)? != MAGIC {
            return Err(Malformed);
        }
        let code = input.u32()?;
        let alignment = input.word()?;
        let flags = input.word()?;
        let relocations = input.u32()?;
        let traps = input.u32()?;
        let address_map = input.u32()?;
        let stack_maps = input.u32()?;
        let call_sites = input.u32()?;
        let handlers = input.u32()?;
        let unwind = input.u32()?;
        let times = |count: usize, words: usize| count.checked_mul(words).ok_or(Malformed);
        let layout = Layout {
            code: input.padded(code)?,
            alignment,
            needs_gc_heap: flags & NEEDS_GC_HEAP != 0,
            relocations: input.words(times(relocations, RelocationRecord::WORDS)?)?,
            trap_offsets: input.words(traps)?,
            trap_codes: input.padded(traps)?,
            address_map: input.words(times(address_map, 2)?)?,
            stack_maps: input.words(stack_maps)?,
            call_sites: input.words(times(call_sites, 3)?)?,
            handlers: input.words(times(handlers, 3)?)?,
            unwind: Some(input.padded(unwind)?).filter(|_| flags & HAS_UNWIND != 0),
        };
        if !input.is_empty() || flags & !(NEEDS_GC_HEAP | HAS_UNWIND) != 0 {
            return Err(Malformed);
        }
        layout.check()?;
        Ok(layout)
    }

    /// Offsets lie in the code and rise, as the sections of the artifact need them to.
    fn check(&self) -> Result<(), Malformed> {
        let length = self.code.len() as u32;
        let ensure = |holds: bool| if holds { Ok(()) } else { Err(Malformed) };
        ensure(self.alignment.is_power_of_two() && self.alignment <= 1 << 16)?;
        for words in self.relocations.records() {
            let record = RelocationRecord::read(words)?;
            ensure(
                record
                    .offset
                    .checked_add(4)
                    .is_some_and(|end| end <= length),
            )?;
            ensure(record.kind.takes(record.addend))?;
            if let Target::Builtin(builtin) = record.target {
                ensure(builtin < wasmtime_environ::BuiltinFunctionIndex::len())?;
            }
        }
        rising(self.trap_offsets.into_iter(), length)?;
        rising(self.address_map.records().map(|[offset, _]| offset), length)?;
        for code in self.trap_codes {
            ensure(wasmtime_environ::CompiledTrap::from_u8(*code).is_some())?;
        }
        let mut at = 0;
        let mut last = 0;
        while at < self.stack_maps.len() {
            ensure(self.stack_maps.len() - at >= 3)?;
            let (offset, count) = (self.stack_maps.at(at), self.stack_maps.at(at + 2) as usize);
            ensure(offset >= last && offset < length)?;
            ensure(self.stack_maps.len() - at - 3 >= count)?;
            for i in 0..count {
                ensure(self.stack_maps.at(at + 3 + i).is_multiple_of(4))?;
            }
            last = offset;
            at += 3 + count;
        }
        rising(
            self.call_sites
                .records()
                .map(|[return_address, _, _]| return_address),
            length,
        )?;
        let handlers = self
            .call_sites
            .records()
            .try_fold(0usize, |sum, [_, _, count]| {
                sum.checked_add(count as usize).ok_or(Malformed)
            })?;
        ensure(handlers == self.handlers.len() / 3)?;
        for [_, _, offset] in self.handlers.records() {
            ensure(offset <= length)?;
        }
        if let Some(unwind) = self.unwind {
            ensure(unwind.len().is_multiple_of(4))?;
        }
        Ok(())
    }

    pub(crate) fn relocations(self) -> impl ExactSizeIterator<Item = RelocationRecord> + 'a {
        self.relocations
            .records()
            .map(|words| RelocationRecord::read(words).expect("checked when it was read"))
    }

    /// Offsets in the code and Wasmtime's trap codes.
    pub(crate) fn traps(self) -> impl ExactSizeIterator<Item = (u32, u8)> + 'a {
        (0..self.trap_codes.len()).map(move |i| (self.trap_offsets.at(i), self.trap_codes[i]))
    }

    pub(crate) fn address_map(self) -> impl ExactSizeIterator<Item = (u32, RelSourceLoc)> + 'a {
        self.address_map
            .records()
            .map(|[offset, location]| (offset, RelSourceLoc::new(location)))
    }

    /// Offset in the code, frame size, frame offsets.
    pub(crate) fn stack_maps(self) -> impl Iterator<Item = (u32, u32, Vec<u32>)> + 'a {
        let mut at = 0;
        std::iter::from_fn(move || {
            let words = self.stack_maps;
            (at < words.len()).then(|| {
                let count = words.at(at + 2) as usize;
                let offsets = (0..count).map(|i| words.at(at + 3 + i)).collect();
                let map = (words.at(at), words.at(at + 1), offsets);
                at += 3 + count;
                map
            })
        })
    }

    pub(crate) fn call_sites(self) -> impl Iterator<Item = CallSite> + 'a {
        let mut handlers = self.handlers.records::<3>();
        self.call_sites
            .records()
            .map(move |[return_address, frame_offset, count]| CallSite {
                return_address,
                frame_offset,
                handlers: handlers
                    .by_ref()
                    .take(count as usize)
                    .map(|[tag, context, offset]| Handler {
                        tag,
                        context,
                        offset,
                    })
                    .collect(),
            })
    }
}

/// Whether `offsets` rise (or stay) and none lies beyond `length`.
fn rising(offsets: impl Iterator<Item = u32>, length: u32) -> Result<(), Malformed> {
    let mut last = 0;
    for offset in offsets {
        if offset < last || offset > length {
            return Err(Malformed);
        }
        last = offset;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Parts {
        Parts {
            code: (0..30).collect(),
            alignment: 16,
            needs_gc_heap: true,
            unwind: Some(vec![7; 24]),
            relocations: vec![
                RelocationRecord {
                    offset: 3,
                    kind: RelocationKind::X86CallPcRel4,
                    target: Target::Slot(2),
                    addend: -4,
                },
                RelocationRecord {
                    offset: 20,
                    kind: RelocationKind::X86CallPcRel4,
                    target: Target::Builtin(9),
                    addend: -4,
                },
            ],
            traps: vec![(4, 0), (9, 1), (29, 0xff)],
            address_map: vec![(0, RelSourceLoc::new(1)), (12, RelSourceLoc::NONE)],
            stack_maps: vec![StackMap {
                offset: 24,
                frame_size: 64,
                frame_offsets: vec![0, 8],
            }],
            call_sites: vec![CallSite {
                return_address: 7,
                frame_offset: 16,
                handlers: vec![
                    Handler {
                        tag: 1,
                        context: 8,
                        offset: 12,
                    },
                    Handler {
                        tag: u32::MAX,
                        context: 8,
                        offset: 14,
                    },
                ],
            }],
        }
    }

    #[test]
    fn parts_go_there_and_back() {
        let parts = sample();
        let bytes = parts.write();
        let layout = Layout::read(&bytes).unwrap();
        assert_eq!(layout.code, parts.code);
        assert_eq!(layout.alignment, 16);
        assert!(layout.needs_gc_heap);
        assert_eq!(layout.unwind, parts.unwind.as_deref());
        assert_eq!(layout.relocations().collect::<Vec<_>>(), parts.relocations);
        assert_eq!(layout.traps().collect::<Vec<_>>(), parts.traps);
        assert_eq!(layout.address_map().collect::<Vec<_>>(), parts.address_map);
        assert_eq!(
            layout.stack_maps().collect::<Vec<_>>(),
            [(24, 64, vec![0, 8])]
        );
        assert_eq!(layout.call_sites().collect::<Vec<_>>(), parts.call_sites);
    }

    #[test]
    fn cut_or_changed_bytes_never_panic() {
        let bytes = sample().write();
        for cut in 0..bytes.len() {
            assert!(Layout::read(&bytes[..cut]).is_err());
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Ok(layout) = Layout::read(&changed) {
                    layout.relocations().for_each(drop);
                    layout.traps().for_each(drop);
                    layout.address_map().for_each(drop);
                    layout.stack_maps().for_each(drop);
                    layout.call_sites().for_each(drop);
                }
            }
        }
    }
}
