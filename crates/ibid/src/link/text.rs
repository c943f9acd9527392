//! The section `.text`: functions one behind the other, calls resolved.
//!
//! For x86-64 and aarch64 places and calls are computed here, as `MachTextSectionBuilder`
//! of `cranelift-codegen` 0.135.8 does it where every call reaches its target. Where it
//! might put veneers between functions, and for other targets, it is used itself.

use super::{Linkable, Misfit};
use crate::compiled::RelocationKind;
use crate::fingerprint::EngineCompiler;
use crate::jobs::Job;
use crate::module::ParsedModule;
use crate::parallel;
use crate::stencil::FunctionParameters;
use cranelift_control::ControlPlane;
use rustc_hash::FxHashMap;
use wasmtime_environ::{BuiltinFunctionIndex, FuncKey};

/// How far below the reach of a call the text has to stay for being laid out here, for
/// each call: more than any veneer takes.
const VENEER: u64 = 32;

/// Bytes of text that one task fills.
const PORTION: usize = 1 << 20;

/// Where functions lie.
pub(super) struct Text {
    /// The offset of each function.
    pub(super) starts: Vec<u32>,
    /// The length of the section, a multiple of the page size.
    pub(super) size: usize,
    /// The offset behind the last function.
    end: usize,
    targets: Targets,
    /// The contents, when Cranelift's own builder made them.
    built: Option<Vec<u8>>,
}

impl Text {
    /// Finds a place for each of `functions`, those of `modules` and trampolines.
    pub(super) fn lay_out<'m>(
        engine: &EngineCompiler,
        functions: &[Linkable<'_>],
        modules: impl Iterator<Item = &'m ParsedModule<'m>> + Clone,
    ) -> Result<Text, Misfit> {
        let calls = check(engine, functions)?;
        let (mut starts, mut end) = (Vec::with_capacity(functions.len()), 0u64);
        for function in functions {
            let start = end.next_multiple_of(u64::from(function.code.alignment));
            starts.push(u32::try_from(start).map_err(|_| Misfit)?);
            end = start + function.code.code.len() as u64;
        }
        let targets = Targets::new(modules, functions);
        let reach = match functions.iter().find_map(|function| function.code.kind) {
            None => u64::MAX,
            Some(RelocationKind::X86CallPcRel4) => (1 << 31) - 1,
            Some(RelocationKind::Arm64Call) => (1 << 27) - 1,
            Some(_) => 0,
        };
        let built = if end + VENEER * calls < reach {
            None
        } else {
            let text = build(engine, functions, &mut starts, &targets)?;
            end = text.len() as u64;
            Some(text)
        };
        let size = end.next_multiple_of(engine.compiler().page_size_align());
        u32::try_from(size).map_err(|_| Misfit)?;
        Ok(Text {
            starts,
            size: size as usize,
            end: end as usize,
            targets,
            built,
        })
    }

