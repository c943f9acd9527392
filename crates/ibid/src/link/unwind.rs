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

/// Writes the section for functions at the given offsets in a text section of
/// `text_size` bytes (a multiple of the page size, right behind which the section
/// will lie).
///
/// `None` when the target has no common entry.
pub(crate) fn section<'e>(
    compiler: &dyn Compiler,
    text_size: u64,
    entries: impl Iterator<Item = (u64, &'e [u8])>,
) -> Option<Vec<u8>> {
    let endian = endian(compiler)?;
    let mut section = encode_common(compiler)?;
    for (function, entry) in entries {
        let length = u32::try_from(entry.len()).ok()?;
        write(endian, &mut section, u64::from(length), 4);
        let start = section.len();
        section.extend_from_slice(entry);
        let mut fields = Vec::with_capacity(ADDRESS_END);
        write(endian, &mut fields, start as u64, 4);
        let address = function
            .wrapping_sub(text_size)
            .wrapping_sub((start + ADDRESS) as u64);
        write(endian, &mut fields, address, 8);
        section[start..start + ADDRESS_END].copy_from_slice(&fields);
    }
    write(endian, &mut section, 0, 4);
    Some(section)
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

fn write(endian: RunTimeEndian, out: &mut Vec<u8>, value: u64, size: usize) {
    match endian {
        RunTimeEndian::Little => out.extend_from_slice(&value.to_le_bytes()[..size]),
        RunTimeEndian::Big => out.extend_from_slice(&value.to_be_bytes()[8 - size..]),
    }
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
