//! What may differ between two functions that share a stencil.

use crate::bytes::{Malformed, Reader, Words, Writer};
use crate::compiled::{Hole, HoleKind};

/// A source location relative to its function's base, in the coordinates of the
/// stencil's body (see [`FunctionStencil`](crate::FunctionStencil)), in bytes.
///
/// The base and the widths of the immediates that the stencil abstracts away are
/// parameters: [`FunctionParameters::source_offset`] turns this into an offset in
/// the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelSourceLoc(u32);

impl RelSourceLoc {
    /// No location: code that belongs to no operator.
    pub const NONE: RelSourceLoc = RelSourceLoc(u32::MAX);

    /// The location `offset` bytes into the stencil's body.
    pub fn new(offset: u32) -> Self {
        RelSourceLoc(offset)
    }

    /// The offset into the stencil's body, or `None` for [`RelSourceLoc::NONE`].
    pub fn offset(self) -> Option<u32> {
        (self != Self::NONE).then_some(self.0)
    }

    /// The location as it is stored; [`RelSourceLoc::NONE`] is `u32::MAX`.
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// From `position` on, up to the next shift, an operator's offset in the input's
/// body is its offset in the stencil's body plus `delta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceShift {
    pub(crate) position: u32,
    pub(crate) delta: i32,
}

/// All that may differ between two functions with one stencil: where the body lies
/// in the input, which function each callee slot names, which address each address slot
/// stands for, where in the instance each named entity lies, and how wide the abstracted
/// immediates were written.
///
/// The function's own index and its symbol's name are parameters too; they are the
/// caller's, who knows which function it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionParameters {
    pub(crate) base: u32,
    pub(crate) callees: Vec<u32>,
    pub(crate) addresses: Vec<u32>,
    pub(crate) places: Vec<u32>,
    pub(crate) shifts: Vec<SourceShift>,
}

impl FunctionParameters {
    /// Stands, in place of a function index, for the function that a trampoline is a shim
    /// around: the same one, to be called from WebAssembly.
    pub(crate) const WASM_CALL: u32 = u32::MAX;

    /// Whether the same numbers go into address slots and place slots as those of `other`.
    pub(crate) fn fills_slots_like(&self, other: &FunctionParameters) -> bool {
        self.addresses == other.addresses && self.places == other.places
    }

    /// Parameters of a function that has no source location: a trampoline whose
    /// slots name `callees`.
    pub(crate) fn without_source(callees: Vec<u32>) -> Self {
        FunctionParameters {
            base: u32::MAX,
            callees,
            ..FunctionParameters::default()
        }
    }

    /// Parameters of a function whose body, at `base`, is its own stencil.
    pub(crate) fn unsplit(base: u32, callees: Vec<u32>) -> Self {
        FunctionParameters {
            base,
            callees,
            ..FunctionParameters::default()
        }
    }

    /// The offset of the function's body in the input, in bytes: the first byte of
    /// its locals. `None` for a trampoline.
    pub fn base_source_offset(&self) -> Option<u32> {
        (self.base != u32::MAX).then_some(self.base)
    }

    /// The function index (in the module's index space, imports included) that each
    /// callee slot names, by slot.
    pub fn callees(&self) -> &[u32] {
        &self.callees
    }

    /// The address in linear memory, in bytes, that each address slot stands for, by slot.
    pub fn addresses(&self) -> &[u32] {
        &self.addresses
    }

    /// The offset in the instance (`VMContext`), in bytes, of what each place slot stands for,
    /// by slot.
    pub fn places(&self) -> &[u32] {
        &self.places
    }

    /// Whether code with this stencil has holes: it is compiled with sentinels.
    pub(crate) fn has_holes(&self) -> bool {
        !self.addresses.is_empty() || !self.places.is_empty()
    }

    /// What `hole` is filled with, before its addend.
    pub(crate) fn value(&self, hole: Hole) -> Option<u32> {
        let values = match hole.kind {
            HoleKind::Place => &self.places,
            HoleKind::Address | HoleKind::Complement => &self.addresses,
        };
        values.get(hole.slot as usize).copied()
    }

    /// The offset in the input, in bytes, of `location`.
    pub fn source_offset(&self, location: RelSourceLoc) -> Option<u32> {
        let offset = location.offset()?;
        let base = self.base_source_offset()?;
        let after = self
            .shifts
            .partition_point(|shift| shift.position <= offset);
        let delta = after.checked_sub(1).map_or(0, |i| self.shifts[i].delta);
        base.checked_add(offset.checked_add_signed(delta)?)
    }

