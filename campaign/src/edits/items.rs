//! Changes of a module as lists of items: sections are taken apart, and an item is removed,
//! doubled, moved, changed in a byte, or taken from a list of interesting ones.
//!
//! Function bodies mostly stay, byte for byte, while what they refer to changes under them. Many
//! of the results are invalid, which is a case of its own: a body that was compiled before must
//! not be accepted in surroundings in which it is invalid.

use crate::random::Random;
use wasm_encoder::Encode as _;
use wasmparser::{FromReader, Parser, Payload, SectionLimited};

/// A module as lists of items, each with its bytes.
#[derive(Clone, Debug, Default)]
pub struct Items {
    /// By section: the number of the section, and its items.
    sections: Vec<(u8, Vec<Vec<u8>>)>,
    start: Option<u32>,
    data_count: Option<u32>,
    /// Custom sections, whole; they are written before the code.
    custom: Vec<Vec<u8>>,
}

const TYPE: u8 = 1;
const IMPORT: u8 = 2;
const FUNCTION: u8 = 3;
const TABLE: u8 = 4;
const MEMORY: u8 = 5;
const GLOBAL: u8 = 6;
const EXPORT: u8 = 7;
const START: u8 = 8;
const ELEMENT: u8 = 9;
const CODE: u8 = 10;
const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;
const TAG: u8 = 13;

/// The sections in the order in which a module has them.
const ORDER: [u8; 13] = [
    TYPE, IMPORT, FUNCTION, TABLE, MEMORY, TAG, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE,
    DATA,
];

impl Items {
    /// Takes a module apart; `None` if its sections do not read.
    pub fn read(wasm: &[u8]) -> Option<Items> {
        let mut items = Items::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.ok()? {
                Payload::TypeSection(section) => items.take(TYPE, wasm, section)?,
                Payload::ImportSection(section) => items.take(IMPORT, wasm, section)?,
                Payload::FunctionSection(section) => items.take(FUNCTION, wasm, section)?,
                Payload::TableSection(section) => items.take(TABLE, wasm, section)?,
                Payload::MemorySection(section) => items.take(MEMORY, wasm, section)?,
                Payload::TagSection(section) => items.take(TAG, wasm, section)?,
                Payload::GlobalSection(section) => items.take(GLOBAL, wasm, section)?,
                Payload::ExportSection(section) => items.take(EXPORT, wasm, section)?,
                Payload::ElementSection(section) => items.take(ELEMENT, wasm, section)?,
                Payload::DataSection(section) => items.take(DATA, wasm, section)?,
                Payload::StartSection { func, .. } => items.start = Some(func),
                Payload::DataCountSection { count, .. } => items.data_count = Some(count),
                Payload::CodeSectionStart { .. } => items.sections.push((CODE, Vec::new())),
                Payload::CodeSectionEntry(body) => {
                    let mut item = Vec::new();
                    body.as_bytes().encode(&mut item);
                    items.sections.last_mut()?.1.push(item);
                }
                Payload::CustomSection(section) => {
                    let mut item = Vec::new();
                    section.name().encode(&mut item);
                    item.extend_from_slice(section.data());
                    items.custom.push(item);
                }
                _ => {}
            }
        }
        Some(items)
    }

    fn take<'w, T: FromReader<'w>>(
        &mut self,
        id: u8,
        wasm: &[u8],
        section: SectionLimited<'w, T>,
    ) -> Option<()> {
        let end = section.range().end;
        let starts = section.into_iter_with_offsets();
        let mut starts: Vec<usize> = starts
            .map(|item| item.map(|(start, _)| start))
            .collect::<Result<_, _>>()
            .ok()?;
        starts.push(end);
        let items = starts
            .windows(2)
            .map(|pair| wasm[pair[0]..pair[1]].to_vec());
        self.sections.push((id, items.collect()));
        Some(())
    }

    /// Puts the module together again.
    pub fn write(&self) -> Vec<u8> {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        let mut section = |id: u8, contents: &[u8]| {
            wasm.push(id);
            contents.encode(&mut wasm);
        };
        for id in ORDER {
            let mut contents = Vec::new();
            match (id, self.start, self.data_count) {
                (START, Some(number), _) | (DATA_COUNT, _, Some(number)) => {
                    number.encode(&mut contents);
                }
                (START | DATA_COUNT, ..) => continue,
                _ => {
                    let Some((_, items)) = self.sections.iter().find(|(other, _)| *other == id)
                    else {
                        continue;
                    };
                    if id == CODE {
                        self.custom.iter().for_each(|custom| section(0, custom));
                    }
                    items.len().encode(&mut contents);
                    contents.extend(items.iter().flatten());
                }
            }
            section(id, &contents);
        }
        wasm
    }

    /// Changes something. The bodies stay as a rule.
    pub fn edit(&mut self, random: &mut Random) {
        match random.below(40) {
            0 => self.start = self.start.xor(Some(random.below(6) as u32)),
            1 => self.data_count = self.data_count.xor(Some(random.below(4) as u32)),
            2..=5 => self.edit_code(random),
            6..=8 => self.retype(random),
            _ => {
                let id = *random.pick(&[
                    TYPE, IMPORT, TABLE, TABLE, MEMORY, MEMORY, TAG, GLOBAL, GLOBAL, EXPORT,
                    ELEMENT, DATA,
                ]);
                let items = self.section(id);
                let before = items.len();
                edit_list(random, items, dictionary(id));
                let after = items.len();
                if id == DATA && after != before && self.data_count.is_some() {
                    self.data_count = Some(after as u32);
                }
            }
        }
    }

    fn section(&mut self, id: u8) -> &mut Vec<Vec<u8>> {
        let at = match self.sections.iter().position(|(other, _)| *other == id) {
            Some(at) => at,
            None => {
                self.sections.push((id, Vec::new()));
                self.sections.len() - 1
            }
        };
        &mut self.sections[at].1
    }

    /// Removes, doubles, exchanges or damages a body, its signature with it or not.
    fn edit_code(&mut self, random: &mut Random) {
        let functions = self.section(CODE).len();
        let (a, b) = (random.below(functions), random.below(functions));
        if functions == 0 || self.section(FUNCTION).len() != functions {
            return;
        }
        match random.below(6) {
            0 => self.section(CODE).swap(a, b),
            1 => {
                self.section(CODE).swap(a, b);
                self.section(FUNCTION).swap(a, b);
            }
            2 => {
                for id in [CODE, FUNCTION] {
                    let copy = self.section(id)[a].clone();
                    self.section(id).insert(b, copy);
                }
            }
            3 => {
                for id in [CODE, FUNCTION] {
                    self.section(id).remove(a);
                }
            }
            // Not in the length before the body.
            _ => change_byte(random, &mut self.section(CODE)[a], 2),
        }
    }

    /// Gives a function another signature.
    fn retype(&mut self, random: &mut Random) {
        let types = self.section(TYPE).len();
        let functions = self.section(FUNCTION);
        if !functions.is_empty() {
            let at = random.below(functions.len());
            functions[at].clear();
            random.below(types).encode(&mut functions[at]);
        }
    }
}

