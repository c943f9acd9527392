//! What the compiler can know of a value, as far as address slots are concerned.

/// A bound that says nothing.
pub(super) const ANY: u32 = u32::MAX;

/// What the compiler can know of a value.
///
/// Each kind is treated at least as strictly as all those that a value of it may turn out
/// to be: taking an opaque value for an address costs a slot, never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The result of a load, a call, a conversion from floats, a parameter of the function
    /// or of a block: no rule of the compiler looks behind it.
    Plain,
    /// What a local is assumed to hold at the beginning of each round of a loop: a plain value,
    /// if the loop brings another one around. The number is of the loop and the local.
    Round(u32),
    /// A plain value to which a constant was added. The bound is on the constant.
    Moved(u32),
    /// The result of other operators. It may fold to a constant, or hide one that was
    /// added; the bound is on either.
    Derived(u32),
    /// A constant of the body that is no address.
    Const(i64),
    /// The same, on the stack since the operator that it is written in: for the translation
    /// it is a constant, too.
    Direct(i64),
    /// The address of a slot and a known constant: a constant for the compiler.
    Address { slot: u32, addend: i32 },
    /// An address and something else, added. The bound is on the constants that may be
    /// folded into the address.
    Sum { slot: u32, bound: u32 },
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
    pub(super) fn bound(self) -> u32 {
        match self {
            Value::Plain | Value::Round(_) => 0,
            Value::Moved(bound) | Value::Derived(bound) | Value::Sum { bound, .. } => bound,
            Value::Const(value) | Value::Direct(value) => magnitude(value),
            Value::Address { addend, .. } => addend.unsigned_abs(),
            Value::Condition(_) => 1,
        }
    }

    /// Whether the value is certain not to be a constant for the compiler.
    pub(super) fn is_never_constant(self) -> bool {
        matches!(self, Value::Plain | Value::Round(_) | Value::Moved(_))
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
    pub(super) fn join(self, other: Value) -> Value {
        let (this, other) = (self.kept(), other.kept());
        if this == other {
            return this;
        }
        match (this, other) {
            (Value::Derived(_), Value::Derived(_) | Value::Const(_))
            | (Value::Const(_), Value::Derived(_)) => {
                Value::Derived(self.bound().max(other.bound()))
            }
            _ => Value::Plain,
        }
    }

    /// Whether both may stand for one value of the compiler's: a constant is taken for
    /// something derived where a loop might have changed it.
    pub(super) fn may_be(self, other: Value) -> bool {
        self == other
            || matches!(
                (self, other),
                (Value::Derived(_), Value::Derived(_) | Value::Const(_))
                    | (Value::Const(_), Value::Derived(_))
            )
    }
}

/// The magnitude of a constant, [`ANY`] if it is large.
pub(super) fn magnitude(value: i64) -> u32 {
    u32::try_from(value.unsigned_abs()).unwrap_or(ANY)
}
