//! What may differ between two functions that share a stencil.

use crate::bytes::{Malformed, Reader, Writer};

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
/// in the input, which function each callee slot names, and how wide the abstracted
/// immediates were written.
///
/// The function's own index and its symbol's name are parameters too; they are the
/// caller's, who knows which function it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionParameters {
    pub(crate) base: u32,
    pub(crate) callees: Vec<u32>,
    pub(crate) shifts: Vec<SourceShift>,
}

impl FunctionParameters {
    /// Stands for the module's startup function in place of a function index.
    pub(crate) const STARTUP: u32 = u32::MAX;

    /// Parameters of a function that has no source location: a trampoline whose
    /// slots name `callees`.
    pub(crate) fn without_source(callees: Vec<u32>) -> Self {
        FunctionParameters {
            base: u32::MAX,
            callees,
            shifts: Vec::new(),
        }
    }

    /// Parameters of a function whose body, at `base`, is its own stencil.
    pub(crate) fn unsplit(base: u32, callees: Vec<u32>) -> Self {
        FunctionParameters {
            base,
            callees,
            shifts: Vec::new(),
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

    /// The offset in the input, in bytes, of `location`.
    pub fn source_offset(&self, location: RelSourceLoc) -> Option<u32> {
        let offset = location.offset()?;
        let base = self.base_source_offset()?;
        let after = self
            .shifts
            .partition_point(|shift| shift.position <= offset);
        let delta = after.checked_sub(1).map_or(0, |i| self.shifts[i].delta);
        base.checked_add_signed(delta)?.checked_add(offset)
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
        out.u32(self.shifts.len());
        for callee in &self.callees {
            out.word(*callee);
        }
        for shift in &self.shifts {
            out.word(shift.position);
            out.word(shift.delta.cast_unsigned());
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>, base: u32) -> Result<Self, Malformed> {
        let (callees, shifts) = (input.u32()?, input.u32()?);
        let callees = input.words(callees)?.collect();
        let shifts = input
            .words(shifts.checked_mul(2).ok_or(Malformed)?)?
            .collect::<Vec<u32>>();
        let shifts = shifts
            .chunks_exact(2)
            .map(|pair| SourceShift {
                position: pair[0],
                delta: pair[1].cast_signed(),
            })
            .collect();
        Ok(FunctionParameters {
            base,
            callees,
            shifts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> FunctionParameters {
        FunctionParameters {
            base: 1000,
            callees: vec![7, 9],
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

    #[test]
    fn bytes_go_there_and_back() {
        let mut out = Writer::default();
        sample().write(&mut out);
        let bytes = out.into_bytes();
        let mut input = Reader::new(&bytes);
        assert_eq!(FunctionParameters::read(&mut input, 1000), Ok(sample()));
        assert!(input.is_empty());
        for cut in 0..bytes.len() {
            let mut input = Reader::new(&bytes[..cut]);
            assert!(FunctionParameters::read(&mut input, 1000).is_err());
        }
    }
}
