//! What is different between a function and the old one that it is compared with.

use super::operators::{Space, Token};
use super::side::Side;
use super::{Cause, Change};
use crate::bytes::Reader;
use crate::stencil::{Fact, Record, SplitBody, records};
use rustc_hash::FxHashMap;
use std::fmt::Write as _;
use wasmtime_environ::{
    EntityIndex, GlobalConstValue, GlobalIndex, Limits, MemoryIndex, Module, TableIndex, TagIndex,
};

/// Smaller numbers are taken for sizes and the like, wherever data lies.
const SMALLEST_ADDRESS: u64 = 1 << 10;

/// What is said of a number that may be an address, for all that is known.
const NUMBER: &str = "number in the code, perhaps an address,";

/// How many numbers of a function are told one by one.
const NUMBERS: usize = 3;

/// An old function and the new one that is compared with it, by their numbers.
pub(super) struct Pair<'a, 's> {
    pub(super) old: &'a Side<'s>,
    pub(super) new: &'a Side<'s>,
    pub(super) numbers: (usize, usize),
    /// By number of a new function: the old one that goes with it.
    pub(super) counterparts: &'a [Option<usize>],
}

/// What is different in two bodies that are the same but for what they name.
#[derive(Default)]
struct Differences {
    /// Numbers that differ and that no slot stands for, old and new.
    literals: Vec<(u64, u64)>,
    /// The same for those that are the number of one function in the table, which follows.
    pointers: Vec<(u64, u64, u32)>,
    /// The types of blocks, in their order, old and new.
    block_types: Vec<(u32, u32)>,
}

/// All changes between the two, which have different stencils. One of the cause
/// [`Cause::Body`] stands for that the body is another one.
pub(super) fn between(pair: &Pair<'_, '_>) -> Vec<Change> {
    let Pair {
        old, new, numbers, ..
    } = pair;
    let (old_split, new_split) = (
        old.functions[numbers.0].split.as_ref(),
        new.functions[numbers.1].split.as_ref(),
    );
    let (Some(old_split), Some(new_split)) = (old_split, new_split) else {
        return vec![pair.change(Cause::Body, "", "body")];
    };
    let mut changes = Changes {
        pair,
        changes: Vec::new(),
    };
    let [old_facts, new_facts] = [old_split, new_split].map(|split| records(split.stencil.facts()));
    let (Ok(old_facts), Ok(new_facts)) = (old_facts, new_facts) else {
        return vec![pair.change(Cause::Other, "", "facts")];
    };
    match pair.differences() {
        None => {
            changes.push(pair.change(Cause::Body, "", "body"));
            if old_facts.first() != new_facts.first() {
                changes.signature();
            }
        }
        Some(differences) => {
            changes.records(&old_facts, &new_facts, (old_split, new_split), &differences);
            changes.numbers(NUMBER, &differences.literals);
            for (old, new, function) in &differences.pointers {
                let entity = pair.new.entity(Space::Function, *function);
                changes.add(Cause::Pointer, entity, "number in the table", old, new);
            }
            if changes.changes.is_empty() {
                let what = "the same operators, their numbers written in other widths";
                changes.push(pair.change(Cause::Encoding, "", what));
            }
        }
    }
    changes.changes
}

/// What moved between the two, which have one stencil with slots, but whose code does not take
/// the numbers.
pub(super) fn unpatched(pair: &Pair<'_, '_>) -> Vec<Change> {
    let parameters = |side: &Side<'_>, number: usize| {
        let split = side.functions[number].split.as_ref();
        split.map(|split| {
            [
                split.parameters.addresses.clone(),
                split.parameters.places.clone(),
            ]
        })
    };
    let old = parameters(pair.old, pair.numbers.0).unwrap_or_default();
    let new = parameters(pair.new, pair.numbers.1).unwrap_or_default();
    let mut changes = Vec::new();
    let whats = [
        (
            Cause::Addresses,
            "address in code that does not take another one",
        ),
        (
            Cause::Places,
            "place in the instance, in code that does not take another one",
        ),
    ];
    for ((cause, what), (old, new)) in whats.into_iter().zip(old.iter().zip(&new)) {
        if let Some((old, new)) = old.iter().zip(new).find(|(old, new)| old != new) {
            let mut change = pair.change(cause, "", what);
            (change.old, change.new) = (Some(old.to_string()), Some(new.to_string()));
            changes.push(change);
        }
    }
    if changes.is_empty() {
        changes.push(pair.change(Cause::Addresses, "", "code that holds its addresses"));
    }
    changes
}

