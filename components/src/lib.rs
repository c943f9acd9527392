//! Components, made of core modules and of other components.

use std::error::Error;
use std::path::PathBuf;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasm_compose::composer::ComponentComposer;
use wasm_compose::config::Config;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

type Made = Result<Vec<u8>, Box<dyn Error + Send + Sync>>;

/// The component that `core` is, a program for WASI preview 1 that exports `_start`.
///
/// # Errors
///
/// If `core` is no such module.
pub fn command(core: &[u8]) -> Made {
    adapted(core, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)
}

/// The component that `core` is, a library for WASI preview 1, which may say in its custom
/// sections what world it is of.
///
/// # Errors
///
/// If `core` is no such module.
pub fn reactor(core: &[u8]) -> Made {
    adapted(core, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
}

/// `core` with a custom section that says that it is of `world` in the package `wit`.
///
/// # Errors
///
/// If there is no such world.
pub fn of_world(core: &[u8], wit: &str, world: &str) -> Made {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("world.wit", wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut core = core.to_vec();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)?;
    Ok(core)
}

/// A component of `world` in the package `wit` that has nothing to say.
///
/// # Errors
///
/// If there is no such world.
pub fn of_dummy(wit: &str, world: &str) -> Made {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("world.wit", wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut core = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)?;
    Ok(ComponentEncoder::default().module(&core)?.encode()?)
}

fn adapted(core: &[u8], adapter: &[u8]) -> Made {
    let mut encoder = ComponentEncoder::default()
        .module(core)?
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?
        .validate(true);
    Ok(encoder.encode()?)
}

/// The component that `root` is when its imports are what each of `definitions` exports.
///
/// # Errors
///
/// If nothing of `root` is satisfied, or a temporary file cannot be written.
pub fn composed(root: &[u8], definitions: &[&[u8]]) -> Made {
    let directory = tempfile::tempdir()?;
    let file = |name: String, wasm: &[u8]| -> Result<PathBuf, std::io::Error> {
        let path = directory.path().join(name);
        std::fs::write(&path, wasm)?;
        Ok(path)
    };
    let mut config = Config {
        dir: directory.path().into(),
        ..Config::default()
    };
    for (number, wasm) in definitions.iter().enumerate() {
        let path = file(format!("definition-{number}.wasm"), wasm)?;
        config.definitions.push(path);
    }
    let root = file("root.wasm".into(), root)?;
    Ok(ComponentComposer::new(&root, &config).compose()?)
}
