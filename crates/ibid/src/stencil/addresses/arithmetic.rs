//! What operators on integers make of what is known of their operands, and which constants
//! the compiler makes of those that are no slot's.
//!
//! Rules bring constants together: `(x & 12) & 6` becomes `x & 4`. A constant that comes of that
//! must not be a slot's by chance, for the compiler would share it. Each rule of Cranelift's that
//! makes one of two others is named in `docs/keys.md`.

use super::flow::Walk;
use super::fold::fold;
use super::numbers::{Few, Sets, Shown};
use super::value::{ANY, Family, Value, magnitude};
use wasmparser::Operator;

/// What is known of an operator on two integers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    Rotate,
    Divide,
    Remainder,
    Compare,
}

/// An operator on two integers.
#[derive(Clone, Copy)]
pub(super) struct Binary<'o> {
    pub(super) arithmetic: Arithmetic,
    /// It has 64 bits, or 32.
    pub(super) wide: bool,
    pub(super) operator: &'o Operator<'o>,
}

impl Arithmetic {
    fn family(self) -> Family {
        match self {
            Arithmetic::Add | Arithmetic::Subtract => Family::Add,
            Arithmetic::Multiply => Family::Multiply,
            Arithmetic::And => Family::And,
            Arithmetic::Or => Family::Or,
            Arithmetic::Xor => Family::Xor,
            Arithmetic::ShiftLeft => Family::ShiftLeft,
            Arithmetic::ShiftRight => Family::ShiftRight,
            Arithmetic::Rotate => Family::Rotate,
            Arithmetic::Divide | Arithmetic::Remainder | Arithmetic::Compare => Family::None,
        }
    }

    /// What is folded of constants is not all that the compiler makes of them.
    pub(super) fn divides(self) -> bool {
        matches!(self, Arithmetic::Divide | Arithmetic::Remainder)
    }

    /// The constant with which the operator does nothing, on the right.
    fn neutral(self) -> i64 {
        match self {
            Arithmetic::Multiply => 1,
            Arithmetic::And => -1,
            _ => 0,
        }
    }
}

impl Binary<'_> {
    fn of(self, a: i64, b: i64) -> i64 {
        fold(self.operator, &[a, b]).unwrap_or_default()
    }

    fn bits(self) -> u32 {
        if self.wide { u64::BITS } else { u32::BITS }
    }

    /// How far a shift by `constant` shifts.
    fn distance(self, constant: i64) -> u32 {
        constant as u32 % self.bits()
    }

    /// A bound on what the operator makes of constants with these bounds.
    fn bound(self, a: u32, b: u32) -> u32 {
        match self.arithmetic {
            Arithmetic::And => a.max(b),
            Arithmetic::Multiply => a.max(1).saturating_mul(b.max(1)),
            Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Or | Arithmetic::Xor => {
                a.saturating_add(b)
            }
            _ => ANY,
        }
    }

    /// The same with a constant on the right.
    fn bound_with(self, a: u32, constant: i64) -> u32 {
        match self.arithmetic {
            Arithmetic::And if constant >= 0 => magnitude(constant),
            Arithmetic::ShiftLeft => match u32::try_from(1_u64 << self.distance(constant)) {
                Ok(factor) => a.saturating_mul(factor),
                Err(_) => ANY,
            },
            Arithmetic::ShiftRight => {
                let left = self.bits() - self.distance(constant);
                a.max(u32::try_from(1_u64.wrapping_shl(left)).unwrap_or(ANY))
            }
            _ => self.bound(a, magnitude(constant)),
        }
    }
}