impl Pair<'_, '_> {
    fn change(&self, cause: Cause, entity: &str, what: &str) -> Change {
        Change {
            cause,
            entity: entity.into(),
            what: what.into(),
            old: None,
            new: None,
        }
    }

    /// `None`: one of the bodies does something that the other one does not.
    fn differences(&self) -> Option<Differences> {
        let (old, new) = (
            self.old.tokens(self.numbers.0)?,
            self.new.tokens(self.numbers.1)?,
        );
        if old.len() != new.len() {
            return None;
        }
        let mut differences = Differences::default();
        let mut renamed: FxHashMap<(bool, Space, u32), u32> = FxHashMap::default();
        for (old, new) in old.iter().zip(&new) {
            match (*old, *new) {
                (Token::Index(space, old), Token::Index(of_new, new)) if space == of_new => {
                    let before = renamed.insert((false, space, old), new);
                    let back = renamed.insert((true, space, new), old);
                    let contradicts = before.is_some_and(|before| before != new)
                        || back.is_some_and(|back| back != old);
                    if contradicts || self.is_another(space, old, new) {
                        return None;
                    }
                    if space == Space::BlockType && before.is_none() {
                        differences.block_types.push((old, new));
                    }
                }
                (Token::Number(old), Token::Number(new)) => {
                    if old == new || self.may_be_slots(old, new) {
                        continue;
                    }
                    match self.pointer(old, new) {
                        Some(function) => differences.pointers.push((old, new, function)),
                        None if self.may_be_addresses(old, new) => {
                            differences.literals.push((old, new));
                        }
                        None => return None,
                    }
                }
                (old, new) if old == new => {}
                _ => return None,
            }
        }
        differences.literals.sort_unstable();
        differences.literals.dedup();
        differences.pointers.sort_unstable();
        differences.pointers.dedup();
        Some(differences)
    }

    /// Whether what the old body names with one index is not what the new one names with the
    /// other, judged by name.
    fn is_another(&self, space: Space, old: u32, new: u32) -> bool {
        let named = !matches!(space, Space::Function | Space::Type | Space::BlockType);
        let names = (self.old.name(space, old), self.new.name(space, new));
        named && old != new && matches!(names, (Some(old), Some(new)) if old != new)
    }

    /// Whether one number in place of another one is an address that moved, for which there may
    /// be a slot.
    fn may_be_slots(&self, old: u64, new: u64) -> bool {
        self.old.is_candidate(self.numbers.0, old) && self.new.is_candidate(self.numbers.1, new)
    }

    /// Whether both numbers lie where static data does.
    fn may_be_addresses(&self, old: u64, new: u64) -> bool {
        let in_data =
            |side: &Side<'_>, number| number >= SMALLEST_ADDRESS && side.data.contains(&number);
        in_data(self.old, old) && in_data(self.new, new)
    }

    /// The function that has both numbers in the table, each in its module.
    fn pointer(&self, old: u64, new: u64) -> Option<u32> {
        let entry = |side: &Side<'_>, number| {
            let place = usize::try_from(number).ok()?;
            side.table.get(place).copied()
        };
        let (old, new) = (entry(self.old, old)?, entry(self.new, new)?);
        let is_same = match new.checked_sub(self.new.imported) {
            Some(number) => {
                let counterpart = self.counterparts.get(number as usize)?;
                counterpart.is_some_and(|number| self.old.imported + number as u32 == old)
            }
            None => {
                let name =
                    |side: &Side<'_>, index| side.name(Space::Function, index).map(str::to_string);
                old < self.old.imported && name(self.old, old) == name(self.new, new)
            }
        };
        is_same.then_some(new)
    }
}

struct Changes<'p, 'a, 's> {
    pair: &'p Pair<'a, 's>,
    changes: Vec<Change>,
}

