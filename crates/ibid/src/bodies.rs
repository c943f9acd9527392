//! A module's bodies and what is around them, digested before anything is decoded.

use crate::fingerprint::Fingerprint;
use crate::parallel;
use crate::stencil::Digest;
use wasmparser::{Encoding, Parser, Payload};

/// Digests of a module.
pub(crate) struct Digests {
    /// Of each body in the code section: the bytes behind its length.
    pub(crate) bodies: Vec<Digest>,
    /// Of the sections that say something about bodies; for finding a module that is like
    /// this one, no more.
    pub(crate) surroundings: [u8; 32],
}

/// Bodies that one task digests.
const BODIES_AT_ONCE: usize = 128;

/// Digests `wasm`. `None` if it does not read; whoever translates it will say why.
pub(crate) fn digests(parallel: bool, fingerprint: &Fingerprint, wasm: &[u8]) -> Option<Digests> {
    let mut surroundings = fingerprint.hasher("surroundings");
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::Version {
                encoding: Encoding::Component,
                ..
            } => return None,
            Payload::CodeSectionStart { count, .. } => {
                bodies.reserve(count.min(wasm.len() as u32) as usize);
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
            Payload::CustomSection(_) | Payload::DataSection(_) => {}
            section => {
                if let Some((id, range)) = section.as_section() {
                    surroundings.update(&[id]);
                    surroundings.update(&(range.len() as u64).to_le_bytes());
                    surroundings.update(wasm.get(range)?);
                }
            }
        }
    }
    let digests = parallel::map(
        parallel,
        bodies.chunks(BODIES_AT_ONCE).collect(),
        || (),
        |(), bodies| {
            let digest = |body: &&[u8]| Digest(*blake3::hash(body).as_bytes());
            bodies.iter().map(digest).collect::<Vec<_>>()
        },
    );
    Some(Digests {
        bodies: digests.concat(),
        surroundings: *surroundings.finalize().as_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Digests {
        let wasm = wat::parse_str(text).unwrap();
        digests(false, &Fingerprint::of(b"a test"), &wasm).unwrap()
    }

    #[test]
    fn bodies_and_data_are_not_surroundings_and_all_else_is() {
        let one = of("(module (memory 1) (data (i32.const 0) \"a\") (func $f) (func))");
        let edited = of("(module (memory 1) (data (i32.const 4) \"b\") (func $g) (func nop))");
        let other = of("(module (memory 2) (data (i32.const 0) \"a\") (func $f) (func))");
        assert_eq!(one.surroundings, edited.surroundings);
        assert_eq!(one.bodies[0], edited.bodies[0]);
        assert_ne!(one.bodies[1], edited.bodies[1]);
        assert_eq!(one.bodies, other.bodies);
        assert_ne!(one.surroundings, other.surroundings);
    }

    #[test]
    fn what_is_no_module_has_none() {
        let fingerprint = Fingerprint::of(b"a test");
        for text in ["(component)", "(module (func))"] {
            let wasm = wat::parse_str(text).unwrap();
            let cut = &wasm[..wasm.len() - usize::from(text.contains("func"))];
            assert!(digests(true, &fingerprint, cut).is_none());
        }
    }
}
