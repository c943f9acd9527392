//! Plugins for tests: they answer with a number, and the request.

use std::fmt::Write as _;

/// How many functions a plugin has.
pub(crate) const FUNCTIONS: u64 = 802;

/// A plugin with many functions, one of which has `number` in it.
pub(crate) fn with_number(number: u64) -> String {
    let mut text = format!(
        r#"(module
          (memory (export "memory") 1)
          (global (export "input") i32 (i32.const 1024))
          (global (export "output") i32 (i32.const 2048))
          (func $number (result i32) i32.const {number})
          ;; Eight digits, and the request.
          (func (export "handle") (param $length i32) (result i32)
            (local $number i32) (local $at i32)
            (local.set $number (call $number))
            (local.set $at (i32.const 2056))
            (loop $digits
              (local.set $at (i32.sub (local.get $at) (i32.const 1)))
              (i32.store8 (local.get $at)
                (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
              (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
              (br_if $digits (i32.gt_u (local.get $at) (i32.const 2048))))
            (memory.copy (i32.const 2056) (i32.const 1024) (local.get $length))
            (i32.add (i32.const 8) (local.get $length)))"#
    );
    for other in 2..FUNCTIONS {
        write!(
            text,
            "\n(func (param i32) (result i32) (i32.xor (local.get 0) (i32.const {other})))"
        )
        .unwrap();
    }
    text + ")"
}

/// A plugin that never answers.
pub(crate) fn hanging() -> String {
    with_number(0).replace(
        "(loop $digits",
        "(loop $forever (br $forever)) (loop $digits",
    )
}

/// The number in an `answer` to `request`.
#[track_caller]
pub(crate) fn number_of(answer: &str, request: &str) -> u64 {
    let digits = answer.strip_suffix(request).unwrap();
    digits.parse().unwrap()
}
