//! Constants as the compiler folds them.

use wasmparser::Operator;

/// What an operator gives for constants, narrow ones with their sign; `None` if it traps, or
/// the compiler does not fold it.
pub(super) fn fold(operator: &Operator<'_>, operands: &[i64]) -> Option<i64> {
    match *operands {
        [a] => unary(operator, a),
        [a, b] => binary(operator, a, b),
        _ => None,
    }
}

fn unary(operator: &Operator<'_>, a: i64) -> Option<i64> {
    let narrow = a as i32;
    Some(match operator {
        Operator::I32Eqz => i64::from(narrow == 0),
        Operator::I64Eqz => i64::from(a == 0),
        Operator::I32Clz => narrow.leading_zeros().into(),
        Operator::I64Clz => a.leading_zeros().into(),
        Operator::I32Ctz => narrow.trailing_zeros().into(),
        Operator::I64Ctz => a.trailing_zeros().into(),
        Operator::I32Popcnt => narrow.count_ones().into(),
        Operator::I64Popcnt => a.count_ones().into(),
        Operator::I32Extend8S | Operator::I64Extend8S => (a as i8).into(),
        Operator::I32Extend16S | Operator::I64Extend16S => (a as i16).into(),
        Operator::I64Extend32S | Operator::I64ExtendI32S | Operator::I32WrapI64 => narrow.into(),
        Operator::I64ExtendI32U => narrow.cast_unsigned().into(),
        _ => return None,
    })
}

macro_rules! arithmetic {
    ($operator:expr, $a:expr, $b:expr, $signed:ty, $unsigned:ty, [
        $add:ident $sub:ident $mul:ident $div_s:ident $div_u:ident $rem_s:ident $rem_u:ident
        $and:ident $or:ident $xor:ident $shl:ident $shr_s:ident $shr_u:ident $rotl:ident
        $rotr:ident $eq:ident $ne:ident $lt_s:ident $lt_u:ident $gt_s:ident $gt_u:ident
        $le_s:ident $le_u:ident $ge_s:ident $ge_u:ident
    ]) => {{
        let (a, b) = ($a as $signed, $b as $signed);
        let (x, y) = (a as $unsigned, b as $unsigned);
        let by = b as u32;
        Some(i64::from(match $operator {
            Operator::$add => a.wrapping_add(b),
            Operator::$sub => a.wrapping_sub(b),
            Operator::$mul => a.wrapping_mul(b),
            Operator::$div_s => a.checked_div(b)?,
            Operator::$div_u => x.checked_div(y)? as $signed,
            Operator::$rem_s if b == 0 => return None,
            Operator::$rem_s => a.wrapping_rem(b),
            Operator::$rem_u => x.checked_rem(y)? as $signed,
            Operator::$and => a & b,
            Operator::$or => a | b,
            Operator::$xor => a ^ b,
            Operator::$shl => a.wrapping_shl(by),
            Operator::$shr_s => a.wrapping_shr(by),
            Operator::$shr_u => x.wrapping_shr(by) as $signed,
            Operator::$rotl => x.rotate_left(by % <$unsigned>::BITS) as $signed,
            Operator::$rotr => x.rotate_right(by % <$unsigned>::BITS) as $signed,
            Operator::$eq => (a == b).into(),
            Operator::$ne => (a != b).into(),
            Operator::$lt_s => (a < b).into(),
            Operator::$lt_u => (x < y).into(),
            Operator::$gt_s => (a > b).into(),
            Operator::$gt_u => (x > y).into(),
            Operator::$le_s => (a <= b).into(),
            Operator::$le_u => (x <= y).into(),
            Operator::$ge_s => (a >= b).into(),
            Operator::$ge_u => (x >= y).into(),
            _ => return None,
        }))
    }};
}

fn binary(operator: &Operator<'_>, a: i64, b: i64) -> Option<i64> {
    let narrow = arithmetic_narrow(operator, a, b);
    narrow.or_else(|| arithmetic_wide(operator, a, b))
}

fn arithmetic_narrow(operator: &Operator<'_>, a: i64, b: i64) -> Option<i64> {
    arithmetic!(operator, a, b, i32, u32, [
        I32Add I32Sub I32Mul I32DivS I32DivU I32RemS I32RemU I32And I32Or I32Xor I32Shl I32ShrS
        I32ShrU I32Rotl I32Rotr I32Eq I32Ne I32LtS I32LtU I32GtS I32GtU I32LeS I32LeU I32GeS I32GeU
    ])
}

fn arithmetic_wide(operator: &Operator<'_>, a: i64, b: i64) -> Option<i64> {
    arithmetic!(operator, a, b, i64, u64, [
        I64Add I64Sub I64Mul I64DivS I64DivU I64RemS I64RemU I64And I64Or I64Xor I64Shl I64ShrS
        I64ShrU I64Rotl I64Rotr I64Eq I64Ne I64LtS I64LtU I64GtS I64GtU I64LeS I64LeU I64GeS I64GeU
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_fold_as_they_are_computed() {
        let two = |operator, a, b| fold(&operator, &[a, b]);
        assert_eq!(
            two(Operator::I32Add, i32::MAX.into(), 1),
            Some(i32::MIN.into())
        );
        assert_eq!(two(Operator::I32ShrU, -1, 28), Some(15));
        assert_eq!(two(Operator::I64ShrU, -1, 60), Some(15));
        assert_eq!(two(Operator::I32Shl, 1, 33), Some(2));
        assert_eq!(two(Operator::I32DivS, i32::MIN.into(), -1), None);
        assert_eq!(two(Operator::I32RemS, i32::MIN.into(), -1), Some(0));
        assert_eq!(two(Operator::I32RemU, 7, 0), None);
        assert_eq!(two(Operator::I64LtU, -1, 0), Some(0));
        assert_eq!(two(Operator::I64LtS, -1, 0), Some(1));
        assert_eq!(two(Operator::I32Rotl, 1 << 31, 1), Some(1));
        assert_eq!(fold(&Operator::I64ExtendI32U, &[-1]), Some(u32::MAX.into()));
        assert_eq!(fold(&Operator::I32Extend8S, &[255]), Some(-1));
        assert_eq!(fold(&Operator::F32Abs, &[1]), None);
    }
}
