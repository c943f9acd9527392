//! The artifact's symbols: one for each function, local, by the name that Wasmtime gives
//! it.

use super::{Linkable, strings};
use crate::jobs::Names;

/// The symbols, in the order of the functions.
pub(super) struct Symbols {
    pub(super) list: Vec<Symbol>,
    pub(super) names: strings::Table,
}

/// A symbol: what it stands for.
pub(super) struct Symbol {
    pub(super) start: u32,
    pub(super) size: u32,
}

impl Symbols {
    /// The symbols of `functions`, which lie at `starts` in the text section.
    pub(super) fn new(
        parallel: bool,
        names: &Names<'_>,
        functions: &[Linkable<'_>],
        starts: &[u32],
    ) -> Symbols {
        let list = functions
            .iter()
            .zip(starts)
            .map(|(function, start)| Symbol {
                start: *start,
                size: function.code.code.len() as u32,
            })
            .collect();
        let mut bytes = Vec::with_capacity(48 * functions.len());
        let mut ends = Vec::with_capacity(functions.len());
        for function in functions {
            names.write_symbol(function.job, &mut bytes);
            ends.push(bytes.len());
        }
        let mut start = 0;
        let strings: Vec<&[u8]> = ends
            .into_iter()
            .map(|end| &bytes[std::mem::replace(&mut start, end)..end])
            .collect();
        Symbols {
            list,
            names: strings::table(&strings, parallel),
        }
    }

    /// No symbols.
    pub(super) fn none() -> Symbols {
        Symbols {
            list: Vec::new(),
            names: strings::table(&[], false),
        }
    }
}