    /// Writes the section into `out`, which is all zeros.
    pub(super) fn fill(
        &self,
        parallel: bool,
        functions: &[Linkable<'_>],
        out: &mut [u8],
    ) -> Result<(), Misfit> {
        if let Some(built) = &self.built {
            out[..built.len()].copy_from_slice(built);
            return Ok(());
        }
        let portions = self.portions(functions, out);
        parallel::map(
            parallel,
            portions,
            || (),
            |(), (functions, starts, out)| self.fill_portion(functions, starts, out),
        )
        .into_iter()
        .collect()
    }

    /// The offset of the function at this place in the list.
    #[inline]
    fn start(&self, function: usize) -> Result<u32, Misfit> {
        self.starts.get(function).copied().ok_or(Misfit)
    }

    /// Divides the section into portions of whole functions.
    fn portions<'t, 'f, 'o>(
        &'t self,
        mut functions: &'f [Linkable<'f>],
        mut out: &'o mut [u8],
    ) -> Vec<(&'f [Linkable<'f>], &'t [u32], &'o mut [u8])> {
        let mut starts = &self.starts[..];
        let mut portions = Vec::new();
        let mut at = 0;
        while let Some(first) = starts.first() {
            let until = *first as usize + PORTION;
            let count = starts
                .partition_point(|start| (*start as usize) < until)
                .max(1);
            let end = starts.get(count).map_or(self.end, |start| *start as usize);
            let (head, tail) = std::mem::take(&mut out).split_at_mut(end - at);
            portions.push((&functions[..count], &starts[..count], head));
            (functions, starts, out, at) = (&functions[count..], &starts[count..], tail, end);
        }
        portions
    }

    /// Writes `functions`, whose text `out` is; it begins where the first one does.
    fn fill_portion(
        &self,
        functions: &[Linkable<'_>],
        starts: &[u32],
        out: &mut [u8],
    ) -> Result<(), Misfit> {
        let Some(portion) = starts.first() else {
            return Ok(());
        };
        // What lies before the first function is padding of the portion before.
        for (function, start) in functions.iter().zip(starts) {
            let code = function.code.code;
            let at = (start - portion) as usize;
            let place = &mut out[at..at + code.len()];
            place.copy_from_slice(code);
            function.fill_holes(place)?;
            let Some(kind) = function.code.kind else {
                continue;
            };
            for [offset, slot] in function.code.calls.records() {
                let callee = function.parameters.callee(slot);
                let target = self.targets.callee(function.job, callee)?;
                resolve(kind, place, *start, offset, self.start(target)?)?;
            }
            for [offset, builtin] in function.code.builtins.records() {
                let target = self.targets.builtin(builtin)?;
                resolve(kind, place, *start, offset, self.start(target)?)?;
            }
        }
        Ok(())
    }
}

/// Fills the hole at `offset` of `code`, a function that lies at `start`, with the way to
/// `target` (`LabelUse::patch` of each target).
fn resolve(
    kind: RelocationKind,
    code: &mut [u8],
    start: u32,
    offset: u32,
    target: u32,
) -> Result<(), Misfit> {
    let hole = code
        .get_mut(offset as usize..)
        .and_then(|rest| rest.first_chunk_mut::<4>())
        .ok_or(Misfit)?;
    let distance = target.wrapping_sub(start.wrapping_add(offset));
    let word = u32::from_le_bytes(*hole);
    let word = match kind {
        RelocationKind::X86CallPcRel4 => distance.wrapping_add(word).wrapping_sub(4),
        RelocationKind::Arm64Call => {
            const TARGET: u32 = 0x03ff_ffff;
            word & !TARGET | distance >> 2 & TARGET
        }
        RelocationKind::RiscvCallPlt | RelocationKind::S390xPltRel32Dbl => return Err(Misfit),
    };
    *hole = word.to_le_bytes();
    Ok(())
}

