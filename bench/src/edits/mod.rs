//! Edits: what a programmer does between two builds, done to a finished module.
//!
//! | file | the edit |
//! |---|---|
//! | `constant` | another constant in the body of one function |
//! | `insert` | a function at the front, or an import: every index behind it moves |
//! | `data` | static data moves, alone or with its addresses in the code |
//! | `types` | a type at the end of the type section, or at its front |
//! | `component` | any of these, in the largest core module of a component |
//! | `repeat` | the module's functions several times over, for modules of any size |
//!
//! Bodies and sections that an edit does not concern keep their bytes.

mod component;
mod constant;
mod data;
mod insert;
mod patch;
mod repeat;
mod sections;
mod types;

use anyhow::{Result, ensure};
use serde::Serialize;

pub use constant::change_constant;
pub use data::{move_addresses, move_data};
pub use insert::{Inserted, add_import, insert_function_at_front};
pub use repeat::{grow, repeat_functions};
pub use types::{append_type, prepend_type};

/// An edit of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// [`change_constant`].
    Constant,
    /// [`insert_function_at_front`].
    FunctionAtFront,
    /// [`move_data`].
    Data,
    /// [`move_addresses`].
    Addresses,
    /// [`append_type`].
    Type,
    /// [`prepend_type`].
    TypeAtFront,
    /// [`add_import`].
    Import,
}

impl Edit {
    /// Every edit.
    pub const ALL: [Edit; 7] = [
        Edit::Constant,
        Edit::FunctionAtFront,
        Edit::Data,
        Edit::Addresses,
        Edit::Type,
        Edit::TypeAtFront,
        Edit::Import,
    ];

    /// `wasm`, a valid module or component in the binary format, after this edit.
    ///
    /// Edits of one kind with different variants are different edits of `wasm`. As a module that
    /// was seen before is known whole, a measurement that is repeated has to be of another
    /// variant, or over another store.
    ///
    /// # Errors
    ///
    /// If the module has nothing that can be edited so.
    pub fn apply(self, wasm: &[u8], variant: u32) -> Result<Vec<u8>> {
        if wasmparser::Parser::is_component(wasm) {
            ensure!(self != Edit::Import, "a component satisfies all imports");
            return component::edited(wasm, |module| self.apply(module, variant));
        }
        match self {
            Edit::Constant => change_constant(wasm, variant),
            Edit::FunctionAtFront => Ok(insert_function_at_front(wasm, variant)?.wasm),
            Edit::Data => move_data(wasm, variant),
            Edit::Addresses => move_addresses(wasm, variant),
            Edit::Type => append_type(wasm, variant),
            Edit::TypeAtFront => prepend_type(wasm, variant),
            Edit::Import => Ok(add_import(wasm, variant)?.wasm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_module::{binary, test_module};
    use wasmtime::{Engine, Module};

    #[test]
    fn every_edit_is_valid_and_every_variant_another_one() {
        let engine = Engine::default();
        let original = test_module();
        for edit in Edit::ALL {
            let mut seen = vec![original.clone()];
            for variant in 0..5 {
                let edited = edit.apply(&original, variant).unwrap();
                Module::validate(&engine, &edited)
                    .unwrap_or_else(|error| panic!("{edit:?} {variant}: {error}"));
                assert!(!seen.contains(&edited), "{edit:?} {variant}");
                assert_eq!(edited, edit.apply(&original, variant).unwrap());
                seen.push(edited);
            }
        }
    }

    #[test]
    fn a_module_with_nothing_to_edit_is_refused() {
        let empty = binary("(module)");
        for edit in Edit::ALL {
            assert!(edit.apply(&empty, 0).is_err(), "{edit:?}");
        }
    }
}
