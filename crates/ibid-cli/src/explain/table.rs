//! An explanation for people.

use super::text::Diff;
use crate::human;
use ibid::{Cause, CauseShare, Explanation, FunctionExplanation, Share};
use std::fmt::Write as _;

/// Lines of a difference that are shown among others.
const SHORT: usize = 16;

/// The whole explanation: the summary first, then by cause, by change, and the largest functions.
pub(super) fn all(
    explanation: &Explanation,
    [old, new]: &[String; 2],
    top: &[&FunctionExplanation],
    diffs: &[Diff],
    most: usize,
) -> String {
    let Explanation { total, lost, .. } = explanation;
    let mut out = format!(
        "{new} in a cache that knows {old}: {} of {} functions would be compiled, {} of {} of bodies ({})\n",
        human::number(lost.functions),
        human::number(total.functions),
        human::bytes(lost.body_bytes),
        human::bytes(total.body_bytes),
        percent(lost.body_bytes, total.body_bytes),
    );
    causes(&mut out, explanation);
    unsure(&mut out, explanation);
    changes(&mut out, explanation, most);
    for (number, (function, diff)) in top.iter().zip(diffs).enumerate() {
        if number == 0 {
            out.push_str("\nthe largest functions that would be compiled\n");
        }
        out.push('\n');
        out.push_str(&self::function(function, None));
        out.push_str(&diff.short(SHORT, function.index));
    }
    let rest = (lost.functions as usize).saturating_sub(top.len());
    if rest > 0 && most > 0 {
        line(
            &mut out,
            format_args!(
                "\nand {} more; --top {} shows all",
                human::number(rest as u64),
                lost.functions
            ),
        );
    }
    out
}

/// Which of the functions that count as found may have to be compiled nevertheless.
fn unsure(out: &mut String, explanation: &Explanation) {
    let functions = explanation.functions.iter();
    let unsure = functions.filter(|function| function.unsure);
    let (duplicates, rest): (Vec<_>, Vec<_>) =
        unsure.partition(|function| function.cause == Cause::Duplicate);
    if !rest.is_empty() {
        line(
            out,
            format_args!(
                "\nOf these, {} are found if their code takes other addresses and places. The cache does not have it;\nafter `ibid compile` of the old module with the same cache and options it is known.",
                human::number(rest.len() as u64),
            ),
        );
    }
    if !duplicates.is_empty() {
        line(
            out,
            format_args!(
                "\n{} are the same as another that is compiled but for addresses and places. Those whose code does not\ntake other ones are compiled as well, which only compiling shows.",
                human::number(duplicates.len() as u64),
            ),
        );
    }
}

/// Functions and their bodies by cause.
fn causes(out: &mut String, explanation: &Explanation) {
    out.push_str("\n                                      functions      bodies\n");
    let mut row = |name: &str, share: &Share| {
        line(
            out,
            format_args!(
                "{name:<36} {:>10} {:>11} {:>8}",
                human::number(share.functions),
                human::bytes(share.body_bytes),
                percent(share.body_bytes, explanation.total.body_bytes),
            ),
        );
    };
    for (is_lost, name, share) in [
        (false, "found", &explanation.found),
        (true, "compiled", &explanation.lost),
    ] {
        row(name, share);
        let of_these = |share: &&CauseShare| share.is_lost == is_lost;
        for CauseShare { cause, share, .. } in explanation.causes.iter().filter(of_these) {
            row(&format!("  {cause}"), share);
        }
    }
    line(
        out,
        format_args!(
            "Sizes are those of bodies in the module; how long machine code is, only compiling shows.\n{} functions of the old module are gone.",
            human::number(explanation.removed)
        ),
    );
}

/// What changed outside of bodies.
fn changes(out: &mut String, explanation: &Explanation, most: usize) {
    let changes = &explanation.changes;
    if changes.is_empty() || most == 0 {
        return;
    }
    out.push_str("\nwhat changed outside of bodies, and the functions that see it\n");
    for share in changes.iter().take(most) {
        line(
            out,
            format_args!(
                "{:>8} {:>10}  {}",
                human::number(share.share.functions),
                human::bytes(share.share.body_bytes),
                share.change,
            ),
        );
    }
    if let Some(rest) = changes.len().checked_sub(most).filter(|rest| *rest > 0) {
        line(out, format_args!("{rest:>8} more changes"));
    }
}

/// What a function is called in a message.
pub(super) fn title(function: &FunctionExplanation) -> String {
    match &function.name {
        Some(name) => format!("{} \"{name}\"", function.index),
        None => format!("{}", function.index),
    }
}

/// One function, with all that changed, and its whole difference.
pub(super) fn function(function: &FunctionExplanation, diff: Option<&Diff>) -> String {
    let state = match (function.is_lost, function.unsure) {
        (true, _) => "compiled",
        (false, true) => "found, if its code takes the other numbers",
        (false, false) => "found",
    };
    let mut out = format!(
        "function {}, {}: {state}: {}\n",
        title(function),
        human::bytes(function.body_bytes),
        function.cause,
    );
    match function.old_index {
        Some(old) => line(
            &mut out,
            format_args!("  compared with function {old} of the old module"),
        ),
        None => out.push_str("  the old module has no function like it\n"),
    }
    if let Some(other) = function.duplicate_of {
        line(&mut out, format_args!("  the same as function {other}"));
    }
    for change in &function.changes {
        line(&mut out, format_args!("  {change}"));
    }
    if let Some(diff) = diff {
        out.push('\n');
        out.push_str(diff.whole());
    }
    out
}

fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "0 %".into(),
        _ => format!("{:.1} %", 100.0 * part as f64 / whole as f64),
    }
}

fn line(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(out, "{arguments}").expect("writing into a string cannot fail");
}
