//! Where two artifacts part, for whoever has to find out why.

use object::{Object as _, ObjectSection as _};

/// Says where `ibid`'s artifact and `wasmtime`'s first differ; `None` if they do not.
pub(super) fn first_difference(ibid: &[u8], wasmtime: &[u8]) -> Option<String> {
    if ibid == wasmtime {
        return None;
    }
    let common = ibid
        .iter()
        .zip(wasmtime)
        .take_while(|(a, b)| a == b)
        .count();
    let place = section_at(wasmtime, common as u64)
        .map(|(section, offset)| format!(" ({section} + {offset:#x})"))
        .unwrap_or_default();
    Some(format!(
        "{} bytes instead of {}, the first difference at {common:#x}{place}",
        ibid.len(),
        wasmtime.len(),
    ))
}

/// The section of `artifact` that holds the byte at `offset`, and how far into the section.
fn section_at(artifact: &[u8], offset: u64) -> Option<(String, u64)> {
    let file = object::File::parse(artifact).ok()?;
    file.sections().find_map(|section| {
        let (start, size) = section.file_range()?;
        let within = offset.checked_sub(start).filter(|within| *within < size)?;
        Some((section.name().ok()?.to_owned(), within))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_section() {
        let engine = wasmtime::Engine::default();
        let artifact = engine.precompile_module(b"(module (func))").unwrap();
        assert_eq!(first_difference(&artifact, &artifact), None);

        let file = object::File::parse(&*artifact).unwrap();
        let (start, _) = file.section_by_name(".text").unwrap().file_range().unwrap();
        let mut other = artifact.clone();
        other[start as usize + 2] ^= 1;
        let difference = first_difference(&other, &artifact).unwrap();
        assert!(difference.ends_with("(.text + 0x2)"), "{difference}");
    }

    #[test]
    fn a_shorter_one_differs_at_its_end() {
        let difference = first_difference(b"ab", b"abc").unwrap();
        assert_eq!(
            difference,
            "2 bytes instead of 3, the first difference at 0x2"
        );
    }
}
