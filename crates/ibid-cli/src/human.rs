//! Numbers and reports for people.

use crate::output::Output;
use ibid::{Counts, Report};
use std::fmt::Write as _;
use std::path::Path;

/// A path as it is named in messages.
pub(crate) fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "standard input".into()
    } else {
        format!("`{}`", path.display())
    }
}

/// An error and what caused it, the way Wasmtime's own command prints it.
pub(crate) fn chain<E: std::fmt::Display>(errors: impl IntoIterator<Item = E>) -> String {
    let mut errors = errors.into_iter().map(|error| error.to_string());
    let mut out = errors.next().unwrap_or_default();
    let causes: Vec<String> = errors.collect();
    if !causes.is_empty() {
        out.push_str("\n\nCaused by:");
    }
    for (i, cause) in causes.iter().enumerate() {
        let number = if causes.len() > 1 {
            format!("{i}: ")
        } else {
            String::new()
        };
        out.push_str(&format!("\n    {number}{}", cause.replace('\n', "\n    ")));
    }
    out
}

/// A whole number with its thousands apart.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A size with a unit, powers of 1000.
pub(crate) fn bytes(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} B"),
        1_000..1_000_000 => format!("{:.1} kB", value as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value as f64 / 1e6),
        _ => format!("{:.1} GB", value as f64 / 1e9),
    }
}

/// A time with a unit.
pub(crate) fn duration(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1e3 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1e3),
    }
}

/// A report: the summary first, the details below it.
pub(crate) fn report(report: &Report, output: &Output) -> String {
    let mut out = String::new();
    let destination = match output {
        Output::Standard => "standard output".to_string(),
        Output::File(path) => path.display().to_string(),
    };
    let total = report.functions.total;
    let reused = total - report.functions.compiled;
    let milliseconds = report.time_ms.total;
    let summary = match &report.plain {
        Some(reason) => format!("compiled plainly in {milliseconds:.0} ms: {reason}"),
        None if report.whole_artifact => format!("known whole, {milliseconds:.1} ms"),
        None => format!(
            "{} of {} functions reused, {} compiled, {milliseconds:.0} ms",
            number(reused),
            number(total),
            number(report.functions.compiled),
        ),
    };
    line(&mut out, format_args!("{destination}: {summary}"));
    if report.plain.is_none() && !report.whole_artifact {
        counts(&mut out, "functions", &report.functions);
        counts(&mut out, "trampolines", &report.trampolines);
        for (name, slots, what) in [
            ("addresses", report.address_slots, "data"),
            ("places", report.place_slots, "imports and globals"),
        ] {
            if slots.functions > 0 {
                line(
                    &mut out,
                    format_args!(
                        "  {name:<12} {} functions with {} of code found although {what} may have moved",
                        number(slots.functions),
                        bytes(slots.code_bytes),
                    ),
                );
            }
        }
        let code = &report.code_bytes;
        let (reused, total) = (bytes(code.reused), bytes(code.total));
        line(
            &mut out,
            format_args!("  code         {reused} of {total} reused"),
        );
        let time = &report.time_ms;
        line(
            &mut out,
            format_args!(
                "  time         parse {:.1}, keys {:.1}, lookup {:.1}, compile {:.1}, apply {:.1}, link {:.1} ms; store {:.1} ms after it",
                time.parse, time.keys, time.lookup, time.compile, time.apply, time.link, time.store,
            ),
        );
    }
    if let Some(verified) = report.verified {
        line(
            &mut out,
            format_args!(
                "  verified     {} reused functions, all alike",
                number(verified)
            ),
        );
    }
    let store = &report.store;
    if store.damaged > 0 {
        line(
            &mut out,
            format_args!(
                "  cache        {} damaged entries replaced",
                number(store.damaged)
            ),
        );
    }
    out
}

fn counts(out: &mut String, what: &str, counts: &Counts) {
    line(
        out,
        format_args!(
            "  {what:<12} {}: {} by exact body, {} by stencil, {} by CLIF, {} duplicates, {} compiled",
            number(counts.total),
            number(counts.exact_body),
            number(counts.stencil),
            number(counts.clif),
            number(counts.duplicates),
            number(counts.compiled),
        ),
    );
}

fn line(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(out, "{arguments}").expect("writing into a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(12_911), "12,911");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(22_600_000), "22.6 MB");
    }
}
