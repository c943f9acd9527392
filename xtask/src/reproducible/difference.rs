//! Where two files differ.

use object::{Object, ObjectSection};
use std::collections::BTreeSet;

/// The sections that differ of two executables; of other files, the first byte that does.
pub(super) fn of(one: &[u8], other: &[u8]) -> Vec<String> {
    let sections = sections(one, other).unwrap_or_default();
    if !sections.is_empty() {
        return sections;
    }
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    vec![format!("from byte {same} on")]
}

fn sections(one: &[u8], other: &[u8]) -> Option<Vec<String>> {
    let one = object::File::parse(one).ok()?;
    let other = object::File::parse(other).ok()?;
    let names = |file: &object::File<'_>| -> BTreeSet<String> {
        let names = file
            .sections()
            .filter_map(|section| Some(section.name().ok()?.to_string()));
        names.collect()
    };
    let data = |file: &object::File<'_>, name: &str| {
        let section = file.section_by_name(name)?;
        section.data().ok().map(<[u8]>::to_vec)
    };
    let all = names(&one)
        .into_iter()
        .chain(names(&other))
        .collect::<BTreeSet<_>>();
    let differ = |name: &String| data(&one, name) != data(&other, name);
    Some(all.into_iter().filter(differ).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_differ_from_a_byte_on() {
        assert_eq!(of(b"abc", b"abd"), ["from byte 2 on"]);
        assert_eq!(of(b"abc", b"ab"), ["from byte 2 on"]);
    }

    #[test]
    fn executables_differ_in_sections() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let text = object::File::parse(&*this).unwrap();
        let (start, _) = text.section_by_name(".text").unwrap().file_range().unwrap();
        let mut other = this.clone();
        other[start as usize] ^= 1;
        assert_eq!(of(&this, &other), [".text"]);
    }
}
