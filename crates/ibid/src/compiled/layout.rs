//! Reading and writing of the bytes of a compiled stencil, which [the parent
//! module](super) draws.

use super::entries::{self, AddressMap, Traps};
use super::holes::{self, Hole, HoleKind, Holes};
use crate::bytes::{Malformed, Reader, Words, Writer};
use crate::stencil::RelSourceLoc;
use cranelift_codegen::binemit::Reloc;
use target_lexicon::Architecture;

const MAGIC: [u8; 4] = *b"ibF4";
const NEEDS_GC_HEAP: u32 = 1 << 8;
const HAS_UNWIND: u32 = 1 << 9;
const ALIGNMENT: u32 = 0xff;
const KIND_SHIFT: u32 = 16;

/// Where the code lies in a compiled stencil: behind magic and header.
pub(super) const CODE: usize = 4 + 4 * Header::WORDS;

/// The parts of a compiled stencil, read in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout<'a> {
    pub(crate) code: &'a [u8],
    pub(crate) alignment: u32,
    pub(crate) needs_gc_heap: bool,
    pub(crate) unwind: Option<&'a [u8]>,
    /// The kind of all its relocations; `None` if it has none.
    pub(crate) kind: Option<RelocationKind>,
    /// Offset and callee slot of each call of a function.
    pub(crate) calls: Words<'a>,
    /// Offset and number of each call of a builtin's trampoline.
    pub(crate) builtins: Words<'a>,
    pub(crate) traps: Traps<'a>,
    pub(crate) address_map: AddressMap<'a>,
    stack_maps: Words<'a>,
    call_sites: Words<'a>,
    handlers: Words<'a>,
    /// Offset, slot with kind, and addend of each hole.
    holes: Words<'a>,
    /// Other numbers that the code holds.
    pub(crate) taken: Words<'a>,
}

/// The parts of a compiled stencil, before they are written.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) code: Vec<u8>,
    pub(crate) alignment: u32,
    pub(crate) needs_gc_heap: bool,
    pub(crate) unwind: Option<Vec<u8>>,
    pub(crate) kind: Option<RelocationKind>,
    pub(crate) relocations: Vec<RelocationRecord>,
    pub(crate) traps: Vec<(u32, u8)>,
    pub(crate) address_map: Vec<(u32, RelSourceLoc)>,
    pub(crate) stack_maps: Vec<StackMap>,
    pub(crate) call_sites: Vec<CallSite>,
    pub(crate) holes: Holes,
}

