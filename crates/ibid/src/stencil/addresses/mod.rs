//! Address slots: which constants of a body may differ between two functions that share a
//! stencil.

mod arithmetic;
mod facts;
mod fates;
mod flow;
mod fold;
mod numbers;
mod record;
mod survey;
mod value;

pub(crate) use facts::AddressFacts;
pub(crate) use flow::Buffers;
pub(crate) use survey::{Survey, is_looked_at};

use super::facts::ModuleFacts;
use fates::{Fates, Numbers};
use flow::{ROUNDS, Unchanged, Values, Walk};
use record::Record;
use rustc_hash::FxHashMap;
use wasmparser::{FunctionBody, OperatorsReader, OperatorsReaderAllocations, VisitOperator};

/// The largest distance of what code holds from a slot's address, in bytes.
const WINDOW: u32 = 1 << 15;

/// The same for offsets of accesses, for which there is less room.
const OFFSET_WINDOW: u32 = 1 << 12;

/// No address is smaller, in bytes: small numbers have encodings of their own, and most are
/// sizes.
const SMALLEST: u32 = 1 << 10;

/// What is smaller is no sentinel.
const LARGE: u32 = 1 << 17;

/// Addresses that are no further apart may be made of each other by operations on bits, in
/// bytes.
const NEIGHBOURHOOD: u32 = 64;

/// A function has no slots if it mentions more addresses than this.
const MOST_SLOTS: usize = 2048;

/// A place in a body where a constant is written that may be an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Where its encoding lies in the body.
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) class: Class,
    pub(crate) value: u32,
}

/// What decides how code holds a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Class {
    /// A constant.
    Constant = 0,
    /// The offset of an access for which no bounds are checked.
    Near = 1,
    /// A larger offset: bounds are checked, unless the index is a constant.
    Far = 2,
}

/// The slots of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    /// Of each mention: its slot and its distance from the slot's address, if it has one. Slots
    /// are numbered by first appearance.
    pub(crate) of_mentions: Vec<Option<(u32, i32)>>,
    /// The address of each slot.
    pub(crate) values: Vec<u32>,
    pub(crate) classes: Vec<Class>,
    /// The constants that the compiler may see of each slot: slot and what is added, sorted.
    pub(crate) constants: Vec<(u32, i32)>,
    /// The same for what may be in addresses of accesses.
    pub(crate) folded: Vec<(u32, i32)>,
    /// The same for those of which it may see the complement.
    pub(crate) checked: Vec<(u32, i32)>,
    /// By slot: the largest constant that may be folded into its address besides these.
    pub(crate) reach: Vec<u32>,
    /// Magnitudes of the large literals of the body and of what is made of them, which no
    /// sentinel may be near.
    pub(crate) large: Vec<u32>,
    /// Any number up to this may be made of literals: every sentinel is larger.
    pub(crate) made: u32,
}

impl Class {
    /// The largest distance of what code holds from a slot's address, in bytes.
    pub(crate) fn window(self) -> u32 {
        match self {
            Class::Constant => WINDOW,
            Class::Near | Class::Far => OFFSET_WINDOW,
        }
    }
}

/// What is asked of a body: the one of the function `index`, whose `mentions` these are, in
/// order, and `survey` the survey of its operators.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a, 'b> {
    pub(crate) facts: &'a ModuleFacts,
    pub(crate) index: u32,
    pub(crate) body: &'a FunctionBody<'b>,
    pub(crate) mentions: &'a [Mention],
    pub(crate) survey: &'a Survey,
}

/// The slots of a body, and how they were found.
pub(crate) struct Decision {
    pub(crate) slots: Slots,
    /// What was found out, unless that was on record.
    pub(crate) record: Option<Vec<u8>>,
}

/// Finds the slots among the mentions of a body, which need not be valid; with what is on
/// `record` of another one that is the same with its mentions abstracted, if that holds for this
/// one, too.
pub(crate) fn decide(
    asked: Asked<'_, '_>,
    record: Option<&[u8]>,
    memory: (&mut OperatorsReaderAllocations, &mut Buffers),
) -> Decision {
    let candidates = Candidates::of(asked.mentions);
    if candidates.values.len() > MOST_SLOTS {
        return Decision {
            slots: Slots::default(),
            record: None,
        };
    }
    let known = record.and_then(|record| Record::read(record, &candidates.values));
    let (found, record) = match known {
        Some(known) => (known.found, None),
        None => {
            let record = walk(asked, &candidates, memory);
            let bytes = record.write();
            (record.found, Some(bytes))
        }
    };
    let slots = match found {
        Some((fates, numbers)) => candidates.keep(fates, numbers, &asked.survey.large),
        None => Slots::default(),
    };
    Decision { slots, record }
}

