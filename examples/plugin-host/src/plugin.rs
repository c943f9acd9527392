//! One version of a plugin, and what a request is for it.
//!
//! The interface is the least that carries text. A plugin exports
//!
//! - `memory`;
//! - the globals `input` and `output`, two addresses in it;
//! - `handle`, a function from the length of the request at `input`, at most
//!   [`MAX_REQUEST_BYTES`], to the length of the answer at `output`;
//!
//! and imports nothing. With the component model all of this would be generated from a WIT file;
//! nothing else in this program would be different.

use crate::engine::DEADLINE;
use wasmtime::error::Context as _;
use wasmtime::{
    Engine, Extern, Instance, InstancePre, Linker, Memory, Module, Result, Store, TypedFunc, bail,
    ensure,
};

/// What a plugin has to have room for.
pub const MAX_REQUEST_BYTES: usize = 1024;

/// A version of a plugin that can be in service.
pub struct Plugin {
    engine: Engine,
    pre: InstancePre<()>,
}

impl Plugin {
    /// Links `module`, and makes an instance of it once, to see whether it is a plugin.
    ///
    /// # Errors
    ///
    /// If it imports something, lacks an export, has one of another type, or does not start.
    pub fn new(engine: &Engine, module: &Module) -> Result<Plugin> {
        let plugin = Plugin {
            engine: engine.clone(),
            pre: Linker::new(engine).instantiate_pre(module)?,
        };
        plugin.instantiate()?;
        Ok(plugin)
    }

    /// The compiled code.
    pub fn module(&self) -> &Module {
        self.pre.module()
    }

    /// The plugin's answer to `request`.
    ///
    /// Each request has an instance of its own, so what a request leaves behind, or breaks, is gone
    /// with it.
    ///
    /// # Errors
    ///
    /// If the request is too long; if the plugin traps, which it does when it takes longer than a
    /// second; or if its answer is not text in its memory.
    pub fn answer(&self, request: &str) -> Result<String> {
        ensure!(
            request.len() <= MAX_REQUEST_BYTES,
            "the request has {} bytes; a plugin takes {MAX_REQUEST_BYTES}",
            request.len()
        );
        let mut running = self.instantiate()?;
        let store = &mut running.store;
        let memory = running.memory;
        memory
            .write(&mut *store, running.input, request.as_bytes())
            .context("the plugin's memory has no room for a request at `input`")?;
        let length = running.handle.call(&mut *store, request.len() as i32)?;
        let answer = running
            .output
            .checked_add(length as u32 as usize)
            .and_then(|end| memory.data(&*store).get(running.output..end))
            .context("the plugin's answer is not in its memory")?;
        String::from_utf8(answer.to_vec()).context("the plugin's answer is not UTF-8")
    }

    fn instantiate(&self) -> Result<Running> {
        let mut store = Store::new(&self.engine, ());
        // From here on, for the module's start function too.
        store.set_epoch_deadline(DEADLINE);
        let instance = self.pre.instantiate(&mut store)?;
        Ok(Running {
            memory: instance
                .get_memory(&mut store, "memory")
                .context("a plugin has to export a memory called `memory`")?,
            handle: instance
                .get_typed_func(&mut store, "handle")
                .context("a plugin has to export a function `handle` from i32 to i32")?,
            input: address(&mut store, &instance, "input")?,
            output: address(&mut store, &instance, "output")?,
            store,
        })
    }
}

/// An instance of a plugin, for one request.
struct Running {
    store: Store<()>,
    memory: Memory,
    handle: TypedFunc<i32, i32>,
    input: usize,
    output: usize,
}

/// The address that the plugin exports under `name`.
fn address(store: &mut Store<()>, instance: &Instance, name: &str) -> Result<usize> {
    let exported = instance.get_export(&mut *store, name);
    let value = match exported {
        Some(Extern::Global(global)) => global.get(&mut *store).i32(),
        _ => None,
    };
    match value {
        Some(address) => Ok(address as u32 as usize),
        None => bail!("a plugin has to export a global `{name}` of type i32"),
    }
}
