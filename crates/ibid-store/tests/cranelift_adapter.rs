//! Cranelift compiles through the stores, finds what it has compiled before, and makes the same
//! code as without.

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::incremental_cache::CacheKvStore;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, Function, InstBuilder as _, Signature, UserExternalName,
    UserFuncName, types::I64,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable as _};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use ibid_store::{
    Adapter, CacheStore, DiskStore, MemoryStore, Namespaced, ReadOnly, Tiered, WriteBehind,
};
use std::sync::Arc;

fn isa() -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").unwrap();
    let flags = settings::Flags::new(flags);
    cranelift_native::builder().unwrap().finish(flags).unwrap()
}

/// Calls the function `callee` with its argument and adds `constant` to the result.
fn function(name: u32, callee: u32, constant: i64) -> Function {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::new(I64));
    signature.returns.push(AbiParam::new(I64));
    let mut function =
        Function::with_name_signature(UserFuncName::user(0, name), signature.clone());
    let mut reused = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut function, &mut reused);
    let signature = builder.import_signature(signature);
    let name = builder
        .func
        .declare_imported_user_function(UserExternalName::new(0, callee));
    let callee = builder.import_function(ExtFuncData {
        name: ExternalName::user(name),
        signature,
        colocated: false,
        patchable: false,
    });
    let block = builder.create_block();
    builder.append_block_params_for_function_params(block);
    builder.switch_to_block(block);
    let argument = builder.block_params(block)[0];
    let call = builder.ins().call(callee, &[argument]);
    let result = builder.inst_results(call)[0];
    let result = builder.ins().iadd_imm_s(result, constant);
    builder.ins().return_(&[result]);
    builder.seal_all_blocks();
    builder.finalize(isa().frontend_config());
    function
}

/// What was compiled, in full: code, relocations with their names, traps, unwind information.
fn described(context: &Context) -> String {
    let compiled = context.compiled_code().unwrap();
    let relocations = compiled.buffer.relocs();
    let names = context.func.params.user_named_funcs();
    format!("{compiled:?} {relocations:?} {names:?}")
}

/// Compiles through `store`, checks that this gives what compiling without it does, and tells
/// whether the store had it.
fn hits(store: &mut dyn CacheKvStore, function: Function) -> bool {
    let (isa, mut control) = (isa(), ControlPlane::default());
    let mut plain = Context::for_function(function.clone());
    plain.compile(&*isa, &mut control).unwrap();
    let mut cached = Context::for_function(function);
    let compiled = cached.compile_with_cache(&*isa, store, &mut control);
    let is_hit = compiled.unwrap().1;
    let code = |context: &Context| context.compiled_code().unwrap().code_buffer().to_vec();
    assert_eq!(code(&cached), code(&plain));
    assert_eq!(described(&cached), described(&plain));
    is_hit
}

fn conforms(store: &mut dyn CacheKvStore) {
    assert!(!hits(store, function(1, 2, 10)), "nothing is there yet");
    assert!(
        hits(store, function(1, 2, 10)),
        "the same function is there"
    );
    assert!(hits(store, function(3, 4, 10)), "names do not matter");
    assert!(!hits(store, function(1, 2, 11)), "constants do");
    assert!(hits(store, function(1, 5, 11)));
}

#[test]
fn every_store_is_one_of_cranelifts() {
    let directory = tempfile::tempdir().unwrap();
    let disk = |name: &str| DiskStore::open(directory.path().join(name)).unwrap();
    let memory = || Arc::new(MemoryStore::new());
    conforms(&mut MemoryStore::new());
    conforms(&mut &MemoryStore::new());
    conforms(&mut disk("one"));
    conforms(&mut &disk("two"));
    conforms(&mut WriteBehind::new(disk("three")));
    conforms(&mut Tiered::new(vec![memory(), Arc::new(disk("four"))]));
    conforms(&mut Namespaced::new(memory(), &[1; 32]).unwrap());
    conforms(&mut Adapter(memory() as Arc<dyn CacheStore>));
}

#[test]
fn other_handles_find_what_one_has_stored() {
    let directory = tempfile::tempdir().unwrap();
    let open = || WriteBehind::new(DiskStore::open(directory.path()).unwrap());
    assert!(!hits(&mut open(), function(1, 2, 10)));
    assert!(hits(&mut open(), function(3, 4, 10)));
    assert!(hits(&mut ReadOnly::new(open()), function(3, 4, 10)));
    assert!(!hits(&mut ReadOnly::new(open()), function(3, 4, 11)));
    assert!(!hits(&mut ReadOnly::new(open()), function(3, 4, 11)));
}
