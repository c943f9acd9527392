//! The split by hand: stencils and keys, compiled stencils, parameters, with no store
//! and no driver.

use crate::codegen::{self, CodegenError};
use crate::compiled::{CompiledFunction, Stencil};
use crate::compiler::{Compiler, Incremental};
use crate::jobs::Job;
use crate::program::Program;
use crate::sentinels::Sentinels;
use crate::split::split;
use crate::stencil::{Addresses, FunctionParameters, FunctionStencil, Scratch, StencilKey};
use wasmtime::Result;
use wasmtime_environ::FuncIndex;

/// The functions of a module, ready to be split, compiled and put together again by
/// hand.
///
/// # Example
///
/// A store of the reader's own, a plain map, and the three primitives: make a stencil
/// and its key; serialize and read back a compiled stencil; apply parameters.
///
/// ```
/// use ibid::compiled::RelocationTarget;
/// use ibid::{CompiledFunction, Compiler, MemoryStore};
/// use std::collections::HashMap;
///
/// let compiler = Compiler::new(&wasmtime::Engine::default(), MemoryStore::new());
/// let mut my_store: HashMap<[u8; 32], Vec<u8>> = HashMap::new();
/// let mut compiled = Vec::new();
///
/// // Two modules: the second one has a function more in front, so that every index
/// // and every offset is another.
/// for text in [
///     "(module (func $f) (func (call $f)))",
///     "(module (func (result i32) i32.const 1) (func $f) (func (call $f)))",
/// ] {
///     let wasm = wat::parse_str(text)?;
///     let functions = compiler.functions(&wasm)?;
///     for index in functions.indices() {
///         let (stencil, parameters) = functions.split(index).expect("every body can be split");
///         let key = functions.key(&stencil);
///         let code = match my_store.get(key.as_bytes()) {
///             Some(bytes) => CompiledFunction::from_bytes(bytes.clone())?,
///             None => {
///                 let code = functions.compile(index, &parameters)?;
///                 my_store.insert(*key.as_bytes(), code.as_bytes().to_vec());
///                 compiled.push(index);
///                 code
///             }
///         };
///         let done = code.apply(&parameters)?;
///         for relocation in done.relocations() {
///             assert_eq!(relocation.target, RelocationTarget::Function(index - 1));
///         }
///     }
/// }
/// // Of the second module only the new function was compiled.
/// assert_eq!(compiled, [0, 1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Functions<'c, 'w> {
    incremental: &'c Incremental,
    program: Program<'w>,
}

impl Compiler {
    /// Parses a module in the binary format, and validates all but its function
    /// bodies.
    ///
    /// # Errors
    ///
    /// Wasmtime's own, for what it refuses; and an error if this compiler compiles
    /// plainly, see [`plain_reason`](Self::plain_reason).
    pub fn functions<'c, 'w>(&'c self, wasm: &'w [u8]) -> Result<Functions<'c, 'w>> {
        let incremental = self.incremental().map_err(|reason| {
            wasmtime::Error::msg(format!(
                "the functions of this engine cannot be split: {reason}"
            ))
        })?;
        Ok(Functions {
            incremental,
            program: Program::module(incremental.engine(), wasm)?,
        })
    }
}

impl Functions<'_, '_> {
    /// The indices of the functions that the module defines; imports come before them.
    pub fn indices(&self) -> impl ExactSizeIterator<Item = u32> {
        let module = self.program.first();
        let functions = module.defined_functions();
        functions.map(|function| module.function_index(function).as_u32())
    }

    /// Splits the function `index` into its stencil and its parameters. Addresses of static
    /// data, and offsets in the instance, are in the stencil.
    ///
    /// `None` when the module does not define it, or its body does not read as
    /// operators that refer to what is there. A body that can be split may still be
    /// invalid: only compiling it finds out.
    pub fn split(&self, index: u32) -> Option<(FunctionStencil, FunctionParameters)> {
        self.split_with(index, Addresses::Literal)
    }

    /// As [`split`](Self::split), with the addresses that the use analysis allows among the
    /// parameters, and where in the instance lies what the body names, unless
    /// [`Options::address_slots`](crate::Options::address_slots) is off or the target has none.
    ///
    /// Compiling such a function may fail where the code cannot be patched, and
    /// [applying](CompiledFunction::apply) where two addresses have become one: it has to be
    /// [split without address slots](Self::split) then.
    pub fn split_addresses(&self, index: u32) -> Option<(FunctionStencil, FunctionParameters)> {
        self.split_with(index, Addresses::Slots)
    }

    fn split_with(
        &self,
        index: u32,
        addresses: Addresses,
    ) -> Option<(FunctionStencil, FunctionParameters)> {
        let sources = self.program.sources();
        let program = self.program.with(&sources);
        let split = split(
            program,
            self.job(index)?,
            addresses,
            &mut Scratch::default(),
        )?;
        Some((split.stencil, split.parameters))
    }

    /// The key of a stencil for this compiler.
    pub fn key(&self, stencil: &FunctionStencil) -> StencilKey {
        stencil.key(&self.incremental.entries().fingerprint)
    }

    /// Compiles the function `index`; `parameters` are those that its split gave.
    ///
    /// # Errors
    ///
    /// Wasmtime's own, mostly for an invalid body; and an error when the module does
    /// not define the function, its code has no stored form, or it was split with address
    /// slots and the code cannot be patched.
    pub fn compile(
        &self,
        index: u32,
        parameters: &FunctionParameters,
    ) -> Result<CompiledFunction<Stencil>> {
        let job = self.job(index).ok_or_else(|| {
            wasmtime::Error::msg(format!("the module does not define function {index}"))
        })?;
        let sources = self.program.sources();
        let program = self.program.with(&sources);
        let sentinels = match job {
            Job::Function(module, function) if parameters.has_holes() => {
                let engine = self.incremental.engine();
                let split = split(program, job, Addresses::Slots, &mut Scratch::default());
                let slots = split.map(|split| split.slots).unwrap_or_default();
                let sentinels = Sentinels::of(engine, program.module(module), function, slots);
                Some(sentinels.ok_or_else(|| {
                    wasmtime::Error::msg("there is no room for the function's slots")
                })?)
            }
            _ => None,
        };
        match codegen::compile(
            self.incremental.engine(),
            self.incremental.engine().compiler(),
            program,
            job,
            parameters,
            sentinels.as_ref(),
        ) {
            Ok(compiled) => Ok(CompiledFunction::from_bytes(compiled.stencil)?),
            Err(CodegenError::Compile(error)) => Err(error),
            Err(CodegenError::Unstorable(reason)) => Err(wasmtime::Error::msg(reason.to_string())),
        }
    }

    fn job(&self, index: u32) -> Option<Job> {
        let index = FuncIndex::from_u32(index);
        let module = self.program.first();
        let defined = module.translation.module.defined_func_index(index)?;
        let exists = defined.as_u32() < module.defined_functions().len() as u32;
        exists.then(|| Job::Function(module.number(), defined))
    }
}
