//! Digests of the bodies of a module, made before anything is decoded.

use crate::parallel;
use crate::stencil::Digest;
use wasmparser::{Parser, Payload};

/// Bodies that one task digests.
const BODIES_AT_ONCE: usize = 128;

/// The digest of each body in the code section of `wasm`: the bytes behind its length.
///
/// `None` if the input does not read; whoever translates it will say why.
pub(crate) fn digests(parallel: bool, wasm: &[u8]) -> Option<Vec<Digest>> {
    let bodies = bodies(wasm)?;
    let digests = parallel::map(
        parallel,
        bodies.chunks(BODIES_AT_ONCE).collect(),
        || (),
        |(), bodies| {
            let digest = |body: &&[u8]| Digest(*blake3::hash(body).as_bytes());
            bodies.iter().map(digest).collect::<Vec<_>>()
        },
    );
    Some(digests.concat())
}

fn bodies(wasm: &[u8]) -> Option<Vec<&[u8]>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::CodeSectionStart { count, .. } => {
                bodies.reserve(count.min(wasm.len() as u32) as usize);
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
            Payload::Version {
                encoding: wasmparser::Encoding::Component,
                ..
            } => return None,
            // What is behind the code section has no bodies.
            Payload::DataSection(_) => break,
            _ => {}
        }
    }
    Some(bodies)
}
