//! Why functions of a module would be found in a store that knows another one, or not: found
//! out without compiling.

mod changes;
mod functions;
mod matching;
mod operators;
mod side;

use crate::compiler::{Compiler, Incremental, binary};
use crate::program::{Kind, Program};
use functions::Explained;
use ibid_store::Snapshot;
use serde::Serialize;
use side::Side;
use std::fmt;
use wasmtime::Result;

/// What would become of each function of a module, in a store that knows another one.
///
/// Serializes to one object; the field names are part of the interface. All sizes are those of
/// function bodies in the input: how long machine code is, only compiling it shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The functions that the new module defines.
    pub total: Share,
    /// Those that would be found.
    pub found: Share,
    /// Those that would be compiled.
    pub lost: Share,
    /// Those of the found ones whose code has slots that would hold other numbers, and is not in
    /// the store. Most code takes them; where it does not, the function is compiled.
    pub unsure: Share,
    /// Functions of the old module that none of the new one goes with.
    pub removed: u64,
    /// How many functions each cause has, of those that occur.
    pub causes: Vec<CauseShare>,
    /// What changed outside of function bodies, what cost most first.
    pub changes: Vec<ChangeShare>,
    /// Each function, by its index.
    pub functions: Vec<FunctionExplanation>,
}

/// Some of the functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Share {
    /// How many there are.
    pub functions: u64,
    /// Their bodies, in bytes.
    pub body_bytes: u64,
}

/// The functions that have one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CauseShare {
    /// The cause.
    pub cause: Cause,
    /// Whether these functions are compiled.
    pub is_lost: bool,
    /// How many they are.
    #[serde(flatten)]
    pub share: Share,
}

/// The functions that would be compiled and that one change outside of their bodies is a reason
/// for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChangeShare {
    /// The change.
    #[serde(flatten)]
    pub change: Change,
    /// How many functions it concerns.
    #[serde(flatten)]
    pub share: Share,
    /// How many of them it is the only reason for.
    pub alone: u64,
}

/// What would become of one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FunctionExplanation {
    /// Its index in the new module, imports included.
    pub index: u32,
    /// Its name in the name section, or else one that it is exported under.
    pub name: Option<String>,
    /// Its body, in bytes.
    pub body_bytes: u64,
    /// How it would be found, or the foremost reason why not.
    pub cause: Cause,
    /// Whether it would be compiled.
    pub is_lost: bool,
    /// The function of the old module that it was compared with: the one of that name, or else
    /// the one that is most like it.
    pub old_index: Option<u32>,
    /// All that changed, as far as it is known. Of a function whose body changed no more is
    /// told than its own type.
    pub changes: Vec<Change>,
    /// The function before it that is compiled and has the same code.
    pub duplicate_of: Option<u32>,
    /// It would be found unless its code turns out not to take other numbers in its slots; see
    /// [`Explanation::unsure`].
    pub unsure: bool,
}

/// How a function would be found, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Found: the same bytes, in a module that says the same around them.
    SameBody,
    /// Found: the same stencil, at the same index and with the same callees.
    Same,
    /// Found: the same stencil; its index, or those of its callees, differ.
    Moved,
    /// Found: the same stencil; what it names lies elsewhere in the instance.
    PlacesMoved,
    /// Found: the same stencil; the static data that it names lies elsewhere.
    AddressesMoved,
    /// Not compiled: a function before it has the same stencil, and is compiled.
    Duplicate,
    /// Lost: there was no function like it.
    New,
    /// Lost: its body is another one.
    Body,
    /// Lost: its own type is another one.
    Signature,
    /// Lost: the type of a function that it calls is another one, or that is imported now, or
    /// not any more.
    Callee,
    /// Lost: the type of a block is another one.
    BlockType,
    /// Lost: a type that it calls indirectly is another one, or has another number.
    Type,
    /// Lost: a function that it refers to has another number or type.
    FunctionReference,
    /// Lost: a function that it has a pointer to has another number in the table.
    Pointer,
    /// Lost: a memory.
    Memory,
    /// Lost: a table.
    Table,
    /// Lost: a global.
    Global,
    /// Lost: a tag.
    Tag,
    /// Lost: a passive data segment.
    Data,
    /// Lost: a passive element segment.
    Element,
    /// Lost: its branch hints.
    BranchHints,
    /// Lost: any type of the module; it has an operator that may depend on all of them.
    Types,
    /// Lost: anything that the module says; it has an operator that may depend on that.
    Everything,
    /// Lost: where in the instance something lies that it names.
    Places,
    /// Lost: the address of static data that it mentions in a way that cannot be a parameter.
    Addresses,
    /// Lost: the same operators, but for how many bytes its numbers are written in.
    Encoding,
    /// Lost always: its body does not read, or names what is not there.
    Uncovered,
    /// Lost: something that is not known any closer.
    Other,
}

