//! From an engine to its compiler: the very settings, rebuilt, and a digest of them.
//!
//! An engine does not hand out its compiler. It says what it is, though: every
//! artifact holds, in its section `.wasmtime.engine`, the target, flags, tunables
//! and features that made it (`Metadata::new` in `wasmtime/src/engine/serialization.rs`,
//! release 48.0.8). So the empty module is compiled once, and what that section says
//! is fed to the compiler's builder. Whether the result really is the same compiler
//! is found out by the [self-check](crate::probe).

use crate::stencil::{Digest, KeyFact, is_kept};
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use ibid_store::FAMILY_BYTES;
use object::{Object as _, ObjectSection as _};
use serde::Deserialize;
use std::sync::{Arc, LazyLock};
use wasmparser::WasmFeatures;
use wasmtime::{Engine, Inlining, Strategy};
use wasmtime_environ::{CacheStore, Compiler, FlagValue, Tunables, obj};
use wasmtime_internal_cranelift::isa_builder::IsaBuilder;

/// Changes whenever keys or stored bytes mean something else than before.
const FORMAT: u32 = 11;

/// The release of the Wasmtime family that this crate is built against.
const WASMTIME: &str = "48.0.8";

/// The smallest module: magic and version.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Digest of everything independent of the module that decides code: releases,
/// target, shared and ISA flags, tunables, features, ibid's own format version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(Digest);

impl Fingerprint {
    #[cfg(test)]
    pub(crate) fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint(Digest(*blake3::hash(bytes).as_bytes()))
    }

    /// A hasher for keys of the kind `domain`, keyed by this fingerprint.
    pub(crate) fn hasher(&self, domain: &'static str) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.0);
        hasher.update(&[domain.len() as u8]);
        hasher.update(domain.as_bytes());
        hasher
    }

    /// The key in the domain `domain` of `bytes`.
    pub(crate) fn key(&self, domain: &'static str, bytes: &[u8]) -> [u8; 32] {
        let mut hasher = self.hasher(domain);
        hasher.update(bytes);
        *hasher.finalize().as_bytes()
    }
}

/// An engine's compiler, rebuilt, and what the artifact says of it.
pub(crate) struct EngineCompiler {
    pub(crate) fingerprint: Fingerprint,
    /// Compiles without any cache.
    compiler: Box<dyn Compiler>,
    /// The target, for the text section.
    pub(crate) isa: OwnedTargetIsa,
    pub(crate) tunables: Tunables,
    pub(crate) features: WasmFeatures,
    /// The file header of the engine's artifacts, 64 bytes.
    pub(crate) file_header: Vec<u8>,
    /// The contents of the section `.wasmtime.engine`.
    pub(crate) engine_section: Vec<u8>,
    /// The contents of the section `.wasmtime.bti`.
    pub(crate) bti_section: Vec<u8>,
    /// Bytes up to which a memory's initial image may always be made dense.
    pub(crate) dense_image_size: u64,
    /// Whether the engine compiles functions in parallel.
    pub(crate) parallel: bool,
    /// Whether addresses may be parameters.
    pub(crate) address_slots: bool,
    settings: Settings,
}

/// The compiler's settings, by name.
struct Settings {
    target: target_lexicon::Triple,
    values: Vec<(String, String)>,
}

/// Why an engine's modules are compiled plainly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uncovered(pub(crate) String);

/// The record behind the version in `.wasmtime.engine`; the mirror of `Metadata` in
/// `wasmtime/src/engine/serialization.rs`.
#[derive(Deserialize)]
struct Metadata<'a> {
    target: &'a str,
    #[serde(borrow)]
    shared_flags: Vec<(&'a str, FlagValue<'a>)>,
    #[serde(borrow)]
    isa_flags: Vec<(&'a str, FlagValue<'a>)>,
    tunables: Tunables,
    features: u64,
}

