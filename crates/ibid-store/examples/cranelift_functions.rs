//! Functions that are compiled with Cranelift alone, through a store on disk, and run.
//!
//! ```text
//! cargo run --release -p ibid-store --features cranelift --example cranelift_functions
//! ```
//!
//! Each pass stands for a process: it has a module of its own and opens the store anew. The second
//! one compiles the functions of the first under other names, which Cranelift leaves out of its
//! cache keys. The third one has another constant in one of them.

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::incremental_cache::CacheKvStore;
use cranelift_codegen::ir::{AbiParam, InstBuilder as _, UserFuncName, Value, types::I64};
use cranelift_codegen::settings::{self, Configurable as _};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module as _, ModuleReloc};
use ibid_store::{DiskStore, WriteBehind};
use std::error::Error;
use std::mem;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let first = Pass {
        names: ["double", "main"],
        constant: 10,
    };
    let renamed = Pass {
        names: ["twice", "start"],
        ..first
    };
    let changed = Pass {
        constant: 11,
        ..first
    };
    for (pass, expected_hits) in [
        (first, [false; 2]),
        (renamed, [true; 2]),
        (changed, [true, false]),
    ] {
        let outcome = pass.run(directory.path())?;
        println!("{pass:?}: {outcome:?}");
        assert_eq!(outcome.hits, expected_hits);
        assert_eq!(outcome.result, 2 * 4 + pass.constant);
    }
    Ok(())
}

/// Two functions: one that doubles its argument, and one that adds `constant` to what that gives.
#[derive(Debug, Clone, Copy)]
struct Pass {
    names: [&'static str; 2],
    constant: i64,
}

#[derive(Debug)]
struct Outcome {
    /// Which of the functions the store had.
    hits: [bool; 2],
    /// What the second function gives for 4.
    result: i64,
}

impl Pass {
    fn run(self, directory: &Path) -> Result<Outcome, Box<dyn Error>> {
        let store = WriteBehind::new(DiskStore::open(directory)?);
        let mut jit = Jit {
            module: new_module()?,
            store: &store,
        };
        let [double, main] = self.names;
        let (double, double_hit) = jit.define(double, |_, builder, argument| {
            builder.ins().iadd(argument, argument)
        })?;
        let (main, main_hit) = jit.define(main, |module, builder, argument| {
            let callee = module.declare_func_in_func(double, builder.func);
            let call = builder.ins().call(callee, &[argument]);
            let doubled = builder.inst_results(call)[0];
            builder.ins().iadd_imm_s(doubled, self.constant)
        })?;

        jit.module.finalize_definitions()?;
        let code = jit.module.get_finalized_function(main);
        // SAFETY: this is the code of a function with that signature and the calling convention of
        // the platform. It lives as long as the module, which is longer than the call.
        let main: extern "C" fn(i64) -> i64 = unsafe { mem::transmute(code) };
        Ok(Outcome {
            hits: [double_hit, main_hit],
            result: main(4),
        })
    }
}

fn new_module() -> Result<JITModule, Box<dyn Error>> {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed")?;
    flags.set("is_pic", "false")?;
    let isa = cranelift_native::builder()?.finish(settings::Flags::new(flags))?;
    let libcalls = cranelift_module::default_libcall_names();
    Ok(JITModule::new(JITBuilder::with_isa(isa, libcalls)))
}

/// A module whose functions are compiled through a store.
struct Jit<S> {
    module: JITModule,
    store: S,
}

impl<S: CacheKvStore> Jit<S> {
    /// Compiles a function of one number to another, and tells whether the store had it.
    fn define(
        &mut self,
        name: &str,
        body: impl FnOnce(&mut JITModule, &mut FunctionBuilder<'_>, Value) -> Value,
    ) -> Result<(FuncId, bool), Box<dyn Error>> {
        let mut signature = self.module.make_signature();
        signature.params.push(AbiParam::new(I64));
        signature.returns.push(AbiParam::new(I64));
        let id = self
            .module
            .declare_function(name, Linkage::Local, &signature)?;

        let mut context = Context::new();
        context.func.signature = signature;
        context.func.name = UserFuncName::user(0, id.as_u32());
        let mut reused = FunctionBuilderContext::new();
        let mut builder = FunctionBuilder::new(&mut context.func, &mut reused);
        let block = builder.create_block();
        builder.append_block_params_for_function_params(block);
        builder.switch_to_block(block);
        let argument = builder.block_params(block)[0];
        let result = body(&mut self.module, &mut builder, argument);
        builder.ins().return_(&[result]);
        builder.seal_all_blocks();
        builder.finalize(self.module.isa().frontend_config());

        let mut control = ControlPlane::default();
        let isa = self.module.isa();
        let compiled = context.compile_with_cache(isa, &mut self.store, &mut control);
        let (_, is_hit) = compiled.map_err(|error| format!("{name}: {:?}", error.inner))?;
        self.define_compiled(id, &context)?;
        Ok((id, is_hit))
    }

    fn define_compiled(&mut self, id: FuncId, context: &Context) -> Result<(), Box<dyn Error>> {
        let compiled = context.compiled_code().ok_or("nothing was compiled")?;
        let relocations = compiled.buffer.relocs().iter();
        let relocations: Vec<_> = relocations
            .map(|relocation| ModuleReloc::from_mach_reloc(relocation, &context.func, id))
            .collect();
        let alignment = u64::from(compiled.buffer.alignment);
        let code = compiled.code_buffer();
        self.module
            .define_function_bytes(id, alignment, code, &relocations)?;
        Ok(())
    }
}