/// A relocation as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelocationRecord {
    /// Offset of the hole in the code, in bytes.
    pub(crate) offset: u32,
    pub(crate) target: Target,
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
/// Wasmtime's. Code for one architecture has relocations of one kind.
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

    /// The kind of a relocation; `None` for one that Wasmtime's calls do not have, or
    /// with another addend than theirs.
    pub(crate) fn of(reloc: Reloc, addend: i64) -> Option<RelocationKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.reloc() == reloc && kind.addend() == addend)
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

    /// What is added to the target's address: where the processor counts from
    /// (`LabelUse::from_reloc` of each target in Cranelift 0.135.8 takes no other).
    pub(crate) fn addend(self) -> i64 {
        match self {
            RelocationKind::X86CallPcRel4 => -4,
            RelocationKind::Arm64Call | RelocationKind::RiscvCallPlt => 0,
            RelocationKind::S390xPltRel32Dbl => 2,
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
        let (traps, address_map) = (
            entries::write_traps(&self.traps),
            entries::write_address_map(&self.address_map),
        );
        let stack_map_words: usize = self
            .stack_maps
            .iter()
            .map(|map| 3 + map.frame_offsets.len())
            .sum();
        let handlers: usize = self.call_sites.iter().map(|site| site.handlers.len()).sum();
        let unwind = self.unwind.as_deref().unwrap_or_default();
        let calls = self.relocations.iter().filter_map(RelocationRecord::call);
        let builtins = self
            .relocations
            .iter()
            .filter_map(RelocationRecord::builtin);
        let mut out = Writer::with_capacity(
            64 + self.code.len()
                + 8 * self.relocations.len()
                + traps.bytes.len()
                + address_map.bytes.len()
                + unwind.len()
                + 4 * (stack_map_words + 3 * self.holes.holes.len() + self.holes.taken.len())
                + 12 * (self.call_sites.len() + handlers),
        );
        out.raw(&MAGIC);
        let length = |count: usize| {
            u32::try_from(count).expect("a function's metadata is smaller than 4 GiB")
        };
        let header = Header {
            code: length(self.code.len()),
            flags: flags(
                self.alignment,
                self.needs_gc_heap,
                self.unwind.is_some(),
                self.kind,
            ),
            calls: length(calls.clone().count()),
            builtins: length(builtins.clone().count()),
            traps: length(traps.count),
            trap_bytes: length(traps.bytes.len()),
            map: length(address_map.count),
            map_bytes: length(address_map.bytes.len()),
            stack_map_words: length(stack_map_words),
            call_sites: length(self.call_sites.len()),
            handlers: length(handlers),
            unwind: length(unwind.len()),
            holes: length(self.holes.holes.len()),
            taken: length(self.holes.taken.len()),
        };
        header.write(&mut out);
        out.raw(&self.code);
        out.pad();
        for (offset, target) in calls.chain(builtins) {
            out.word(offset);
            out.word(target);
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
        for hole in &self.holes.holes {
            out.word(hole.offset);
            out.word(hole.slot << HoleKind::BITS | hole.kind as u32);
            out.word(hole.addend.cast_unsigned());
        }
        self.holes.taken.iter().for_each(|taken| out.word(*taken));
        out.raw(unwind);
        out.pad();
        out.raw(&traps.bytes);
        out.raw(&address_map.bytes);
        out.pad();
        out.into_bytes()
    }
}

impl RelocationRecord {
    fn call(&self) -> Option<(u32, u32)> {
        match self.target {
            Target::Slot(slot) => Some((self.offset, slot)),
            Target::Builtin(_) => None,
        }
    }

    fn builtin(&self) -> Option<(u32, u32)> {
        match self.target {
            Target::Slot(_) => None,
            Target::Builtin(builtin) => Some((self.offset, builtin)),
        }
    }
}

/// What a compiled stencil begins with: how long its parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    code: u32,
    flags: u32,
    calls: u32,
    builtins: u32,
    traps: u32,
    trap_bytes: u32,
    map: u32,
    map_bytes: u32,
    stack_map_words: u32,
    call_sites: u32,
    handlers: u32,
    unwind: u32,
    holes: u32,
    taken: u32,
}

impl Header {
    /// The length of a header, in words.
    pub(crate) const WORDS: usize = 14;

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Header, Malformed> {
        let header = Header {
            code: input.word()?,
            flags: input.word()?,
            calls: input.word()?,
            builtins: input.word()?,
            traps: input.word()?,
            trap_bytes: input.word()?,
            map: input.word()?,
            map_bytes: input.word()?,
            stack_map_words: input.word()?,
            call_sites: input.word()?,
            handlers: input.word()?,
            unwind: input.word()?,
            holes: input.word()?,
            taken: input.word()?,
        };
        let flags = header.flags;
        let kind = flags >> KIND_SHIFT;
        if flags & !(ALIGNMENT | NEEDS_GC_HEAP | HAS_UNWIND) & ((1 << KIND_SHIFT) - 1) != 0
            || flags & ALIGNMENT > 16
            || kind as usize > RelocationKind::ALL.len()
            || (kind == 0 && (header.calls > 0 || header.builtins > 0))
            || !header.unwind.is_multiple_of(4)
        {
            return Err(Malformed);
        }
        Ok(header)
    }

    fn write(&self, out: &mut Writer) {
        for word in [
            self.code,
            self.flags,
            self.calls,
            self.builtins,
            self.traps,
            self.trap_bytes,
            self.map,
            self.map_bytes,
            self.stack_map_words,
            self.call_sites,
            self.handlers,
            self.unwind,
            self.holes,
            self.taken,
        ] {
            out.word(word);
        }
    }

