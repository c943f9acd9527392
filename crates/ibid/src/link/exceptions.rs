//! The section `.wasmtime.exceptions`, as `ExceptionTableBuilder::serialize` of
//! `wasmtime-internal-unwinder` 48.0.8 writes it, little-endian words:
//!
//! ```text
//! number of call sites │ number of handlers
//! return address, each call site     frame offset, each call site
//! end of its handlers, each call site
//! tag, each handler     context, each handler     address, each handler
//! ```

use super::{Linkable, Misfit};
use crate::bytes::Writer;

/// The section of `functions`, which lie at `starts` in the text section.
pub(super) fn section(functions: &[Linkable<'_>], starts: &[u32]) -> Result<Vec<u8>, Misfit> {
    let (mut return_addresses, mut frame_offsets, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tags, mut contexts, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for (function, start) in functions.iter().zip(starts) {
        for site in function.code.call_sites() {
            let site = site?;
            return_addresses.push(start.wrapping_add(site.return_address));
            frame_offsets.push(site.frame_offset);
            for [tag, context, offset] in site.handlers.records() {
                tags.push(tag);
                contexts.push(context);
                addresses.push(start.wrapping_add(offset));
            }
            ends.push(tags.len() as u32);
        }
    }
    let mut out = Writer::default();
    out.u32(return_addresses.len());
    out.u32(tags.len());
    for column in [
        return_addresses,
        frame_offsets,
        ends,
        tags,
        contexts,
        addresses,
    ] {
        column.into_iter().for_each(|word| out.word(word));
    }
    Ok(out.into_bytes())
}
