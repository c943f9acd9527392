//! Every target for a bounded number of cases: from a fixed seed, and from a fresh one.
//!
//! `IBID_SEED` is taken for the fresh seed, which a failing test prints; `IBID_CASES` multiplies
//! the number of cases, in percent.

use ibid_campaign::{Random, Tally, targets};
use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

const FIXED: u64 = 0x1b1d;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

fn fresh() -> u64 {
    number("IBID_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.expect("it is not 1970").as_nanos() as u64
    })
}

/// Runs `cases` cases from either seed.
fn both(name: &str, cases: u64) -> Tally {
    let target = targets::find(name).expect("it is a target");
    let cases = (cases * number("IBID_CASES").unwrap_or(100)).div_ceil(100);
    let mut tally = Tally::default();
    for first in [FIXED, fresh()] {
        println!("{name}: {cases} cases, IBID_SEED={first:#x}");
        for seed in (0..cases).map(|case| first.wrapping_add(case)) {
            tally += (target.run)(&Random::new(seed).case());
        }
    }
    println!("{name}: {tally}");
    // A campaign that compares nothing would be clean.
    assert!(tally.functions > cases, "{tally}");
    assert!(tally.plain * 2 < tally.valid, "{tally}");
    tally
}

#[test]
fn same_again() {
    let tally = both("same_again", 250);
    assert!(tally.hits() * 3 > tally.functions, "{tally}");
}

#[test]
fn moved_addresses() {
    let tally = both("moved_addresses", 250);
    assert!(tally.slotted * 200 > tally.functions, "{tally}");
}

#[test]
fn components() {
    let tally = both("components", 150);
    assert!(tally.valid * 10 > tally.inputs * 9, "{tally}");
    assert!(tally.hits() * 2 > tally.functions, "{tally}");
}

#[test]
fn parameters_only() {
    let tally = both("parameters_only", 150);
    // Half of all are compiled before things move, and the new ones are many.
    assert!(tally.stencil * 10 > tally.functions, "{tally}");
    assert!(tally.exempt * 4 < tally.functions, "{tally}");
}

#[test]
fn anything_else() {
    let tally = both("anything_else", 200);
    assert!(tally.hits() * 10 > tally.functions, "{tally}");
    // Invalid modules are part of it; they are not to be all.
    assert!(
        (25..95).contains(&(tally.valid * 100 / tally.inputs)),
        "{tally}"
    );
}

#[test]
fn stencil_bytes() {
    let tally = both("stencil_bytes", 150);
    assert!(tally.tampered > tally.functions, "{tally}");
}

#[test]
fn engine_settings() {
    let tally = both("engine_settings", 100);
    assert!(tally.hits() * 4 > tally.functions, "{tally}");
}
