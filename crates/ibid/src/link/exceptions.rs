//! The section `.wasmtime.exceptions`, as `ExceptionTableBuilder::serialize` of
//! `wasmtime-internal-unwinder` 48.0.8 writes it, little-endian words:
//!
//! ```text
//! number of call sites │ number of handlers
//! return address, each call site     frame offset, each call site
//! end of its handlers, each call site
//! tag, each handler     context, each handler     address, each handler
//! ```

use super::{Linkable, Place, data_section};
use crate::bytes::Writer;
use object::write::Object;
use wasmtime_environ::obj::ELF_WASMTIME_EXCEPTIONS;

pub(super) fn append(object: &mut Object<'static>, functions: &[Linkable<'_>], places: &[Place]) {
    let section = data_section(object, ELF_WASMTIME_EXCEPTIONS);
    object.append_section_data(section, &table(functions, places), 1);
}

fn table(functions: &[Linkable<'_>], places: &[Place]) -> Vec<u8> {
    let (mut return_addresses, mut frame_offsets, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tags, mut contexts, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for (function, place) in functions.iter().zip(places) {
        let start = place.location().start;
        for site in function.code.call_sites() {
            return_addresses.push(start + site.return_address);
            frame_offsets.push(site.frame_offset);
            for handler in &site.handlers {
                tags.push(handler.tag);
                contexts.push(handler.context);
                addresses.push(start + handler.offset);
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
    out.into_bytes()
}
