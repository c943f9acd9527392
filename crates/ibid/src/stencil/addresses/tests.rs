//! The rules, one by one: which constants of a body are slots.

use super::super::{Addresses, Scratch, Substitute, substitutions};
use crate::fingerprint::EngineCompiler;
use crate::module::Source;
use crate::program::Program;
use wasmtime::{Config, Engine};
use wasmtime_environ::DefinedFuncIndex;

/// The addresses that have slots in the last function of a module with this in it. `$f` takes
/// what it is given, `$g` is a global, the memory has 40 MiB and data from 1 MiB on.
fn slots_with(config: &Config, text: &str) -> Vec<u32> {
    let text = format!(
        "(module (memory 640 1000) (data (i32.const 1048576) \"address\")
           (global $g (mut i32) (i32.const 0)) (table 1 funcref)
           (func $f (param i32 i32)) (func $r (result i32) (i32.const 0))
           (func (param $x i32) (param $w i64) (result i32) (local $a i32) (local $b i32)
             {text}))"
    );
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let engine = Engine::new(config).unwrap();
    wasmtime::Module::validate(&engine, &wasm).unwrap_or_else(|error| panic!("{error:?}"));
    let engine = EngineCompiler::of(&engine, true).unwrap_or_else(|reason| panic!("{}", reason.0));
    let program = Program::module(&engine, &wasm).unwrap();
    let source = Source::of(program.first(), program.types());
    let function = DefinedFuncIndex::from_u32(2);
    let index = source.function_index(function).as_u32();
    let scratch = &mut Scratch::default();
    let body = source.body(function);
    let (facts, mode) = (&source.facts, Addresses::Slots);
    let shape = super::super::shape(facts, index, body, None, mode, scratch).unwrap();
    let decision = shape.decide(facts, index, body, None, scratch);
    let again = shape.decide(facts, index, body, decision.record.as_deref(), scratch);
    assert_eq!(again.slots, decision.slots, "from the record");
    let split = shape.with(decision.slots);
    let addresses = split.parameters.addresses();
    let substituted = substitutions(facts, body, &split.slots, scratch).unwrap();
    let value = |substitute| match substitute {
        Substitute::Address(slot, distance) => {
            Some(addresses[slot as usize].wrapping_add_signed(distance))
        }
        Substitute::Function(_) => None,
    };
    let mut values: Vec<u32> = substituted
        .substitutes
        .into_iter()
        .filter_map(|(_, substitute)| value(substitute))
        .collect();
    values.dedup();
    values
}

fn slots(text: &str) -> Vec<u32> {
    slots_with(&Config::new(), text)
}

const A: u32 = 1_050_002;

#[track_caller]
fn is_slot(text: &str) {
    assert_eq!(slots(text), [A], "{text}");
}

#[track_caller]
fn is_literal(text: &str) {
    assert_eq!(slots(text), [] as [u32; 0], "{text}");
}

#[test]
fn uses_that_do_not_look_at_the_value() {
    is_slot("i32.const 1050002");
    is_slot("(call $f (i32.const 1050002) (i32.const 1)) (local.get $x)");
    is_slot("(i32.store (local.get $x) (i32.const 1050002)) (local.get $x)");
    is_slot("(i32.store8 (local.get $x) (i32.const 1050002)) (local.get $x)");
    is_slot("(i64.store (local.get $x) (i64.const 1050002)) (local.get $x)");
    is_slot("(i32.load (i32.const 1050002))");
    is_slot("(i32.load offset=8 (i32.const 1050002))");
    is_slot("(i32.load offset=1050002 (local.get $x))");
    is_slot("(i32.load offset=1050002 (i32.const 16))");
    is_slot("(i32.load (i32.add (i32.const 1050002) (i32.shl (local.get $x) (i32.const 2))))");
    is_slot("(i32.wrap_i64 (i64.const 1050002))");
    is_slot("(i32.sub (i32.const 1050002) (local.get $x))");
    is_slot("(select (i32.const 1050002) (local.get $x) (local.get $x))");
    is_slot("(i32.eq (i32.const 1050002) (i32.load (local.get $x)))");
    is_slot("(i32.eqz (i32.lt_u (local.get $x) (i32.const 1050002)))");
    is_slot("(memory.copy (i32.const 1050002) (local.get $x) (i32.const 100)) (local.get $x)");
}

