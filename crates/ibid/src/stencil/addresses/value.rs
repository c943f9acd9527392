//! What the compiler can know of a value, as far as address slots are concerned.

use super::numbers::{Few, Sets, Shown};

/// A bound that says nothing.
pub(super) const ANY: u32 = u32::MAX;

/// Operators whose constants rules bring together: `(x & 12) & 6` becomes `x & 4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// No rule brings the constants of such an operator together with others.
    None,
    /// Differences, too, with the constant's sign.
    Add,
    Multiply,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    Rotate,
}

/// What the compiler can know of a value.
///
/// Each kind is treated at least as strictly as all those that a value of it may turn out
/// to be: taking an opaque value for an address costs a slot, never more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Value {
    /// The result of a load, a call, a conversion from floats, a parameter of the function
    /// or of a block: no rule of the compiler looks behind it.
    #[default]
    Plain,
    /// What a local is assumed to hold at the beginning of each round of a loop: a plain value,
    /// if the loop brings another one around. The number is of the loop and the local.
    Round(u32),
    /// A number that is never a constant, and the constant of the last operator that it went
    /// through.
    Over {
        family: Family,
        constant: i64,
        /// It went through no other operator before of which rules might see the constant.
        bare: bool,
    },
    /// A number that may turn out to be one of a few constants, or shows one to rules. The number
    /// is that of the set.
    Set(u32),
    /// The result of other operators. It may fold to a constant, or hide one; the bound is on
    /// either.
    Derived(u32),
    /// A constant of the body that is no address.
    Const(i64),
    /// The same, on the stack since the operator that it is written in: for the translation
    /// it is a constant, too.
    Direct(i64),
    /// The address of a slot and a known constant: a constant for the compiler.
    Address { slot: u32, addend: i32 },
    /// An address and something else, added. The bound is on the constants that may be
    /// folded into the address; the sum of all of them, if it is known.
    Sum {
        slot: u32,
        bound: u32,
        exact: Option<i16>,
    },
    /// The result of the comparison of an address with a plain value.
    Condition(u32),
}

impl Value {
    /// The slot whose address is in the value.
    pub(super) fn linear(self) -> Option<u32> {
        match self {
            Value::Address { slot, .. } | Value::Sum { slot, .. } => Some(slot),
            _ => None,
        }
    }

    /// The slot that the value comes from in any way.
    pub(super) fn slot(self) -> Option<u32> {
        match self {
            Value::Condition(slot) => Some(slot),
            value => value.linear(),
        }
    }

    /// The bound on constants in the value that addition may bring together with others.
    pub(super) fn bound(self, sets: &Sets) -> u32 {
        match self {
            Value::Plain | Value::Round(_) => 0,
            Value::Over {
                family: Family::Add,
                constant,
                ..
            } => magnitude(constant),
            Value::Over { .. } => 0,
            Value::Set(set) => sets.get(set).bound(),
            Value::Derived(bound) | Value::Sum { bound, .. } => bound,
            Value::Const(value) | Value::Direct(value) => magnitude(value),
            Value::Address { addend, .. } => addend.unsigned_abs(),
            Value::Condition(_) => 1,
        }
    }

    /// A value that is never a constant, and of which no rule sees one.
    pub(super) fn opaque() -> Value {
        Value::Over {
            family: Family::None,
            constant: 0,
            bare: true,
        }
    }

    /// The constant that is in the value as far as addition goes, if it is known.
    pub(super) fn added(self) -> Option<i64> {
        match self {
            Value::Plain | Value::Round(_) | Value::Set(Sets::ZERO) => Some(0),
            Value::Over {
                family: Family::Add,
                constant,
                ..
            } => Some(constant),
            Value::Over { .. } => Some(0),
            Value::Const(constant) | Value::Direct(constant) => Some(constant),
            Value::Address { addend, .. } => Some(addend.into()),
            Value::Sum { exact, .. } => exact.map(i64::from),
            Value::Set(_) | Value::Derived(_) | Value::Condition(_) => None,
        }
    }