/// Walks over a body until it is known what becomes of each candidate.
fn walk(
    asked: Asked<'_, '_>,
    candidates: &Candidates,
    (control, buffers): (&mut OperatorsReaderAllocations, &mut Buffers),
) -> Record {
    let mut record = Record {
        range: record::wide_range(&candidates.values),
        holds: vec![record::ANYWHERE; candidates.values.len()],
        found: None,
    };
    let Some(locals) = locals(asked.body) else {
        return record;
    };
    // One half for what is folded into a constant, the other for its distance from the slot.
    let classes = candidates.classes.iter();
    let windows: Vec<u32> = classes.map(|class| class.window() / 2).collect();
    let mut unchanged = Unchanged::default();
    for _ in 0..ROUNDS {
        let walk = Walk::new(
            asked.facts,
            &candidates.of_mentions,
            Values::new(&candidates.values, &windows, &mut record.holds),
            record.range.clone(),
            &asked.survey.loops,
            &mut unchanged,
            std::mem::take(buffers),
        );
        let walked = walk.run(asked.index, locals.iter().copied(), |walk| {
            visit(asked.body, control, walk).is_some()
        });
        let Ok(walked) = walked else {
            return record;
        };
        *buffers = walked.buffers;
        if !walked.again {
            let mut fates = walked.fates;
            let numbers = fates.numbers();
            record.found = Some((fates, numbers));
            return record;
        }
    }
    record
}

fn locals(body: &FunctionBody<'_>) -> Option<Vec<u32>> {
    body.get_locals_reader()
        .ok()?
        .into_iter()
        .map(|local| Some(local.ok()?.0))
        .collect()
}

/// Shows every operator of `body` to `visitor`.
fn visit<'b, V: VisitOperator<'b, Output = ()>>(
    body: &FunctionBody<'b>,
    control: &mut OperatorsReaderAllocations,
    visitor: &mut V,
) -> Option<()> {
    let reader = body.get_binary_reader_for_operators().ok()?;
    let mut operators = OperatorsReader::new_with_allocs(reader, std::mem::take(control));
    while !operators.eof() {
        operators.visit_operator(visitor).ok()?;
    }
    *control = operators.into_allocations();
    Some(())
}

/// Constants that may be addresses: equal ones are one.
struct Candidates {
    of_mentions: Vec<u32>,
    values: Vec<u32>,
    classes: Vec<Class>,
    /// Those that are offsets of different classes.
    mixed: Vec<u32>,
}

impl Candidates {
    fn of(mentions: &[Mention]) -> Candidates {
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let mut candidates = Candidates {
            of_mentions: Vec::with_capacity(mentions.len()),
            values: Vec::new(),
            classes: Vec::new(),
            mixed: Vec::new(),
        };
        for mention in mentions {
            let number = *numbers.entry(mention.value).or_insert_with(|| {
                candidates.values.push(mention.value);
                candidates.classes.push(Class::Constant);
                candidates.values.len() as u32 - 1
            });
            let class = &mut candidates.classes[number as usize];
            let offsets = *class != Class::Constant && mention.class != Class::Constant;
            if offsets && *class != mention.class {
                candidates.mixed.push(number);
            }
            *class = mention.class.max(*class);
            candidates.of_mentions.push(number);
        }
        candidates
    }

    /// The slots that are left, numbered anew.
    fn keep(self, mut fates: Fates, numbers: Numbers, large: &[u32]) -> Slots {
        self.mixed.iter().for_each(|number| fates.literal(*number));
        let bases = self.gather(&mut fates, &numbers);
        self.part_from_literals(&mut fates);
        let Numbers {
            constants,
            mut folded,
            checked,
            large: made_of_literals,
            made,
            ..
        } = numbers;
        folded.extend((0..self.values.len() as u32).map(|candidate| (candidate, 0)));
        let mut numbers: Vec<Option<u32>> = vec![None; self.values.len()];
        let mut slots = Slots {
            large: [large, &made_of_literals].concat(),
            made,
            ..Slots::default()
        };
        // Of the candidate: its slot's number, and the distance from the slot's address.
        let mut place = |slots: &mut Slots, candidate: u32| {
            if fates.is_literal(candidate) {
                return None;
            }
            let base = bases[candidate as usize] as usize;
            let number = *numbers[base].get_or_insert_with(|| {
                slots.values.push(self.values[base]);
                slots.classes.push(self.classes[base]);
                slots.reach.push(0);
                slots.values.len() as u32 - 1
            });
            let distance = self.values[candidate as usize].wrapping_sub(self.values[base]);
            let distance = distance.cast_signed();
            let reach = &mut slots.reach[number as usize];
            match fates.reach_of(candidate) {
                0 => {}
                more => *reach = (*reach).max(more.saturating_add(distance.unsigned_abs())),
            }
            Some((number, distance))
        };
        for candidate in &self.of_mentions {
            let place = place(&mut slots, *candidate);
            slots.of_mentions.push(place);
        }
        let mut places = |slots: &mut Slots, numbers: Vec<(u32, i32)>| {
            let mut numbers: Vec<(u32, i32)> = numbers
                .into_iter()
                .filter_map(|(candidate, addend)| {
                    let (slot, distance) = place(slots, candidate)?;
                    Some((slot, distance + addend))
                })
                .collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        };
        slots.constants = places(&mut slots, constants);
        slots.folded = places(&mut slots, folded);
        slots.checked = places(&mut slots, checked);
        slots
    }