impl<'s> Changes<'_, '_, 's> {
    fn push(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    fn add(
        &mut self,
        cause: Cause,
        entity: String,
        what: &str,
        old: impl ToString,
        new: impl ToString,
    ) {
        self.push(Change {
            cause,
            entity,
            what: what.into(),
            old: Some(old.to_string()),
            new: Some(new.to_string()),
        });
    }

    /// As [`add`](Self::add), if the two are different.
    fn compare<T: PartialEq + ToString>(
        &mut self,
        cause: Cause,
        entity: &str,
        what: &str,
        old: T,
        new: T,
    ) {
        if old != new {
            self.add(cause, entity.into(), what, old, new);
        }
    }

    /// Numbers of the function's own, the first ones.
    fn numbers<T: std::fmt::Display>(&mut self, what: &str, numbers: &[(T, T)]) {
        for (old, new) in numbers.iter().take(NUMBERS) {
            self.add(Cause::Addresses, String::new(), what, old, new);
        }
        if let Some(more) = numbers.len().checked_sub(NUMBERS).filter(|more| *more > 0) {
            let what = format!("{more} more numbers");
            self.push(self.pair.change(Cause::Addresses, "", &what));
        }
    }

    fn signature(&mut self) {
        let Pair {
            old, new, numbers, ..
        } = self.pair;
        let types = [(old, numbers.0), (new, numbers.1)].map(|(side, number)| {
            let ty = side.type_of_function(side.imported + number as u32);
            ty.unwrap_or_default()
        });
        let [old, new] = types;
        self.types(Cause::Signature, String::new(), "type", old, new);
    }

    /// Two types that are known to differ, if only in what they refer to.
    fn types(&mut self, cause: Cause, entity: String, what: &str, old: String, new: String) {
        if old == new {
            self.push(Change {
                cause,
                entity,
                what: format!("{what} {new} refers to types, of which the module has others now"),
                old: None,
                new: None,
            });
        } else {
            self.add(cause, entity, what, old, new);
        }
    }

    fn records(
        &mut self,
        old: &[Record<'_>],
        new: &[Record<'_>],
        splits: (&SplitBody, &SplitBody),
        differences: &Differences,
    ) {
        let (old_groups, new_groups) = (groups(old), groups(new));
        for fact in 0..old_groups.len() {
            let (of_old, of_new) = (&old_groups[fact], &new_groups[fact]);
            for (place, (old, new)) in of_old.iter().zip(of_new).enumerate() {
                if old != new {
                    self.record(old, new, place, splits, differences);
                }
            }
            let more = of_old.get(of_new.len()..).unwrap_or_default();
            more.iter().for_each(|record| self.one_sided(record, false));
            let more = of_new.get(of_old.len()..).unwrap_or_default();
            more.iter().for_each(|record| self.one_sided(record, true));
        }
        self.places((&old_groups, &new_groups), (old, new), splits);
        self.addresses((&old_groups, &new_groups));
    }

    /// Only one of the two functions has this record.
    fn one_sided(&mut self, record: &Record<'_>, is_new: bool) {
        let side = if is_new { self.pair.new } else { self.pair.old };
        let (cause, entity, what) = match (record.fact, record.index) {
            (Fact::Memory | Fact::AccessedMemory, Some(index)) => {
                let what = match record.fact {
                    Fact::Memory => "accesses that need a check of bounds, or ask for its size:",
                    _ => "accesses that need no check of bounds:",
                };
                // Which they are depends on its limits.
                let count = |side: &Side<'_>| side.source.translation.module.memories.len();
                if (index as usize) < count(self.pair.old).min(count(self.pair.new)) {
                    self.memory((index, index));
                }
                (Cause::Memory, side.entity(Space::Memory, index), what)
            }
            (Fact::BranchHints, _) => (Cause::BranchHints, String::new(), "branch hints"),
            (Fact::Environment, _) => (Cause::Types, String::new(), "depends on all types"),
            (Fact::Everything, _) => (Cause::Everything, String::new(), "depends on everything"),
            // Of these more is said where they are compared.
            (Fact::Mentions | Fact::AddressSlots | Fact::Places | Fact::PlaceSlots, _) => return,
            _ => (Cause::Other, String::new(), "something that it names"),
        };
        let (old, new) = if is_new { ("no", "yes") } else { ("yes", "no") };
        self.add(cause, entity, what, old, new);
    }

    /// Two records of one kind that differ, the `place`th each of their function's.
    fn record(
        &mut self,
        old: &Record<'_>,
        new: &Record<'_>,
        place: usize,
        splits: (&SplitBody, &SplitBody),
        differences: &Differences,
    ) {
        let before = self.changes.len();
        let indices = old.index.zip(new.index).unwrap_or_default();
        match new.fact {
            Fact::Signature => self.signature(),
            Fact::Callee => {
                let callee = |split: &SplitBody| split.parameters.callees.get(place).copied();
                if let (Some(old), Some(new)) = (callee(splits.0), callee(splits.1)) {
                    self.callee(old, new);
                }
            }
            Fact::BlockType => {
                if let Some((old, new)) = differences.block_types.get(place) {
                    let old = self.pair.old.type_of_index(*old).unwrap_or_default();
                    let new = self.pair.new.type_of_index(*new).unwrap_or_default();
                    self.types(Cause::BlockType, String::new(), "type of a block", old, new);
                }
            }
            Fact::NamedType => self.named_type(old, new, indices),
            Fact::FunctionReference => self.function_reference(old, new, indices),
            Fact::Memory | Fact::AccessedMemory => self.memory(indices),
            Fact::Table => self.table(indices),
            Fact::Global => self.global(indices),
            Fact::Tag => self.tag(indices),
            Fact::Data => self.segment(Cause::Data, Space::Data, old, new, indices),
            Fact::Element => self.segment(Cause::Element, Space::Element, old, new, indices),
            Fact::BranchHints => {
                self.push(
                    self.pair
                        .change(Cause::BranchHints, "", "branch hints differ"),
                );
            }
            Fact::Environment => self.all_types(Cause::Types),
            Fact::Everything => self.all_types(Cause::Everything),
            // All of them together, below.
            Fact::AddressSlots | Fact::Places | Fact::PlaceSlots | Fact::Mentions => return,
        }
        if self.changes.len() == before {
            // The bytes differ in a way that was not understood, or was told already.
            let (cause, space) = entity_of(new.fact);
            let entity = match (space, new.index) {
                (Some(space), Some(index)) => self.pair.new.entity(space, index),
                _ => String::new(),
            };
            if !self.changes.iter().any(|change| change.cause == cause) {
                let what = "what the code can depend on differs";
                self.push(self.pair.change(cause, &entity, what));
            }
        }
    }

    fn callee(&mut self, old: u32, new: u32) {
        let Pair {
            old: of_old,
            new: of_new,
            ..
        } = self.pair;
        let types = (of_old.type_of_function(old), of_new.type_of_function(new));
        let entity = of_new.entity(Space::Function, new);
        let imported = (old < of_old.imported, new < of_new.imported);
        if let (Some(old), Some(new)) = types
            && (old != new || imported.0 == imported.1)
        {
            let entity = format!("callee {entity}");
            self.types(Cause::Callee, entity, "type", old, new);
        }
        let kind = |imported| if imported { "imported" } else { "defined" };
        let [old, new] = [imported.0, imported.1].map(kind);
        self.compare(Cause::Callee, &format!("callee {entity}"), "", old, new);
    }

    fn named_type(&mut self, old: &Record<'_>, new: &Record<'_>, indices: (u32, u32)) {
        let Pair {
            old: of_old,
            new: of_new,
            ..
        } = self.pair;
        let name = |side: &Side<'_>, index| side.type_of_index(index).unwrap_or_default();
        let (old_type, new_type) = (name(of_old, indices.0), name(of_new, indices.1));
        let cause = Cause::Type;
        let number = |record: &Record<'_>| Reader::new(record.bytes).word().unwrap_or_default();
        let numbers = (number(old), number(new));
        let digest = |record: &Record<'_>| record.bytes.get(4..).map(<[u8]>::to_vec);
        if digest(old) != digest(new) {
            self.types(
                cause,
                String::new(),
                "type of an indirect call",
                old_type,
                new_type,
            );
            return;
        }
        let entity = format!("type {new_type}");
        if indices.0 != indices.1 {
            self.add(cause, entity, "number", indices.0, indices.1);
        } else {
            let what = "number among all types, those that Wasmtime adds included,";
            self.compare(cause, &entity, what, numbers.0, numbers.1);
        }
    }

    fn function_reference(&mut self, old: &Record<'_>, new: &Record<'_>, indices: (u32, u32)) {
        let Pair {
            old: of_old,
            new: of_new,
            ..
        } = self.pair;
        let entity = of_new.entity(Space::Function, indices.1);
        let cause = Cause::FunctionReference;
        self.compare(cause, &entity, "number", indices.0, indices.1);
        let types = (
            of_old.type_of_function(indices.0).unwrap_or_default(),
            of_new.type_of_function(indices.1).unwrap_or_default(),
        );
        let part = |record: &Record<'_>, from, to| record.bytes.get(from..to).map(<[u8]>::to_vec);
        if part(old, 4, 36) != part(new, 4, 36) {
            self.types(cause, entity, "type", types.0, types.1);
        } else if part(old, 0, 4) != part(new, 0, 4) {
            let number = |record: &Record<'_>| Reader::new(record.bytes).word().unwrap_or_default();
            self.add(
                cause,
                entity,
                "number of its type",
                number(old),
                number(new),
            );
        } else if part(old, 36, 40) != part(new, 36, 40) {
            let word = if part(new, 36, 40) == Some(vec![0; 4]) {
                "not declared"
            } else {
                "declared"
            };
            self.push(Change {
                cause,
                entity,
                what: format!("is {word} for references now"),
                old: None,
                new: None,
            });
        }
    }

    /// The modules, and what the entity is called now; says that its number changed if it did.
    fn entity(
        &mut self,
        cause: Cause,
        space: Space,
        indices: (u32, u32),
    ) -> (&'s Module, &'s Module, String) {
        let Pair { old, new, .. } = *self.pair;
        let entity = new.entity(space, indices.1);
        self.compare(cause, &entity, "number", indices.0, indices.1);
        let module = |side: &Side<'s>| &side.source.module().translation.module;
        (module(old), module(new), entity)
    }

    fn memory(&mut self, indices: (u32, u32)) {
        let cause = Cause::Memory;
        let (old_module, new_module, entity) = self.entity(cause, Space::Memory, indices);
        let [old_index, new_index] = [indices.0, indices.1].map(MemoryIndex::from_u32);
        let (old, new) = (
            &old_module.memories[old_index],
            &new_module.memories[new_index],
        );
        let entity = entity.as_str();
        let pages = |pages: u64| format!("{pages} pages");
        let most = |limits: &Limits| limits.max.map_or("none".to_string(), pages);
        self.compare(
            cause,
            entity,
            "minimum",
            pages(old.limits.min),
            pages(new.limits.min),
        );
        self.compare(
            cause,
            entity,
            "maximum",
            most(&old.limits),
            most(&new.limits),
        );
        let ty = |ty: &dyn std::fmt::Debug| format!("{ty:?}").to_lowercase();
        self.compare(
            cause,
            entity,
            "index type",
            ty(&old.idx_type),
            ty(&new.idx_type),
        );
        self.compare(cause, entity, "shared", old.shared, new.shared);
        let size = |log2: u8| format!("2^{log2} bytes");
        self.compare(
            cause,
            entity,
            "page size",
            size(old.page_size_log2),
            size(new.page_size_log2),
        );
        let exported = (
            EntityIndex::Memory(old_index),
            EntityIndex::Memory(new_index),
        );
        self.exported(cause, entity, (old_module, new_module), exported);
        let imported = |module: &Module, index| module.defined_memory_index(index).is_none();
        self.imported(
            cause,
            entity,
            imported(old_module, old_index),
            imported(new_module, new_index),
        );
    }

    fn table(&mut self, indices: (u32, u32)) {
        let cause = Cause::Table;
        let (old_module, new_module, entity) = self.entity(cause, Space::Table, indices);
        let [old_index, new_index] = [indices.0, indices.1].map(TableIndex::from_u32);
        let (old, new) = (&old_module.tables[old_index], &new_module.tables[new_index]);
        let entity = entity.as_str();
        let (old_type, new_type) = (old.ref_type.to_string(), new.ref_type.to_string());
        self.compare(cause, entity, "element type", old_type, new_type);
        let limits = |limits: &Limits| match limits.max {
            Some(most) if most == limits.min => format!("{most} entries"),
            _ => "may grow".to_string(),
        };
        self.compare(
            cause,
            entity,
            "size",
            limits(&old.limits),
            limits(&new.limits),
        );
        let exported = (EntityIndex::Table(old_index), EntityIndex::Table(new_index));
        self.exported(cause, entity, (old_module, new_module), exported);
        let imported = |module: &Module, index| module.defined_table_index(index).is_none();
        self.imported(
            cause,
            entity,
            imported(old_module, old_index),
            imported(new_module, new_index),
        );
    }

    fn global(&mut self, indices: (u32, u32)) {
        let cause = Cause::Global;
        let (old_module, new_module, entity) = self.entity(cause, Space::Global, indices);
        let [old_index, new_index] = [indices.0, indices.1].map(GlobalIndex::from_u32);
        let (old, new) = (
            &old_module.globals[old_index],
            &new_module.globals[new_index],
        );
        let entity = entity.as_str();
        let (old_type, new_type) = (old.wasm_ty.to_string(), new.wasm_ty.to_string());
        self.compare(cause, entity, "type", old_type, new_type);
        self.compare(cause, entity, "mutable", old.mutability, new.mutability);
        let values = (value(old_module, old_index), value(new_module, new_index));
        self.compare(cause, entity, "initial value", values.0, values.1);
        let exported = (
            EntityIndex::Global(old_index),
            EntityIndex::Global(new_index),
        );
        self.exported(cause, entity, (old_module, new_module), exported);
        let imported = |module: &Module, index| module.defined_global_index(index).is_none();
        self.imported(
            cause,
            entity,
            imported(old_module, old_index),
            imported(new_module, new_index),
        );
    }

    fn tag(&mut self, indices: (u32, u32)) {
        let cause = Cause::Tag;
        let (old_module, new_module, entity) = self.entity(cause, Space::Tag, indices);
        let [old_index, new_index] = [indices.0, indices.1].map(TagIndex::from_u32);
        let entity = entity.as_str();
        let ty = |side: &Side<'_>, module: &Module, index| {
            let signature = module.tags[index].signature.unwrap_module_type_index();
            side.type_of_number(signature.as_u32()).unwrap_or_default()
        };
        let Pair { old, new, .. } = self.pair;
        let types = (
            ty(old, old_module, old_index),
            ty(new, new_module, new_index),
        );
        self.compare(cause, entity, "type", types.0, types.1);
        let imported = |module: &Module, index| module.defined_tag_index(index).is_none();
        self.imported(
            cause,
            entity,
            imported(old_module, old_index),
            imported(new_module, new_index),
        );
        // It depends on all types, and on where it lies.
        if old.types != new.types {
            self.all_types(cause);
        }
    }

    fn segment(
        &mut self,
        cause: Cause,
        space: Space,
        old: &Record<'_>,
        new: &Record<'_>,
        indices: (u32, u32),
    ) {
        let (_, _, entity) = self.entity(cause, space, indices);
        let number = |record: &Record<'_>| match Reader::new(record.bytes).word() {
            Ok(u32::MAX) => "none".to_string(),
            Ok(number) => number.to_string(),
            Err(_) => String::new(),
        };
        let what = "number among those that are there at run time";
        self.compare(cause, &entity, what, number(old), number(new));
        if old.bytes.get(4..) != new.bytes.get(4..) {
            let what = match space {
                Space::Data => "place in the instance differs",
                _ => "its type, or any type of the module, differs",
            };
            self.push(self.pair.change(cause, &entity, what));
        }
    }

    fn exported(
        &mut self,
        cause: Cause,
        entity: &str,
        modules: (&Module, &Module),
        indices: (EntityIndex, EntityIndex),
    ) {
        let exported =
            |module: &Module, index| module.exports.iter().any(|(_, entity)| *entity == index);
        let old = exported(modules.0, indices.0);
        self.compare(
            cause,
            entity,
            "exported",
            old,
            exported(modules.1, indices.1),
        );
    }

    fn imported(&mut self, cause: Cause, entity: &str, old: bool, new: bool) {
        let kind = |imported| if imported { "imported" } else { "defined" };
        self.compare(cause, entity, "", kind(old), kind(new));
    }

    /// The first of all types that differs.
    fn all_types(&mut self, cause: Cause) {
        let Pair { old, new, .. } = *self.pair;
        let numbers = 0..old.types.len().max(new.types.len()) as u32;
        let differs =
            |number: &u32| old.types.get(*number as usize) != new.types.get(*number as usize);
        let Some(number) = { numbers }.find(differs) else {
            let what = match cause {
                Cause::Everything => "something that the module says outside of its bodies differs",
                _ => "the numbers of types differ",
            };
            return self.push(self.pair.change(cause, "", what));
        };
        let ty = |side: &Side<'_>| side.type_of_number(number).unwrap_or("none".into());
        let mut what = String::from("the first type that differs, number ");
        let _ = write!(what, "{number} of {},", new.types.len());
        self.add(cause, String::new(), &what, ty(old), ty(new));
    }

    /// Where in the instance the functions find what they name.
    fn places(
        &mut self,
        groups: (&Groups<'_>, &Groups<'_>),
        records: (&[Record<'_>], &[Record<'_>]),
        splits: (&SplitBody, &SplitBody),
    ) {
        let words = |groups: &Groups<'_>| {
            let record = groups[Fact::Places as usize].first()?;
            let words = record.bytes.chunks_exact(4);
            Some(
                words
                    .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
                    .collect::<Vec<_>>(),
            )
        };
        let entities = (
            placed(self.pair.old, records.0, splits.0),
            placed(self.pair.new, records.1, splits.1),
        );
        match (words(groups.0), words(groups.1)) {
            (Some(old), Some(new)) => {
                for (((old, new), (space, index)), (_, old_index)) in
                    old.iter().zip(&new).zip(&entities.1).zip(&entities.0)
                {
                    // That its number changed has been said, if the code depends on that.
                    let renumbered = *space != Space::Function && index != old_index;
                    if old != new && !renumbered {
                        let entity = self.pair.new.entity(*space, *index);
                        self.add(Cause::Places, entity, "place in the instance", old, new);
                    }
                }
                if old.len() != new.len() {
                    let what = "number of places in the code";
                    self.add(Cause::Places, String::new(), what, old.len(), new.len());
                }
            }
            (None, None) => {
                let slots = |groups: &Groups<'_>| {
                    let record = groups[Fact::PlaceSlots as usize].first();
                    record.map(|record| record.bytes.to_vec())
                };
                if slots(groups.0) != slots(groups.1) {
                    self.push(
                        self.pair
                            .change(Cause::Places, "", "what has places differs"),
                    );
                }
            }
            (old, _) => {
                let kind = |written| if written { "in the code" } else { "parameters" };
                let (old, new) = (kind(old.is_some()), kind(old.is_none()));
                let entity = "places in the instance".to_string();
                self.add(Cause::Places, entity, "", old, new);
            }
        }
    }

    /// Which numbers are addresses, and what stands for them.
    fn addresses(&mut self, (old, new): (&Groups<'_>, &Groups<'_>)) {
        let facts = [Fact::Mentions, Fact::AddressSlots].map(|fact| fact as usize);
        if facts.iter().all(|fact| old[*fact] == new[*fact]) {
            return;
        }
        let (of_old, of_new) = (Mentions::of(old), Mentions::of(new));
        let mut literals = Vec::new();
        let mut slots = 0;
        for (old, new) in of_old.of_slots.iter().zip(&of_new.of_slots) {
            match (old, new) {
                ((u32::MAX, old), (u32::MAX, new)) if old != new => literals.push((*old, *new)),
                (old, new) if old != new => slots += 1,
                _ => {}
            }
        }
        literals.sort_unstable();
        literals.dedup();
        self.numbers(NUMBER, &literals);
        let what = "the addresses that may be parameters are others";
        if of_old.places.len() != of_new.places.len() {
            let what = "numbers that may be addresses";
            let counts = (of_old.places.len(), of_new.places.len());
            self.add(Cause::Addresses, String::new(), what, counts.0, counts.1);
        } else if of_old.places != of_new.places {
            let what = "which of the addresses are equal, or lie where, differs";
            self.push(self.pair.change(Cause::Addresses, "", what));
        } else if slots > 0 {
            self.push(self.pair.change(Cause::Addresses, "", what));
        }
    }
}

