//! What became of a change, in a line.

use ibid::Counts;
use std::fmt;
use std::time::Duration;

/// A version that came into service.
#[derive(Debug)]
pub struct Reloaded {
    /// The plugin.
    pub name: String,
    /// Whether no version was in service before.
    pub is_first: bool,
    /// From the file's contents to the exchange.
    pub time: Duration,
    /// How the plugin's functions were found.
    pub functions: Counts,
    /// Why Wasmtime compiled it the plain way, if it did.
    pub plain: Option<String>,
    /// Requests that the plugin failed since the exchange before this one.
    pub failed: u64,
    /// Requests that the plugin answered since then.
    pub served: u64,
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.is_first { "loaded" } else { "reloaded" };
        let milliseconds = self.time.as_secs_f64() * 1e3;
        write!(f, "plugin '{}' {done} in {milliseconds:.1} ms", self.name)?;
        match &self.plain {
            Some(reason) => write!(f, " · compiled plainly: {reason}")?,
            None => write!(
                f,
                " · {} of {} functions compiled",
                number(self.functions.compiled),
                number(self.functions.total)
            )?,
        }
        if self.is_first {
            return Ok(());
        }
        let (failed, served) = (number(self.failed), number(self.served));
        write!(
            f,
            " · {failed} requests failed, {served} served since the last"
        )
    }
}

/// A version that did not come into service.
#[derive(Debug)]
pub struct Refused {
    /// The plugin.
    pub name: String,
    /// Whether an earlier version is in service, and stays so.
    pub in_service: bool,
    /// Why.
    pub error: wasmtime::Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.in_service {
            true => "not reloaded, the version before stays in service",
            false => "not loaded",
        };
        write!(f, "plugin '{}' {what}: {:#}", self.name, self.error)
    }
}

/// A whole number with its thousands apart.
fn number(value: u64) -> String {
    match value {
        0..1000 => value.to_string(),
        _ => format!("{},{:03}", number(value / 1000), value % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_is_one_line() {
        let mut functions = Counts::default();
        (functions.total, functions.compiled) = (812, 1);
        let mut reloaded = Reloaded {
            name: "greet".into(),
            is_first: false,
            time: Duration::from_micros(3100),
            functions,
            plain: None,
            failed: 0,
            served: 12_345,
        };
        assert_eq!(
            reloaded.to_string(),
            "plugin 'greet' reloaded in 3.1 ms · 1 of 812 functions compiled \
             · 0 requests failed, 12,345 served since the last"
        );
        reloaded.is_first = true;
        reloaded.plain = Some("of a reason".into());
        assert_eq!(
            reloaded.to_string(),
            "plugin 'greet' loaded in 3.1 ms · compiled plainly: of a reason"
        );
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(number(0), "0");
        assert_eq!(number(1_000_007), "1,000,007");
    }
}
