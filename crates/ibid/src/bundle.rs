//! Bundles: all functions of a module in one entry, so that the next compile of a module
//! with the same environment asks the store once.
//!
//! A bundle lies under the digest of the module's sections but code, data and custom ones,
//! which is known before anything is decoded. It names the digest of all that the module
//! said outside its bodies, and is only used for a module that says the same: there, a
//! function that has the same number and the same bytes is the same function.
//!
//! It holds each function's compiled stencil and parameters, ready to link. Like parts are
//! together, in the order in which the link reads them:
//!
//! ```text
//! offset  field (little-endian words)
//!  0      magic "ibB4"
//!  4      digest of all that the module says outside its bodies (32 bytes)
//! 36      number of functions that the module defines
//! 40      number of trampolines
//! 44      number of stencils
//! 48      bytes of each of the six parts behind the stencils' headers
//! 72      digests of the functions' bodies, 32 bytes each
//!         functions, then trampolines, 12 bytes each:
//!           stencil │ entries of the address map │ their length in bytes
//!         trampolines, sorted, 8 bytes each: kind │ number
//!         headers of stencils, 56 bytes each, as in a compiled stencil
//!         parameters of functions and trampolines
//!         checkpoints of address maps
//!         words of stencils: calls, calls of builtins, stack maps, call sites, handlers,
//!           holes, other numbers, unwind entry
//!         code of stencils, each padded to 4
//!         traps of stencils
//!         address maps of functions and trampolines (`compiled/body_map.rs`)
//! ```
//!
//! A function's stencil is `u32::MAX` if it was not stored; it has no parameters then.
//! Kinds of trampolines are 1 for array-to-wasm, 2 for wasm-to-array, 3 for a builtin's.
//! Startup functions are left out: they depend on more than the environment.
//!
//! Within one environment a trampoline is known by kind and number alone: an array-to-wasm
//! trampoline depends on the type of its function, a wasm-to-array one on its type, and all
//! types and all functions' types are in the environment's digest.

use crate::bytes::{Malformed, Reader, Writer};
use crate::compiled::{AddressMap, BodyMap, Columns, Header, Layout, write_body_map};
use crate::jobs::Job;
use crate::stencil::{Digest, KeyFact, StoredParameters, is_kept};

const MAGIC: [u8; 4] = *b"ibB4";
const NONE: u32 = u32::MAX;
const DIGEST: usize = 32;
const PARTS: usize = 6;

/// Bundles beyond this are not written, in bytes.
const LARGEST: usize = 1 << 30;

/// A bundle, read in place.
pub(crate) struct Bundle<'a> {
    /// All that the module said outside its bodies.
    everything: Digest,
    digests: &'a [u8],
    functions: Vec<Option<Known<'a>>>,
    trampolines: Vec<((u32, u32), Known<'a>)>,
    pub(crate) stencils: Vec<Layout<'a>>,
}

/// What a bundle knows of a function or trampoline.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The number of its stencil in the bundle.
    pub(crate) stencil: u32,
    pub(crate) parameters: StoredParameters<'a>,
    pub(crate) map: BodyMap<'a>,
}

impl<'a> Bundle<'a> {
    /// Finds the parts of a bundle in `bytes`.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Bundle<'a>, Malformed> {
        let mut input = Reader::new(bytes);
        if input.raw(4)? != MAGIC {
            return Err(Malformed);
        }
        let everything = Digest(input.array()?);
        let functions = input.u32()?;
        let trampolines = input.u32()?;
        let stencils = input.u32()?;
        let mut lengths = [0; PARTS];
        for length in &mut lengths {
            *length = input.u32()?;
        }
        let digests = input.raw(functions.checked_mul(DIGEST).ok_or(Malformed)?)?;
        let all = functions.checked_add(trampolines).ok_or(Malformed)?;
        let records = input.words(all.checked_mul(3).ok_or(Malformed)?)?;
        let names = input.words(trampolines.checked_mul(2).ok_or(Malformed)?)?;
        let headers = input.words(stencils.checked_mul(Header::WORDS).ok_or(Malformed)?)?;
        let mut parts = [const { Reader::new(&[]) }; PARTS];
        for (part, length) in parts.iter_mut().zip(lengths) {
            *part = Reader::new(input.raw(length)?);
        }
        let [
            mut parameters,
            mut checkpoints,
            mut words,
            mut code,
            mut traps,
            mut maps,
        ] = parts;

