//! Runs a script with `wasmtime-wast`.

use crate::modules::Artifacts;
use crate::script::{Script, Step};
use std::path::Path;
use wasmtime::error::Context as _;
use wasmtime::{Engine, Result};
use wasmtime_wast::{Async, SpectestConfig, WastContext};

/// What only scripts about components have.
pub(crate) const COMPONENT: &str = "(component";

/// How a directive ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    /// `wasmtime-wast` has no code for it.
    Skipped,
}

/// Runs `script` with modules that were compiled elsewhere.
pub(crate) fn run(engine: &Engine, script: &Script, artifacts: &Artifacts) -> Result<Vec<Outcome>> {
    let directory = tempfile::tempdir()?;
    for (name, artifact) in artifacts {
        if let Ok(artifact) = artifact {
            let path = directory.path().join(name).with_extension("cwasm");
            std::fs::write(path, artifact).context("cannot write an artifact")?;
        }
    }
    let run = Run {
        engine,
        script,
        artifacts,
        directory: directory.path(),
    };
    if run.all_pass()? {
        return Ok(vec![Outcome::Passed; script.steps.len()]);
    }
    run.one_by_one()
}

struct Run<'r> {
    engine: &'r Engine,
    script: &'r Script,
    artifacts: &'r Artifacts,
    directory: &'r Path,
}

impl Run<'_> {
    /// Nearly all scripts pass as a whole.
    fn all_pass(&self) -> Result<bool> {
        let mut context = self.context()?;
        Ok(self.script.steps.iter().all(|step| !step.unimplemented)
            && self
                .load(&mut context, "all.json", &self.script.steps)?
                .is_ok())
    }

    /// `wasmtime-wast` stops at the first directive that fails, but keeps its state. So each
    /// directive is handed to it as a script of its own.
    fn one_by_one(&self) -> Result<Vec<Outcome>> {
        let mut context = self.context()?;
        let steps = self.script.steps.iter().enumerate();
        let outcomes = steps.map(|(number, step)| {
            if step.unimplemented {
                return Ok(Outcome::Skipped);
            }
            let name = format!("{number}.json");
            let outcome = self.load(&mut context, &name, std::slice::from_ref(step))?;
            Ok(match outcome {
                Ok(()) => Outcome::Passed,
                Err(error) => {
                    Outcome::Failed(self.refusal(step).unwrap_or_else(|| format!("{error:#}")))
                }
            })
        });
        outcomes.collect()
    }

    fn context(&self) -> Result<WastContext> {
        let mut context = context(self.engine, self.script.has_components)?;
        context.precompile_load(self.directory);
        Ok(context)
    }

    fn load(&self, context: &mut WastContext, name: &str, steps: &[Step]) -> Result<Result<()>> {
        std::fs::write(self.directory.join(name), self.script.json(steps))
            .context("cannot write a script")?;
        Ok(context.run_file(Path::new(name)))
    }

    /// Why the step's module was not compiled, if that is why it failed.
    fn refusal(&self, step: &Step) -> Option<String> {
        let artifact = self.artifacts.get(step.module.as_ref()?)?;
        artifact.as_ref().err().cloned()
    }
}

/// Runs a script the way `wasmtime-wast` does when it is left to itself.
pub(crate) fn whole(engine: &Engine, name: &str, text: &str) -> Result<()> {
    context(engine, text.contains(COMPONENT))?.run_wast(name, text.as_bytes())
}

/// Set up as for Wasmtime's own run of the suite, in `tests/wast.rs`: messages of errors need not
/// be those of the reference interpreter. A component may have to wait for another.
fn context(engine: &Engine, has_components: bool) -> Result<WastContext> {
    let waits = if has_components {
        Async::Yes
    } else {
        Async::No
    };
    let mut context = WastContext::new(engine, waits, |_| {});
    context.register_spectest(&SpectestConfig {
        use_shared_memory: engine.get_shared_memory(),
        suppress_prints: true,
    })?;
    context.ignore_error_messages(true);
    Ok(context)
}