#[test]
fn uses_that_look_at_the_value() {
    for operator in [
        "mul", "and", "or", "xor", "shl", "shr_u", "rotl", "div_u", "rem_s",
    ] {
        is_literal(&format!(
            "(i32.{operator} (local.get $x) (i32.const 1050002))"
        ));
    }
    is_literal("(i32.clz (i32.const 1050002))");
    is_literal("(i32.sub (local.get $x) (i32.const 1050002))");
    is_literal("(i32.reinterpret_f32 (f32.reinterpret_i32 (i32.const 1050002)))");
    is_literal("(i32x4.extract_lane 0 (i32x4.splat (i32.const 1050002)))");
    is_literal("(global.set $g (i32.const 1050002)) (local.get $x)");
    is_literal(
        "(if (i32.const 1050002) (then (call $f (local.get $x) (i32.const 1)))) (local.get $x)",
    );
    is_literal("(call_indirect (result i32) (i32.const 1050002))");
    is_literal("(memory.grow (i32.const 1050002))");
    is_literal(
        "(i32.store8 (local.get $x) (i32.add (local.get $x) (i32.const 1050002))) (local.get $x)",
    );
}

#[test]
fn numbers_that_are_made_of_literals() {
    let with = |number: &str| format!("(call $f (i32.const 1050002) {number}) (local.get $x)");
    for number in [
        "(i32.or (i32.or (local.get $x) (i32.const 0x592)) (i32.const 0x100000))",
        "(i32.and (i32.and (local.get $x) (i32.const 0x300592)) (i32.const 0x1fffff))",
        "(i32.xor (i32.xor (local.get $x) (i32.const 0xff592)) (i32.const 0x1ff000))",
        "(i32.mul (i32.mul (local.get $x) (i32.const 525001)) (i32.const 2))",
        "(i32.add (i32.add (local.get $x) (i32.const 600002)) (i32.const 450000))",
        "(i32.sub (i32.const 600002) (i32.add (local.get $x) (i32.const -450000)))",
        "(i32.eq (i32.add (local.get $x) (i32.const -50002)) (i32.const 1000000))",
        "(i32.eq (i32.mul (local.get $x) (i32.const 3)) (i32.const 3150006))",
        // Bits come together across operators.
        "(i32.or (i32.and (i32.xor (local.get $x) (i32.const 0x1ff592)) (i32.const 0x300592))
           (local.get $x))",
        "(i32.rem_u (i32.and (local.get $x) (i32.const 0x700592)) (i32.const 0x200000))",
        "(i32.shr_u (i32.and (i32.shl (local.get $x) (i32.const 4)) (i32.const 0x1005920))
           (i32.const 4))",
        // Distances are added as they are written.
        "(i32.rotl (i32.rotl (local.get $x) (i32.const 600002)) (i32.const 450000))",
        // The dividend is a constant: anything below twice their sum may come up.
        "(i32.rem_s (i32.const 1000001) (i32.const 1000))",
    ] {
        let text = with(number);
        assert!(!slots(&text).contains(&A), "{text}");
    }
    for number in [
        "(i32.or (i32.or (local.get $x) (i32.const 0x592)) (i32.const 0x200000))",
        "(i32.or (i32.add (local.get $x) (i32.const 0x592)) (i32.const 0x300000))",
        "(i32.mul (i32.mul (local.get $x) (i32.const 525001)) (i32.const 3))",
        "(i32.eq (i32.mul (local.get $x) (i32.const 525001)) (local.get $x))",
        "(i32.div_u (local.get $x) (i32.const 1000003))",
        // Pointers less each other, divided by twelve, times eight and so on.
        "(i32.add (i32.mul (i32.shr_s (i32.sub (local.get $x) (i32.load (local.get $x)))
           (i32.const 2)) (i32.const -1431655765)) (i32.const 8))",
        "(i32.rotl (i32.mul (i32.xor (local.get $x) (i32.load (local.get $x)))
           (i32.const 0x9e3779b9)) (i32.const 5))",
    ] {
        is_slot(&with(number));
    }
}

#[test]
fn comparisons_with_anything_but_what_is_opaque() {
    // (x * 3) == A divides; (x + 8) == A subtracts, and the bound is not exact.
    is_literal("(i32.eq (i32.mul (local.get $x) (i32.const 3)) (i32.const 1050002))");
    is_literal("(i32.eq (i32.add (local.get $x) (i32.const 8)) (i32.const 1050002))");
    is_literal("(i32.eq (i32.const 70000) (i32.const 1050002))");
    is_literal("(i32.eq (i32.add (local.get $x) (i32.const 1050002)) (i32.load (local.get $x)))");
    // The comparison is combined with another one.
    is_literal(
        "(i32.and (i32.lt_u (local.get $x) (i32.const 1050002))
           (i32.gt_u (local.get $x) (i32.const 5)))",
    );
    // No address is zero: there is nothing to compare.
    is_slot("(call $f (i32.const 1050002) (i32.eqz (i32.const 1050002))) (local.get $x)");
}