    /// The length of the code with its padding, in bytes.
    pub(crate) fn code_bytes(&self) -> usize {
        (self.code as usize).next_multiple_of(4)
    }

    /// The length of all parts that are words, in bytes.
    pub(crate) fn word_bytes(&self) -> Result<usize, Malformed> {
        let words = 2 * u64::from(self.calls)
            + 2 * u64::from(self.builtins)
            + u64::from(self.stack_map_words)
            + 3 * u64::from(self.call_sites)
            + 3 * u64::from(self.handlers)
            + 3 * u64::from(self.holes)
            + u64::from(self.taken)
            + u64::from(self.unwind / 4);
        usize::try_from(4 * words).map_err(|_| Malformed)
    }

    /// The length of traps and address map, in bytes.
    pub(crate) fn list_bytes(&self) -> usize {
        self.trap_bytes as usize + self.map_bytes as usize
    }

    /// The stencil with these parts, each of which is as long as this header says.
    pub(crate) fn layout<'a>(
        &self,
        code: &'a [u8],
        words: &'a [u8],
        lists: &'a [u8],
    ) -> Result<Layout<'a>, Malformed> {
        let mut words = Reader::new(words);
        let mut lists = Reader::new(lists);
        let kind = (self.flags >> KIND_SHIFT) as usize;
        Ok(Layout {
            code: code.get(..self.code as usize).ok_or(Malformed)?,
            alignment: 1 << (self.flags & ALIGNMENT),
            needs_gc_heap: self.flags & NEEDS_GC_HEAP != 0,
            kind: kind.checked_sub(1).map(|kind| RelocationKind::ALL[kind]),
            calls: words.words(2 * self.calls as usize)?,
            builtins: words.words(2 * self.builtins as usize)?,
            stack_maps: words.words(self.stack_map_words as usize)?,
            call_sites: words.words(3 * self.call_sites as usize)?,
            handlers: words.words(3 * self.handlers as usize)?,
            holes: words.words(3 * self.holes as usize)?,
            taken: words.words(self.taken as usize)?,
            unwind: Some(words.raw(self.unwind as usize)?).filter(|_| self.flags & HAS_UNWIND != 0),
            traps: Traps {
                count: self.traps as usize,
                bytes: lists.raw(self.trap_bytes as usize)?,
            },
            address_map: AddressMap {
                count: self.map as usize,
                bytes: lists.raw(self.map_bytes as usize)?,
            },
        })
    }
}

/// Stencils with like parts together, without their address maps.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) headers: Writer,
    pub(crate) code: Writer,
    pub(crate) words: Writer,
    pub(crate) lists: Writer,
}

impl Columns {
    /// Appends the parts of `layout`.
    pub(crate) fn push(&mut self, layout: &Layout<'_>) {
        let length = |count: usize| count as u32;
        let header = Header {
            code: length(layout.code.len()),
            flags: flags(
                layout.alignment,
                layout.needs_gc_heap,
                layout.unwind.is_some(),
                layout.kind,
            ),
            calls: length(layout.calls.len() / 2),
            builtins: length(layout.builtins.len() / 2),
            traps: length(layout.traps.count),
            trap_bytes: length(layout.traps.bytes.len()),
            map: 0,
            map_bytes: 0,
            stack_map_words: length(layout.stack_maps.len()),
            call_sites: length(layout.call_sites.len() / 3),
            handlers: length(layout.handlers.len() / 3),
            unwind: length(layout.unwind.unwrap_or_default().len()),
            holes: length(layout.holes.len() / 3),
            taken: length(layout.taken.len()),
        };
        header.write(&mut self.headers);
        self.code.raw(layout.code);
        self.code.pad();
        for words in [
            layout.calls,
            layout.builtins,
            layout.stack_maps,
            layout.call_sites,
            layout.handlers,
            layout.holes,
            layout.taken,
        ] {
            self.words.raw(words.as_bytes());
        }
        self.words.raw(layout.unwind.unwrap_or_default());
        self.lists.raw(layout.traps.bytes);
    }
}

