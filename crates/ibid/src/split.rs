//! From functions to keys: each body's shape first, then, with what the store has on record for
//! that, which of its addresses are slots.

use crate::entries::{Entries, EntryKey, seal};
use crate::fingerprint::Fingerprint;
use crate::jobs::Job;
use crate::module::Source;
use crate::pipeline::Refused;
use crate::program::Whole;
use crate::stencil::{
    self, Addresses, Decision, FunctionParameters, Scratch, Shape, ShapeKey, Slots, SplitBody,
    StencilKey,
};
use ibid_store::Entry;
use std::borrow::Cow;
use wasmtime_environ::DefinedFuncIndex;

/// A function whose parameters and key are known and whose code is not.
pub(crate) struct Wanted {
    pub(crate) job: Job,
    pub(crate) parameters: FunctionParameters,
    pub(crate) slots: Slots,
    /// `None`: the body could not be split; it is compiled, and never stored.
    pub(crate) stencil: Option<StencilKey>,
}

/// A function split, but for which of its addresses are slots.
pub(crate) struct Shaped {
    job: Job,
    split: Option<HalfSplit>,
    /// The key of what is on record of how its slots were found.
    pub(crate) record: Option<EntryKey>,
}

enum HalfSplit {
    Body(Shape, ShapeKey),
    Trampoline(SplitBody),
}

impl Shaped {
    pub(crate) fn of(
        fingerprint: &Fingerprint,
        program: Whole<'_>,
        job: Job,
        addresses: Addresses,
        scratch: &mut Scratch,
    ) -> Shaped {
        let mut record = None;
        let split = match job {
            Job::Function(module, function) => {
                let source = program.module(module);
                source.shape(function, addresses, scratch).map(|mut shape| {
                    let key = ShapeKey::of_function(fingerprint, &shape);
                    if shape.is_worth_a_record() {
                        let memories = &source.facts.addresses.digest;
                        record = Some(Entries::record(&key.record(fingerprint, memories)));
                    }
                    let [body, facts] = [&mut shape.body, &mut shape.facts].map(std::mem::take);
                    scratch.reuse(body, facts);
                    HalfSplit::Body(shape, key)
                })
            }
            trampoline => trampoline.split(program).map(HalfSplit::Trampoline),
        };
        Shaped { job, split, record }
    }

    /// The whole split, and what to keep on record of it. With `check` a `record` is not just
    /// believed.
    pub(crate) fn decide(
        self,
        fingerprint: &Fingerprint,
        program: Whole<'_>,
        record: Option<Cow<'_, [u8]>>,
        check: bool,
        scratch: &mut Scratch,
    ) -> Result<(Wanted, Option<Entry>), Refused> {
        let job = self.job;
        let mut wanted = Wanted {
            job,
            parameters: FunctionParameters::default(),
            slots: Slots::default(),
            stencil: None,
        };
        let mut entry = None;
        match self.split {
            Some(HalfSplit::Body(mut shape, key)) => {
                let Job::Function(module, function) = job else {
                    unreachable!("only functions have bodies");
                };
                let source = program.module(module);
                let mut decide = |record| source.slots(function, &shape, record, scratch);
                let Decision { mut slots, record } = decide(record.as_deref());
                if check && record.is_none() && decide(None).slots != slots {
                    let symbol = job.symbol(program);
                    return Err(Refused::Mismatch(format!(
                        "the record of which addresses of `{symbol}` are slots is wrong"
                    )));
                }
                entry = record
                    .zip(self.record)
                    .map(|(record, key)| seal(key, record));
                let (decided, parameters) = shape.decided(&mut slots);
                wanted.stencil = Some(key.stencil(fingerprint, &decided));
                wanted.parameters = parameters;
                wanted.slots = slots;
            }
            Some(HalfSplit::Trampoline(split)) => {
                wanted.stencil = Some(split.stencil.key(fingerprint));
                wanted.parameters = split.parameters;
            }
            None => wanted.parameters = unsplit(program, job),
        }
        Ok((wanted, entry))
    }
}

/// The stencil and parameters of `job`; `None` when its body cannot be split.
pub(crate) fn split(
    program: Whole<'_>,
    job: Job,
    addresses: Addresses,
    scratch: &mut Scratch,
) -> Option<SplitBody> {
    match job {
        Job::Function(module, function) => {
            let source = program.module(module);
            let shape = source.shape(function, addresses, scratch)?;
            let slots = source.slots(function, &shape, None, scratch).slots;
            Some(shape.with(slots))
        }
        trampoline => trampoline.split(program),
    }
}

impl Source<'_> {
    /// The shape of the body of `function`; `None` if it does not read.
    fn shape(
        &self,
        function: DefinedFuncIndex,
        addresses: Addresses,
        scratch: &mut Scratch,
    ) -> Option<Shape> {
        let index = self.function_index(function).as_u32();
        let (body, hints) = (self.body(function), self.branch_hints(function));
        stencil::shape(&self.facts, index, body, hints, addresses, scratch).ok()
    }

    /// Which mentions of the body of `function`, which has this shape, are slots.
    fn slots(
        &self,
        function: DefinedFuncIndex,
        shape: &Shape,
        record: Option<&[u8]>,
        scratch: &mut Scratch,
    ) -> Decision {
        let index = self.function_index(function).as_u32();
        shape.decide(&self.facts, index, self.body(function), record, scratch)
    }
}

impl Job {
    /// The split of a trampoline.
    fn split(self, program: Whole<'_>) -> Option<SplitBody> {
        let (stencil, parameters) = self.trampoline(program)?;
        Some(SplitBody {
            stencil,
            parameters,
            slots: Slots::default(),
        })
    }
}

/// Parameters for a function whose body cannot be split: every function is a callee
/// of its, and its source locations are what they are.
fn unsplit(program: Whole<'_>, job: Job) -> FunctionParameters {
    let functions = job.module().map_or(0, |module| {
        let module = program.module(module);
        module.translation.module.functions.len() as u32
    });
    let callees = 0..functions;
    if job.is_function() {
        FunctionParameters::unsplit(base(program, job), callees.collect())
    } else {
        FunctionParameters::without_source(callees.chain([FunctionParameters::WASM_CALL]).collect())
    }
}

/// Where the body of `job` lies in the input; `u32::MAX` if it has none.
pub(crate) fn base(program: Whole<'_>, job: Job) -> u32 {
    match job {
        Job::Function(module, function) => {
            program.module(module).body(function).range().start as u32
        }
        _ => u32::MAX,
    }
}
