//! Wasmtime alone, of modules and of components.

use wasmtime::component::Component;
use wasmtime::{Engine, Module, Result};

/// What Wasmtime makes of `wasm`, a module or a component in the binary format.
pub(crate) fn precompile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>> {
    if wasmparser::Parser::is_component(wasm) {
        engine.precompile_component(wasm)
    } else {
        engine.precompile_module(wasm)
    }
}

/// What can be instantiated.
#[derive(Debug)]
pub enum Loaded {
    /// A module.
    Module(Module),
    /// A component.
    Component(Component),
}

impl Loaded {
    /// What Wasmtime makes of `wasm`.
    pub(crate) fn new(engine: &Engine, wasm: &[u8]) -> Result<Loaded> {
        if wasmparser::Parser::is_component(wasm) {
            Component::new(engine, wasm).map(Loaded::Component)
        } else {
            Module::new(engine, wasm).map(Loaded::Module)
        }
    }

    /// What ibid makes of `wasm`.
    pub(crate) fn by_ibid(compiler: &ibid::Compiler, wasm: &[u8]) -> Result<Loaded> {
        if wasmparser::Parser::is_component(wasm) {
            compiler.compile_component(wasm).map(Loaded::Component)
        } else {
            compiler.compile_module(wasm).map(Loaded::Module)
        }
    }

    /// Its artifact.
    ///
    /// # Errors
    ///
    /// Wasmtime's own.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        match self {
            Loaded::Module(module) => module.serialize(),
            Loaded::Component(component) => component.serialize(),
        }
    }
}
