//! Edits that change the index of functions: one more before all others, and one more import.

use super::patch::{Patch, patched};
use super::sections::imported_functions;
use anyhow::{Result, ensure};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, EntityType, Function, FunctionSection, ImportSection, Instruction, Module,
    SectionId, TypeSection,
};
use wasmparser::{
    CodeSectionReader, CompositeInnerType, FunctionBody, FunctionSectionReader,
    ImportSectionReader, KnownCustom, Operator, Parser, Payload, SubType, TypeSectionReader,
};

/// A module with one function more.
#[derive(Debug)]
pub struct Inserted {
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
pub fn insert_function_at_front(wasm: &[u8], variant: u32) -> Result<Inserted> {
    let inserted = insert(wasm, New::Body(new_function(variant)))?;
    inserted.ok_or_else(|| anyhow::anyhow!("the module defines no functions"))
}

/// Imports a function of type `[] -> []`, behind all other imports, that nothing calls, and
/// renumbers all that names a function. Bodies keep their bytes but for those numbers.
///
/// # Errors
///
/// If the module cannot be read, has no types, or has branch hints, which are not renumbered.
pub fn add_import(wasm: &[u8], variant: u32) -> Result<Inserted> {
    let inserted = insert(wasm, New::Import(format!("unused-{variant}")))?;
    inserted.ok_or_else(|| anyhow::anyhow!("the module has no types"))
}

/// The module with `new`; `None` if there was no place for it.
fn insert(wasm: &[u8], new: New) -> Result<Option<Inserted>> {
    refuse_branch_hints(wasm)?;
    let mut insertion = Insertion {
        new,
        first: imported_functions(wasm)?,
        ty: None,
        type_appended: false,
        inserted: false,
        changed: false,
        refers: false,
        referring: 0,
    };
    let mut module = Module::new();
    insertion.parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(insertion.inserted.then(|| Inserted {
        wasm: module.finish(),
        referring: insertion.referring,
        type_appended: insertion.type_appended,
    }))
}

fn refuse_branch_hints(wasm: &[u8]) -> Result<()> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CustomSection(section) = payload? {
            let hints = matches!(section.as_known(), KnownCustom::BranchHints(_));
            ensure!(!hints, "the module has branch hints");
        }
    }
    Ok(())
}

/// The new function.
enum New {
    /// One that the module defines.
    Body(Function),
    /// One that it imports by this name.
    Import(String),
}

struct Insertion {
    new: New,
    /// The index of the new function.
    first: u32,
    /// The new function's type, once the types have been seen.
    ty: Option<u32>,
    type_appended: bool,
    inserted: bool,
    changed: bool,
    /// Whether the current body refers to a function whose index changed.
    refers: bool,
    referring: u64,
}

impl Insertion {
    /// Imports the new function if that is what it is for.
    fn import(&mut self, imports: &mut ImportSection) {
        if let (New::Import(name), Some(ty)) = (&self.new, self.ty) {
            imports.import("ibid", name, EntityType::Function(ty));
            self.inserted = true;
        }
    }
}

impl Reencode for Insertion {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error> {
        if index < self.first {
            return Ok(index);
        }
        self.changed = true;
        Ok(index + 1)
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
        self.ty = Some(found.unwrap_or_else(|| {
            types.ty().function([], []);
            count
        }));
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_import_section(self, imports, section)?;
        self.import(imports);
        Ok(())
    }

    /// Imports go where a module has none.
    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), Error> {
        let too_early = matches!(before, Some(SectionId::Type | SectionId::Import));
        if !self.inserted && !too_early {
            let mut imports = ImportSection::new();
            self.import(&mut imports);
            if self.inserted {
                module.section(&imports);
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        if let (New::Body(_), Some(ty)) = (&self.new, self.ty) {
            functions.function(ty);
        }
        utils::parse_function_section(self, functions, section)
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        if let (New::Body(function), Some(_)) = (&self.new, self.ty) {
            code.function(function);
            self.inserted = true;
        }
        utils::parse_code_section(self, code, section)
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        self.refers = false;
        code.raw(&patched(self, &body, &[])?);
        self.referring += u64::from(self.refers);
        Ok(())
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error> {
        if let Operator::RefFunc { function_index } = operator {
            self.refers |= function_index >= self.first;
        }
        utils::instruction(self, operator)
    }
}

impl Patch for Insertion {
    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
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
fn new_function(variant: u32) -> Function {
    let mut function = Function::new([]);
    function
        .instructions()
        .i64_const(0x6962_6964_2049_6249 + i64::from(variant))
        .drop()
        .end();
    function
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_module::binary;
    use wasmparser::{Name, Validator};
    use wasmtime::{Engine, Instance, Linker, Module, Store};

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
        let Inserted {
            wasm,
            referring,
            type_appended,
        } = insert_function_at_front(&original, 0).unwrap();
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
        let Inserted {
            wasm,
            type_appended,
            ..
        } = insert_function_at_front(&original, 0).unwrap();
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
        let Inserted { wasm, .. } = insert_function_at_front(&binary(&text), 0).unwrap();
        Validator::new().validate_all(&wasm).unwrap();
        assert_eq!(call(&Engine::default(), &wasm, "f"), 127);
    }

    #[test]
    fn nothing_but_functions_changes() {
        let original = binary(EVERY_WAY);
        let edited = insert_function_at_front(&original, 0).unwrap().wasm;
        let sections = |wasm: &[u8]| -> Vec<(u8, usize)> {
            Parser::new(0)
                .parse_all(wasm)
                .filter_map(|payload| payload.unwrap().as_section())
                .map(|(id, range)| (id, range.len()))
                .collect()
        };
        // The function section has one index more, the code section one body more.
        let body = { new_function(0).byte_len() + 1 };
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
        let error = insert_function_at_front(&binary("(module (memory 1))"), 0).unwrap_err();
        assert_eq!(error.to_string(), "the module defines no functions");
    }

    /// Of a module with imports and of one without.
    #[test]
    fn an_import_moves_every_function() {
        let engine = Engine::default();
        let call_with_import = |wasm: &[u8], name: &str| {
            let module = Module::new(&engine, wasm).unwrap();
            let mut linker = Linker::new(&engine);
            linker.func_wrap("", "seven", || 7).unwrap();
            linker.func_wrap("ibid", "unused-3", || ()).unwrap();
            let mut store = Store::new(&engine, ());
            let instance = linker.instantiate(&mut store, &module).unwrap();
            let function = instance.get_typed_func::<(), i32>(&mut store, name);
            function.unwrap().call(&mut store, ()).unwrap()
        };
        let edited = add_import(&binary(EVERY_WAY), 3).unwrap();
        assert_eq!(edited.referring, 1);
        for (name, expected) in [("started", 9), ("call", 2), ("import", 7), ("indirect", 27)] {
            assert_eq!(call_with_import(&edited.wasm, name), expected, "{name}");
        }
        let without =
            binary("(module (func $f (result i32) i32.const 3) (export \"f\" (func $f)))");
        let edited = add_import(&without, 3).unwrap();
        assert!(edited.type_appended);
        assert_eq!(call_with_import(&edited.wasm, "f"), 3);
    }
}
