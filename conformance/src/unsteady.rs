//! Artifacts of which Wasmtime has several.
//!
//! For some components Wasmtime 48.0.8 makes another artifact each time: what its types are
//! numbered by comes out of a hash map. Such an artifact is compared with many of Wasmtime's, and
//! if it is none of them, in all but the section with the description.

use object::{Object as _, ObjectSection as _};
use wasmtime::Result;

/// How often Wasmtime compiles again.
const TRIES: usize = 64;

/// The section that says what the component is made of, with the numbers of its types
/// (`ELF_WASMTIME_INFO` in `wasmtime-environ`).
const DESCRIPTION: &str = ".wasmtime.info";

/// Whether `plainly` makes several artifacts of which `ours` might be one, besides `plain`.
pub(crate) fn is_one_of_several(
    ours: &[u8],
    plain: &[u8],
    mut plainly: impl FnMut() -> Result<Vec<u8>>,
) -> bool {
    let mut unsteady = false;
    for _ in 0..TRIES {
        let Ok(again) = plainly() else { return false };
        if again == ours {
            return true;
        }
        unsteady |= again != plain;
    }
    unsteady && without_description(ours) == without_description(plain)
}

fn without_description(artifact: &[u8]) -> Option<Vec<u8>> {
    let file = object::File::parse(artifact).ok()?;
    let (start, size) = file.section_by_name(DESCRIPTION)?.file_range()?;
    let mut rest = artifact.to_vec();
    rest.get_mut(start as usize..)?
        .get_mut(..size as usize)?
        .fill(0);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Engine;

    fn artifact(text: &str) -> Vec<u8> {
        Engine::default()
            .precompile_module(text.as_bytes())
            .unwrap()
    }

    #[test]
    fn a_wrong_one_is_none_of_one() {
        let plain = artifact("(module (func))");
        let ours = artifact("(module (func nop))");
        assert!(!is_one_of_several(&ours, &plain, || Ok(plain.clone())));
        assert!(is_one_of_several(&ours, &plain, || Ok(ours.clone())));
    }

    #[test]
    fn a_wrong_one_is_none_of_several() {
        // As long, but other code.
        let plain = artifact("(module (func (result i32) i32.const 1))");
        let ours = artifact("(module (func (result i32) i32.const 2))");
        assert_eq!(ours.len(), plain.len());
        let others = [&plain, &[][..]].map(<[u8]>::to_vec);
        let mut several = others.iter().cycle().cloned();
        let plainly = || Ok(several.next().unwrap());
        assert!(!is_one_of_several(&ours, &plain, plainly));
    }

    #[test]
    fn only_the_description_may_be_one_more() {
        let plain = artifact("(module (func (export \"a\")))");
        let ours = artifact("(module (func (export \"b\")))");
        let steady = || Ok(plain.clone());
        assert!(!is_one_of_several(&ours, &plain, steady));
        let mut several = [plain.clone(), Vec::new()].into_iter().cycle();
        let unsteady = || Ok(several.next().unwrap());
        assert!(is_one_of_several(&ours, &plain, unsteady));
    }
}
