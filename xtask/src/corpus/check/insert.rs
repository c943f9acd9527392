//! An edit: one function more, before all others, so that the index of every other one changes.

use std::convert::Infallible;

use anyhow::{Result, ensure};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Encode as _, Function, FunctionSection, TypeSection};
use wasmparser::{
    CodeSectionReader, CompositeInnerType, FunctionBody, FunctionSectionReader, KnownCustom,
    Operator, Parser, Payload, SubType, TypeRef, TypeSectionReader,
};

/// An edited module.
#[derive(Debug)]
pub struct Edited {
    /// The module.
    pub wasm: Vec<u8>,
    /// How many function bodies refer to a function whose index changed by `ref.func`.
    pub referring: u64,
    /// Whether the module had no type for the new function.
    pub type_appended: bool,
}

/// Inserts a function of type `[] -> []` as the first one that the module defines, and renumbers
/// all that names a function. Bodies keep their bytes but for those numbers.
///
/// # Errors
///
/// If the module cannot be read, defines no function, or has branch hints, which are not
/// renumbered.
pub fn insert_function_at_front(wasm: &[u8]) -> Result<Edited> {
    let mut insertion = Insertion {
        first: imported_functions(wasm)?,
        ..Insertion::default()
    };
    let mut module = wasm_encoder::Module::new();
    insertion.parse_core_module(&mut module, Parser::new(0), wasm)?;
    ensure!(insertion.inserted, "the module defines no functions");
    let Insertion {
        referring,
        type_appended,
        ..
    } = insertion;
    Ok(Edited {
        wasm: module.finish(),
        referring,
        type_appended,
    })
}

/// How many functions the module imports; these come first.
fn imported_functions(wasm: &[u8]) -> Result<u32> {
    let mut functions = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let ty = import?.ty;
                    functions += u32::from(matches!(ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                }
            }
            Payload::CustomSection(section) => {
                let hints = matches!(section.as_known(), KnownCustom::BranchHints(_));
                ensure!(!hints, "the module has branch hints");
            }
            _ => {}
        }
    }
    Ok(functions)
}

#[derive(Default)]
struct Insertion {
    /// The index of the new function.
    first: u32,
    /// The new function's type.
    ty: u32,
    type_appended: bool,
    inserted: bool,
    referring: u64,
}

impl Reencode for Insertion {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error> {
        Ok(if index < self.first { index } else { index + 1 })
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        let mut count = 0;
        let mut found = None;
        for group in section.clone() {
            let group = group?;
            let alone = group.types().len() == 1;
            for ty in group.types() {
                if alone && is_no_to_no(ty) {
                    found.get_or_insert(count);
                }
                count += 1;
            }
        }
        utils::parse_type_section(self, types, section)?;
        self.type_appended = found.is_none();
        self.ty = found.unwrap_or_else(|| {
            types.ty().function([], []);
            count
        });
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        functions.function(self.ty);
        utils::parse_function_section(self, functions, section)
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        code.function(&new_function());
        self.inserted = true;
        utils::parse_code_section(self, code, section)
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        let (bytes, base) = (body.as_bytes(), body.range().start);
        let mut edited = Vec::with_capacity(bytes.len() + bytes.len() / 16);
        let (mut copied, mut refers) = (0, false);
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let start = operators.original_position() - base;
            let operator = operators.read()?;
            match operator {
                Operator::RefFunc { function_index } => refers |= function_index >= self.first,
                Operator::Call { .. } | Operator::ReturnCall { .. } => {}
                _ => continue,
            }
            edited.extend_from_slice(&bytes[copied..start]);
            self.instruction(operator)?.encode(&mut edited);
            copied = operators.original_position() - base;
        }
        edited.extend_from_slice(&bytes[copied..]);
        code.raw(&edited);
        self.referring += u64::from(refers);
        Ok(())
    }
}

fn is_no_to_no(ty: &SubType) -> bool {
    match &ty.composite_type.inner {
        CompositeInnerType::Func(function) => {
            ty.is_final
                && ty.supertype_idx.is_none()
                && !ty.composite_type.shared
                && function.params().is_empty()
                && function.results().is_empty()
        }
        _ => false,
    }
}

/// A body that no module has by chance.
fn new_function() -> Function {
    let mut function = Function::new([]);
    function
        .instructions()
        .i64_const(0x6962_6964_2049_6249)
        .drop()
        .end();
    function
}

#[cfg(test)]
mod tests {
    use wasmparser::{Name, Validator};
    use wasmtime::{Engine, Instance, Linker, Module, Store};

    use super::*;

