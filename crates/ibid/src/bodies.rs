//! The bodies of an input and what is around them, digested before anything is decoded.

use crate::fingerprint::Fingerprint;
use crate::parallel;
use crate::stencil::Digest;
use wasmparser::{Encoding, FunctionBody, Parser, Payload, WasmFeatures};

/// What is found out about a module or component without decoding it.
pub(crate) struct Scan<'w> {
    /// The core modules, in their order. A module is its only one.
    pub(crate) modules: Vec<ModuleScan<'w>>,
    /// Of all but the bodies, if it was asked for: of two inputs with one frame Wasmtime
    /// makes the same but for the code, and for where code lies in the input.
    pub(crate) frame: Option<Digest>,
}

/// What is found out about a core module.
pub(crate) struct ModuleScan<'w> {
    pub(crate) bodies: Vec<FunctionBody<'w>>,
    /// Of each body: the bytes behind its length.
    pub(crate) digests: Vec<Digest>,
    /// Of the sections that say something about bodies, and of those around the module; for
    /// finding a module that is like this one, no more.
    pub(crate) surroundings: [u8; 32],
    /// Where the code section's contents begin in the input; 0 without one.
    pub(crate) code_start: u64,
}

/// Bodies that one task digests.
const BODIES_AT_ONCE: usize = 128;

/// Scans `wasm`, with its frame if `framed`. `None` if it does not read; whoever translates
/// it will say why.
///
/// The bodies are as the engine reads them: `features` decide what an operator is.
pub(crate) fn scan<'w>(
    parallel: bool,
    fingerprint: &Fingerprint,
    features: WasmFeatures,
    wasm: &'w [u8],
    framed: bool,
) -> Option<Scan<'w>> {
    let mut scanner = Scanner::new(parallel, fingerprint, framed);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(wasm) {
        scanner.payload(payload.ok()?, wasm)?;
    }
    Some(scanner.finish(fingerprint))
}

struct Scanner<'w> {
    parallel: bool,
    modules: Vec<Found<'w>>,
    /// What is open: the number of a module, `None` for a component.
    open: Vec<Option<usize>>,
    /// Of the sections of components that hold no module or component themselves.
    around: blake3::Hasher,
    frame: Option<blake3::Hasher>,
}

struct Found<'w> {
    bodies: Vec<FunctionBody<'w>>,
    surroundings: blake3::Hasher,
    code_start: u64,
}

impl<'w> Scanner<'w> {
    fn new(parallel: bool, fingerprint: &Fingerprint, framed: bool) -> Self {
        Scanner {
            parallel,
            modules: Vec::new(),
            open: Vec::new(),
            around: fingerprint.hasher("around"),
            frame: framed.then(blake3::Hasher::new),
        }
    }

    fn payload(&mut self, payload: Payload<'w>, wasm: &[u8]) -> Option<()> {
        match payload {
            Payload::Version { encoding, .. } => self.begin(encoding == Encoding::Module),
            Payload::End(_) => {
                self.open.pop()?;
                self.frame(b'e');
            }
            // What is in it follows.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {}
            Payload::CodeSectionStart { count, range, .. } => {
                self.frame(b'f');
                let module = self.module()?;
                module.bodies.reserve(count.min(wasm.len() as u32) as usize);
                module.code_start = range.start as u64;
            }
            Payload::CodeSectionEntry(body) => self.module()?.bodies.push(body),
            Payload::UnknownSection { .. } => return None,
            section => self.section(&section, wasm)?,
        }
        Some(())
    }

    fn begin(&mut self, is_module: bool) {
        self.frame(if is_module { b'm' } else { b'c' });
        self.open.push(is_module.then_some(self.modules.len()));
        if is_module {
            self.modules.push(Found {
                bodies: Vec::new(),
                surroundings: blake3::Hasher::new(),
                code_start: 0,
            });
        }
    }

    fn section(&mut self, section: &Payload<'_>, wasm: &[u8]) -> Option<()> {
        let Some((id, range)) = section.as_section() else {
            return Some(());
        };
        let mut head = [id; 9];
        head[1..].copy_from_slice(&(range.len() as u64).to_le_bytes());
        let bytes = wasm.get(range)?;
        if let Some(frame) = &mut self.frame {
            frame.update(&head);
            parallel::hash(self.parallel, frame, bytes);
        }
        if matches!(section, Payload::CustomSection(_) | Payload::DataSection(_)) {
            return Some(());
        }
        let around = match *self.open.last()? {
            Some(module) => &mut self.modules[module].surroundings,
            None => &mut self.around,
        };
        around.update(&head);
        around.update(bytes);
        Some(())
    }

    /// Notes what is no section, in the form of a section's head with an identifier that no
    /// section has.
    fn frame(&mut self, what: u8) {
        if let Some(frame) = &mut self.frame {
            frame.update(&[0xff, what, 0, 0, 0, 0, 0, 0, 0]);
        }
    }