/// Whether the code is for the engine's target. Says how many calls there are.
fn check(engine: &EngineCompiler, functions: &[Linkable<'_>]) -> Result<u64, Misfit> {
    let architecture = engine.isa.triple().architecture;
    let mut calls = 0;
    for Linkable { code, .. } in functions {
        if code.kind.is_some_and(|kind| !kind.is_of(architecture)) {
            return Err(Misfit);
        }
        calls += ((code.calls.len() + code.builtins.len()) / 2) as u64;
    }
    Ok(calls)
}

/// Lets Cranelift build the text, and says where it put the functions.
fn build(
    engine: &EngineCompiler,
    functions: &[Linkable<'_>],
    starts: &mut [u32],
    targets: &Targets,
) -> Result<Vec<u8>, Misfit> {
    let mut control = ControlPlane::default();
    let mut text = engine.isa.text_section_builder(functions.len());
    let mut code = Vec::new();
    for (function, start) in functions.iter().zip(starts) {
        code.clear();
        code.extend_from_slice(function.code.code);
        function.fill_holes(&mut code)?;
        let alignment = function.code.alignment;
        let place = text.append(true, &code, alignment, &mut control);
        *start = u32::try_from(place).map_err(|_| Misfit)?;
        let Some(kind) = function.code.kind else {
            continue;
        };
        for relocation in function.code.relocations() {
            let inside = relocation.offset as usize + 4 <= code.len();
            let target = match relocation.target {
                crate::compiled::Target::Slot(slot) => {
                    targets.callee(function.job, function.parameters.callee(slot))
                }
                crate::compiled::Target::Builtin(builtin) => targets.builtin(builtin),
            };
            let resolved = text.resolve_reloc(
                place + u64::from(relocation.offset),
                kind.reloc(),
                kind.addend(),
                if inside { target? } else { return Err(Misfit) },
            );
            if !resolved {
                return Err(Misfit);
            }
        }
    }
    Ok(text.finish(&mut control))
}

/// What can be called: places in the list of functions.
struct Targets {
    /// Of each module's functions, imported ones included, by function index.
    modules: Vec<Vec<u32>>,
    /// Of functions that trampolines are shims around.
    others: FxHashMap<FuncKey, u32>,
    /// Of builtins' trampolines, by the builtin's number.
    builtins: Vec<u32>,
}

/// Stands for what is not among the functions.
const NOWHERE: u32 = u32::MAX;

impl Targets {
    /// What can be called in `modules`, whose functions are the first of `functions`.
    fn new<'m>(
        modules: impl Iterator<Item = &'m ParsedModule<'m>> + Clone,
        functions: &[Linkable<'_>],
    ) -> Targets {
        let mut builtins = vec![NOWHERE; BuiltinFunctionIndex::len() as usize];
        let mut others = FxHashMap::default();
        let behind = functions.partition_point(|function| function.job.is_function());
        for (function, index) in functions[behind..].iter().zip(behind as u32..) {
            match function.key {
                FuncKey::WasmToBuiltinTrampoline(builtin) => {
                    builtins[builtin.index() as usize] = index;
                }
                key if function.job.wasm_call() == Some(key) => {
                    others.insert(key, index);
                }
                _ => {}
            }
        }
        let mut firsts = vec![0u32];
        for module in modules.clone() {
            let last = firsts.last().copied().unwrap_or_default();
            firsts.push(last + module.defined_functions().len() as u32);
        }
        let place = |key: FuncKey| match key {
            FuncKey::DefinedWasmFunction(module, function) => {
                let first = firsts.get(module.as_u32() as usize)?;
                first.checked_add(function.as_u32())
            }
            key => others.get(&key).copied(),
        };
        let of_module = |module: &ParsedModule<'_>| {
            let all = module.translation.module.functions.len() as u32;
            let place = |index| module.facts.target(index).and_then(place);
            (0..all)
                .map(|index| place(index).unwrap_or(NOWHERE))
                .collect()
        };
        Targets {
            modules: modules.map(of_module).collect(),
            others,
            builtins,
        }
    }

    /// The place in the list of the function that a callee slot of `caller` names.
    #[inline]
    fn callee(&self, caller: Job, callee: Option<u32>) -> Result<usize, Misfit> {
        let callee = callee.ok_or(Misfit)?;
        let place = if callee == FunctionParameters::WASM_CALL {
            let key = caller.wasm_call().ok_or(Misfit)?;
            self.others.get(&key)
        } else {
            let module = caller.module().ok_or(Misfit)?;
            let module = self.modules.get(module.as_u32() as usize).ok_or(Misfit)?;
            module.get(callee as usize)
        };
        known(place)
    }

    fn builtin(&self, builtin: u32) -> Result<usize, Misfit> {
        known(self.builtins.get(builtin as usize))
    }
}

fn known(place: Option<&u32>) -> Result<usize, Misfit> {
    let place = *place.ok_or(Misfit)?;
    if place == NOWHERE {
        return Err(Misfit);
    }
    Ok(place as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Reader, Writer};
    use crate::compiled::{Layout, Parts, RelocationRecord, Target};
    use crate::program::Program;
    use crate::stencil::StoredParameters;
    use wasmtime::{Config, Engine};
    use wasmtime_environ::{DefinedFuncIndex, StaticModuleIndex};

    /// Lays out six functions of several lengths that call each other and a builtin, here and
    /// with Cranelift's builder.
    fn both(target: &str, kind: RelocationKind, call: u32) -> [Vec<u8>; 2] {
        let mut config = Config::new();
        config.target(target).unwrap();
        let engine =
            EngineCompiler::of(&Engine::new(&config).unwrap(), true).unwrap_or_else(|reason| {
                panic!("{target}: {}", reason.0);
            });
        let codes: Vec<Vec<u8>> = (0..6u8)
            .map(|i| {
                let holes = [4, 8, 16 + 4 * u32::from(i)];
                let mut code = vec![i; 36 + 20 * usize::from(i)];
                for hole in holes {
                    code[hole as usize..][..4].copy_from_slice(&call.to_le_bytes());
                }
                let target = |slot| match slot {
                    2 => Target::Builtin(3),
                    // A builtin's trampoline calls no function of a module.
                    _ if i == 5 => Target::Builtin(3),
                    slot => Target::Slot(slot),
                };
                let parts = Parts {
                    alignment: if i % 2 == 0 { 16 } else { 4 },
                    kind: Some(kind),
                    relocations: (0..3)
                        .zip(holes)
                        .map(|(slot, offset)| RelocationRecord {
                            offset,
                            target: target(slot),
                        })
                        .collect(),
                    code,
                    ..Parts::default()
                };
                parts.write()
            })
            .collect();
        let layouts: Vec<Layout<'_>> = codes
            .iter()
            .map(|code| Layout::read(code).unwrap())
            .collect();
        // One imported function before the five that the module defines.
        let parameters: Vec<Vec<u8>> = (0..6)
            .map(|i| {
                let mut out = Writer::default();
                let callees = vec![1 + i * 2 % 5, 1 + (i + 3) % 5];
                FunctionParameters::without_source(callees).write(&mut out);
                out.into_bytes()
            })
            .collect();
        let functions: Vec<Linkable<'_>> = layouts
            .iter()
            .zip(&parameters)
            .enumerate()
            .map(|(i, (code, parameters))| {
                let job = if i < 5 {
                    let module = StaticModuleIndex::from_u32(0);
                    Job::Function(module, DefinedFuncIndex::from_u32(i as u32))
                } else {
                    Job::Builtin(BuiltinFunctionIndex::from_u32(3))
                };
                Linkable {
                    key: job.key(),
                    job,
                    code,
                    parameters: StoredParameters::read(&mut Reader::new(parameters), 9).unwrap(),
                    map: None,
                }
            })
            .collect();
        let module = format!("(module (import \"\" \"\" (func)) {})", "(func)".repeat(5));
        let module = wat::parse_str(module).unwrap();
        let module = Program::module(&engine, &module).unwrap();
        let modules = std::iter::once(module.first());
        let text = Text::lay_out(&engine, &functions, modules).unwrap();
        assert!(text.built.is_none(), "nothing is far here");
        let mut ours = vec![0; text.size];
        text.fill(false, &functions, &mut ours).unwrap();
        ours.truncate(text.end);
        let mut starts = text.starts.clone();
        let built = build(&engine, &functions, &mut starts, &text.targets).unwrap();
        assert_eq!(starts, text.starts);
        [ours, built]
    }

    #[test]
    fn calls_lead_where_cranelift_leads_them() {
        let [ours, built] = both("x86_64-unknown-linux-gnu", RelocationKind::X86CallPcRel4, 0);
        assert_eq!(ours, built);
        let [ours, built] = both(
            "aarch64-unknown-linux-gnu",
            RelocationKind::Arm64Call,
            0x9400_0000,
        );
        assert_eq!(ours, built);
    }
}