    /// The inverse of [`source_offset`](Self::source_offset) for offsets at which an
    /// operator, or a declaration of locals, starts.
    pub(crate) fn relative(&self, source_offset: u32) -> Option<RelSourceLoc> {
        let offset = source_offset.checked_sub(self.base_source_offset()?)?;
        let after = self.shifts.partition_point(|shift| {
            i64::from(shift.position) + i64::from(shift.delta) <= i64::from(offset)
        });
        let delta = after.checked_sub(1).map_or(0, |i| self.shifts[i].delta);
        offset
            .checked_add_signed(delta.checked_neg()?)
            .map(RelSourceLoc::new)
    }

    /// Everything but the base, which the module itself says.
    pub(crate) fn write(&self, out: &mut Writer) {
        out.u32(self.callees.len());
        out.u32(self.addresses.len());
        out.u32(self.places.len());
        out.u32(self.shifts.len());
        let words = self.callees.iter().chain(&self.addresses);
        words.chain(&self.places).for_each(|word| out.word(*word));
        for shift in &self.shifts {
            out.word(shift.position);
            out.word(shift.delta.cast_unsigned());
        }
    }
}

/// Parameters as they are stored, read in place:
///
/// ```text
/// number of callees │ number of addresses │ number of places │ number of shifts
/// callees │ addresses │ places │ position │ delta, each shift
/// ```
#[derive(Clone, Copy)]
pub(crate) struct StoredParameters<'a> {
    base: u32,
    callees: Words<'a>,
    addresses: Words<'a>,
    places: Words<'a>,
    shifts: Words<'a>,
}

impl<'a> StoredParameters<'a> {
    /// Takes parameters off the front of `input`, for a function whose body is at
    /// `base` (`u32::MAX`: it has none).
    pub(crate) fn read(input: &mut Reader<'a>, base: u32) -> Result<Self, Malformed> {
        let (callees, addresses) = (input.u32()?, input.u32()?);
        let (places, shifts) = (input.u32()?, input.u32()?);
        Ok(StoredParameters {
            base,
            callees: input.words(callees)?,
            addresses: input.words(addresses)?,
            places: input.words(places)?,
            shifts: input.words(shifts.checked_mul(2).ok_or(Malformed)?)?,
        })
    }

    /// The same parameters for a body that lies at `base`.
    pub(crate) fn at(self, base: u32) -> Self {
        StoredParameters { base, ..self }
    }

    /// The offset of the function's body in the input.
    pub(crate) fn base(&self) -> Option<u32> {
        (self.base != u32::MAX).then_some(self.base)
    }

    /// The function that the callee slot `slot` names.
    pub(crate) fn callee(&self, slot: u32) -> Option<u32> {
        self.callees.get(slot as usize)
    }

    /// What `hole` is filled with, before its addend.
    #[inline]
    pub(crate) fn value(&self, hole: Hole) -> Option<u32> {
        let values = match hole.kind {
            HoleKind::Place => &self.places,
            HoleKind::Address | HoleKind::Complement => &self.addresses,
        };
        values.get(hole.slot as usize)
    }

    /// Whether any address may differ between functions with this stencil.
    pub(crate) fn has_addresses(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// Whether any place may.
    pub(crate) fn has_places(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether code with this stencil has holes.
    pub(crate) fn has_holes(&self) -> bool {
        self.has_addresses() || self.has_places()
    }

    /// Reads source locations, one after the other.
    pub(crate) fn locations(&self) -> Locations<'a> {
        Locations {
            parameters: *self,
            at: 0,
            delta: 0,
            from: 0,
            to: self.position(0),
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.u32(self.callees.len());
        out.u32(self.addresses.len());
        out.u32(self.places.len());
        out.u32(self.shifts.len() / 2);
        out.raw(self.callees.as_bytes());
        out.raw(self.addresses.as_bytes());
        out.raw(self.places.as_bytes());
        out.raw(self.shifts.as_bytes());
    }

    pub(crate) fn to_owned(self) -> FunctionParameters {
        let shift = |[position, delta]: [u32; 2]| SourceShift {
            position,
            delta: delta.cast_signed(),
        };
        FunctionParameters {
            base: self.base,
            callees: self.callees.iter().collect(),
            addresses: self.addresses.iter().collect(),
            places: self.places.iter().collect(),
            shifts: self.shifts.records().map(shift).collect(),
        }
    }

    /// Where the shift `index` begins; `u32::MAX` behind the last one.
    fn position(&self, index: usize) -> u32 {
        self.shifts.get(2 * index).unwrap_or(u32::MAX)
    }
}

/// Turns relative source locations into offsets in the input; quick for locations that
/// are near the one before.
pub(crate) struct Locations<'a> {
    parameters: StoredParameters<'a>,
    /// How many shifts there are up to the current one.
    at: usize,
    /// The current shift, and the locations for which it holds.
    delta: u32,
    from: u32,
    to: u32,
}

impl Locations<'_> {
    /// What [`FunctionParameters::source_offset`] says; `None` for no location.
    #[inline]
    pub(crate) fn source_offset(&mut self, location: RelSourceLoc) -> Option<u32> {
        let offset = location.offset()?;
        if offset < self.from || offset >= self.to {
            self.seek(offset);
        }
        let base = self.parameters.base()?;
        Some(base.wrapping_add(self.delta).wrapping_add(offset))
    }

