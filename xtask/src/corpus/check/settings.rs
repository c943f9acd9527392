//! Engines with other settings than the default ones, all over one store.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use anyhow::Result;
use wasmtime::{Config, Engine, OptLevel};

use super::cell::Cell;
use super::scenarios::compile;
use super::subject::Subject;

/// An engine's settings.
pub(super) struct Setting {
    /// The column's name.
    pub(super) name: &'static str,
    set: fn(&mut Config) -> wasmtime::Result<()>,
}

/// All but the default.
pub(super) const SETTINGS: [Setting; 7] = [
    Setting {
        name: "fuel",
        set: |config| {
            config.consume_fuel(true);
            Ok(())
        },
    },
    Setting {
        name: "epochs",
        set: |config| {
            config.epoch_interruption(true);
            Ok(())
        },
    },
    Setting {
        // A target that is named gets what all of its processors have, whatever this one has.
        name: "base ISA",
        set: |config| config.target(&target_lexicon::HOST.to_string()).map(|_| ()),
    },
    Setting {
        name: "dyn. mem.",
        set: |config| {
            config
                .memory_reservation(0)
                .memory_guard_size(0)
                .memory_may_move(true);
            Ok(())
        },
    },
    Setting {
        name: "opt none",
        set: |config| {
            config.cranelift_opt_level(OptLevel::None);
            Ok(())
        },
    },
    Setting {
        // The default of this release, said aloud.
        name: "GC on",
        set: |config| {
            garbage_collection(config, true);
            Ok(())
        },
    },
    Setting {
        name: "GC off",
        set: |config| {
            garbage_collection(config, false);
            Ok(())
        },
    },
];

fn garbage_collection(config: &mut Config, enable: bool) {
    config
        .wasm_exceptions(enable)
        .wasm_gc(enable)
        .wasm_function_references(enable);
}

impl Setting {
    /// An engine with this setting.
    pub(super) fn engine(&self) -> Result<Engine> {
        let mut config = Config::new();
        (self.set)(&mut config)?;
        Ok(Engine::new(&config)?)
    }
}

/// The subject with every setting, one after the other over its store, which knows what
/// `default`, the engine with the default settings, made.
pub(super) fn all(subject: &Subject<'_>, default: &Engine) -> Result<Vec<Option<Cell>>> {
    SETTINGS
        .iter()
        .map(|setting| Ok(Some(check(subject, default, &setting.engine()?))))
        .collect()
}

fn check(subject: &Subject<'_>, default: &Engine, engine: &Engine) -> Cell {
    Cell::of(|cell| {
        let compiled;
        let plain = if digest(engine) == digest(default) {
            &subject.plain
        } else {
            compiled = engine
                .precompile_module(&subject.wasm)
                .map_err(anyhow::Error::from)?;
            &compiled
        };
        let compiler = subject.compiler(engine);
        cell.stage("cold");
        let report = compile(cell, &compiler, &subject.wasm, plain)?.store();
        cell.by_ibid(&report);
        cell.stage("warm");
        let compilation = compile(cell, &compiler, &subject.wasm, plain)?;
        let report = compilation.report();
        cell.all_found(report.functions.compiled, report.trampolines.compiled);
        Ok(())
    })
}

/// The same for engines that make the same artifacts.
fn digest(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Two settings with one digest would make for a check that checks nothing.
    #[test]
    fn every_setting_makes_a_difference() {
        let default = digest(&Engine::default());
        let mut digests = HashSet::from([default]);
        for setting in &SETTINGS {
            let digest = digest(&setting.engine().unwrap());
            if setting.name == "GC on" {
                assert_eq!(digest, default);
            } else {
                assert!(digests.insert(digest), "{}", setting.name);
            }
        }
    }
}