fn flags(
    alignment: u32,
    needs_gc_heap: bool,
    has_unwind: bool,
    kind: Option<RelocationKind>,
) -> u32 {
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    alignment.trailing_zeros()
        | flag(needs_gc_heap, NEEDS_GC_HEAP)
        | flag(has_unwind, HAS_UNWIND)
        | kind.map_or(0, |kind| kind as u32) << KIND_SHIFT
}

impl<'a> Layout<'a> {
    /// Finds the parts in `bytes`. What they say is not looked at, see
    /// [`check`](Self::check).
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Layout<'a>, Malformed> {
        let mut input = Reader::new(bytes);
        if input.raw(4)? != MAGIC {
            return Err(Malformed);
        }
        let header = Header::read(&mut input)?;
        let code = input.raw(header.code_bytes())?;
        let words = input.raw(header.word_bytes()?)?;
        let lists = input.padded(header.list_bytes())?;
        if input.remaining() > 0 {
            return Err(Malformed);
        }
        header.layout(code, words, lists)
    }

    /// Whether all that the parts say makes sense: offsets lie in the code and rise, as
    /// the sections of the artifact need them to.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        let length = self.code.len() as u32;
        let ensure = |holds: bool| if holds { Ok(()) } else { Err(Malformed) };
        for [offset, _] in self.calls.records().chain(self.builtins.records()) {
            ensure(offset.checked_add(4).is_some_and(|end| end <= length))?;
        }
        for [_, builtin] in self.builtins.records() {
            ensure(builtin < wasmtime_environ::BuiltinFunctionIndex::len())?;
        }
        for [_, slot, _] in self.holes.records() {
            HoleKind::of(slot).ok_or(Malformed)?;
        }
        for hole in self.holes() {
            let end = hole.offset.checked_add(4);
            ensure(end.is_some_and(|end| end <= length))?;
        }
        for trap in self.traps.iter() {
            let (offset, code) = trap?;
            ensure(offset <= length)?;
            ensure(wasmtime_environ::CompiledTrap::from_u8(code).is_some())?;
        }
        for entry in self.address_map.iter() {
            ensure(entry?.0 <= length)?;
        }
        let mut last = 0;
        for map in self.stack_maps() {
            let (offset, _, frame_offsets) = map?;
            ensure(offset >= last && offset < length)?;
            for frame_offset in frame_offsets.iter() {
                ensure(frame_offset.is_multiple_of(4))?;
            }
            last = offset;
        }
        last = 0;
        for site in self.call_sites() {
            let site = site?;
            ensure(site.return_address >= last && site.return_address <= length)?;
            last = site.return_address;
            for [_, _, offset] in site.handlers.records() {
                ensure(offset <= length)?;
            }
        }
        Ok(())
    }

    /// In order of their place.
    pub(crate) fn relocations(&self) -> impl Iterator<Item = RelocationRecord> + use<'a> {
        let mut calls = self.calls.records().peekable();
        let mut builtins = self.builtins.records().peekable();
        std::iter::from_fn(move || {
            let call_is_next = match (calls.peek(), builtins.peek()) {
                (Some([call, _]), Some([builtin, _])) => call <= builtin,
                (call, _) => call.is_some(),
            };
            if call_is_next {
                calls.next().map(|[offset, slot]| RelocationRecord {
                    offset,
                    target: Target::Slot(slot),
                })
            } else {
                builtins.next().map(|[offset, builtin]| RelocationRecord {
                    offset,
                    target: Target::Builtin(builtin),
                })
            }
        })
    }

    /// Where parameters go.
    pub(crate) fn holes(&self) -> impl Iterator<Item = Hole> + use<'a> {
        self.holes.records().map(|[offset, slot, addend]| Hole {
            offset,
            slot: slot >> HoleKind::BITS,
            addend: addend.cast_signed(),
            // Any other has no value, and is refused when the code is checked.
            kind: HoleKind::of(slot).unwrap_or(HoleKind::Complement),
        })
    }

    /// Whether the holes can hold `values`.
    pub(crate) fn fits(&self, values: impl Fn(Hole) -> Option<u32>) -> bool {
        holes::fit(self.holes(), self.taken, values)
    }

    /// The same with `code`, which has no holes.
    pub(crate) fn with_code<'b>(self, code: &'b [u8]) -> Layout<'b>
    where
        'a: 'b,
    {
        Layout {
            code,
            holes: Words::default(),
            taken: Words::default(),
            ..self
        }
    }

    /// Fills the holes of `code`, which is this code, with `values`.
    pub(crate) fn fill(
        &self,
        code: &mut [u8],
        values: impl Fn(Hole) -> Option<u32>,
    ) -> Result<(), Malformed> {
        for hole in self.holes() {
            let value = values(hole).and_then(|value| holes::fill(value, hole));
            let place = code
                .get_mut(hole.offset as usize..)
                .and_then(|rest| rest.first_chunk_mut::<4>());
            let (Some(value), Some(place)) = (value, place) else {
                return Err(Malformed);
            };
            *place = value.to_le_bytes();
        }
        Ok(())
    }

    /// Offset in the code, frame size, frame offsets.
    pub(crate) fn stack_maps(
        &self,
    ) -> impl Iterator<Item = Result<(u32, u32, Words<'a>), Malformed>> + use<'a> {
        let mut rest = self.stack_maps;
        until_error(std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| {
                let (head, tail) = rest.split_at(3)?;
                let (offsets, tail) = tail.split_at(head.at(2) as usize)?;
                rest = tail;
                Ok((head.at(0), head.at(1), offsets))
            })
        }))
    }

    pub(crate) fn call_sites(
        &self,
    ) -> impl Iterator<Item = Result<StoredCallSite<'a>, Malformed>> + use<'a> {
        let mut rest = self.handlers;
        let sites = self.call_sites.records();
        until_error(sites.map(move |[return_address, frame_offset, count]| {
            let (handlers, tail) = rest.split_at((count as usize).saturating_mul(3))?;
            rest = tail;
            Ok(StoredCallSite {
                return_address,
                frame_offset,
                handlers,
            })
        }))
    }
}

