//! A module's bodies and what is around them, digested before anything is decoded.

use crate::fingerprint::Fingerprint;
use crate::parallel;
use crate::stencil::Digest;
use wasmparser::{Encoding, FunctionBody, Parser, Payload, WasmFeatures};

/// What is found out about a module without decoding it.
pub(crate) struct Scan<'w> {
    pub(crate) bodies: Vec<FunctionBody<'w>>,
    /// Of each body: the bytes behind its length.
    pub(crate) digests: Vec<Digest>,
    /// Of the sections that say something about bodies; for finding a module that is like
    /// this one, no more.
    pub(crate) surroundings: [u8; 32],
    /// Of all but the bodies, if it was asked for: of two modules with one frame Wasmtime
    /// makes the same but for the code.
    pub(crate) frame: Option<Digest>,
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
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut surroundings = fingerprint.hasher("surroundings");
    let mut frame = framed.then(blake3::Hasher::new);
    let mut bodies = Vec::new();
    for payload in parser.parse_all(wasm) {
        match payload.ok()? {
            Payload::Version {
                encoding: Encoding::Component,
                ..
            } => return None,
            Payload::CodeSectionStart { count, range, .. } => {
                bodies.reserve(count.min(wasm.len() as u32) as usize);
                if let Some(frame) = &mut frame {
                    // Its place is a part of the artifact.
                    frame.update(b"code");
                    frame.update(&(range.start as u64).to_le_bytes());
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            section => {
                let Some((id, range)) = section.as_section() else {
                    continue;
                };
                let mut head = [id; 9];
                head[1..].copy_from_slice(&(range.len() as u64).to_le_bytes());
                let bytes = wasm.get(range)?;
                if let Some(frame) = &mut frame {
                    frame.update(&head);
                    parallel::hash(parallel, frame, bytes);
                }
                if !matches!(section, Payload::CustomSection(_) | Payload::DataSection(_)) {
                    surroundings.update(&head);
                    surroundings.update(bytes);
                }
            }
        }
    }
    let digests = parallel::map(
        parallel,
        bodies.chunks(BODIES_AT_ONCE).collect(),
        || (),
        |(), bodies| {
            let digest =
                |body: &FunctionBody<'_>| Digest(*blake3::hash(body.as_bytes()).as_bytes());
            bodies.iter().map(digest).collect::<Vec<_>>()
        },
    );
    Some(Scan {
        digests: digests.concat(),
        bodies,
        surroundings: *surroundings.finalize().as_bytes(),
        frame: frame.map(|frame| Digest(*frame.finalize().as_bytes())),
    })
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
        assert_eq!(scan.bodies.len(), scan.digests.len());
        (scan.digests, scan.surroundings, scan.frame)
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
    fn the_place_of_the_code_is_in_the_frame() {
        // From 128 bytes on the section's length takes two bytes.
        let [one, other] =
            [100, 200].map(|nops| of(&format!("(module (func {}))", "nop ".repeat(nops))).2);
        assert_ne!(one, other);
    }

    #[test]
    fn what_is_no_module_has_none() {
        let fingerprint = Fingerprint::of(b"a test");
        for text in ["(component)", "(module (func))"] {
            let wasm = wat::parse_str(text).unwrap();
            let cut = &wasm[..wasm.len() - usize::from(text.contains("func"))];
            assert!(scan(true, &fingerprint, WasmFeatures::all(), cut, false).is_none());
        }
    }
}
