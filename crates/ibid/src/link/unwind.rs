//! The section `.eh_frame`, as `UnwindInfoBuilder::write_systemv_unwind_info` of
//! `wasmtime-internal-cranelift` 48.0.8 writes it: one common information entry, one
//! frame description entry for each function, a terminating zero.
//!
//! A stored entry is the frame description entry behind its length:
//!
//! ```text
//! offset  field
//!  0      pointer to the common entry (4 bytes): the distance back from here; zero in the store
//!  4      address of the function, relative to this field (8 bytes); zero in the store
//! 12      length of the code (8 bytes)
//! 20      length of the augmentation data (1 byte: zero)
//! 21      call frame instructions, padded
//! ```

use super::{Linkable, Misfit};
use cranelift_codegen::isa::unwind::systemv::UnwindInfo;
use gimli::RunTimeEndian;
use gimli::constants::{self, DwEhPe};
use gimli::write::{
    Address, CommonInformationEntry, EhFrame, EndianVec, Error, FrameTable, Writer,
};
use wasmtime_environ::Compiler;

/// Where the fields of a stored entry lie.
const ADDRESS: usize = 4;
const ADDRESS_END: usize = 12;

/// Encodes the entry of a function; `None` when the target has no common entry or
/// another address size than eight bytes.
pub(crate) fn entry(compiler: &dyn Compiler, info: &UnwindInfo) -> Option<Vec<u8>> {
    let mut table = FrameTable::default();
    let common = table.add_cie(common_entry(compiler)?);
    table.add_fde(common, info.to_fde(Address::Constant(0)));
    let bytes = encode(compiler, &table)?;
    let endian = endian(compiler)?;
    let common_length = read_u32(endian, &bytes)? as usize + 4;
    let rest = bytes.get(common_length..)?;
    let mut entry = rest.get(4..4 + read_u32(endian, rest)? as usize)?.to_vec();
    if entry.len() < ADDRESS_END || rest.len() != entry.len() + 4 {
        return None;
    }
    entry[..ADDRESS_END].fill(0);
    Some(entry)
}

/// The section, before it is written.
pub(super) struct UnwindSection {
    endian: RunTimeEndian,
    common: Vec<u8>,
    pub(super) size: usize,
}

impl UnwindSection {
    /// Lays out the section for `functions`; `None` if none of them has an entry, or the
    /// target has no common entry.
    pub(super) fn lay_out(
        compiler: &dyn Compiler,
        functions: &[Linkable<'_>],
    ) -> Option<UnwindSection> {
        let entries: usize = entries(functions).map(|entry| 4 + entry.len()).sum();
        if entries == 0 {
            return None;
        }
        let common = encode_common(compiler)?;
        Some(UnwindSection {
            endian: endian(compiler)?,
            size: common.len() + entries + 4,
            common,
        })
    }

    /// Writes the section into `out`, which is all zeros, for functions at `starts` in a
    /// text section of `text_size` bytes (a multiple of the page size, right behind which
    /// the section will lie).
    pub(super) fn fill(
        &self,
        functions: &[Linkable<'_>],
        starts: &[u32],
        text_size: u64,
        out: &mut [u8],
    ) -> Result<(), Misfit> {
        let endian = self.endian;
        let (head, mut rest) = out.split_at_mut_checked(self.common.len()).ok_or(Misfit)?;
        head.copy_from_slice(&self.common);
        let mut at = self.common.len();
        for (function, start) in functions.iter().zip(starts) {
            let Some(entry) = function.code.unwind else {
                continue;
            };
            let (place, tail) = rest.split_at_mut_checked(4 + entry.len()).ok_or(Misfit)?;
            let length = u32::try_from(entry.len()).map_err(|_| Misfit)?;
            at += 4;
            let address = u64::from(*start)
                .wrapping_sub(text_size)
                .wrapping_sub((at + ADDRESS) as u64);
            place[4..].copy_from_slice(entry);
            write_u32(endian, place, length)?;
            let fields = &mut place[4..];
            write_u32(endian, fields, at as u32)?;
            write_u64(endian, fields.get_mut(ADDRESS..).ok_or(Misfit)?, address)?;
            at += entry.len();
            rest = tail;
        }
        Ok(())
    }
}

fn entries<'a>(functions: &[Linkable<'a>]) -> impl Iterator<Item = &'a [u8]> {
    functions.iter().filter_map(|function| function.code.unwind)
}

fn common_entry(compiler: &dyn Compiler) -> Option<CommonInformationEntry> {
    let mut common = compiler.create_systemv_cie()?;
    common.fde_address_encoding = constants::DW_EH_PE_pcrel;
    Some(common)
}

/// The common entry's own bytes; gimli writes it with the first entry that uses it.
fn encode_common(compiler: &dyn Compiler) -> Option<Vec<u8>> {
    let mut table = FrameTable::default();
    let common = table.add_cie(common_entry(compiler)?);
    table.add_fde(
        common,
        gimli::write::FrameDescriptionEntry::new(Address::Constant(0), 0),
    );
    let mut bytes = encode(compiler, &table)?;
    let length = read_u32(endian(compiler)?, &bytes)? as usize + 4;
    bytes.truncate(length);
    Some(bytes)
}

fn encode(compiler: &dyn Compiler, table: &FrameTable) -> Option<Vec<u8>> {
    let mut section = EhFrame(PcRelative(EndianVec::new(endian(compiler)?)));
    table.write_eh_frame(&mut section).ok()?;
    Some(section.0.0.into_vec())
}

fn endian(compiler: &dyn Compiler) -> Option<RunTimeEndian> {
    Some(match compiler.triple().endianness().ok()? {
        target_lexicon::Endianness::Little => RunTimeEndian::Little,
        target_lexicon::Endianness::Big => RunTimeEndian::Big,
    })
}

fn read_u32(endian: RunTimeEndian, bytes: &[u8]) -> Option<u32> {
    let word = bytes.first_chunk::<4>()?;
    Some(match endian {
        RunTimeEndian::Little => u32::from_le_bytes(*word),
        RunTimeEndian::Big => u32::from_be_bytes(*word),
    })
}

fn write_u32(endian: RunTimeEndian, out: &mut [u8], value: u32) -> Result<(), Misfit> {
    *out.first_chunk_mut().ok_or(Misfit)? = match endian {
        RunTimeEndian::Little => value.to_le_bytes(),
        RunTimeEndian::Big => value.to_be_bytes(),
    };
    Ok(())
}

fn write_u64(endian: RunTimeEndian, out: &mut [u8], value: u64) -> Result<(), Misfit> {
    *out.first_chunk_mut().ok_or(Misfit)? = match endian {
        RunTimeEndian::Little => value.to_le_bytes(),
        RunTimeEndian::Big => value.to_be_bytes(),
    };
    Ok(())
}

/// Writes addresses relative to their own place. The sign of the difference matters,
/// and gimli's default has it the other way round; Wasmtime 48.0.8 overrides the same
/// function for the same reason.
struct PcRelative(EndianVec<RunTimeEndian>);

impl Writer for PcRelative {
    type Endian = RunTimeEndian;

    fn endian(&self) -> RunTimeEndian {
        self.0.endian()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(bytes)
    }

    fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_at(offset, bytes)
    }

    fn write_eh_pointer(
        &mut self,
        address: Address,
        encoding: DwEhPe,
        size: u8,
    ) -> Result<(), Error> {
        let Address::Constant(value) = address else {
            return Err(Error::InvalidAddress);
        };
        let value = value.wrapping_sub(self.len() as u64);
        self.write_eh_pointer_data(value, encoding.format(), size)
    }
}