impl Cause {
    /// Whether a function with this cause would be compiled.
    pub fn is_lost(self) -> bool {
        self > Cause::Duplicate
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Cause::SameBody => "same body, same surroundings",
            Cause::Same => "same",
            Cause::Moved => "moved",
            Cause::PlacesMoved => "places in the instance moved",
            Cause::AddressesMoved => "addresses moved",
            Cause::Duplicate => "same as another that is compiled",
            Cause::New => "new",
            Cause::Body => "body changed",
            Cause::Signature => "its type",
            Cause::Callee => "a callee",
            Cause::BlockType => "a block's type",
            Cause::Type => "a type",
            Cause::FunctionReference => "a function reference",
            Cause::Pointer => "a function pointer",
            Cause::Memory => "a memory",
            Cause::Table => "a table",
            Cause::Global => "a global",
            Cause::Tag => "a tag",
            Cause::Data => "a data segment",
            Cause::Element => "an element segment",
            Cause::BranchHints => "branch hints",
            Cause::Types => "any type of the module",
            Cause::Everything => "anything outside of bodies",
            Cause::Places => "places in the instance",
            Cause::Addresses => "addresses that are no parameters",
            Cause::Encoding => "how numbers are written",
            Cause::Uncovered => "a body that cannot be split",
            Cause::Other => "something else",
        })
    }
}

/// Something that a function's code can depend on, and that changed.
///
/// Its [`Display`](fmt::Display) is a line for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// What kind of thing it is.
    pub cause: Cause,
    /// Which one: with its number in the new module, and its name.
    pub entity: String,
    /// What about it.
    pub what: String,
    /// What that was in the old module, if it is known.
    pub old: Option<String>,
    /// What it is in the new one.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (part, behind) in [(&self.entity, ": "), (&self.what, " ")] {
            if !part.is_empty() {
                write!(f, "{between}{part}")?;
                between = behind;
            }
        }
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "{between}{old} -> {new}"),
            _ => Ok(()),
        }
    }
}

impl Share {
    fn add(&mut self, function: &FunctionExplanation) {
        self.functions += 1;
        self.body_bytes += function.body_bytes;
    }
}

impl Compiler {
    /// Says of each function of the module `new` how it would be found in a store that knows
    /// the module `old`, or why not. Nothing is compiled.
    ///
    /// This compiler's store is asked one thing: whether code with slots takes the numbers that
    /// would go into them. Where it does not have that code, such a function is
    /// [`unsure`](FunctionExplanation::unsure). With a store that `old` was compiled with, a compile
    /// of `new` compiles just the functions that are lost; and perhaps some that are
    /// [duplicates](Cause::Duplicate) with other addresses or places, which are unsure always.
    ///
    /// # Errors
    ///
    /// Wasmtime's own, of reading and validating all but the bodies; and an error for
    /// components, and for a compiler that compiles plainly
    /// ([`plain_reason`](Self::plain_reason)).
    pub fn explain(&self, old: &[u8], new: &[u8]) -> Result<Explanation> {
        self.flush();
        let incremental = self.incremental().map_err(|reason| {
            wasmtime::Error::msg(format!(
                "there is nothing to explain, Wasmtime compiles all functions of this engine: {reason}"
            ))
        })?;
        let (old, new) = (binary(old)?, binary(new)?);
        for (wasm, which) in [(&old, "first"), (&new, "second")] {
            if Kind::of(wasm) == Kind::Component {
                return Err(wasmtime::Error::msg(format!(
                    "the {which} input is a component: only core modules are explained; \
                     `wasm-tools component unbundle` takes those out that are in it"
                )));
            }
        }
        explain(incremental, &*self.snapshot(), &old, &new)
    }
}

