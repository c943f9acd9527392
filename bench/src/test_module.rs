//! A small module for tests, with a bit of everything that edits change.

use std::fmt::Write as _;

/// How many functions [`test_module`] defines.
pub(crate) const FUNCTIONS: u64 = 60;

/// A module in the binary format, from its text.
pub(crate) fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is a module")
}

/// A module of functions that differ from one another in more than what they call. Each of them
/// names static data, and every other one calls through the table.
pub(crate) fn test_module() -> Vec<u8> {
    let mut text = String::from(
        r#"(module
            (type $unary (func (param i32) (result i32)))
            (import "host" "log" (func $log (param i32)))
            (memory (export "memory") 2)
            (global $counter (mut i32) (i32.const 0))
            (table 4 funcref)
            (elem (i32.const 0) func $f0 $f1 $f2)
            (data (i32.const 1024) "static data")
            (data (i32.const 2048) "and more of it")
        "#,
    );
    for i in 0..FUNCTIONS {
        let (next, small, address) = ((i + 1) % FUNCTIONS, 2 + i % 20, 1024 + i);
        let last = match i % 2 {
            0 => "(call_indirect (type $unary) (local.get 0) (i32.const 1))",
            _ => "(global.get $counter)",
        };
        write!(
            text,
            r#"(func $f{i} (export "f{i}") (type $unary) (local i64)
                (local.set 1 (i64.const {unique}))
                (if (i32.gt_u (local.get 0) (i32.const 100000))
                    (then (return (i32.wrap_i64 (local.get 1)))))
                (i32.store (i32.const {address}) (i32.mul (local.get 0) (i32.const {small})))
                (call $log (i32.load8_u offset={address} (i32.const 0)))
                (i32.add (call $f{next} (i32.add (local.get 0) (i32.const {address}))) {last}))
            "#,
            unique = 0x1234_5678_9abc * (i + 1),
        )
        .expect("a string takes any text");
    }
    text.push(')');
    binary(&text)
}
