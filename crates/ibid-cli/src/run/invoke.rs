//! Calling a function of a core module with what is on the command line.

use crate::output;
use crate::run::host::Host;
use std::ffi::OsString;
use wasmtime::{Func, Result, Store, Val, ValType, bail, error::Context as _, format_err};

/// Calls `function`, and prints what it returns. `_start`, which takes nothing, leaves the arguments
/// to the program.
pub(crate) async fn call(
    store: &mut Store<Host>,
    function: Func,
    arguments: &[OsString],
) -> Result<()> {
    let ty = function.ty(&*store);
    let mut arguments = arguments.iter();
    let mut values = Vec::new();
    for parameter in ty.params() {
        let argument = arguments.next().and_then(|argument| argument.to_str());
        let argument = argument.ok_or_else(|| {
            format_err!(
                "the function takes {} arguments; say them after the file",
                ty.params().len()
            )
        })?;
        let value = value(&parameter, argument);
        values.push(value.with_context(|| format!("`{argument}` is not of type {parameter}"))?);
    }
    let mut results = vec![Val::null_func_ref(); ty.results().len()];
    function
        .call_async(&mut *store, &values, &mut results)
        .await?;
    for result in &results {
        let printed = output::print_line(&shown(result));
        printed.map_err(|failure| wasmtime::Error::msg(failure.to_string()))?;
    }
    Ok(())
}

fn value(ty: &ValType, text: &str) -> Result<Val> {
    let hexadecimal = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    Ok(match (ty, hexadecimal) {
        (ValType::I32, Some(digits)) => Val::I32(u32::from_str_radix(digits, 16)? as i32),
        (ValType::I32, None) => Val::I32(text.parse()?),
        (ValType::I64, Some(digits)) => Val::I64(u64::from_str_radix(digits, 16)? as i64),
        (ValType::I64, None) => Val::I64(text.parse()?),
        (ValType::F32, _) => Val::F32(text.parse::<f32>()?.to_bits()),
        (ValType::F64, _) => Val::F64(text.parse::<f64>()?.to_bits()),
        _ => bail!("only numbers can be said on the command line"),
    })
}

/// A value as Wasmtime's own command prints it.
fn shown(value: &Val) -> String {
    let (name, null) = match value {
        Val::I32(value) => return value.to_string(),
        Val::I64(value) => return value.to_string(),
        Val::F32(bits) => return f32::from_bits(*bits).to_string(),
        Val::F64(bits) => return f64::from_bits(*bits).to_string(),
        Val::V128(value) => return value.as_u128().to_string(),
        Val::ExternRef(value) => ("externref", value.is_none()),
        Val::FuncRef(value) => ("funcref", value.is_none()),
        Val::AnyRef(value) => ("anyref", value.is_none()),
        Val::ExnRef(value) => ("exnref", value.is_none()),
        Val::ContRef(value) => ("contref", value.is_none()),
    };
    match null {
        true => format!("<null {name}>"),
        false => format!("<{name}>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_shown() {
        for (ty, text, printed) in [
            (ValType::I32, "-7", "-7"),
            (ValType::I32, "0xffffffff", "-1"),
            (ValType::I64, "0X10", "16"),
            (ValType::F32, "1.5", "1.5"),
            (ValType::F64, "-0.25", "-0.25"),
        ] {
            assert_eq!(shown(&value(&ty, text).unwrap()), printed);
        }
        assert!(value(&ValType::I32, "seven").is_err());
        assert!(value(&ValType::V128, "1").is_err());
        assert_eq!(shown(&Val::FuncRef(None)), "<null funcref>");
    }
}
