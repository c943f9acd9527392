//! What becomes of each function: the steps of a compile, without what compiles.

use super::changes::{self, Pair};
use super::operators::Space;
use super::side::Side;
use super::{Cause, Change, FunctionExplanation};
use crate::compiled::Layout;
use crate::entries::{Entries, EntryKey};
use crate::stencil::{FunctionParameters, SplitBody, StencilKey};
use ibid_store::Snapshot;
use rustc_hash::FxHashMap;
use std::borrow::Cow;

pub(super) struct Explained<'a, 's> {
    entries: &'a Entries,
    old: &'a Side<'s>,
    new: &'a Side<'s>,
    counterparts: &'a [Option<usize>],
    /// The old functions by their keys.
    of_keys: FxHashMap<StencilKey, Vec<usize>>,
    /// What the store has of these keys.
    codes: FxHashMap<StencilKey, Cow<'a, [u8]>>,
    /// The old functions that are compiled with their addresses and places, by their keys.
    literal: FxHashMap<StencilKey, Vec<usize>>,
    /// New functions that are compiled, by their keys.
    compiled: FxHashMap<StencilKey, usize>,
}

/// How a function is found, or not.
enum Way {
    SameBody,
    /// By stencil, which the old function had.
    Stencil {
        old: usize,
        unsure: bool,
    },
    /// It would be by its stencil, but its code does not take its parameters.
    Unfit,
    Lost,
}

impl<'a, 's> Explained<'a, 's> {
    pub(super) fn of(
        entries: &'a Entries,
        snapshot: &'a dyn Snapshot,
        old: &'a Side<'s>,
        new: &'a Side<'s>,
        counterparts: &'a [Option<usize>],
    ) -> Self {
        let mut of_keys: FxHashMap<StencilKey, Vec<usize>> = FxHashMap::default();
        for (number, function) in old.functions.iter().enumerate() {
            if let Some(key) = function.key {
                of_keys.entry(key).or_default().push(number);
            }
        }
        let mut explained = Explained {
            entries,
            old,
            new,
            counterparts,
            of_keys,
            codes: FxHashMap::default(),
            literal: FxHashMap::default(),
            compiled: FxHashMap::default(),
        };
        explained.look_up(snapshot);
        explained.find_literal();
        explained
    }

    /// Asks the store for the code that has slots.
    fn look_up(&mut self, snapshot: &'a dyn Snapshot) {
        let with_slots = |numbers: &[usize]| {
            let split = self.old.functions[numbers[0]].split.as_ref();
            split.is_some_and(|split| split.parameters.has_holes())
        };
        let mut asked: Vec<(EntryKey, StencilKey)> = self
            .of_keys
            .iter()
            .filter(|(_, numbers)| with_slots(numbers))
            .map(|(key, _)| (Entries::stencil(key), *key))
            .collect();
        asked.sort_unstable();
        let keys: Vec<&[u8]> = asked.iter().map(|(key, _)| &key[..]).collect();
        for ((entry, key), stored) in asked.iter().zip(snapshot.get_many(&keys)) {
            let opened = stored.and_then(|stored| self.entries.open(entry, stored));
            if let Some(code) = opened {
                self.codes.insert(*key, code);
            }
        }
    }

    /// Finds the old functions whose code is known not to take their own parameters.
    fn find_literal(&mut self) {
        for (key, numbers) in &self.of_keys {
            for number in numbers {
                let split = self.old.functions[*number].split.as_ref();
                let parameters = split.map(|split| &split.parameters);
                if parameters.is_some_and(|p| self.takes(key, p) == Some(false))
                    && let Some(literal) = self.old.literal(*number)
                {
                    let key = literal.stencil.key(&self.entries.fingerprint);
                    self.literal.entry(key).or_default().push(*number);
                }
            }
        }
    }

