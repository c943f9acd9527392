//! Which function of the old module each of the new one is compared with.

use super::operators;
use super::side::Side;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::hash::{Hash, Hasher};

/// Functions are as good as the same from this similarity on: of a hundred pairs of operators
/// that follow each other in either of two bodies, so many in both.
const SIMILAR: u32 = 50;

/// The same for functions that both have a name, and not one.
const SIMILAR_BUT_NAMED: u32 = 80;

/// How many old functions a new one is compared with, at most, on each side of where it would be
/// expected.
const NEIGHBOURS: usize = 24;

/// By number of the new function: that of the old one, if there is any.
pub(super) fn counterparts(old: &Side<'_>, new: &Side<'_>) -> Vec<Option<usize>> {
    let mut matching = Matching {
        old,
        new,
        of_new: vec![None; new.functions.len()],
        is_taken: vec![false; old.functions.len()],
    };
    let body =
        |side: &Side<'_>, number: usize| Some(digest(side.functions[number].body.as_bytes()));
    let key = |side: &Side<'_>, number: usize| {
        let key = side.functions[number].key.as_ref()?;
        Some(digest(key.as_bytes()))
    };
    let skeleton = |side: &Side<'_>, number: usize| {
        let function = &side.functions[number];
        let signature = function.signature.as_ref()?;
        Some(digest((function.skeleton, signature)))
    };
    let full = |side: &Side<'_>, number: usize| side.function_name(number).map(digest);
    let bare = |side: &Side<'_>, number: usize| {
        side.function_name(number)
            .map(|name| digest(bare_name(name)))
    };
    let both = |a: Option<u64>, b: Option<u64>| Some(digest((a?, b?)));
    matching.pair(Groups::OfOne, full);
    matching.pair(Groups::Any, |side, n| both(bare(side, n), key(side, n)));
    matching.pair(Groups::Any, |side, n| {
        both(bare(side, n), skeleton(side, n))
    });
    matching.pair(Groups::OfEqualSize, bare);
    matching.pair(Groups::Any, |side, n| both(body(side, n), key(side, n)));
    matching.pair(Groups::Any, key);
    matching.pair(Groups::Any, body);
    matching.pair(Groups::Any, skeleton);
    matching.pair(Groups::Any, bare);
    matching.pair_similar();
    matching.of_new
}

/// Which groups of functions that have something in common go together, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Groups {
    /// One new function and one old one.
    OfOne,
    OfEqualSize,
    Any,
}

struct Matching<'a, 's> {
    old: &'a Side<'s>,
    new: &'a Side<'s>,
    of_new: Vec<Option<usize>>,
    is_taken: Vec<bool>,
}

impl Matching<'_, '_> {
    fn take(&mut self, new: usize, old: usize) {
        self.of_new[new] = Some(old);
        self.is_taken[old] = true;
    }

    fn open_old(&self) -> Vec<usize> {
        let open = |number: &usize| !self.is_taken[*number];
        (0..self.is_taken.len()).filter(open).collect()
    }

    fn open_new(&self) -> Vec<usize> {
        let open = |number: &usize| self.of_new[*number].is_none();
        (0..self.of_new.len()).filter(open).collect()
    }

    /// Pairs functions for which `of` gives the same.
    fn pair(&mut self, groups: Groups, of: impl Fn(&Side<'_>, usize) -> Option<u64>) {
        let mut together: FxHashMap<u64, (Vec<usize>, Vec<usize>)> = FxHashMap::default();
        for number in self.open_old() {
            if let Some(value) = of(self.old, number) {
                together.entry(value).or_default().0.push(number);
            }
        }
        for number in self.open_new() {
            if let Some(value) = of(self.new, number) {
                together.entry(value).or_default().1.push(number);
            }
        }
        for (old, new) in together.into_values() {
            let fits = match groups {
                Groups::OfOne => old.len() == 1 && new.len() == 1,
                Groups::OfEqualSize => old.len() == new.len(),
                Groups::Any => true,
            };
            if fits {
                new.into_iter()
                    .zip(old)
                    .for_each(|(new, old)| self.take(new, old));
            }
        }
    }

    /// Pairs each new function that is left with an old one that is like it, the most similar
    /// first. They are sought where the functions around it are.
    fn pair_similar(&mut self) {
        let (open_old, open_new) = (self.open_old(), self.open_new());
        let profiles = |side: &Side<'_>, open: &[usize]| {
            let profile = |number: &usize| {
                let tokens = side.tokens(*number);
                tokens.map(|tokens| operators::profile(&tokens))
            };
            open.iter().map(profile).collect::<Vec<_>>()
        };
        let of_old = profiles(self.old, &open_old);
        let of_new = profiles(self.new, &open_new);
        let mut pairs = Vec::new();
        for (new, profile) in open_new.iter().zip(&of_new) {
            let Some(profile) = profile else { continue };
            let before = self.of_new[..*new].iter().rev().find_map(|old| *old);
            let expected = before.map_or(0, |old| old + 1);
            let middle = open_old.partition_point(|old| *old < expected);
            let near = middle.saturating_sub(NEIGHBOURS)..open_old.len().min(middle + NEIGHBOURS);
            for place in near {
                let (old, Some(other)) = (open_old[place], &of_old[place]) else {
                    continue;
                };
                let similarity = similarity(profile, other);
                if similarity >= self.least(old, *new) {
                    let same_type =
                        self.old.functions[old].signature == self.new.functions[*new].signature;
                    let distance = old.abs_diff(expected);
                    pairs.push((Reverse((same_type, similarity)), distance, *new, old));
                }
            }
        }
        pairs.sort_unstable();
        for (_, _, new, old) in pairs {
            if self.of_new[new].is_none() && !self.is_taken[old] {
                self.take(new, old);
            }
        }
    }

    fn least(&self, old: usize, new: usize) -> u32 {
        match (self.old.function_name(old), self.new.function_name(new)) {
            (Some(_), Some(_)) => SIMILAR_BUT_NAMED,
            _ => SIMILAR,
        }
    }
}

/// In percent.
fn similarity(a: &[u32], b: &[u32]) -> u32 {
    let both: u32 = a.iter().zip(b).map(|(a, b)| a.min(b)).sum();
    let either: u32 = a.iter().zip(b).map(|(a, b)| a.max(b)).sum();
    (u64::from(both) * 100 / u64::from(either.max(1))) as u32
}

fn digest(value: impl Hash) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A name without the digests that Rust puts behind names, which change when anything of their
/// crate does: `core::fmt::write::h0123456789abcdef`, or `…17h0123456789abcdefE` mangled.
fn bare_name(name: &str) -> &str {
    let hash = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some((bare, digest)) = name.rsplit_once("::h")
        && hash(digest)
    {
        return bare;
    }
    if let Some((bare, digest)) = name.rsplit_once("17h")
        && digest.get(..16).is_some_and(hash)
    {
        return bare;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_in_names_are_left_out() {
        assert_eq!(bare_name("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(bare_name("_ZN1a1b17h0123456789abcdefE"), "_ZN1a1b");
        for name in ["a::b::hello", "main", "a17h", "_ZN1a17hello_E"] {
            assert_eq!(bare_name(name), name);
        }
    }
}