        let mut known = Vec::with_capacity(all);
        for [stencil, count, length] in records.records() {
            known.push(if stencil == NONE {
                None
            } else {
                let count = count as usize;
                Some(Known {
                    stencil,
                    parameters: StoredParameters::read(&mut parameters, NONE)?,
                    map: BodyMap {
                        entries: AddressMap {
                            count,
                            bytes: maps.raw(length as usize)?,
                        },
                        checkpoints: checkpoints.words(BodyMap::checkpoint_words(count))?,
                    },
                })
            });
        }
        let of_trampolines = known.split_off(functions);
        let mut headers = Reader::new(headers.as_bytes());
        Ok(Bundle {
            everything,
            digests,
            functions: known,
            trampolines: names
                .records()
                .map(|[kind, number]| (kind, number))
                .zip(of_trampolines)
                .filter_map(|(name, known)| Some((name, known?)))
                .collect(),
            stencils: (0..stencils)
                .map(|_| {
                    let header = Header::read(&mut headers)?;
                    header.layout(
                        code.raw(header.code_bytes())?,
                        words.raw(header.word_bytes()?)?,
                        traps.raw(header.list_bytes())?,
                    )
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether the bundle is of a module that said the same outside its bodies.
    pub(crate) fn is_of(&self, everything: &Digest) -> bool {
        !is_kept(KeyFact::BundleEverything) || self.everything == *everything
    }

    /// The function `number`, if its body has this digest; its body is at `base` now.
    pub(crate) fn function(&self, number: u32, digest: &Digest, base: u32) -> Option<Known<'a>> {
        let start = (number as usize).checked_mul(DIGEST)?;
        if self.digests.get(start..start + DIGEST)? != digest.0 {
            return None;
        }
        let known = self.functions.get(number as usize).copied()??;
        Some(Known {
            parameters: known.parameters.at(base),
            ..known
        })
    }

    /// Finds trampolines that are asked for in the order of [`Job::key`].
    pub(crate) fn trampolines(&self) -> impl FnMut((u32, u32)) -> Option<Known<'a>> {
        let mut rest = self.trampolines.iter().peekable();
        move |name| {
            while rest.next_if(|(other, _)| *other < name).is_some() {}
            let (_, known) = rest.next_if(|(other, _)| *other == name)?;
            Some(*known)
        }
    }
}

/// What a trampoline is called in a bundle, in the order of [`Job::key`]; `None` for what
/// has no place there.
pub(crate) fn trampoline(job: Job) -> Option<(u32, u32)> {
    match job {
        Job::ArrayToWasm(_, function) => Some((1, function.as_u32())),
        Job::WasmToArray(ty) => Some((2, ty.as_u32())),
        Job::Builtin(builtin) => Some((3, builtin.index())),
        Job::Function(..)
        | Job::Trampoline(..)
        | Job::ResourceDrop
        | Job::Intrinsic(..)
        | Job::Startup(..) => None,
    }
}

/// A bundle in the making.
pub(crate) struct BundleWriter<'d> {
    everything: Digest,
    digests: &'d [Digest],
    functions: Vec<[u32; 3]>,
    trampolines: Vec<[u32; 3]>,
    names: Vec<(u32, u32)>,
    stencils: u32,
    columns: Columns,
    parameters: Writer,
    checkpoints: Writer,
    maps: Vec<u8>,
}

impl<'d> BundleWriter<'d> {
    /// A bundle of a module that says `everything` outside its bodies, which have these
    /// digests.
    pub(crate) fn new(everything: Digest, digests: &'d [Digest]) -> Self {
        BundleWriter {
            everything,
            digests,
            functions: Vec::with_capacity(digests.len()),
            trampolines: Vec::new(),
            names: Vec::new(),
            stencils: 0,
            columns: Columns::default(),
            parameters: Writer::default(),
            checkpoints: Writer::default(),
            maps: Vec::new(),
        }
    }

    /// Adds a stencil, and gives its number.
    pub(crate) fn stencil(&mut self, layout: &Layout<'_>) -> u32 {
        self.columns.push(layout);
        self.stencils += 1;
        self.stencils - 1
    }

    /// Adds a function or trampoline, in the order of [`Job::key`]. `map` is its address
    /// map if it is known; else that of its stencil, `layout`, is made one.
    pub(crate) fn add(
        &mut self,
        job: Job,
        stencil: u32,
        layout: &Layout<'_>,
        parameters: StoredParameters<'_>,
        map: Option<BodyMap<'_>>,
    ) -> Result<(), Malformed> {
        match (job, trampoline(job)) {
            (Job::Function(_, function), _) => {
                let missing = [NONE, 0, 0];
                self.functions.resize(function.as_u32() as usize, missing);
                let record = self.unit(stencil, layout, parameters, map)?;
                self.functions.push(record);
            }
            (_, Some(name)) => {
                let record = self.unit(stencil, layout, parameters, map)?;
                self.trampolines.push(record);
                self.names.push(name);
            }
            (_, None) => {}
        }
        Ok(())
    }