    /// Whether the value is certain not to be a constant for the compiler.
    pub(super) fn is_never_constant(self) -> bool {
        matches!(self, Value::Plain | Value::Round(_) | Value::Over { .. })
    }

    /// Whether rules see no constant of the value.
    pub(super) fn shows_nothing(self) -> bool {
        matches!(
            self,
            Value::Plain
                | Value::Round(_)
                | Value::Over {
                    family: Family::None | Family::ShiftLeft | Family::ShiftRight | Family::Rotate,
                    ..
                }
        )
    }

    /// The constants that rules may see of the value, if it is no slot's.
    pub(super) fn shown(self, sets: &Sets) -> Shown {
        match self {
            value if value.shows_nothing() => Shown::Few(Few::none()),
            Value::Plain | Value::Round(_) => Shown::Few(Few::none()),
            Value::Over { constant, .. } | Value::Const(constant) | Value::Direct(constant) => {
                Few::of([constant])
            }
            Value::Set(set) => sets.get(set),
            Value::Derived(bound) => Shown::Bound(bound),
            Value::Condition(_) => sets.get(Sets::FLAG),
            Value::Address { .. } | Value::Sum { .. } => Shown::Bound(ANY),
        }
    }

    /// The value as it comes back from a local or out of a block.
    pub(super) fn kept(self) -> Value {
        match self {
            Value::Direct(value) => Value::Const(value),
            value => value,
        }
    }

    /// The value as an operand.
    pub(super) fn used(self) -> Value {
        match self {
            Value::Round(_) => Value::Plain,
            value => value,
        }
    }

    /// The constant that the value is.
    pub(super) fn constant(self) -> Option<i64> {
        match self {
            Value::Const(value) | Value::Direct(value) => Some(value),
            _ => None,
        }
    }

    /// What reaches a point on two ways. Different values meet in a parameter of a block,
    /// which nothing looks behind; what may be one value stays what it may be.
    pub(super) fn join(self, other: Value, sets: &mut Sets) -> Value {
        let (this, other) = (self.kept(), other.kept());
        if this == other {
            return this;
        }
        if this.may_fold_like(other) {
            this.either(other, sets)
        } else {
            Value::Plain
        }
    }

    /// One of two values that are no slots'.
    pub(super) fn either(self, other: Value, sets: &mut Sets) -> Value {
        if self.shows_nothing() && other.shows_nothing() {
            return Value::opaque();
        }
        match (self.shown(sets), other.shown(sets)) {
            (Shown::Few(these), Shown::Few(those)) => {
                let numbers = these.numbers().iter().chain(those.numbers()).copied();
                Value::showing(Few::of(numbers), sets)
            }
            (these, those) => Value::Derived(these.bound().max(those.bound())),
        }
    }

    /// A value that may be one of these constants.
    pub(super) fn showing(shown: Shown, sets: &mut Sets) -> Value {
        match shown {
            Shown::Few(few) => Value::Set(sets.push(few)),
            Shown::Bound(bound) => Value::Derived(bound),
        }
    }

    /// Whether both may stand for one value of the compiler's: a constant is taken for
    /// something derived where a loop might have changed it.
    pub(super) fn may_be(self, other: Value) -> bool {
        self == other || self.may_fold_like(other)
    }

    /// Whether both may turn out to be the same constant. Two that are constants are not.
    fn may_fold_like(self, other: Value) -> bool {
        let may_fold = |value| matches!(value, Value::Set(_) | Value::Derived(_));
        let is_constant = |value: Value| value.constant().is_some();
        may_fold(self) && (may_fold(other) || is_constant(other))
            || is_constant(self) && may_fold(other)
    }
}

/// The magnitude of a constant, [`ANY`] if it is large.
pub(super) fn magnitude(value: i64) -> u32 {
    u32::try_from(value.unsigned_abs()).unwrap_or(ANY)
}