#[test]
fn two_addresses_in_one_number() {
    is_literal("(i32.add (i32.const 1050002) (i32.const 2000000))");
    assert_eq!(
        slots("(i32.load offset=2000000 (i32.const 1050002))"),
        [] as [u32; 0]
    );
    // Far from each other they are two, near each other they are one with a distance.
    assert_eq!(
        slots("(call $f (i32.const 1050002) (i32.const 2000002)) (local.get $x)"),
        [1_050_002, 2_000_002]
    );
    assert_eq!(
        slots(
            "(call $f (i32.add (i32.const 1050002) (i32.const 8)) (i32.const 1050010)) (local.get $x)"
        ),
        [1_050_002, 1_050_010]
    );
}

#[test]
fn numbers_that_are_there_for_another_reason() {
    // 1050000 + 2 is folded.
    is_literal(
        "(call $f (i32.sub (i32.const 1050000) (i32.const -2)) (i32.const 1050002))
         (i32.mul (local.get $x) (i32.const 1050000))",
    );
    // Masks are made by rules.
    assert_eq!(slots("i32.const 2097151"), [] as [u32; 0]);
    // Outside of the module's data.
    assert_eq!(slots("i32.const 1048575"), [] as [u32; 0]);
    assert_eq!(slots("i32.const 41943040"), [] as [u32; 0]);
}

#[test]
fn values_are_followed_through_locals_blocks_and_loops() {
    is_slot("(local.set $a (i32.const 1050002)) (local.get $a)");
    is_literal("(local.set $a (i32.const 1050002)) (i32.mul (local.get $a) (local.get $x))");
    // Where control flow joins, different values become a block's parameter.
    is_slot(
        "(if (local.get $x) (then (local.set $a (i32.const 1050002)))
           (else (local.set $a (local.get $x))))
         (i32.mul (local.get $a) (local.get $x))",
    );
    // The loop brings another value around.
    is_slot(
        "(local.set $a (i32.const 1050002))
         (loop (local.set $b (i32.mul (local.get $a) (local.get $x)))
           (local.set $a (i32.add (local.get $a) (i32.const 4)))
           (br_if 0 (local.get $x)))
         (local.get $x)",
    );
    // It does not: on the way around the local is what it was.
    is_literal(
        "(local.set $a (i32.const 1050002))
         (block (loop (local.set $b (i32.mul (local.get $a) (local.get $x)))
           (br_if 0 (local.get $x))
           (local.set $a (i32.const 5)) (br 1)))
         (local.get $x)",
    );
    // What is not reached is not in the code.
    is_literal("(return (local.get $x)) (i32.const 1050002)");
}

#[test]
fn what_is_stored_may_be_loaded_again() {
    let load = "(i32.mul (i32.load offset=4 (local.get $x)) (local.get $x))";
    let store = "(i32.store offset=4 (local.get $x) (i32.const 1050002))";
    is_literal(&format!("{store} {load}"));
    // Not at another offset, of another width, behind another store, or behind a call.
    is_slot(&format!(
        "{store} (i32.mul (i32.load offset=8 (local.get $x)) (local.get $x))"
    ));
    is_slot(&format!(
        "{store} (i32.mul (i32.load16_u offset=4 (local.get $x)) (local.get $x))"
    ));
    is_slot(&format!(
        "{store} (i32.store (i32.const 8) (i32.const 9)) {load}"
    ));
    is_slot(&format!(
        "{store} (call $f (local.get $x) (local.get $x)) {load}"
    ));
}

#[test]
fn accesses_whose_bounds_are_checked() {
    // Beyond the guard: the check has the offset's complement.
    assert_eq!(
        slots("(i32.load offset=40000000 (local.get $x))"),
        [40_000_000]
    );
    assert_eq!(
        slots("(i32.load offset=40000000 (i32.const 0))"),
        [40_000_000]
    );
    // Just before and behind the guard's end it depends on the access.
    assert_eq!(
        slots("(i32.load offset=33554431 (local.get $x))"),
        [] as [u32; 0]
    );
    // Without guards nothing is folded away.
    let mut config = Config::new();
    config.memory_guard_size(0).memory_reservation(0);
    for access in [
        "(i32.load offset=1050002 (local.get $x))",
        "(i32.load (i32.const 1050002))",
    ] {
        assert_eq!(slots_with(&config, access), [] as [u32; 0], "{access}");
    }
    assert_eq!(slots_with(&config, "i32.const 1050002"), [A]);
    // The smallest memory has it, and the index is a constant.
    assert_eq!(
        slots_with(&config, "(i32.load offset=1050002 (i32.const 0))"),
        [A]
    );
}