/// Records by what they are about.
type Groups<'f> = [Vec<Record<'f>>; 20];

fn groups<'f>(records: &[Record<'f>]) -> Groups<'f> {
    let mut groups = Groups::default();
    for record in records {
        groups[record.fact as usize].push(*record);
    }
    groups
}

/// What records say of addresses.
struct Mentions {
    /// Where each stands, and which it is.
    places: Vec<(u32, u32)>,
    /// The slot of each and its distance from that, or the largest number and its own.
    of_slots: Vec<(u32, u32)>,
}

impl Mentions {
    fn of(groups: &Groups<'_>) -> Mentions {
        let first = |fact| groups[fact as usize].first().map(|record| record.bytes);
        let pairs = |bytes: &[u8]| {
            let words = bytes.chunks_exact(8).map(|pair| {
                let word = |i| u32::from_le_bytes([pair[i], pair[i + 1], pair[i + 2], pair[i + 3]]);
                (word(0), word(4))
            });
            words.collect::<Vec<_>>()
        };
        let places = first(Fact::Mentions).map(|bytes| pairs(bytes.get(4..).unwrap_or_default()));
        let of_slots = first(Fact::AddressSlots).map(|bytes| {
            let classes = Reader::new(bytes).u32().unwrap_or_default();
            pairs(bytes.get(4 + classes..).unwrap_or_default())
        });
        Mentions {
            places: places.unwrap_or_default(),
            of_slots: of_slots.unwrap_or_default(),
        }
    }
}

