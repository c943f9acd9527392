//! The plugins in service, and how one is exchanged.

use crate::engine::Clock;
use crate::plugin::Plugin;
use crate::report::{Refused, Reloaded};
use crate::watch::Change;
use arc_swap::ArcSwapOption;
use ibid::{CacheStore, Compiler, Options, Report};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;
use wasmtime::error::Context as _;
use wasmtime::{Engine, Module, Result};

/// Plugins by name, each in its newest version.
///
/// Requests and reloads may come from any number of threads at once.
pub struct Host {
    engine: Engine,
    store: Arc<dyn CacheStore>,
    places: RwLock<BTreeMap<String, Arc<Place>>>,
    _clock: Clock,
}

/// The place of one plugin, whichever version is in it.
struct Place {
    /// What is in service; nothing until a first version has compiled.
    plugin: ArcSwapOption<Plugin>,
    /// A compiler for each plugin: with [`Options::hot_reload`] it keeps the last version that it
    /// parsed. Locked for as long as a version is made and put into service, so that a later one
    /// does not come before an earlier one.
    compiler: Mutex<Compiler>,
    /// Requests since the last exchange.
    served: AtomicU64,
    failed: AtomicU64,
}

impl Host {
    /// A host without plugins, which remembers in `store` what it compiles.
    pub fn new(engine: &Engine, store: Arc<dyn CacheStore>) -> Host {
        Host {
            engine: engine.clone(),
            store,
            places: RwLock::default(),
            _clock: Clock::start(engine),
        }
    }

    /// The names of the plugins that were seen, in service or not.
    pub fn names(&self) -> Vec<String> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.keys().cloned().collect()
    }

    /// The version of the plugin `name` that is in service now, if one is.
    pub fn plugin(&self, name: &str) -> Option<Arc<Plugin>> {
        self.place(name)?.plugin.load_full()
    }

    /// The answer of the plugin `name` to `request`.
    ///
    /// # Errors
    ///
    /// If there is no such plugin in service; and those of [`Plugin::answer`].
    pub fn answer(&self, name: &str, request: &str) -> Result<String> {
        let place = self
            .place(name)
            .with_context(|| format!("there is no plugin '{name}'"))?;
        // From here on this request has its version, whatever comes into service meanwhile.
        let plugin = place.plugin.load_full();
        let plugin =
            plugin.with_context(|| format!("no version of '{name}' has compiled so far"))?;
        let answer = plugin.answer(request);
        let count = match answer {
            Ok(_) => &place.served,
            Err(_) => &place.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// Puts a plugin into service in the version that `change` has. If that is not possible, the
    /// version before stays.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, if it does not compile, or if it is no plugin.
    pub fn reload(&self, change: &Change) -> Result<Reloaded, Refused> {
        let start = Instant::now();
        let place = self.place_or_new(&change.name);
        let compiler = place
            .compiler
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (plugin, report) = make(&compiler, change).map_err(|error| Refused {
            name: change.name.clone(),
            in_service: place.plugin.load().is_some(),
            error,
        })?;
        let before = place.plugin.swap(Some(Arc::new(plugin)));
        Ok(Reloaded {
            name: change.name.clone(),
            is_first: before.is_none(),
            time: start.elapsed(),
            functions: report.functions,
            plain: report.plain,
            failed: place.failed.swap(0, Ordering::Relaxed),
            served: place.served.swap(0, Ordering::Relaxed),
        })
    }

    fn place(&self, name: &str) -> Option<Arc<Place>> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.get(name).cloned()
    }

    fn place_or_new(&self, name: &str) -> Arc<Place> {
        if let Some(place) = self.place(name) {
            return place;
        }
        let place = Arc::new(Place::new(&self.engine, self.store.clone()));
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been first.
        places.entry(name.to_string()).or_insert(place).clone()
    }
}

impl Place {
    fn new(engine: &Engine, store: Arc<dyn CacheStore>) -> Place {
        let mut options = Options::default();
        options.hot_reload = true;
        Place {
            plugin: ArcSwapOption::empty(),
            compiler: Mutex::new(Compiler::with_options(engine, store, options)),
            served: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }
}

/// Compiles the version that `change` has, and tries it out.
fn make(compiler: &Compiler, change: &Change) -> Result<(Plugin, Report)> {
    let engine = compiler.engine();
    let wasm = change.contents.as_deref();
    let wasm = wasm.map_err(|error| wasmtime::format_err!("cannot read its file: {error}"))?;
    let compilation = compiler.compile(wasm)?;
    let report = compilation.report().clone();
    // What was found out goes to the store behind this.
    let artifact = compilation.into_artifact();
    // SAFETY: the compiler has just made it, for this engine.
    let module = unsafe { Module::deserialize(engine, artifact) }?;
    Ok((Plugin::new(engine, &module)?, report))
}
