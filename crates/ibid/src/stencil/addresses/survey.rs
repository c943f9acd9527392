//! What the walk over a body has to know beforehand: which locals each loop assigns.

use super::LARGE;
use wasmparser::Operator;

/// A loop of a body.
#[derive(Default)]
pub(super) struct Loop {
    /// The locals that it assigns, sorted.
    pub(super) assigned: Vec<u32>,
    /// The globals that it assigns: [`global_bit`] of each.
    pub(super) globals_set: u64,
}

/// What stands for a global in a set of such; some share one.
pub(super) fn global_bit(index: u32) -> u64 {
    1 << (index % u64::BITS)
}

/// Finds the loops of a body, in the order in which they begin.
#[derive(Default)]
pub(crate) struct Survey {
    pub(super) loops: Vec<Loop>,
    /// The targets that each `br_table` has besides the default one.
    pub(crate) tables: Vec<u32>,
    /// There is a tail call.
    pub(crate) tail_calls: bool,
    /// Magnitudes of constants and offsets that are too large for most uses.
    pub(super) large: Vec<u32>,
    /// Open blocks: whether they are loops.
    open: Vec<bool>,
    /// The numbers of those that are.
    inside: Vec<usize>,
}

impl Survey {
    fn constant(&mut self, value: i64) {
        if let Ok(magnitude) = u32::try_from(value.unsigned_abs())
            && magnitude >= LARGE
        {
            self.large.push(magnitude);
        }
    }

    /// Takes in the next operator, if it [is looked at](is_looked_at).
    pub(crate) fn look(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.open.push(false),
            Operator::Loop { .. } => {
                self.open.push(true);
                self.inside.push(self.loops.len());
                self.loops.push(Loop::default());
            }
            Operator::End => {
                if self.open.pop() == Some(true)
                    && let Some(number) = self.inside.pop()
                {
                    let assigned = &mut self.loops[number].assigned;
                    assigned.sort_unstable();
                    assigned.dedup();
                }
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                for number in &self.inside {
                    let assigned = &mut self.loops[*number].assigned;
                    if assigned.last() != Some(local_index) {
                        assigned.push(*local_index);
                    }
                }
            }
            Operator::GlobalSet { global_index } => {
                for number in &self.inside {
                    self.loops[*number].globals_set |= global_bit(*global_index);
                }
            }
            Operator::BrTable { targets } => self.tables.push(targets.len()),
            Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => self.tail_calls = true,
            Operator::I32Const { value } => self.constant(i64::from(*value)),
            Operator::I64Const { value } => self.constant(*value),
            Operator::F32Const { value } => self.constant(i64::from(value.bits())),
            _ => {}
        }
    }
}

/// Whether the survey looks at an operator.
pub(crate) const fn is_looked_at(name: &str) -> bool {
    matches!(
        name.as_bytes(),
        b"Block"
            | b"If"
            | b"Loop"
            | b"End"
            | b"LocalSet"
            | b"LocalTee"
            | b"GlobalSet"
            | b"BrTable"
            | b"ReturnCall"
            | b"ReturnCallIndirect"
            | b"ReturnCallRef"
            | b"I32Const"
            | b"I64Const"
            | b"F32Const"
    )
}