impl EngineCompiler {
    /// Rebuilds the compiler of `engine`, or says which of its settings the keys do
    /// not cover.
    pub(crate) fn of(engine: &Engine, address_slots: bool) -> Result<EngineCompiler, Uncovered> {
        if engine.get_strategy() == Some(Strategy::Winch) {
            return Err(Uncovered("the compiler is Winch".into()));
        }
        let empty = engine.precompile_module(EMPTY_MODULE).map_err(uncovered)?;
        let engine_section = section(&empty, obj::ELF_WASM_ENGINE)?;
        let bti_section = section(&empty, obj::ELF_WASM_BTI)?;
        let metadata = Metadata::parse(&engine_section)?;
        metadata.check_covered(engine)?;

        let settings = Settings::new(&metadata)?;
        let tunables = metadata.tunables.clone();
        let compiler = settings.compiler(&tunables, None)?;
        Ok(EngineCompiler {
            fingerprint: fingerprint(engine, &empty),
            compiler,
            isa: settings.isa()?,
            features: WasmFeatures::from_bits_retain(metadata.features),
            dense_image_size: engine.get_memory_guaranteed_dense_image_size(),
            parallel: engine.get_parallel_compilation(),
            address_slots,
            tunables,
            settings,
            file_header: empty.get(..64).map_or_else(Vec::new, <[u8]>::to_vec),
            bti_section,
            engine_section,
        })
    }

    /// The compiler, without any cache.
    pub(crate) fn compiler(&self) -> &dyn Compiler {
        &*self.compiler
    }

    /// The same compiler, with Cranelift's own incremental cache over `store`.
    pub(crate) fn with_incremental_cache(
        &self,
        store: Arc<dyn CacheStore>,
    ) -> Result<Box<dyn Compiler>, Uncovered> {
        self.settings.compiler(&self.tunables, Some(store))
    }
}

impl<'a> Metadata<'a> {
    /// Version byte, length of the version string, version string, record.
    fn parse(section: &'a [u8]) -> Result<Metadata<'a>, Uncovered> {
        let malformed = || Uncovered("the engine's description cannot be read".into());
        let (version, rest) = section.split_first().ok_or_else(malformed)?;
        let (length, rest) = rest.split_first().ok_or_else(malformed)?;
        let record = rest.get(usize::from(*length)..).ok_or_else(malformed)?;
        if *version != 0 {
            return Err(malformed());
        }
        postcard::from_bytes(record).map_err(|_| malformed())
    }

    /// The settings under which a function's code or the artifact depends on more
    /// than the keys hold.
    fn check_covered(&self, engine: &Engine) -> Result<(), Uncovered> {
        let tunables = &self.tunables;
        let uncovered = |reason: &str| Err(Uncovered(reason.into()));
        if tunables.inlining != Inlining::No {
            return uncovered("inlining is on");
        }
        if tunables.debug_native {
            return uncovered("native debug information is on");
        }
        if tunables.debug_guest {
            return uncovered("guest debugging is on");
        }
        if tunables.winch_callable {
            return uncovered("the compiler is Winch");
        }
        if self.target.starts_with("pulley") {
            return uncovered("the target is Pulley");
        }
        // Settings of the compiler's builder that no flag of the artifact shows.
        for (name, _) in engine.get_cranelift_flags_set() {
            if name.starts_with("wasmtime_") {
                return Err(Uncovered(format!("the compiler setting `{name}` is set")));
            }
        }
        for name in engine.get_cranelift_flags_enabled() {
            if name.starts_with("wasmtime_") {
                return Err(Uncovered(format!(
                    "the compiler setting `{name}` is enabled"
                )));
            }
        }
        let config = format!("{:?}", engine.config());
        for (shown, reason) in [
            ("wmemcheck: true", "the heap checker is on"),
            (
                "clif_dir: Some",
                "the compiler writes its intermediate code to files",
            ),
        ] {
            if config.contains(shown) {
                return uncovered(reason);
            }
        }
        Ok(())
    }
}

impl Settings {
    fn new(metadata: &Metadata<'_>) -> Result<Settings, Uncovered> {
        let target = metadata
            .target
            .parse()
            .map_err(|error| Uncovered(format!("the target `{}`: {error}", metadata.target)))?;
        let values = metadata
            .shared_flags
            .iter()
            .chain(&metadata.isa_flags)
            .map(|(name, value)| (name.to_string(), setting(value)))
            .collect();
        Ok(Settings { target, values })
    }

