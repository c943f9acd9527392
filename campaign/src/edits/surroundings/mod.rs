//! Modules of hand-written words: bodies that each read one fact of the module around them, and
//! surroundings that change while the bodies stay, byte for byte.
//!
//! A function whose key lacks a fact is found in surroundings in which it is another function, or
//! none. So the bodies are chosen for the fact that they read, and the surroundings for the ways
//! in which that fact can differ.

mod words;

use crate::random::Random;
use std::fmt::Write as _;
use words::{BODIES, DATA, ELEMENTS, EXPORTS, GLOBALS, IMPORTS, MEMORIES, TABLES, TAGS, TYPES};

/// What a module says around its bodies.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    types: Vec<&'static str>,
    imports: Vec<&'static str>,
    /// So many imports that the index of a function takes two bytes.
    many: bool,
    parts: [Vec<&'static str>; 7],
    first: &'static str,
    start: bool,
}

const PARTS: [&[&str]; 7] = [TABLES, MEMORIES, GLOBALS, TAGS, EXPORTS, ELEMENTS, DATA];

/// Functions before the bodies, which call the function 0.
const FIRST: [&str; 6] = [
    "",
    "(func)",
    "(func (type 0))",
    "(func (type 1) unreachable)",
    "(func (param i32) (result i32) unreachable)",
    "(func (param externref) (result externref) unreachable)",
];

impl Surroundings {
    /// Surroundings of a few of everything, of which `valid` says that they are.
    pub fn any(random: &mut Random, valid: impl Fn(&[u8]) -> bool) -> Surroundings {
        let mut surroundings = Surroundings::default();
        for _ in 0..6 + random.below(20) {
            surroundings = surroundings.changed(random, &valid);
        }
        surroundings
    }

    /// The same but for one thing or two; as they are, if no change that was tried is valid.
    #[must_use]
    pub fn changed(&self, random: &mut Random, valid: impl Fn(&[u8]) -> bool) -> Surroundings {
        for _ in 0..8 {
            let mut changed = self.clone();
            for _ in 0..=random.below(2) {
                changed.change(random);
            }
            if wat::parse_str(changed.text(&[])).is_ok_and(|wasm| valid(&wasm)) {
                return changed;
            }
        }
        self.clone()
    }

    fn change(&mut self, random: &mut Random) {
        match random.below(12) {
            0 | 1 => change_list(random, &mut self.types, TYPES, 4),
            2 => change_list(random, &mut self.imports, IMPORTS, 3),
            3 => self.many ^= random.one_in(4),
            4 => self.first = FIRST[random.below(FIRST.len())],
            _ => {
                let part = random.below(PARTS.len());
                change_list(random, &mut self.parts[part], PARTS[part], 2);
            }
        }
        self.start ^= random.one_in(20);
    }

    /// `count` bodies, some of which may not even be well-formed here.
    pub fn bodies(random: &mut Random, count: usize) -> Vec<&'static str> {
        (0..count).map(|_| *random.pick(BODIES)).collect()
    }

    /// The module with these bodies, in the text format.
    pub fn text(&self, bodies: &[&str]) -> String {
        let mut text = String::from("(module\n");
        let lines = self.types.iter().chain(&self.imports);
        lines.for_each(|line| text += &format!("{line}\n"));
        for number in 0..if self.many { 127 } else { 0 } {
            let import = r#"(func (param i32) (result i32))"#;
            writeln!(text, r#"(import "z" "{number}" {import})"#).expect("it is a string");
        }
        let lines = self.parts.iter().flatten().chain([&self.first]);
        let lines = lines.chain(bodies);
        lines.for_each(|line| text += &format!("{line}\n"));
        text + if self.start { "(start 0))" } else { ")" }
    }
}

fn change_list(
    random: &mut Random,
    list: &mut Vec<&'static str>,
    words: &[&'static str],
    most: usize,
) {
    let (a, b) = (random.below(list.len()), random.below(list.len()));
    let word = *random.pick(words);
    match random.below(4) {
        0 if list.len() < most => list.insert(random.below(list.len() + 1), word),
        _ if list.is_empty() => list.push(word),
        1 => drop(list.remove(a)),
        2 => list.swap(a, b),
        _ => list[a] = word,
    }
}