/// What the function names that has a place in the instance, in the order of places.
fn placed(side: &Side<'_>, records: &[Record<'_>], split: &SplitBody) -> Vec<(Space, u32)> {
    let mut callees = split.parameters.callees.iter();
    let mut placed = Vec::new();
    for record in records {
        let entity = match (record.fact, record.index) {
            (Fact::Callee, _) => callees
                .next()
                .filter(|callee| **callee < side.imported)
                .map(|callee| (Space::Function, *callee)),
            (Fact::Table, index) => index.map(|index| (Space::Table, index)),
            (Fact::Global, index) => index.map(|index| (Space::Global, index)),
            _ => None,
        };
        placed.extend(entity);
    }
    placed
}

/// The value that is folded into the code, in words.
fn value(module: &Module, index: GlobalIndex) -> String {
    let constant = module.defined_global_index(index).and_then(|defined| {
        let mut values = module.global_initializers.iter();
        values.find(|(global, _)| *global == defined)
    });
    match constant.map(|(_, value)| value) {
        // Of a global that is assigned to, the code does not depend on that.
        _ if module.globals[index].mutability => "any".into(),
        None => "not a constant".into(),
        Some(GlobalConstValue::I32(value)) => value.to_string(),
        Some(GlobalConstValue::I64(value)) => value.to_string(),
        Some(GlobalConstValue::F32(bits)) => f32::from_bits(*bits).to_string(),
        Some(GlobalConstValue::F64(bits)) => f64::from_bits(*bits).to_string(),
        Some(GlobalConstValue::V128(bits)) => format!("{bits:#034x}"),
    }
}

/// What a record is about.
fn entity_of(fact: Fact) -> (Cause, Option<Space>) {
    match fact {
        Fact::Signature => (Cause::Signature, None),
        Fact::Callee => (Cause::Callee, None),
        Fact::BlockType => (Cause::BlockType, None),
        Fact::NamedType => (Cause::Type, Some(Space::Type)),
        Fact::FunctionReference => (Cause::FunctionReference, Some(Space::Function)),
        Fact::Memory | Fact::AccessedMemory => (Cause::Memory, Some(Space::Memory)),
        Fact::Table => (Cause::Table, Some(Space::Table)),
        Fact::Global => (Cause::Global, Some(Space::Global)),
        Fact::Tag => (Cause::Tag, Some(Space::Tag)),
        Fact::Data => (Cause::Data, Some(Space::Data)),
        Fact::Element => (Cause::Element, Some(Space::Element)),
        Fact::BranchHints => (Cause::BranchHints, None),
        Fact::Environment => (Cause::Types, None),
        Fact::Everything => (Cause::Everything, None),
        Fact::AddressSlots | Fact::Mentions => (Cause::Addresses, None),
        Fact::Places | Fact::PlaceSlots => (Cause::Places, None),
    }
}