    /// Whether the code of a stencil takes the parameters, if that is known.
    fn takes(&self, key: &StencilKey, parameters: &FunctionParameters) -> Option<bool> {
        if !parameters.has_holes() {
            return Some(true);
        }
        let code = self.codes.get(key)?;
        if code.is_empty() {
            return Some(false);
        }
        let layout = Layout::read(code).ok()?;
        Some(parameters.addresses.is_empty() || layout.fits(|hole| parameters.value(hole)))
    }

    pub(super) fn functions(mut self) -> Vec<FunctionExplanation> {
        let same_surroundings = self.new.is_surrounded_as(self.old);
        let numbers = 0..self.new.functions.len();
        let explain = |number| self.function(number, same_surroundings);
        numbers.map(explain).collect()
    }

    fn function(&mut self, number: usize, same_surroundings: bool) -> FunctionExplanation {
        let (old, new, counterparts) = (self.old, self.new, self.counterparts);
        let function = &new.functions[number];
        let index = new.imported + number as u32;
        let mut explanation = FunctionExplanation {
            index,
            name: new.function_name(number).map(str::to_string),
            body_bytes: function.body.as_bytes().len() as u64,
            cause: Cause::Uncovered,
            is_lost: true,
            old_index: counterparts[number].map(|old_number| old.imported + old_number as u32),
            changes: Vec::new(),
            duplicate_of: None,
            unsure: false,
        };
        let (Some(key), Some(split)) = (function.key, &function.split) else {
            return explanation;
        };
        let pair = |number_of_old| Pair {
            old,
            new,
            numbers: (number_of_old, number),
            counterparts,
        };
        let mut lost_key = key;
        match self.way(number, key, split, same_surroundings) {
            Way::SameBody => {
                explanation.cause = Cause::SameBody;
                explanation.old_index = Some(index);
            }
            Way::Stencil {
                old: number_of_old,
                unsure,
            } => {
                let pair = pair(number_of_old);
                (explanation.cause, explanation.changes) = found(&pair, split);
                explanation.old_index = Some(old.imported + number_of_old as u32);
                explanation.unsure = unsure;
            }
            Way::Unfit => {
                let literal = new.literal(number);
                let literal = literal.map(|split| split.stencil.key(&self.entries.fingerprint));
                let known = literal.and_then(|key| Some((key, self.literal.get(&key)?)));
                if let Some((_, numbers)) = known {
                    let number_of_old = self.best(number, numbers);
                    let pair = pair(number_of_old);
                    (explanation.cause, explanation.changes) = found(&pair, split);
                    explanation.old_index = Some(old.imported + number_of_old as u32);
                } else {
                    let number_of_old = self.best(number, &self.of_keys[&key]);
                    let pair = pair(number_of_old);
                    explanation.old_index = Some(old.imported + number_of_old as u32);
                    explanation.changes = changes::unpatched(&pair);
                    explanation.cause = cause(&explanation.changes);
                    lost_key = literal.unwrap_or(key);
                }
            }
            Way::Lost => match counterparts[number] {
                None => explanation.cause = Cause::New,
                Some(number_of_old) => {
                    let pair = pair(number_of_old);
                    explanation.changes = changes::between(&pair);
                    explanation.cause = cause(&explanation.changes);
                }
            },
        }
        if explanation.cause.is_lost() {
            let first = *self.compiled.entry(lost_key).or_insert(number);
            if first != number {
                let of_first = new.functions[first].split.as_ref();
                let same = |first: &SplitBody| first.parameters.fills_slots_like(&split.parameters);
                explanation.duplicate_of = Some(new.imported + first as u32);
                explanation.cause = Cause::Duplicate;
                // Whether the code takes both is not known before it is made.
                explanation.unsure = !of_first.is_some_and(same);
            }
        }
        // What is told of a change of a body is no change of something else.
        explanation
            .changes
            .retain(|change| change.cause != Cause::Body);
        explanation.is_lost = explanation.cause.is_lost();
        explanation
    }