impl Walk<'_> {
    /// The two values on top of the stack become one.
    pub(super) fn binary(&mut self, binary: Binary<'_>) {
        if !self.live() {
            return;
        }
        let (b, a) = (self.pop(), self.pop());
        let value = match binary.arithmetic {
            Arithmetic::Add => self.add(binary, a, b),
            Arithmetic::Subtract => self.subtract(binary, a, b),
            Arithmetic::Compare => self.compare(a, b),
            _ => self.neither(binary, a, b),
        };
        self.push(value);
    }

    /// Whether a rule knows more of the two values on top of the stack than that they are
    /// constants.
    fn is_address_and_constant(&self, small: bool) -> bool {
        let [.., a, b] = self.stack[..] else {
            return false;
        };
        let known = |a: Value, b: Value| match a {
            Value::Address { addend, .. } if small => is_small(addend, b),
            Value::Address { .. } => b.constant().is_some(),
            _ => false,
        };
        known(a, b) || known(b, a)
    }

    /// Whether a rule keeps an address an address although both operands are constants.
    pub(super) fn keeps_address(&self, arithmetic: Arithmetic) -> bool {
        match arithmetic {
            Arithmetic::Add => self.is_address_and_constant(false),
            Arithmetic::Compare => self.is_address_and_constant(true),
            Arithmetic::Subtract => matches!(
                self.stack[..],
                [
                    ..,
                    Value::Address { .. },
                    Value::Const(_) | Value::Direct(_)
                ]
            ),
            _ => false,
        }
    }

    fn add(&mut self, binary: Binary<'_>, a: Value, b: Value) -> Value {
        let bound = self.bound(a).saturating_add(self.bound(b));
        match (a.kept(), b.kept()) {
            (Value::Address { slot, addend }, Value::Const(constant))
            | (Value::Const(constant), Value::Address { slot, addend }) => {
                self.address(slot, constant.saturating_add(addend.into()))
            }
            (Value::Condition(_), _) | (_, Value::Condition(_)) => self.neither(binary, a, b),
            (a, b) => match (a.linear(), b.linear()) {
                (Some(slot), None) | (None, Some(slot)) => {
                    let added = a.added().zip(b.added());
                    let exact = added.and_then(|(a, b)| a.checked_add(b));
                    self.sum(slot, bound, exact)
                }
                _ => self.neither(binary, a, b),
            },
        }
    }

    fn subtract(&mut self, binary: Binary<'_>, a: Value, b: Value) -> Value {
        let bound = self.bound(a).saturating_add(self.bound(b));
        match (a.kept(), b.kept()) {
            (Value::Address { slot, addend }, Value::Const(constant)) => {
                self.address(slot, i64::from(addend).saturating_sub(constant))
            }
            (Value::Condition(_), _) | (_, Value::Condition(_)) => self.neither(binary, a, b),
            (a, b) => match (a.linear(), b.linear()) {
                (Some(slot), None) => {
                    let added = a.added().zip(b.added());
                    let exact = added.and_then(|(a, b)| a.checked_sub(b));
                    self.sum(slot, bound, exact)
                }
                _ => self.neither(binary, a, b),
            },
        }
    }

    pub(super) fn compare(&mut self, a: Value, b: Value) -> Value {
        match (a, b) {
            (Value::Address { slot, .. }, Value::Plain)
            | (Value::Plain, Value::Address { slot, .. }) => Value::Condition(slot),
            // Every address is larger than a small constant.
            (Value::Address { addend, .. }, b) if is_small(addend, b) => Value::Set(Sets::FLAG),
            (a, Value::Address { addend, .. }) if is_small(addend, a) => Value::Set(Sets::FLAG),
            (a, b) => {
                let (a, b) = (self.seen(a), self.seen(b));
                self.compare_numbers(a, b);
                Value::Set(Sets::FLAG)
            }
        }
    }

    /// `(x + 8) == 12` becomes `x == 4`, and `(x * 3) == 12` too.
    fn compare_numbers(&mut self, a: Value, b: Value) {
        if a.shows_nothing() || b.shows_nothing() {
            return;
        }
        let (these, those) = match (a.shown(&self.sets), b.shown(&self.sets)) {
            (Shown::Few(these), Shown::Few(those)) => (these, those),
            (these, those) => {
                return self.fates.made(these.bound().saturating_add(those.bound()));
            }
        };
        for a in these.numbers().iter().copied() {
            for b in those.numbers().iter().copied() {
                self.fates.number(a.wrapping_sub(b));
                self.fates.number(a.wrapping_add(b));
                self.quotients(a, b);
                self.quotients(b, a);
            }
        }
    }

    fn quotients(&mut self, a: i64, b: i64) {
        let narrow = (a as u32).checked_div(b as u32).map(i64::from);
        for quotient in [a.checked_div(b), narrow].into_iter().flatten() {
            self.fates.number(quotient);
        }
    }

    /// A value as the compiler sees it where code may depend on it.
    pub(super) fn seen(&mut self, value: Value) -> Value {
        self.literal(value);
        match value.kept() {
            Value::Address { slot, addend } => {
                let value = self.value(slot) + i64::from(addend);
                self.fates.number(value);
                Value::Const(value)
            }
            Value::Sum { slot, bound, exact } => {
                let address = self.value(slot);
                match exact {
                    Some(exact) => self.made([address + i64::from(exact)].into_iter()),
                    None => Value::Derived(magnitude(address).saturating_add(bound)),
                }
            }
            Value::Condition(_) => Value::Set(Sets::FLAG),
            value => value,
        }
    }

    /// Operands that have no slots, or none any more.
    fn neither(&mut self, binary: Binary<'_>, a: Value, b: Value) -> Value {
        let (a, b) = (self.seen(a), self.seen(b));
        match binary.arithmetic {
            Arithmetic::ShiftLeft | Arithmetic::ShiftRight | Arithmetic::Rotate => {
                self.shift(binary, a, b)
            }
            Arithmetic::Divide | Arithmetic::Remainder => self.divide(binary, a, b),
            _ => match (a.constant(), b.constant()) {
                // A product with a power of two is a shift.
                (None, Some(power))
                    if binary.arithmetic == Arithmetic::Multiply
                        && power.count_ones() == 1
                        && matches!(
                            a,
                            Value::Over {
                                family: Family::ShiftLeft | Family::ShiftRight,
                                ..
                            }
                        ) =>
                {
                    let shift = Binary {
                        arithmetic: Arithmetic::ShiftLeft,
                        ..binary
                    };
                    self.shift_by(shift, a, power.trailing_zeros().into())
                }
                (None, Some(constant)) => {
                    self.with_constant(binary, a, constant, |a| binary.of(a, constant))
                }
                (Some(constant), None) => {
                    self.with_constant(binary, b, constant, |b| binary.of(constant, b))
                }
                (Some(a), Some(b)) => self.number(binary.of(a, b)),
                (None, None) => self.with_other(binary, a, b),
            },
        }
    }

    pub(super) fn number(&mut self, number: i64) -> Value {
        self.fates.number(number);
        Value::Const(number)
    }

    /// `of` is what the operator gives for a constant and `constant`.
    fn with_constant(
        &mut self,
        binary: Binary<'_>,
        value: Value,
        constant: i64,
        of: impl Fn(i64) -> i64,
    ) -> Value {
        match value {
            Value::Set(set) => match self.sets.get(set) {
                Shown::Few(few) => {
                    let numbers = few.numbers().iter().copied();
                    for number in numbers.clone().filter(|number| magnitude(*number) > 1) {
                        self.meet(number, constant);
                    }
                    self.made(numbers.chain([binary.arithmetic.neutral()]).map(&of))
                }
                Shown::Bound(_) => Value::Derived(ANY),
            },
            Value::Derived(bound) => {
                let bound = binary.bound_with(bound, constant);
                self.fates.made(bound);
                Value::Derived(bound)
            }
            // Never a constant: only that of the same family comes together with this one.
            value => self.over(binary.arithmetic, value, constant, of),
        }
    }

    /// Two constants on the same value, of whatever operators: rules on bits bring them together
    /// across operators, too (`bitops.isle`, `shifts.isle`).
    fn meet(&mut self, a: i64, b: i64) {
        let (left, right) = (a.wrapping_shr(b as u32), b.wrapping_shr(a as u32));
        for number in [
            a & b,
            a | b,
            a ^ b,
            a & !b,
            b & !a,
            a | !b,
            b | !a,
            a.wrapping_add(b),
            a.wrapping_sub(b),
            a.wrapping_mul(b),
            left,
            right,
            i64::from(a as u32 >> (b & 31)),
            i64::from(b as u32 >> (a & 31)),
        ] {
            self.fates.number(number);
        }
    }

    /// A value that may be one of these constants, which the compiler makes.
    pub(super) fn made(&mut self, numbers: impl Iterator<Item = i64> + Clone) -> Value {
        numbers.clone().for_each(|number| self.fates.number(number));
        Value::showing(Few::of(numbers), &mut self.sets)
    }

    fn over(
        &mut self,
        arithmetic: Arithmetic,
        value: Value,
        constant: i64,
        of: impl Fn(i64) -> i64,
    ) -> Value {
        let (family, neutral) = (arithmetic.family(), arithmetic.neutral());
        if let Value::Over {
            family: Family::Add | Family::Multiply | Family::And | Family::Or | Family::Xor,
            constant: before,
            ..
        } = value
        {
            self.meet(before, constant);
        }
        let (before, bare) = match value {
            Value::Over {
                family: Family::Or,
                constant: before,
                ..
            } if arithmetic == Arithmetic::Add && constant == before.wrapping_neg() => {
                // (x | 12) + -12 is x & ~12.
                self.fates.number(!before);
                return Value::Over {
                    family: Family::And,
                    constant: !before,
                    bare: false,
                };
            }
            Value::Over {
                family: Family::Add,
                constant: before,
                ..
            } if arithmetic == Arithmetic::Xor && constant == -1 => {
                // ~(x + 12) is ~x + -12.
                return Value::Over {
                    family: Family::Add,
                    constant: before.wrapping_neg(),
                    bare: false,
                };
            }
            Value::Over {
                family: same,
                constant: before,
                bare,
            } if same == family => (Some(before), bare),
            Value::Over { family, .. } => (None, family == Family::None),
            _ => (None, true),
        };
        let constant = of(before.unwrap_or(neutral));
        self.fates.number(constant);
        let vanishes = match family {
            Family::And => constant == 0,
            Family::Multiply => constant as u32 == 0,
            Family::Or => constant == -1,
            _ => false,
        };
        if vanishes {
            Value::showing(Few::of([constant]), &mut self.sets)
        } else if constant != neutral {
            Value::Over {
                family,
                constant,
                bare,
            }
        } else if before.is_none() {
            value
        } else if bare {
            // It is again what it was before both.
            Value::opaque()
        } else {
            Value::Derived(ANY)
        }
    }

    /// Neither is a constant, but may turn out to be one.
    fn with_other(&mut self, binary: Binary<'_>, a: Value, b: Value) -> Value {
        let never = a.is_never_constant() && b.is_never_constant();
        if binary.arithmetic == Arithmetic::Multiply && never {
            return self.multiply_unknown(binary, a, b);
        }
        let nothing = [a, b].map(Value::shows_nothing);
        // What comes of two values that are the same, or each other's complement.
        let itself = match binary.arithmetic {
            Arithmetic::Or => Sets::ALL,
            Arithmetic::Add | Arithmetic::Xor => Sets::NONE_OR_ALL,
            _ => Sets::ZERO,
        };
        if nothing == [true, true] {
            return Value::Set(itself);
        }
        let (these, those) = match (a.shown(&self.sets), b.shown(&self.sets)) {
            (Shown::Few(these), Shown::Few(those)) => (these, those),
            (these, those) => {
                let bound = binary.bound(these.bound(), those.bound());
                if nothing == [false, false] {
                    self.fates.made(bound);
                }
                return Value::Derived(bound);
            }
        };
        let Shown::Few(itself) = self.sets.get(itself) else {
            return Value::Derived(ANY);
        };
        let neutral = [binary.arithmetic.neutral()];
        for a in these.numbers() {
            for b in those.numbers() {
                self.meet(*a, *b);
            }
        }
        let both = these.numbers().iter().chain(&neutral).flat_map(|a| {
            let those = those.numbers().iter().chain(&neutral);
            those.map(|b| binary.of(*a, *b))
        });
        let shown = these.numbers().iter().chain(those.numbers());
        self.made(both.chain(shown.chain(itself.numbers()).copied()))
    }

    /// A product with an unknown factor is constant only if it is zero.
    fn multiply_unknown(&mut self, binary: Binary<'_>, a: Value, b: Value) -> Value {
        let factor = |value| match value {
            Value::Over {
                family: Family::Multiply,
                constant,
                ..
            } => Some(constant),
            _ => None,
        };
        let (Some(a), Some(b)) = (factor(a), factor(b)) else {
            return Value::opaque();
        };
        let constant = binary.of(a, b);
        self.fates.number(constant);
        if constant as u32 == 0 {
            return Value::Set(Sets::ZERO);
        }
        Value::Over {
            family: Family::Multiply,
            constant,
            bare: false,
        }
    }

    fn shift(&mut self, binary: Binary<'_>, a: Value, b: Value) -> Value {
        match (a.constant(), b.constant()) {
            (Some(a), Some(b)) => self.number(binary.of(a, b)),
            (None, Some(by)) if a.is_never_constant() => self.shift_by(binary, a, by),
            (None, Some(by)) => self.with_constant(binary, a, by, |a| binary.of(a, by)),
            (_, None) if b.is_never_constant() => match a {
                // (x rotl 12) rotl (y + 5) is x rotl (y + 17).
                Value::Over {
                    family: Family::Rotate,
                    constant,
                    ..
                } => {
                    if let Shown::Few(few) = b.shown(&self.sets) {
                        few.numbers().iter().for_each(|by| self.meet(constant, *by));
                    }
                    Value::opaque()
                }
                // (12 << x) << 2 is 48 << x.
                Value::Const(_) => self.forwarded(a),
                a if a.is_never_constant() => Value::opaque(),
                a => a,
            },
            _ => match (a.shown(&self.sets), b.shown(&self.sets)) {
                (Shown::Few(these), Shown::Few(those)) => {
                    let those = those.numbers().iter().chain(&[0]);
                    let both = these.numbers().iter().flat_map(|a| {
                        let those = those.clone();
                        those.map(|b| binary.of(*a, *b))
                    });
                    self.made(both)
                }
                (Shown::Few(these), Shown::Bound(_)) => {
                    let numbers = these.numbers().iter().flat_map(|number| {
                        let distances = 0..i64::from(binary.bits());
                        distances.map(|by| binary.of(*number, by))
                    });
                    numbers.for_each(|number| self.fates.number(number));
                    if a.is_never_constant() {
                        // Nothing, or what it was before.
                        let numbers = these.numbers().iter().copied();
                        Value::showing(Few::of(numbers.chain([0])), &mut self.sets)
                    } else {
                        Value::Derived(ANY)
                    }
                }
                _ => {
                    self.fates.made(ANY);
                    Value::Derived(ANY)
                }
            },
        }
    }

    /// Shifts something that is never a constant.
    fn shift_by(&mut self, binary: Binary<'_>, value: Value, by_as_written: i64) -> Value {
        let by = binary.distance(by_as_written);
        let family = binary.arithmetic.family();
        let before = match value {
            Value::Over {
                family, constant, ..
            } => (family, constant),
            _ => (Family::None, 0),
        };
        let mask = |constant| Value::Over {
            family: Family::And,
            constant,
            bare: false,
        };
        let same = before.1 == i64::from(by);
        self.meet(before.1, by_as_written);
        match (before.0, family) {
            _ if by == 0 => value,
            // Distances are added as they are written.
            (Family::Rotate, Family::Rotate) => Value::Over {
                family,
                constant: before.1.wrapping_add(by_as_written),
                bare: false,
            },
            (_, Family::Rotate) => Value::Over {
                family,
                constant: by_as_written,
                bare: false,
            },
            // There and back again is a mask.
            (Family::ShiftRight, Family::ShiftLeft) if same => mask(-1 << by),
            (Family::ShiftLeft, Family::ShiftRight) if same => {
                let all = u64::MAX >> (u64::BITS - binary.bits());
                mask((all >> by).cast_signed())
            }
            // Too far may be nothing.
            (Family::ShiftLeft, Family::ShiftLeft) | (Family::ShiftRight, Family::ShiftRight) => {
                Value::Set(Sets::ZERO)
            }
            _ => Value::Over {
                family,
                constant: by.into(),
                bare: false,
            },
        }
    }

    fn divide(&mut self, binary: Binary<'_>, a: Value, b: Value) -> Value {
        let Some(divisor) = b.constant() else {
            return self.divide_by_unknown(binary, a, b);
        };
        self.divisor(binary, divisor);
        let shown = match a {
            value if value.is_never_constant() => {
                return self.divide_never_constant(binary, value, divisor);
            }
            value => value.shown(&self.sets),
        };
        if shown.bound() > 1 {
            // What comes on the way to the quotient is not followed.
            let bound = shown.bound().saturating_add(magnitude(divisor));
            self.fates.made(bound.saturating_mul(2));
        }
        let all = u64::MAX >> (u64::BITS - binary.bits());
        let by = divisor.cast_unsigned() & all;
        for number in [all.checked_div(by), all.checked_rem(by)]
            .into_iter()
            .flatten()
        {
            let number = number.cast_signed();
            self.fates.number(number);
            self.fates.number(number.wrapping_mul(divisor));
        }
        match shown {
            Shown::Few(few) => {
                let numbers = few.numbers().iter().copied();
                self.made(numbers.map(|number| binary.of(number, divisor)))
            }
            Shown::Bound(bound) => Value::Derived(bound.saturating_add(magnitude(divisor))),
        }
    }

    /// By a power of two it is a shift or a mask.
    fn divide_never_constant(&mut self, binary: Binary<'_>, value: Value, divisor: i64) -> Value {
        let power = divisor.unsigned_abs();
        match binary.arithmetic {
            _ if divisor == 0 || !power.is_power_of_two() => Value::opaque(),
            Arithmetic::Remainder if power == 1 => Value::Set(Sets::ZERO),
            Arithmetic::Remainder => {
                let mask = power.cast_signed() - 1;
                self.over(Arithmetic::And, value, mask, |before| before & mask)
            }
            _ => {
                let shift = Binary {
                    arithmetic: Arithmetic::ShiftRight,
                    ..binary
                };
                self.shift_by(shift, value, power.trailing_zeros().into())
            }
        }
    }

    fn divide_by_unknown(&mut self, binary: Binary<'_>, a: Value, b: Value) -> Value {
        match b.shown(&self.sets) {
            _ if b.is_never_constant() => Value::opaque(),
            Shown::Few(few) if a.is_never_constant() => {
                for divisor in few.numbers() {
                    self.divisor(binary, *divisor);
                }
                Value::Derived(ANY)
            }
            _ => {
                self.fates.made(ANY);
                Value::Derived(ANY)
            }
        }
    }

    /// Numbers with which the compiler divides by a constant: a power of two divided by it, as
    /// `div_const.rs` finds it, and what comes of them if the dividend is -1.
    fn divisor(&mut self, binary: Binary<'_>, divisor: i64) {
        let bits = binary.bits();
        let all = u64::MAX >> (u64::BITS - bits);
        for divisor in [divisor.cast_unsigned() & all, divisor.unsigned_abs() & all] {
            if divisor == 0 || divisor.is_power_of_two() {
                continue;
            }
            for power in bits - 1..2 * bits {
                let magic = (1_u128 << power) / u128::from(divisor);
                let magic = (magic as u64 & all).cast_signed();
                let rest = all.cast_signed().wrapping_sub(magic).cast_unsigned();
                for number in [magic, (rest >> 1).cast_signed()] {
                    self.fates.number(number);
                    self.fates.number(number.wrapping_add(1));
                }
            }
        }
    }

    /// Extensions of a part of a value.
    pub(super) fn extend(&mut self, operator: &Operator<'_>) {
        if !self.live() {
            return;
        }
        let value = self.pop();
        let value = self.seen(value);
        let value = self.converted(operator, value);
        self.push(value);
    }

    /// Extensions of values of 32 bits to 64, and back.
    pub(super) fn convert(&mut self, operator: &Operator<'_>) {
        let value = match self.pop() {
            Value::Plain => Value::opaque(),
            Value::Const(value) | Value::Direct(value) => {
                self.number(fold(operator, &[value]).unwrap_or_default())
            }
            value => self.converted(operator, value),
        };
        self.push(value);
    }

    fn converted(&mut self, operator: &Operator<'_>, value: Value) -> Value {
        match value {
            // Zero and one stay what they are.
            Value::Set(Sets::ZERO | Sets::FLAG) => value,
            Value::Set(set) => match self.sets.get(set) {
                Shown::Few(few) => {
                    let numbers = few.numbers().iter();
                    self.made(numbers.map(|n| fold(operator, &[*n]).unwrap_or_default()))
                }
                Shown::Bound(bound) => Value::Derived(bound),
            },
            Value::Derived(bound) if matches!(operator, Operator::I64ExtendI32U) => {
                // Of a negative number it makes another one.
                Value::Derived(if bound > 1 { ANY } else { bound })
            }
            Value::Derived(bound) => {
                self.fates.made(bound);
                Value::Derived(bound)
            }
            value => value,
        }
    }

    /// The number of bits of some kind in a value.
    pub(super) fn count(&mut self) {
        if !self.live() {
            return;
        }
        let value = self.pop();
        let value = match self.seen(value) {
            value if value.is_never_constant() => Value::opaque(),
            _ => {
                self.fates.made(u64::BITS);
                Value::Derived(u64::BITS)
            }
        };
        self.push(value);
    }
}

/// Whether `value` is a constant below every address that `addend` is added to.
fn is_small(addend: i32, value: Value) -> bool {
    value.constant().is_some_and(|value| {
        magnitude(value).saturating_add(addend.unsigned_abs()) < super::SMALLEST / 2
    })
}
