//! A program with a plugin in it that was compiled when the program was built. There is no
//! compiler in it: it loads the plugin in microseconds.

mod engine;

use wasmtime::error::Context as _;
use wasmtime::{Engine, Extern, Instance, Memory, Module, Result, Store, bail, ensure};

/// What `build.rs` has made.
static GREET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/greet.cwasm"));

/// More than the plugin needs for any request.
const FUEL: u64 = 10_000;

/// What the plugin has room for.
const MAX_REQUEST_BYTES: usize = 1024;

fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "world".into());
    let engine = Engine::new(&engine::config())?;
    // SAFETY: an artifact is machine code, and Wasmtime runs what it says, sandbox or not. This
    // one was made by the build script of this very program and has been a part of it since, so
    // it is as trustworthy as the rest of it. Never do so with what comes from elsewhere.
    let module = unsafe { Module::deserialize(&engine, GREET) }
        .context("the plugin was compiled for another engine or processor")?;
    println!("{}", greet(&engine, &module, &name)?);
    Ok(())
}

/// The plugin's answer to `name`; `greet.wat` says how it is asked.
fn greet(engine: &Engine, module: &Module, name: &str) -> Result<String> {
    ensure!(
        name.len() <= MAX_REQUEST_BYTES,
        "a name of at most {MAX_REQUEST_BYTES} bytes, please"
    );
    let mut store = Store::new(engine, ());
    store.set_fuel(FUEL)?;
    let instance = Instance::new(&mut store, module, &[])?;
    let memory = instance
        .get_memory(&mut store, "memory")
        .context("the plugin has no memory")?;
    let handle = instance.get_typed_func::<i32, i32>(&mut store, "handle")?;

    let input = address(&mut store, &instance, "input")?;
    memory.write(&mut store, input, name.as_bytes())?;
    let length = handle.call(&mut store, name.len() as i32)?;
    let output = address(&mut store, &instance, "output")?;
    text(&store, &memory, output, length)
}

/// The address that the plugin exports under `name`.
fn address(store: &mut Store<()>, instance: &Instance, name: &str) -> Result<usize> {
    match instance.get_export(&mut *store, name) {
        Some(Extern::Global(global)) => {
            let address = global.get(&mut *store).i32();
            Ok(address.context("the plugin's addresses are of another type")? as u32 as usize)
        }
        _ => bail!("the plugin has no global `{name}`"),
    }
}

fn text(store: &Store<()>, memory: &Memory, start: usize, length: i32) -> Result<String> {
    let bytes = start
        .checked_add(length as u32 as usize)
        .and_then(|end| memory.data(store).get(start..end))
        .context("the plugin's answer is not in its memory")?;
    Ok(String::from_utf8(bytes.to_vec())?)
}