    fn way(
        &self,
        number: usize,
        key: StencilKey,
        split: &SplitBody,
        same_surroundings: bool,
    ) -> Way {
        let function = &self.new.functions[number];
        if same_surroundings
            && let Some(old) = self.old.functions.get(number)
            && old.key.is_some()
            && !old.hinted
            && !function.hinted
            && old.body.as_bytes() == function.body.as_bytes()
        {
            return Way::SameBody;
        }
        let Some(numbers) = self.of_keys.get(&key) else {
            return Way::Lost;
        };
        let old = self.best(number, numbers);
        match self.takes(&key, &split.parameters) {
            Some(false) => Way::Unfit,
            Some(true) => Way::Stencil { old, unsure: false },
            // Code that does not take them is there with them in it, if they are the same.
            None => Way::Stencil {
                old,
                unsure: self.old.functions[old]
                    .split
                    .as_ref()
                    .is_none_or(|of_old| !of_old.parameters.fills_slots_like(&split.parameters)),
            },
        }
    }

    /// Which of the old functions `numbers`, all of which have the stencil of the new function
    /// `number`, to compare it with.
    fn best(&self, number: usize, numbers: &[usize]) -> usize {
        let split = |side: &'a Side<'s>, number: usize| side.functions[number].split.as_ref();
        let parameters = split(self.new, number).map(|split| &split.parameters);
        let differs = |old: &usize| {
            let of_old = split(self.old, *old).map(|split| &split.parameters);
            let both = of_old.zip(parameters);
            let different = both.is_none_or(|(old, new)| !old.fills_slots_like(new));
            (
                self.counterparts[number] != Some(*old),
                different,
                old.abs_diff(number),
            )
        };
        *numbers
            .iter()
            .min_by_key(|old| differs(old))
            .expect("a key has functions")
    }
}

/// How a function was found by its stencil, and what is different nonetheless.
fn found(pair: &Pair<'_, '_>, split: &SplitBody) -> (Cause, Vec<Change>) {
    let Pair {
        old, new, numbers, ..
    } = *pair;
    let change = |cause, what: &str, old: String, new: String| Change {
        cause,
        entity: String::new(),
        what: what.into(),
        old: Some(old),
        new: Some(new),
    };
    let mut changes = Vec::new();
    let Some(of_old) = &old.functions[numbers.0].split else {
        return (Cause::Same, changes);
    };
    let (old_parameters, new_parameters) = (&of_old.parameters, &split.parameters);
    for (cause, old, new) in [
        (
            Cause::AddressesMoved,
            &old_parameters.addresses,
            &new_parameters.addresses,
        ),
        (
            Cause::PlacesMoved,
            &old_parameters.places,
            &new_parameters.places,
        ),
    ] {
        let mut differ = old.iter().zip(new).filter(|(old, new)| old != new);
        let what = match cause {
            Cause::PlacesMoved => "place in the instance",
            _ => "address",
        };
        if let Some((old, new)) = differ.next() {
            let more = differ.count();
            let new = match more {
                0 => new.to_string(),
                more => format!("{new}, and {more} more"),
            };
            changes.push(change(cause, what, old.to_string(), new));
        }
    }
    let indices = [
        old.imported + numbers.0 as u32,
        new.imported + numbers.1 as u32,
    ];
    if indices[0] != indices[1] {
        let [old, new] = indices.map(|index| index.to_string());
        changes.push(change(Cause::Moved, "index", old, new));
    }
    let mut callees = old_parameters.callees.iter().zip(&new_parameters.callees);
    if let Some((a, b)) = callees.find(|(a, b)| a != b) {
        let name = |side: &Side<'_>, index| side.entity(Space::Function, index);
        changes.push(change(Cause::Moved, "callee", name(old, *a), name(new, *b)));
    }
    let cause = changes.first().map_or(Cause::Same, |change| change.cause);
    (cause, changes)
}

/// The foremost of the causes of these changes.
fn cause(changes: &[Change]) -> Cause {
    let causes = changes.iter().map(|change| change.cause);
    causes.min().unwrap_or(Cause::Other)
}