    fn compiler(
        &self,
        tunables: &Tunables,
        store: Option<Arc<dyn CacheStore>>,
    ) -> Result<Box<dyn Compiler>, Uncovered> {
        let mut builder =
            wasmtime_internal_cranelift::builder(Some(self.target.clone())).map_err(uncovered)?;
        builder.set_tunables(tunables.clone()).map_err(uncovered)?;
        for (name, value) in &self.values {
            builder.set(name, value).map_err(uncovered)?;
        }
        if let Some(store) = store {
            builder
                .enable_incremental_compilation(store)
                .map_err(uncovered)?;
        }
        builder.build().map_err(uncovered)
    }

    fn isa(&self) -> Result<OwnedTargetIsa, Uncovered> {
        let mut builder = IsaBuilder::new(Some(self.target.clone()), |target| {
            isa::lookup(target).map_err(Into::into)
        })
        .map_err(uncovered)?;
        for (name, value) in &self.values {
            builder.set(name, value).map_err(uncovered)?;
        }
        builder.build().map_err(uncovered)
    }
}

fn setting(value: &FlagValue<'_>) -> String {
    match value {
        FlagValue::Enum(value) => value.to_string(),
        FlagValue::Num(value) => value.to_string(),
        FlagValue::Bool(value) => value.to_string(),
    }
}

fn uncovered(error: impl std::fmt::Display) -> Uncovered {
    Uncovered(format!("the engine's compiler cannot be rebuilt: {error}"))
}

fn section(artifact: &[u8], name: &str) -> Result<Vec<u8>, Uncovered> {
    let file = object::File::parse(artifact).map_err(uncovered)?;
    let section = file
        .section_by_name(name)
        .ok_or_else(|| Uncovered(format!("the engine's artifacts have no section `{name}`")))?;
    Ok(section.data().map_err(uncovered)?.to_vec())
}

/// The family of all entries of this release (see [`ibid_store::family`]), whatever the engine's
/// settings: another release of ibid or of Wasmtime has no use for any of them.
pub(crate) fn family() -> [u8; FAMILY_BYTES] {
    static FAMILY: LazyLock<[u8; FAMILY_BYTES]> = LazyLock::new(|| {
        let digest = releases("ibid family of entries").finalize();
        *digest.as_bytes().first_chunk().expect("a digest is longer")
    });
    *FAMILY
}

/// A hasher that has taken in the releases that decide code.
fn releases(domain: &str) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| add(&mut hasher, bytes);
    part(domain.as_bytes());
    part(&FORMAT.to_le_bytes());
    part(WASMTIME.as_bytes());
    part(cranelift_codegen::VERSION.as_bytes());
    part(env!("CARGO_PKG_VERSION").as_bytes());
    part(&[u8::from(cfg!(gc_zeal)), u8::from(cfg!(miri))]);
    hasher
}

fn add(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}

/// The empty module's artifact holds the engine's own description: the target, every
/// flag, every tunable and every feature. The rest is what decides code without being
/// described there. The releases of the crates that do not describe themselves there
/// either are pinned exactly.
fn fingerprint(engine: &Engine, empty: &[u8]) -> Fingerprint {
    let mut hasher = releases("ibid compiler fingerprint");
    let mut part = |bytes: &[u8]| add(&mut hasher, bytes);
    if is_kept(KeyFact::EngineDescription) {
        part(empty);
    }
    if is_kept(KeyFact::EngineDenseImages) {
        part(
            &engine
                .get_memory_guaranteed_dense_image_size()
                .to_le_bytes(),
        );
    }
    let mut set: Vec<String> = engine
        .get_cranelift_flags_set()
        .map(|(name, value)| format!("{name}={value}"))
        .chain(engine.get_cranelift_flags_enabled().map(String::from))
        .collect();
    set.sort();
    for flag in &set {
        part(flag.as_bytes());
    }
    Fingerprint(Digest(*hasher.finalize().as_bytes()))
}