    /// Names functions in every way that there is: calls, tail calls, references in code, tables
    /// and globals, exports, the start function, and names.
    const EVERY_WAY: &str = r#"
        (module $m
            (type $value (func (result i32)))
            (import "" "seven" (func $seven (type $value)))
            (table $table 3 funcref)
            (global $reference funcref (ref.func $two))
            (global $started (mut i32) (i32.const 0))
            (func $one (type $value) i32.const 1)
            (func $two (type $value) i32.const 2)
            (func $start (global.set $started (i32.add (call $seven) (call $two))))
            (start $start)
            (elem (table $table) (i32.const 0) func $one $two $seven)
            (elem declare func $one)
            (func (export "started") (type $value) global.get $started)
            (func (export "call") (type $value) call $two)
            (func (export "tail") (type $value) return_call $one)
            (func (export "import") (type $value) call $seven)
            (func (export "indirect") (type $value)
                (i32.add
                    (i32.mul (i32.const 10) (call_indirect (type $value) (i32.const 1)))
                    (call_indirect (type $value) (i32.const 2))))
            (func (export "reference") (type $value)
                (table.set (i32.const 0) (ref.func $one))
                (call_indirect (type $value) (i32.const 0)))
            (func (export "global") (type $value)
                (table.set (i32.const 0) (global.get $reference))
                (call_indirect (type $value) (i32.const 0)))
            (export "two" (func $two))
        )"#;

    fn binary(text: &str) -> Vec<u8> {
        // The text that Wasmtime accepts is what it compiles; the binary is wanted here.
        wat::parse_str(text).unwrap()
    }

    fn call(engine: &Engine, wasm: &[u8], name: &str) -> i32 {
        let module = Module::new(engine, wasm).unwrap();
        let mut linker = Linker::new(engine);
        linker.func_wrap("", "seven", || 7).unwrap();
        let mut store = Store::new(engine, ());
        let instance: Instance = linker.instantiate(&mut store, &module).unwrap();
        let function = instance
            .get_typed_func::<(), i32>(&mut store, name)
            .unwrap();
        function.call(&mut store, ()).unwrap()
    }

    fn function_names(wasm: &[u8]) -> Vec<(u32, String)> {
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            let Payload::CustomSection(section) = payload.unwrap() else {
                continue;
            };
            let KnownCustom::Name(section) = section.as_known() else {
                continue;
            };
            for subsection in section {
                let Name::Function(map) = subsection.unwrap() else {
                    continue;
                };
                let named = map.into_iter().map(Result::unwrap);
                names.extend(named.map(|naming| (naming.index, naming.name.to_owned())));
            }
        }
        names
    }

    #[test]
    fn every_way_leads_to_the_same_function() {
        let engine = Engine::default();
        let original = binary(EVERY_WAY);
        let Edited {
            wasm,
            referring,
            type_appended,
        } = insert_function_at_front(&original).unwrap();
        Validator::new().validate_all(&wasm).unwrap();
        // `$start` has the type.
        assert_eq!((referring, type_appended), (1, false));

        let expected = [
            ("started", 9),
            ("call", 2),
            ("tail", 1),
            ("import", 7),
            ("indirect", 27),
            ("reference", 1),
            ("global", 2),
            ("two", 2),
        ];
        for (name, expected) in expected {
            assert_eq!(call(&engine, &original, name), expected, "{name}");
            assert_eq!(call(&engine, &wasm, name), expected, "{name}");
        }

        let before = function_names(&original);
        assert_eq!(
            before[..2],
            [(0, "seven".to_owned()), (1, "one".to_owned())]
        );
        let moved = |index| if index == 0 { 0 } else { index + 1 };
        let expected: Vec<_> = before
            .into_iter()
            .map(|(i, name)| (moved(i), name))
            .collect();
        assert_eq!(function_names(&wasm), expected);
    }

    #[test]
    fn a_missing_type_is_appended() {
        let original = binary("(module (func (export \"f\") (result i32) i32.const 3))");
        let Edited {
            wasm,
            type_appended,
            ..
        } = insert_function_at_front(&original).unwrap();
        Validator::new().validate_all(&wasm).unwrap();
        assert!(type_appended);
        let linker_free = Engine::default();
        assert_eq!(call(&linker_free, &wasm, "f"), 3);
    }

    /// The 128th function gets an index of two bytes.
    #[test]
    fn indices_may_get_longer() {
        let functions = (0..130).map(|i| format!("(func (result i32) i32.const {i})"));
        let functions: String = functions.collect();
        let text = format!("(module {functions} (func (export \"f\") (result i32) call 127))");
        let Edited { wasm, .. } = insert_function_at_front(&binary(&text)).unwrap();
        Validator::new().validate_all(&wasm).unwrap();
        assert_eq!(call(&Engine::default(), &wasm, "f"), 127);
    }

    #[test]
    fn nothing_but_functions_changes() {
        let original = binary(EVERY_WAY);
        let edited = insert_function_at_front(&original).unwrap().wasm;
        let sections = |wasm: &[u8]| -> Vec<(u8, usize)> {
            Parser::new(0)
                .parse_all(wasm)
                .filter_map(|payload| payload.unwrap().as_section())
                .map(|(id, range)| (id, range.len()))
                .collect()
        };
        // The function section has one index more, the code section one body more.
        let body = { new_function().byte_len() + 1 };
        let expected: Vec<_> = sections(&original)
            .into_iter()
            .map(|(id, length)| match id {
                3 => (id, length + 1),
                10 => (id, length + body),
                _ => (id, length),
            })
            .collect();
        assert_eq!(sections(&edited), expected);
    }

    #[test]
    fn a_module_without_functions_is_refused() {
        let error = insert_function_at_front(&binary("(module (memory 1))")).unwrap_err();
        assert_eq!(error.to_string(), "the module defines no functions");
    }
}