fn edit_list(random: &mut Random, items: &mut Vec<Vec<u8>>, dictionary: &[&[u8]]) {
    let (a, b) = (random.below(items.len()), random.below(items.len()));
    let word = random.pick(dictionary).to_vec();
    match random.below(8) {
        0 | 1 => items.insert(random.below(items.len() + 1), word),
        _ if items.is_empty() => items.push(word),
        2 => items.insert(b, items[a].clone()),
        3 => drop(items.remove(a)),
        4 => items.swap(a, b),
        5 | 6 => items[a] = word,
        _ => change_byte(random, &mut items[a], 0),
    }
}

/// Changes one byte from `from` on: by one, in one bit, or to one with a meaning.
fn change_byte(random: &mut Random, item: &mut [u8], from: usize) {
    if item.len() <= from {
        return;
    }
    let at = from + random.below(item.len() - from);
    item[at] = match random.below(4) {
        0 => item[at].wrapping_add(1),
        1 => item[at].wrapping_sub(1),
        2 => item[at] ^ (1 << random.below(8)),
        _ => *random.pick(&[
            0, 1, 2, 5, 0x0b, 0x3f, 0x40, 0x7b, 0x7e, 0x7f, 0x70, 0x6f, 0x63,
        ]),
    };
}

/// Interesting items of a section, in the binary format.
fn dictionary(id: u8) -> &'static [&'static [u8]] {
    match id {
        TYPE => &[
            // Functions: (), i32 -> i32, i64 -> i64, i32 -> i32 i32, externref -> externref.
            &[0x60, 0, 0],
            &[0x60, 1, 0x7f, 1, 0x7f],
            &[0x60, 1, 0x7e, 1, 0x7e],
            &[0x60, 1, 0x7f, 2, 0x7f, 0x7f],
            &[0x60, 1, 0x6f, 1, 0x6f],
            // The same, open to subtypes; and one of the first type.
            &[0x50, 0, 0x60, 0, 0],
            &[0x50, 0, 0x60, 1, 0x7f, 1, 0x7f],
            &[0x50, 1, 0, 0x60, 0, 0],
            // A group of two; a reference to the first type.
            &[0x4e, 2, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f],
            &[0x60, 1, 0x63, 0, 0],
            // Structures and arrays.
            &[0x5f, 1, 0x7f, 1],
            &[0x5f, 2, 0x7e, 1, 0x6e, 0],
            &[0x50, 1, 0, 0x5f, 1, 0x7f, 1],
            &[0x5e, 0x78, 1],
            &[0x5e, 0x70, 1],
        ],
        IMPORT => &[
            &[1, b'a', 1, b'f', 0, 0],
            &[1, b'a', 1, b'g', 0, 1],
            &[1, b'a', 1, b't', 1, 0x70, 0, 5],
            &[1, b'a', 1, b'u', 1, 0x70, 1, 5, 5],
            &[1, b'a', 1, b'm', 2, 0, 1],
            &[1, b'a', 1, b'n', 2, 4, 1],
            &[1, b'a', 1, b'i', 3, 0x7f, 0],
            &[1, b'a', 1, b'j', 3, 0x7f, 1],
            &[1, b'a', 1, b'k', 3, 0x6f, 1],
            &[1, b'a', 1, b'e', 4, 0, 0],
        ],
        TABLE => &[
            &[0x70, 0, 5],
            &[0x70, 1, 5, 5],
            &[0x70, 1, 6, 6],
            &[0x70, 1, 5, 9],
            &[0x70, 1, 0, 0],
            &[0x70, 4, 5],
            &[0x70, 5, 5, 5],
            &[0x6f, 0, 5],
            &[0x6f, 1, 5, 5],
            &[0x63, 0, 0, 3],
            &[0x63, 1, 1, 3, 3],
            &[0x6e, 0, 2],
            &[0x69, 0, 2],
        ],
        MEMORY => &[
            &[0, 0],
            &[0, 1],
            &[0, 2],
            &[1, 0, 0],
            &[1, 1, 1],
            &[1, 1, 3],
            &[1, 0x10, 0x20],
            // 65535 and 65536 pages, which is all of a 32-bit memory.
            &[0, 0xff, 0xff, 3],
            &[0, 0x80, 0x80, 4],
            &[1, 1, 0x80, 0x80, 4],
            // Shared; 64-bit; pages of one byte.
            &[3, 1, 3],
            &[4, 1],
            &[5, 1, 1],
            &[7, 1, 3],
            &[8, 1, 0],
            &[9, 1, 1, 0],
            &[12, 0x80, 0x80, 4, 0],
        ],
        TAG => &[&[0, 0], &[0, 1], &[0, 2], &[0, 3]],
        GLOBAL => &[
            &[0x7f, 0, 0x41, 7, 0x0b],
            &[0x7f, 0, 0x41, 8, 0x0b],
            &[0x7f, 1, 0x41, 7, 0x0b],
            &[0x7f, 0, 0x23, 0, 0x0b],
            &[0x7f, 0, 0x41, 7, 0x41, 1, 0x6a, 0x0b],
            &[0x7e, 0, 0x42, 7, 0x0b],
            &[0x7e, 1, 0x42, 7, 0x0b],
            &[0x7d, 0, 0x43, 0, 0, 0xc0, 0x7f, 0x0b],
            &[0x7d, 0, 0x43, 0, 0, 0xa0, 0x7f, 0x0b],
            &[0x7c, 0, 0x44, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x0b],
            &[0x70, 0, 0xd0, 0x70, 0x0b],
            &[0x70, 0, 0xd2, 0, 0x0b],
            &[0x6f, 1, 0xd0, 0x6f, 0x0b],
            &[0x6e, 0, 0x41, 5, 0xfb, 0x1c, 0x0b],
            &[0x63, 0, 1, 0xd0, 0, 0x0b],
        ],
        EXPORT => &[
            &[2, b'x', b'0', 0, 0],
            &[2, b'x', b'1', 0, 1],
            &[2, b'x', b't', 1, 0],
            &[2, b'x', b'u', 1, 1],
            &[2, b'x', b'm', 2, 0],
            &[2, b'x', b'n', 2, 1],
            &[2, b'x', b'g', 3, 0],
            &[2, b'x', b'h', 3, 1],
            &[2, b'x', b'e', 4, 0],
        ],
        ELEMENT => &[
            // Active, passive, declared functions; expressions of several types.
            &[0, 0x41, 0, 0x0b, 1, 0],
            &[0, 0x41, 0, 0x0b, 2, 0, 1],
            &[1, 0, 1, 0],
            &[1, 0, 2, 1, 0],
            &[3, 0, 1, 0],
            &[3, 0, 2, 0, 1],
            &[5, 0x70, 1, 0xd0, 0x70, 0x0b],
            &[5, 0x6f, 1, 0xd0, 0x6f, 0x0b],
            &[5, 0x63, 0, 1, 0xd0, 0, 0x0b],
            &[4, 0x23, 0, 0x0b, 1, 0xd2, 0, 0x0b],
        ],
        DATA => &[
            &[1, 3, b'a', b'b', b'c'],
            &[1, 0],
            &[0, 0x41, 0, 0x0b, 3, b'a', b'b', b'c'],
            &[0, 0x41, 10, 0x0b, 3, b'x', b'y', b'z'],
            &[0, 0x42, 10, 0x0b, 3, b'x', b'y', b'z'],
            &[0, 0x23, 0, 0x0b, 3, b'x', b'y', b'z'],
            &[2, 1, 0x41, 10, 0x0b, 3, b'x', b'y', b'z'],
            // Far beyond the first page.
            &[0, 0x41, 0x80, 0x80, 0x80, 0x01, 0x0b, 1, b'f'],
        ],
        _ => &[&[]],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_apart_goes_together_again() {
        let wasm = wat::parse_str(crate::RICH).unwrap();
        let again = Items::read(&wasm).unwrap().write();
        let twice = Items::read(&again).unwrap().write();
        assert_eq!(again, twice);
        assert_eq!(
            wasmparser::Validator::new().validate_all(&again).is_ok(),
            wasmparser::Validator::new().validate_all(&wasm).is_ok()
        );
    }
}