    fn unit(
        &mut self,
        stencil: u32,
        layout: &Layout<'_>,
        parameters: StoredParameters<'_>,
        map: Option<BodyMap<'_>>,
    ) -> Result<[u32; 3], Malformed> {
        parameters.write(&mut self.parameters);
        let (count, length) = match map {
            Some(BodyMap {
                entries,
                checkpoints,
            }) => {
                self.maps.extend_from_slice(entries.bytes);
                self.checkpoints.raw(checkpoints.as_bytes());
                (entries.count, entries.bytes.len())
            }
            None => write_body_map(
                layout.address_map,
                parameters,
                &mut self.maps,
                &mut self.checkpoints,
            )?,
        };
        Ok([stencil, count as u32, length as u32])
    }

    /// The bundle's bytes; `None` if it would be too large.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        self.functions.resize(self.digests.len(), [NONE, 0, 0]);
        let Columns {
            headers,
            code,
            words,
            lists,
        } = self.columns;
        let parts: [&[u8]; PARTS] = [
            self.parameters.as_bytes(),
            self.checkpoints.as_bytes(),
            words.as_bytes(),
            code.as_bytes(),
            lists.as_bytes(),
            &self.maps,
        ];
        let size = 16
            + DIGEST
            + 4 * PARTS
            + (DIGEST + 12) * self.digests.len()
            + 20 * self.trampolines.len()
            + headers.len()
            + parts.iter().map(|part| part.len()).sum::<usize>();
        if size > LARGEST {
            return None;
        }
        // Room for the checksum too.
        let mut out = Writer::with_capacity(size + 16);
        out.raw(&MAGIC);
        out.raw(&self.everything.0);
        out.u32(self.digests.len());
        out.u32(self.trampolines.len());
        out.word(self.stencils);
        parts.iter().for_each(|part| out.u32(part.len()));
        self.digests.iter().for_each(|digest| out.raw(&digest.0));
        for record in self.functions.iter().chain(&self.trampolines) {
            record.iter().for_each(|word| out.word(*word));
        }
        for (kind, number) in self.names {
            out.word(kind);
            out.word(number);
        }
        out.raw(headers.as_bytes());
        parts.iter().for_each(|part| out.raw(part));
        Some(out.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::Parts;
    use crate::stencil::{FunctionParameters, RelSourceLoc};
    use wasmtime_environ::{DefinedFuncIndex, StaticModuleIndex};

    #[test]
    fn a_bundle_goes_there_and_back() {
        let code = |byte| {
            let parts = Parts {
                alignment: 16,
                code: vec![byte; 21],
                address_map: vec![(0, RelSourceLoc::new(1)), (9, RelSourceLoc::new(4))],
                ..Parts::default()
            };
            parts.write()
        };
        let codes = [code(7), code(8)];
        let layouts = codes.each_ref().map(|code| Layout::read(code).unwrap());
        let digests = [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
        let mut written = Writer::default();
        FunctionParameters::without_source(vec![5, 6]).write(&mut written);
        let written = written.into_bytes();
        let parameters = StoredParameters::read(&mut Reader::new(&written), 90).unwrap();
        let function = DefinedFuncIndex::from_u32;
        let module = StaticModuleIndex::from_u32(0);

        let mut writer = BundleWriter::new(Digest([9; 32]), &digests);
        assert_eq!([0, 1], layouts.each_ref().map(|code| writer.stencil(code)));
        for (job, stencil) in [
            (Job::Function(module, function(0)), 1),
            (Job::Function(module, function(2)), 0),
            (Job::ArrayToWasm(module, function(2)), 1),
        ] {
            let layout = &layouts[stencil as usize];
            writer.add(job, stencil, layout, parameters, None).unwrap();
        }
        let bytes = writer.finish().unwrap();

        let bundle = Bundle::read(&bytes).unwrap();
        assert!(bundle.is_of(&Digest([9; 32])) && !bundle.is_of(&Digest([8; 32])));
        let known = bundle.function(0, &digests[0], 40).unwrap();
        assert_eq!((known.stencil, known.parameters.base()), (1, Some(40)));
        assert_eq!(known.parameters.callee(1), Some(6));
        let map: Vec<_> = known
            .map
            .entries
            .iter()
            .map(|entry| entry.unwrap().0)
            .collect();
        assert_eq!(map, [0, 9]);
        assert_eq!(bundle.function(2, &digests[2], 40).unwrap().stencil, 0);
        assert!(bundle.function(0, &digests[1], 40).is_none());
        assert!(bundle.function(1, &digests[1], 40).is_none());
        assert!(bundle.function(3, &digests[1], 40).is_none());
        let mut trampolines = bundle.trampolines();
        assert!(trampolines((1, 0)).is_none());
        assert_eq!(trampolines((1, 2)).unwrap().stencil, 1);
        assert!(trampolines((2, 0)).is_none());
        for (stored, layout) in bundle.stencils.iter().zip(&layouts) {
            assert_eq!(stored.code, layout.code);
        }
        for cut in 0..bytes.len() {
            assert!(Bundle::read(&bytes[..cut]).is_err());
        }
    }
}
