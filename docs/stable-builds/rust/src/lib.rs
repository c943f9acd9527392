//! Finds what a pattern matches in the strings of a JSON document. Each feature is an edit.

use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// # Safety
///
/// `input` points to `length` bytes, which are a document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn run(input: *const u8, length: usize) -> usize {
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { std::slice::from_raw_parts(input, length) };
    match count(bytes) {
        Ok(counts) => serde_json::to_string(&report(counts)).unwrap().len(),
        Err(message) => message.len(),
    }
}

fn count(bytes: &[u8]) -> Result<BTreeMap<String, u64>, String> {
    let document: Value = serde_json::from_slice(bytes).map_err(|error| {
        if cfg!(feature = "text") {
            format!("this document could not be read, and nothing was counted: {error}")
        } else {
            format!("bad document: {error}")
        }
    })?;
    let pattern = document["pattern"].as_str().unwrap_or("[a-z]+([0-9]{2,})?");
    let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
    let mut counts = BTreeMap::new();
    visit(&document, &pattern, &mut counts);
    Ok(counts)
}

fn visit(value: &Value, pattern: &Regex, counts: &mut BTreeMap<String, u64>) {
    match value {
        Value::String(text) => {
            for found in pattern.find_iter(text) {
                *counts.entry(found.as_str().to_string()).or_default() += weight(found.len());
            }
        }
        Value::Array(values) => values.iter().for_each(|value| visit(value, pattern, counts)),
        Value::Object(fields) => fields.values().for_each(|value| visit(value, pattern, counts)),
        _ => {}
    }
}

#[inline(never)]
fn weight(length: usize) -> u64 {
    let heavy = if cfg!(feature = "body") { 9 } else { 7 };
    (length as u64).rotate_left(3) ^ heavy
}

#[cfg(feature = "function")]
#[inline(never)]
fn shorten(name: &str) -> String {
    name.chars().rev().take(12).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(feature = "dynamic")]
struct Longest(usize);

#[cfg(feature = "dynamic")]
impl std::fmt::Display for Longest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>8}", self.0)
    }
}

fn report(counts: BTreeMap<String, u64>) -> Value {
    let mut out = Map::new();
    #[cfg(feature = "generic")]
    let lengths: BTreeMap<u16, Vec<String>> =
        counts.keys().map(|name| (name.len() as u16, vec![name.clone()])).collect();
    #[cfg(feature = "generic")]
    out.insert("lengths".into(), lengths.len().into());
    #[cfg(feature = "dynamic")]
    {
        let longest: Box<dyn std::fmt::Display> =
            Box::new(Longest(counts.keys().map(String::len).max().unwrap_or(0)));
        out.insert("longest".into(), std::hint::black_box(longest).to_string().into());
    }
    for (name, count) in counts {
        #[cfg(feature = "function")]
        let name = shorten(&name);
        out.insert(name, count.into());
    }
    Value::Object(out)
}
