//! The file around the sections: an ELF relocatable object, laid out as
//! `object::write::Object` (0.39.1) lays out Wasmtime's:
//!
//! ```text
//! file header │ sections, each aligned │ symbols │ their names │ names of sections
//! section headers: null, sections, .symtab, .strtab, .shstrtab
//! ```
//!
//! The file is one buffer, which the sections are written into at their place, at once.

use super::Misfit;
use super::strings;
use super::symbols::Symbols;
use crate::parallel;
use object::elf;
use object::endian::{Endianness, U16, U32, U64};
use object::pod;
use wasmtime_environ::obj::{EF_WASMTIME_COMPONENT, EF_WASMTIME_MODULE};

type FileHeader = elf::FileHeader64<Endianness>;
type SectionHeader = elf::SectionHeader64<Endianness>;
type Sym = elf::Sym64<Endianness>;

/// Alignment of tables in the file, in bytes.
const TABLE: u64 = 8;

/// Writes a section into its place, which is all zeros.
type Fill<'d> = Box<dyn FnOnce(&mut [u8]) -> Result<(), Misfit> + Send + 'd>;

/// A section of the artifact.
pub(super) struct Section<'d> {
    name: &'static str,
    flags: u32,
    align: u64,
    size: usize,
    fill: Fill<'d>,
}

impl<'d> Section<'d> {
    /// A section of code.
    pub(super) fn text(name: &'static str, align: u64, size: usize, fill: Fill<'d>) -> Self {
        Section {
            name,
            flags: elf::SHF_ALLOC | elf::SHF_EXECINSTR,
            align,
            size,
            fill,
        }
    }

    /// A section of data.
    pub(super) fn data(name: &'static str, size: usize, fill: Fill<'d>) -> Self {
        Section {
            name,
            flags: elf::SHF_ALLOC,
            align: 1,
            size,
            fill,
        }
    }

    /// A section of data that `parts` make up.
    pub(super) fn parts<B: AsRef<[u8]> + Send + 'd>(name: &'static str, parts: Vec<B>) -> Self {
        let size = parts.iter().map(|part| part.as_ref().len()).sum();
        let fill = |mut out: &mut [u8]| {
            for part in parts {
                let part = part.as_ref();
                let (place, rest) = out.split_at_mut_checked(part.len()).ok_or(Misfit)?;
                place.copy_from_slice(part);
                out = rest;
            }
            Ok(())
        };
        Section::data(name, size, Box::new(fill))
    }

    /// A section of these bytes.
    pub(super) fn bytes(name: &'static str, bytes: impl AsRef<[u8]> + Send + 'd) -> Self {
        Section::parts(name, vec![bytes])
    }

    /// The same section, aligned.
    pub(super) fn aligned(self, align: u64) -> Self {
        Section { align, ..self }
    }

    /// The same section, one that is not loaded.
    pub(super) fn unloaded(self) -> Self {
        Section { flags: 0, ..self }
    }
}

/// Makes the file of `sections`, of which the section `text` has the symbols. `header` is
/// the file header of a module's artifact of the same engine.
pub(super) fn assemble(
    parallel: bool,
    header: &[u8],
    is_component: bool,
    sections: Vec<Section<'_>>,
    text: usize,
    symbols: &Symbols,
) -> Result<Vec<u8>, Misfit> {
    let (header, _) = pod::from_bytes::<FileHeader>(header).map_err(|()| Misfit)?;
    let endian = endianness(header).ok_or(Misfit)?;
    let names = strings::table(&names(&sections), parallel);
    let plan = Plan::new(&sections, symbols, &names);

    let mut file = vec![0; plan.size];
    let headers = plan.section_headers(endian, &sections, symbols, &names);
    place(&mut file, plan.headers, pod::bytes_of_slice(&headers));
    place(&mut file, plan.section_names, &names.bytes);
    place(&mut file, plan.symbol_names, &symbols.names.bytes);
    let symbols = symbol_table(endian, text, symbols);
    place(&mut file, plan.symbols, pod::bytes_of_slice(&symbols));
    let mut header = *header;
    if is_component {
        let flags = header.e_flags.get(endian) & !EF_WASMTIME_MODULE | EF_WASMTIME_COMPONENT;
        header.e_flags = U32::new(endian, flags);
    }
    header.e_shoff = U64::new(endian, plan.headers as u64);
    header.e_shnum = U16::new(endian, headers.len() as u16);
    header.e_shstrndx = U16::new(endian, headers.len() as u16 - 1);
    place(&mut file, 0, pod::bytes_of(&header));
    fill(parallel, &mut file, &plan, sections)?;
    Ok(file)
}

/// Where everything lies in the file.
struct Plan {
    sections: Vec<usize>,
    symbols: usize,
    symbol_names: usize,
    section_names: usize,
    headers: usize,
    size: usize,
}