fn explain(
    incremental: &Incremental,
    snapshot: &dyn Snapshot,
    old: &[u8],
    new: &[u8],
) -> Result<Explanation> {
    let engine = incremental.engine();
    let entries = incremental.entries();
    let old_program = Program::module(engine, old)?;
    let new_program = Program::module(engine, new)?;
    let (old_sources, new_sources) = (old_program.sources(), new_program.sources());
    let old = Side::new(engine, &entries, &old_program, &old_sources, old);
    let new = Side::new(engine, &entries, &new_program, &new_sources, new);
    let counterparts = matching::counterparts(&old, &new);
    let functions = Explained::of(&entries, snapshot, &old, &new, &counterparts).functions();
    let mut explanation = Explanation {
        removed: old.functions.len() as u64,
        ..Explanation::default()
    };
    let mut matched = vec![false; old.functions.len()];
    for (function, counterpart) in functions.iter().zip(&counterparts) {
        explanation.count(function);
        if let Some(number) = counterpart {
            let first = !std::mem::replace(&mut matched[*number], true);
            explanation.removed -= u64::from(first);
        }
    }
    explanation.causes.sort_by_key(|share| share.cause);
    explanation.changes = change_shares(&functions);
    explanation.functions = functions;
    Ok(explanation)
}

impl Explanation {
    fn count(&mut self, function: &FunctionExplanation) {
        self.total.add(function);
        if function.is_lost {
            self.lost.add(function);
        } else {
            self.found.add(function);
        }
        if function.unsure {
            self.unsure.add(function);
        }
        let cause = function.cause;
        let mut shares = self.causes.iter_mut();
        match shares.find(|share| share.cause == cause) {
            Some(share) => share.share.add(function),
            None => {
                let mut share = CauseShare {
                    cause,
                    is_lost: cause.is_lost(),
                    share: Share::default(),
                };
                share.share.add(function);
                self.causes.push(share);
            }
        }
    }
}

/// What each change cost that more than one function may see.
fn change_shares(functions: &[FunctionExplanation]) -> Vec<ChangeShare> {
    let mut numbers = rustc_hash::FxHashMap::default();
    let mut shares: Vec<ChangeShare> = Vec::new();
    for function in functions {
        if !function.is_lost || function.cause == Cause::Body {
            continue;
        }
        let own = [Cause::Signature, Cause::BlockType, Cause::Addresses];
        for change in &function.changes {
            if own.contains(&change.cause) {
                continue;
            }
            let number = *numbers.entry(change).or_insert_with(|| {
                shares.push(ChangeShare {
                    change: change.clone(),
                    share: Share::default(),
                    alone: 0,
                });
                shares.len() - 1
            });
            shares[number].share.add(function);
            shares[number].alone += u64::from(function.changes.len() == 1);
        }
    }
    shares.sort_by_key(|share| std::cmp::Reverse((share.share.body_bytes, share.share.functions)));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use ibid_store::MemoryStore;

    const PROBE: &[u8] = include_bytes!("probe.wasm");

    #[test]
    fn every_fact_is_read() {
        let compiler = Compiler::new(&wasmtime::Engine::default(), MemoryStore::new());
        let functions = compiler.functions(PROBE).unwrap();
        for index in functions.indices() {
            let (stencil, _) = functions.split_addresses(index).unwrap();
            let facts = stencil.facts();
            let length = |record: &crate::stencil::Record<'_>| {
                1 + 4 * usize::from(record.index.is_some()) + record.bytes.len()
            };
            let records = crate::stencil::records(facts).unwrap();
            assert_eq!(records.iter().map(length).sum::<usize>(), facts.len());
            for cut in 1..facts.len() {
                // It ends early, or between two records.
                let _ = crate::stencil::records(&facts[..cut]);
            }
        }
    }

    #[test]
    fn changes_are_written_for_people() {
        let mut change = Change {
            cause: Cause::Global,
            entity: "global 3 (\"g\")".into(),
            what: "initial value".into(),
            old: Some("1".into()),
            new: Some("2".into()),
        };
        assert_eq!(change.to_string(), "global 3 (\"g\"): initial value 1 -> 2");
        change.what.clear();
        assert_eq!(change.to_string(), "global 3 (\"g\"): 1 -> 2");
        change.entity.clear();
        assert_eq!(change.to_string(), "1 -> 2");
    }
}