    /// The module that is open.
    fn module(&mut self) -> Option<&mut Found<'w>> {
        let module = (*self.open.last()?)?;
        self.modules.get_mut(module)
    }

    fn finish(self, fingerprint: &Fingerprint) -> Scan<'w> {
        let parallel = self.parallel;
        let around = *self.around.finalize().as_bytes();
        let modules = self.modules.into_iter().enumerate().map(|(number, found)| {
            let mut surroundings = fingerprint.hasher("surroundings");
            surroundings.update(&around);
            surroundings.update(&(number as u64).to_le_bytes());
            surroundings.update(found.surroundings.finalize().as_bytes());
            ModuleScan {
                digests: digests(parallel, &found.bodies),
                bodies: found.bodies,
                surroundings: *surroundings.finalize().as_bytes(),
                code_start: found.code_start,
            }
        });
        Scan {
            modules: modules.collect(),
            frame: self.frame.map(|frame| Digest(*frame.finalize().as_bytes())),
        }
    }
}

fn digests(parallel: bool, bodies: &[FunctionBody<'_>]) -> Vec<Digest> {
    let digest = |body: &FunctionBody<'_>| Digest(*blake3::hash(body.as_bytes()).as_bytes());
    let digests = parallel::map(
        parallel,
        bodies.chunks(BODIES_AT_ONCE).collect(),
        || (),
        |(), bodies| bodies.iter().map(digest).collect::<Vec<_>>(),
    );
    digests.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests of bodies, surroundings, frame.
    fn of(text: &str) -> (Vec<Digest>, [u8; 32], Option<Digest>) {
        let wasm = wat::parse_str(text).unwrap();
        let scan = scan(
            false,
            &Fingerprint::of(b"a test"),
            WasmFeatures::all(),
            &wasm,
            true,
        )
        .unwrap();
        let [module] = &scan.modules[..] else {
            panic!("one module")
        };
        assert_eq!(module.bodies.len(), module.digests.len());
        (module.digests.clone(), module.surroundings, scan.frame)
    }

    #[test]
    fn bodies_and_data_are_not_surroundings_and_all_else_is() {
        let one = of("(module (memory 1) (data (i32.const 0) \"a\") (func $f) (func))");
        let edited = of("(module (memory 1) (data (i32.const 4) \"b\") (func $g) (func nop))");
        let other = of("(module (memory 2) (data (i32.const 0) \"a\") (func $f) (func))");
        assert_eq!(one.1, edited.1);
        assert_eq!(one.0[0], edited.0[0]);
        assert_ne!(one.0[1], edited.0[1]);
        assert_eq!(one.0, other.0);
        assert_ne!(one.1, other.1);
    }

    #[test]
    fn the_frame_is_all_but_bodies() {
        let one = of("(module (data \"a\") (func $f) (func))");
        let edited = of("(module (data \"a\") (func $f (nop)) (func))");
        assert!(one.2.is_some());
        assert_eq!(one.2, edited.2);
        for other in [
            "(module (data \"b\") (func $f) (func))",
            "(module (data \"a\") (func $g) (func))",
            "(module (data \"a\") (func $f) (func) (@custom \"x\" \"y\"))",
            "(module (data \"a\") (func $f) (func (param i32)))",
            "(module (data \"a\") (func $f) (func) (func))",
        ] {
            assert_ne!(one.2, of(other).2, "{other}");
        }
    }

    #[test]
    fn the_place_of_the_code_is_known() {
        // From 128 bytes on the section's length takes two bytes.
        let [one, other] = [100, 200].map(|nops| {
            let wasm = wat::parse_str(format!("(module (func {}))", "nop ".repeat(nops))).unwrap();
            let fingerprint = Fingerprint::of(b"a test");
            let scan = scan(false, &fingerprint, WasmFeatures::all(), &wasm, true).unwrap();
            (scan.frame, scan.modules[0].code_start)
        });
        assert_eq!(one.0, other.0);
        assert_eq!(one.1 + 1, other.1);
    }

    #[test]
    fn modules_in_components_are_found_in_their_order() {
        let fingerprint = Fingerprint::of(b"a test");
        let of = |text: &str| {
            let wasm = wat::parse_str(text).unwrap();
            let scan = scan(true, &fingerprint, WasmFeatures::all(), &wasm, true).unwrap();
            let modules = scan.modules.iter();
            let counts: Vec<_> = modules.clone().map(|module| module.bodies.len()).collect();
            let surroundings: Vec<_> = modules.map(|module| module.surroundings).collect();
            (counts, surroundings, scan.frame)
        };
        let nested = "(component (core module (func)) (component (core module (func) (func)))";
        let one = of(&format!("{nested} (core module))"));
        assert_eq!(one.0, [1, 2, 0]);
        let edited = nested.replacen("(func)", "(func nop nop nop)", 1);
        let edited = of(&format!("{edited} (core module))"));
        assert_eq!((&one.1, one.2), (&edited.1, edited.2));
        let other = of(&format!("{nested} (core module) (type (func)))"));
        assert_ne!(one.1, other.1);
        assert_ne!(one.2, other.2);
    }

    #[test]
    fn what_does_not_read_has_none() {
        let fingerprint = Fingerprint::of(b"a test");
        let wasm = wat::parse_str("(module (func))").unwrap();
        let cut = &wasm[..wasm.len() - 1];
        assert!(scan(true, &fingerprint, WasmFeatures::all(), cut, false).is_none());
    }
}