impl Plan {
    fn new(sections: &[Section<'_>], symbols: &Symbols, names: &strings::Table) -> Plan {
        let mut end = size_of::<FileHeader>();
        let mut reserve = |size: usize, align: u64| {
            let start = end.next_multiple_of(align as usize);
            end = start + size;
            start
        };
        Plan {
            sections: sections
                .iter()
                .map(|section| reserve(section.size, section.align))
                .collect(),
            symbols: reserve((symbols.list.len() + 1) * size_of::<Sym>(), TABLE),
            symbol_names: reserve(symbols.names.bytes.len(), 1),
            section_names: reserve(names.bytes.len(), 1),
            headers: reserve((sections.len() + 4) * size_of::<SectionHeader>(), TABLE),
            size: end,
        }
    }

    fn section_headers(
        &self,
        endian: Endianness,
        sections: &[Section<'_>],
        symbols: &Symbols,
        names: &strings::Table,
    ) -> Vec<SectionHeader> {
        let word = |value| U32::new(endian, value);
        let long = |value| U64::new(endian, value);
        let mut name = names.offsets.iter();
        let mut header = |sh_type, offset: usize, size: usize, align| SectionHeader {
            sh_name: word(name.next().copied().unwrap_or_default()),
            sh_type: word(sh_type),
            sh_flags: long(0),
            sh_addr: long(0),
            sh_offset: long(offset as u64),
            sh_size: long(size as u64),
            sh_link: word(0),
            sh_info: word(0),
            sh_addralign: long(align),
            sh_entsize: long(0),
        };
        let mut headers: Vec<SectionHeader> = sections
            .iter()
            .zip(&self.sections)
            .map(|(section, offset)| SectionHeader {
                sh_flags: long(section.flags.into()),
                ..header(elf::SHT_PROGBITS, *offset, section.size, section.align)
            })
            .collect();
        let symbol_bytes = (symbols.list.len() + 1) * size_of::<Sym>();
        let strings = headers.len() as u32 + 2;
        headers.push(SectionHeader {
            sh_link: word(strings),
            // All symbols are local, and the null symbol is.
            sh_info: word(symbols.list.len() as u32 + 1),
            sh_entsize: long(size_of::<Sym>() as u64),
            ..header(elf::SHT_SYMTAB, self.symbols, symbol_bytes, TABLE)
        });
        let symbol_names = symbols.names.bytes.len();
        headers.push(header(elf::SHT_STRTAB, self.symbol_names, symbol_names, 1));
        headers.push(header(
            elf::SHT_STRTAB,
            self.section_names,
            names.bytes.len(),
            1,
        ));
        headers.insert(0, header(elf::SHT_NULL, 0, 0, 0));
        headers
    }
}

fn names<'s>(sections: &[Section<'_>]) -> Vec<&'s [u8]> {
    sections
        .iter()
        .map(|section| section.name)
        .chain([".symtab", ".strtab", ".shstrtab"])
        .map(str::as_bytes)
        .collect()
}

/// The symbols, all of them local functions in the section `text`, behind the null symbol.
fn symbol_table(endian: Endianness, text: usize, symbols: &Symbols) -> Vec<Sym> {
    let local_function = elf::STB_LOCAL << 4 | elf::STT_FUNC;
    let mut table = Vec::with_capacity(symbols.list.len() + 1);
    table.push(Sym::default());
    table.extend(
        symbols
            .list
            .iter()
            .zip(&symbols.names.offsets)
            .map(|(symbol, name)| Sym {
                st_name: U32::new(endian, *name),
                st_info: local_function,
                st_other: elf::STV_DEFAULT,
                st_shndx: U16::new(endian, text as u16 + 1),
                st_value: U64::new(endian, symbol.start.into()),
                st_size: U64::new(endian, symbol.size.into()),
            }),
    );
    table
}

fn place(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Lets each section be written into its place.
fn fill(
    parallel: bool,
    file: &mut [u8],
    plan: &Plan,
    sections: Vec<Section<'_>>,
) -> Result<(), Misfit> {
    let (mut rest, mut at) = (file, 0);
    let mut tasks = Vec::with_capacity(sections.len());
    for (section, start) in sections.into_iter().zip(&plan.sections) {
        let (_, tail) = std::mem::take(&mut rest).split_at_mut(start - at);
        let (place, tail) = tail.split_at_mut(section.size);
        (rest, at) = (tail, start + section.size);
        tasks.push((section.fill, place));
    }
    parallel::map(parallel, tasks, || (), |(), (fill, place)| fill(place))
        .into_iter()
        .collect()
}

/// The byte order that a file header says.
fn endianness(header: &FileHeader) -> Option<Endianness> {
    match (header.e_ident.class, header.e_ident.data) {
        (elf::ELFCLASS64, elf::ELFDATA2LSB) => Some(Endianness::Little),
        (elf::ELFCLASS64, elf::ELFDATA2MSB) => Some(Endianness::Big),
        _ => None,
    }
}