/// A call with exception handlers, read in place: tag, context and offset of each.
pub(crate) struct StoredCallSite<'a> {
    pub(crate) return_address: u32,
    pub(crate) frame_offset: u32,
    pub(crate) handlers: Words<'a>,
}

/// `items` up to the first error, with it.
fn until_error<T>(
    items: impl Iterator<Item = Result<T, Malformed>>,
) -> impl Iterator<Item = Result<T, Malformed>> {
    items.scan(false, |failed, item| {
        (!*failed).then(|| {
            *failed = item.is_err();
            item
        })
    })
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
            kind: Some(RelocationKind::X86CallPcRel4),
            relocations: vec![
                RelocationRecord {
                    offset: 3,
                    target: Target::Slot(2),
                },
                RelocationRecord {
                    offset: 20,
                    target: Target::Builtin(9),
                },
                RelocationRecord {
                    offset: 24,
                    target: Target::Slot(0),
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
            holes: Holes {
                holes: vec![Hole {
                    offset: 11,
                    slot: 1,
                    addend: -8,
                    kind: HoleKind::Address,
                }],
                taken: vec![4096, 70_000],
            },
        }
    }

    #[test]
    fn holes_are_filled() {
        let parts = sample();
        let bytes = parts.write();
        let layout = Layout::read(&bytes).unwrap();
        let addresses = |address: u32| move |hole: Hole| (hole.slot == 1).then_some(address);
        let mut code = layout.code.to_vec();
        layout.fill(&mut code, addresses(1_048_576)).unwrap();
        assert_eq!(code[11..15], 1_048_568u32.to_le_bytes());
        assert_eq!(code[..11], parts.code[..11]);
        assert_eq!(code[15..], parts.code[15..]);
        assert!(layout.fits(addresses(1_048_576)));
        // What the code holds for another reason, what is too small or too large, and what
        // there is none of.
        for address in [4104, 70_008, 200, u32::MAX, (1 << 31) + 8] {
            let expected = matches!(address, 4104 | 70_008);
            let filled = layout.fill(&mut code, addresses(address));
            assert_eq!(filled.is_ok(), expected, "{address}");
            assert!(!layout.fits(addresses(address)), "{address}");
        }
        assert!(!layout.fits(|_| None));
    }

    #[test]
    fn complements_are_filled() {
        let mut parts = sample();
        parts.holes.holes[0].kind = HoleKind::Complement;
        let bytes = parts.write();
        let layout = Layout::read(&bytes).unwrap();
        let mut code = layout.code.to_vec();
        layout.fill(&mut code, |_| Some(1_048_584)).unwrap();
        assert_eq!(code[11..15], (u32::MAX - 1_048_576 + 1).to_le_bytes());
        assert!(!layout.fits(|_| Some(70_008)));
    }

    #[test]
    fn parts_go_there_and_back() {
        let parts = sample();
        let bytes = parts.write();
        let layout = Layout::read(&bytes).unwrap();
        assert_eq!(layout.code, parts.code);
        assert_eq!(layout.alignment, 16);
        assert!(layout.needs_gc_heap);
        assert_eq!(layout.kind, parts.kind);
        assert_eq!(layout.unwind, parts.unwind.as_deref());
        assert_eq!(layout.relocations().collect::<Vec<_>>(), parts.relocations);
        assert_eq!(layout.holes().collect::<Vec<_>>(), parts.holes.holes);
        assert_eq!(layout.taken.iter().collect::<Vec<_>>(), parts.holes.taken);
        let traps: Result<Vec<_>, _> = layout.traps.iter().collect();
        assert_eq!(traps.unwrap(), parts.traps);
        let map: Result<Vec<_>, _> = layout.address_map.iter().collect();
        assert_eq!(map.unwrap(), parts.address_map);
        let maps: Vec<(u32, u32, Vec<u32>)> = layout
            .stack_maps()
            .map(|map| map.unwrap())
            .map(|(offset, size, slots)| (offset, size, slots.iter().collect()))
            .collect();
        assert_eq!(maps, [(24, 64, vec![0, 8])]);
        let handlers: Vec<[u32; 3]> = layout
            .call_sites()
            .flat_map(|site| site.unwrap().handlers.records().collect::<Vec<_>>())
            .collect();
        assert_eq!(handlers, [[1, 8, 12], [u32::MAX, 8, 14]]);
        assert_eq!(layout.check(), Ok(()));
    }

    #[test]
    fn stencils_go_into_columns_and_back() {
        let bytes = sample().write();
        let stencil = Layout::read(&bytes).unwrap();
        let mut columns = Columns::default();
        columns.push(&stencil);
        columns.push(&stencil);
        let [headers, code, words, lists] =
            [columns.headers, columns.code, columns.words, columns.lists].map(Writer::into_bytes);
        let [mut headers, mut code, mut words, mut lists] =
            [&headers, &code, &words, &lists].map(|bytes| Reader::new(bytes));
        for _ in 0..2 {
            let header = Header::read(&mut headers).unwrap();
            let again = header
                .layout(
                    code.raw(header.code_bytes()).unwrap(),
                    words.raw(header.word_bytes().unwrap()).unwrap(),
                    lists.raw(header.list_bytes()).unwrap(),
                )
                .unwrap();
            assert!(
                again
                    == Layout {
                        address_map: again.address_map,
                        ..stencil
                    }
            );
            assert_eq!(again.address_map.count, 0);
        }
        for rest in [headers, code, words, lists] {
            assert_eq!(rest.remaining(), 0);
        }
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
                    layout.traps.iter().for_each(drop);
                    layout.address_map.iter().for_each(drop);
                    layout.stack_maps().for_each(drop);
                    layout.call_sites().for_each(drop);
                    layout.holes().for_each(drop);
                    let _ = layout.check();
                }
            }
        }
    }
}
