//! The facts of a function, read back: one record after the other, as `body.rs` writes them.

use super::body::Fact;
use crate::bytes::{Malformed, Reader};

/// What a function's stencil says of something that its body names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'f> {
    pub(crate) fact: Fact,
    /// The index of what it is about, if the record has that.
    pub(crate) index: Option<u32>,
    /// All behind that.
    pub(crate) bytes: &'f [u8],
}

const ALL: [Fact; 19] = [
    Fact::Signature,
    Fact::Callee,
    Fact::BlockType,
    Fact::NamedType,
    Fact::FunctionReference,
    Fact::Memory,
    Fact::Table,
    Fact::Global,
    Fact::Tag,
    Fact::Data,
    Fact::Element,
    Fact::BranchHints,
    Fact::Environment,
    Fact::Everything,
    Fact::AccessedMemory,
    Fact::AddressSlots,
    Fact::Places,
    Fact::PlaceSlots,
    Fact::Mentions,
];

const DIGEST: usize = 32;
const WORD: usize = 4;

/// The records of `facts`, of a function in a module that is on its own: of a component's
/// module the records of callees may be longer.
pub(crate) fn records(facts: &[u8]) -> Result<Vec<Record<'_>>, Malformed> {
    let mut input = Reader::new(facts);
    let mut records = Vec::new();
    let mut mentions = 0;
    while input.remaining() > 0 {
        let [mark] = input.array()?;
        let fact = ALL.into_iter().find(|fact| *fact as u8 == mark);
        let fact = fact.ok_or(Malformed)?;
        let index = has_index(fact).then(|| input.word()).transpose()?;
        let start = facts.len() - input.remaining();
        match fact {
            Fact::Signature | Fact::BlockType | Fact::Environment | Fact::Everything => {
                input.raw(DIGEST)?;
            }
            Fact::Callee => {
                input.raw(DIGEST + WORD)?;
            }
            Fact::NamedType | Fact::FunctionReference => {
                input.raw(2 * WORD + DIGEST)?;
            }
            Fact::Memory | Fact::AccessedMemory | Fact::Table | Fact::Global | Fact::Tag => {
                let length = input.u32()?;
                input.raw(length)?;
            }
            Fact::Data => {
                if input.word()? != u32::MAX {
                    input.raw(2 * WORD)?;
                }
            }
            Fact::Element => {
                input.word()?;
                let length = input.u32()?;
                input.raw(length)?;
                input.raw(DIGEST)?;
            }
            Fact::BranchHints => {
                for _ in 0..2 {
                    let count = input.u32()?;
                    input.words(count.checked_mul(2).ok_or(Malformed)?)?;
                }
            }
            Fact::Mentions => {
                mentions = input.u32()?;
                input.words(mentions.checked_mul(2).ok_or(Malformed)?)?;
            }
            Fact::AddressSlots => {
                let slots = input.u32()?;
                input.raw(slots)?;
                input.words(mentions.checked_mul(2).ok_or(Malformed)?)?;
            }
            Fact::Places => {
                input.raw(input.remaining())?;
            }
            Fact::PlaceSlots => {
                input.word()?;
            }
        }
        let end = facts.len() - input.remaining();
        records.push(Record {
            fact,
            index,
            bytes: &facts[start..end],
        });
    }
    Ok(records)
}

fn has_index(fact: Fact) -> bool {
    match fact {
        Fact::NamedType
        | Fact::FunctionReference
        | Fact::Memory
        | Fact::AccessedMemory
        | Fact::Table
        | Fact::Global
        | Fact::Tag
        | Fact::Data
        | Fact::Element => true,
        Fact::Signature
        | Fact::Callee
        | Fact::BlockType
        | Fact::BranchHints
        | Fact::Environment
        | Fact::Everything
        | Fact::AddressSlots
        | Fact::Places
        | Fact::PlaceSlots
        | Fact::Mentions => false,
    }
}