    /// Where two candidates give one number, the compiler may share it: they become one slot,
    /// and their distance is part of the stencil. Where a candidate gives a number that is there
    /// for another reason, it is literal. By candidate, that of the slot's address.
    fn gather(&self, fates: &mut Fates, seen: &Numbers) -> Vec<u32> {
        const NONE: u32 = u32::MAX;
        let mut bases: Vec<u32> = (0..self.values.len() as u32).collect();
        let value = |candidate: u32| i64::from(self.values[candidate as usize]);
        // From where to where the numbers may lie that come of a candidate.
        let mut numbers: Vec<(i64, i64, u32)> = Vec::new();
        for candidate in bases.iter().copied() {
            let (value, reach) = (value(candidate), i64::from(fates.reach_of(candidate)));
            numbers.push((value - reach, value + reach, candidate));
        }
        let number = |(c, addend): &(u32, i32)| value(*c) + i64::from(*addend);
        let added = seen.constants.iter().chain(&seen.folded);
        numbers.extend(added.map(|added| (number(added), number(added), added.0)));
        // Complements are numbers of their own.
        let checked = seen.checked.iter();
        numbers.extend(checked.map(|added| (-number(added), -number(added), added.0)));
        numbers.extend(seen.others.iter().map(|(start, end)| (*start, *end, NONE)));
        // Mostly runs that are sorted already.
        numbers.sort();
        numbers.dedup();
        let mut last: Option<(i64, u32)> = None;
        for (start, end, b) in numbers {
            let Some((reached, a)) = last.filter(|(reached, _)| start <= *reached) else {
                last = Some((end, b));
                continue;
            };
            last = Some((reached.max(end), if b == NONE { a } else { b }));
            match (a, b) {
                (NONE, NONE) => {}
                (NONE, candidate) | (candidate, NONE) => fates.literal(candidate),
                (a, b) => self.merge(fates, &mut bases, a, b),
            }
        }
        bases
    }

    /// A candidate that is literal may be masked, shifted or combined with small constants into
    /// numbers near it: those near it are literal as well.
    fn part_from_literals(&self, fates: &mut Fates) {
        let mut order: Vec<u32> = (0..self.values.len() as u32).collect();
        order.sort_unstable_by_key(|candidate| self.values[*candidate as usize]);
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for pair in order.windows(2) {
                let [a, b] = [pair[0], pair[1]];
                let apart = self.values[b as usize] - self.values[a as usize];
                if apart < NEIGHBOURHOOD && fates.is_literal(a) != fates.is_literal(b) {
                    fates.literal(a);
                    fates.literal(b);
                    changed = true;
                }
            }
        }
    }

    /// Makes the slots of two candidates one, with the first one's address.
    fn merge(&self, fates: &mut Fates, bases: &mut [u32], a: u32, b: u32) {
        let [a, b] = [a, b].map(|candidate| bases[candidate as usize]);
        let (a, b) = (a.min(b), a.max(b));
        if a == b {
            return;
        }
        fates.unite(a, b);
        let [first, second] = [a, b].map(|base| self.classes[base as usize]);
        let values = &self.values;
        let far =
            |candidate: usize| values[candidate].abs_diff(values[a as usize]) > first.window() / 2;
        let mut apart = first != second;
        for (candidate, base) in bases.iter_mut().enumerate() {
            if *base == b {
                apart |= far(candidate);
                *base = a;
            }
        }
        if apart {
            fates.literal(a);
        }
    }
}

#[cfg(test)]
mod tests;