    fn seek(&mut self, offset: u32) {
        while self.at > 0 && self.parameters.position(self.at - 1) > offset {
            self.at -= 1;
        }
        while self.parameters.position(self.at) <= offset {
            self.at += 1;
        }
        self.to = self.parameters.position(self.at);
        (self.from, self.delta) = match self.at.checked_sub(1) {
            None => (0, 0),
            Some(current) => (
                self.parameters.position(current),
                self.parameters.shifts.at(2 * current + 1),
            ),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> FunctionParameters {
        FunctionParameters {
            base: 1000,
            callees: vec![7, 9],
            addresses: vec![1048576],
            places: vec![304, 320],
            shifts: vec![
                SourceShift {
                    position: 14,
                    delta: -1,
                },
                SourceShift {
                    position: 30,
                    delta: 1,
                },
            ],
        }
    }

    #[test]
    fn offsets_go_there_and_back() {
        let parameters = sample();
        for (relative, source) in [(0, 1000), (10, 1010), (14, 1013), (29, 1028), (30, 1031)] {
            let location = RelSourceLoc::new(relative);
            assert_eq!(parameters.source_offset(location), Some(source));
            assert_eq!(parameters.relative(source), Some(location));
        }
        assert_eq!(parameters.source_offset(RelSourceLoc::NONE), None);
    }

    /// A stencil may be longer than its body by more than what lies before that.
    #[test]
    fn offsets_are_found_near_the_front() {
        let parameters = FunctionParameters {
            base: 20,
            shifts: vec![SourceShift {
                position: 300,
                delta: -30,
            }],
            ..FunctionParameters::default()
        };
        let location = RelSourceLoc::new(310);
        assert_eq!(parameters.source_offset(location), Some(300));
        assert_eq!(parameters.relative(300), Some(location));
    }

    #[test]
    fn bytes_go_there_and_back() {
        let mut out = Writer::default();
        sample().write(&mut out);
        let bytes = out.into_bytes();
        let mut input = Reader::new(&bytes);
        let stored = StoredParameters::read(&mut input, 1000).unwrap();
        assert_eq!(input.remaining(), 0);
        assert_eq!(stored.to_owned(), sample());
        assert_eq!([stored.callee(1), stored.callee(2)], [Some(9), None]);
        let value = |kind, slot| {
            let hole = Hole {
                offset: 0,
                slot,
                addend: 0,
                kind,
            };
            assert_eq!(stored.value(hole), sample().value(hole));
            stored.value(hole)
        };
        assert_eq!(value(HoleKind::Address, 0), Some(1048576));
        assert_eq!(value(HoleKind::Complement, 1), None);
        assert_eq!(value(HoleKind::Place, 1), Some(320));
        assert_eq!(value(HoleKind::Place, 2), None);
        for cut in 0..bytes.len() {
            let mut input = Reader::new(&bytes[..cut]);
            assert!(StoredParameters::read(&mut input, 1000).is_err());
        }
    }

    #[test]
    fn stored_parameters_say_the_same_in_any_order() {
        let mut out = Writer::default();
        sample().write(&mut out);
        let bytes = out.into_bytes();
        let stored = StoredParameters::read(&mut Reader::new(&bytes), 1000).unwrap();
        let mut locations = stored.locations();
        for relative in [0, 10, 13, 14, 29, 30, 31, 29, 30, 13, 31, 0, 14] {
            let location = RelSourceLoc::new(relative);
            assert_eq!(
                locations.source_offset(location),
                sample().source_offset(location)
            );
        }
        assert_eq!(locations.source_offset(RelSourceLoc::NONE), None);
    }
}
