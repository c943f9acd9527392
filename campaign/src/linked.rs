//! Random components: core modules that are linked, components that call each other, and the
//! trampolines between them and the host.

use crate::random::Random;
use std::fmt::Write as _;
use wasm_encoder::{ComponentSectionId, Encode as _};

/// A component that things can happen to.
#[derive(Clone, Debug)]
pub(crate) struct Linked {
    /// Types that come before all others, in the first module.
    types: usize,
    /// What each function of the first module gives.
    first: Vec<u32>,
    /// Of each import of the second module: the first one's function that it is.
    imports: Vec<usize>,
    /// What the functions of the second module call.
    second: Vec<Vec<Call>>,
    /// What the component's trampolines do, by number in [`BUILTINS`].
    builtins: Vec<usize>,
    /// The second module imports a start function and calls it.
    start: bool,
    /// All of it is instantiated twice, so that imports are not known.
    twice: bool,
    /// Functions that one component has and another one calls.
    adapted: Vec<Adapted>,
    /// Core modules that nothing instantiates, in the binary format.
    beside: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    what: Callee,
    constant: u32,
    tail: bool,
}

#[derive(Clone, Copy, Debug)]
enum Callee {
    Import(usize),
    Own(usize),
    Builtin(usize),
}

#[derive(Clone, Debug)]
struct Adapted {
    /// By number in [`VALUES`].
    parameters: Vec<usize>,
    result: Option<usize>,
    /// String encodings of who has it and who calls it, by number in [`ENCODINGS`].
    encodings: [usize; 2],
}

/// A canonical built-in: its text, and its core parameters and results.
struct Builtin {
    text: &'static str,
    parameters: &'static [&'static str],
    result: Option<&'static str>,
}

const fn builtin(
    text: &'static str,
    parameters: &'static [&'static str],
    result: Option<&'static str>,
) -> Builtin {
    Builtin {
        text,
        parameters,
        result,
    }
}

const ONE: &[&str] = &["i32"];
const TWO: &[&str] = &["i32", "i32"];
const THREE: &[&str] = &["i32", "i32", "i32"];
const I32: Option<&str> = Some("i32");
const I64: Option<&str> = Some("i64");

const BUILTINS: &[Builtin] = &[
    builtin("lower (func $host)", ONE, I32),
    builtin(
        "lower (func $say) (memory (core memory $first \"m\"))",
        TWO,
        None,
    ),
    builtin(
        "lower (func $say) string-encoding=utf16 (memory (core memory $first \"m\"))",
        TWO,
        None,
    ),
    builtin("resource.new $own", ONE, I32),
    builtin("resource.rep $own", ONE, I32),
    builtin("resource.drop $own", ONE, None),
    builtin("resource.drop $plain", ONE, None),
    builtin("resource.drop $thing", ONE, None),
    builtin(
        "lower (func $wait) async (memory (core memory $first \"m\"))",
        TWO,
        I32,
    ),
    builtin("task.return (result u32)", ONE, None),
    builtin("task.cancel", &[], None),
    builtin("backpressure.inc", &[], None),
    builtin("backpressure.dec", &[], None),
    builtin("context.get i32 0", &[], I32),
    builtin("context.set i32 0", ONE, None),
    builtin("thread.yield", &[], I32),
    builtin("subtask.drop", ONE, None),
    builtin("subtask.cancel", ONE, I32),
    builtin("waitable-set.new", &[], I32),
    builtin(
        "waitable-set.wait (memory (core memory $first \"m\"))",
        TWO,
        I32,
    ),
    builtin(
        "waitable-set.poll (memory (core memory $first \"m\"))",
        TWO,
        I32,
    ),
    builtin("waitable-set.drop", ONE, None),
    builtin("waitable.join", TWO, None),
    builtin("stream.new $bytes", &[], I64),
    builtin("stream.new $words", &[], I64),
    builtin(
        "stream.read $bytes async (memory (core memory $first \"m\"))",
        THREE,
        I32,
    ),
    builtin(
        "stream.write $words async (memory (core memory $first \"m\"))",
        THREE,
        I32,
    ),
    builtin("stream.cancel-read $bytes", ONE, I32),
    builtin("stream.cancel-write $words", ONE, I32),
    builtin("stream.drop-readable $words", ONE, None),
    builtin("future.new $later", &[], I64),
    builtin(
        "future.read $later async (memory (core memory $first \"m\"))",
        TWO,
        I32,
    ),
    builtin("future.cancel-write $later", ONE, I32),
    builtin("future.drop-writable $later", ONE, None),
];

/// Types of values, and what they are in a core function.
const VALUES: &[(&str, &[&str])] = &[
    ("u8", &["i32"]),
    ("s16", &["i32"]),
    ("u32", &["i32"]),
    ("bool", &["i32"]),
    ("char", &["i32"]),
    ("u64", &["i64"]),
    ("f32", &["f32"]),
    ("f64", &["f64"]),
    ("string", &["i32", "i32"]),
    ("(list u8)", &["i32", "i32"]),
    ("(list string)", &["i32", "i32"]),
    ("(list (tuple u8 u64))", &["i32", "i32"]),
    ("(option u16)", &["i32", "i32"]),
    ("(tuple u32 f64)", &["i32", "f64"]),
    ("(result u32 (error u64))", &["i32", "i64"]),
];

const ENCODINGS: &[&str] = &["utf8", "utf16", "latin1+utf16"];

/// The same types in WIT.
const WIT_VALUES: &[&str] = &[
    "u8",
    "s16",
    "u32",
    "bool",
    "char",
    "u64",
    "f32",
    "f64",
    "string",
    "list<u8>",
    "list<string>",
    "list<tuple<u8, u64>>",
    "option<u16>",
    "tuple<u32, f64>",
    "result<u32, u64>",
];

/// A random function type in WIT.
pub(crate) fn wit_function(random: &mut Random) -> String {
    let parameters: Vec<String> = (0..random.below(5))
        .map(|number| format!("p{number}: {}", random.pick(WIT_VALUES)))
        .collect();
    let result = match random.below(3) {
        0 => String::new(),
        _ => format!(" -> {}", random.pick(WIT_VALUES)),
    };
    format!("func({}){result}", parameters.join(", "))
}

impl Linked {
    /// A random component, with `module` beside it if there is one.
    pub(crate) fn random(random: &mut Random, module: Option<Vec<u8>>) -> Linked {
        let mut linked = Linked {
            types: random.below(3),
            first: Vec::new(),
            imports: Vec::new(),
            second: Vec::new(),
            builtins: Vec::new(),
            start: random.one_in(3),
            twice: random.one_in(6),
            adapted: Vec::new(),
            beside: module.into_iter().filter(|_| random.one_in(2)).collect(),
        };
        for _ in 0..1 + random.below(4) {
            linked.first.push(random.number() as u32);
        }
        for _ in 0..random.below(5) {
            linked.add_import(random);
        }
        for _ in 0..random.below(5) {
            linked.builtins.push(random.below(BUILTINS.len()));
        }
        for _ in 0..1 + random.below(4) {
            let calls = (0..random.below(6)).map(|_| linked.call(random)).collect();
            linked.second.push(calls);
        }
        for _ in 0..random.below(3) {
            linked.adapted.push(Adapted::random(random));
        }
        linked
    }

    fn add_import(&mut self, random: &mut Random) {
        self.imports.push(random.below(self.first.len()));
    }

    fn call(&self, random: &mut Random) -> Call {
        Call {
            what: match random.below(3) {
                0 => Callee::Import(random.below(8)),
                1 => Callee::Builtin(random.below(8)),
                _ => Callee::Own(random.below(8)),
            },
            constant: random.number() as u32,
            tail: random.one_in(4),
        }
    }

    /// Changes one thing.
    pub(crate) fn edit(&mut self, random: &mut Random) {
        match random.below(12) {
            0 => self.types += 1,
            1 => {
                let constant = random.number() as u32;
                *random.pick_mut(&mut self.first) = constant;
            }
            2 => self.first.push(7),
            3 if !self.imports.is_empty() => {
                let to = random.below(self.first.len());
                *random.pick_mut(&mut self.imports) = to;
            }
            3 | 4 => self.add_import(random),
            5 => self.builtins.push(random.below(BUILTINS.len())),
            6 => self.start = !self.start,
            7 => self.twice = !self.twice,
            8 => self.adapted.push(Adapted::random(random)),
            9 => {
                self.adapted.pop();
            }
            10 => self.beside.clear(),
            _ => {
                let call = self.call(random);
                random.pick_mut(&mut self.second).push(call);
            }
        }
    }

    /// The component, in the binary format.
    pub(crate) fn wasm(&self) -> Vec<u8> {
        let mut wasm = wat::parse_str(self.text()).expect("it is well-formed");
        for module in &self.beside {
            wasm.push(ComponentSectionId::CoreModule.into());
            module.encode(&mut wasm);
        }
        wasm
    }

    /// All that is not in the binary format, in the text format.
    fn text(&self) -> String {
        let mut text = String::from("(component\n");
        text.push_str(
            "(import \"host\" (func $host (param \"x\" u32) (result u32)))
             (import \"wait\" (func $wait async (param \"x\" u32) (result u32)))
             (import \"say\" (func $say (param \"x\" string)))
             (import \"thing\" (type $thing (sub resource)))
             (type $bytes (stream u8)) (type $words (stream string)) (type $later (future u32))\n",
        );
        self.first_module(&mut text);
        self.second_module(&mut text);
        text.push_str("(core instance $first (instantiate $first))\n");
        text.push_str("(type $own (resource (rep i32) (dtor (core func $first \"gone\"))))\n");
        text.push_str("(type $plain (resource (rep i32)))\n");
        for (number, builtin) in self.builtins.iter().enumerate() {
            let canon = BUILTINS[*builtin].text;
            let _ = writeln!(text, "(core func $b{number} (canon {canon}))");
        }
        text.push_str("(core instance $builtins");
        for number in 0..self.builtins.len() {
            let _ = write!(text, " (export \"b{number}\" (func $b{number}))");
        }
        text.push_str(")\n");
        let instances = if self.twice { &["", "2"][..] } else { &[""] };
        for instance in instances {
            let _ = writeln!(
                text,
                "(core instance $linked{instance} (instantiate $second
                   (with \"first\" (instance $first)) (with \"builtins\" (instance $builtins))))"
            );
        }
        text.push_str(
            "(func (export \"run\") (param \"x\" u32) (result u32)
               (canon lift (core func $linked \"run\")))\n",
        );
        if !self.adapted.is_empty() {
            self.adapted(&mut text);
        }
        text.push(')');
        text
    }

    fn first_module(&self, text: &mut String) {
        text.push_str(
            "(core module $first (memory (export \"m\") 1) (data (i32.const 8) \"data\")\n",
        );
        for number in 0..self.types {
            let _ = writeln!(text, "(type (func (param {})))", "i64 ".repeat(number + 1));
        }
        for (number, constant) in self.first.iter().enumerate() {
            let _ = write!(text, "(func");
            for (import, function) in self.imports.iter().enumerate() {
                if *function == number {
                    let _ = write!(text, " (export \"i{import}\")");
                }
            }
            let _ = writeln!(
                text,
                " (param i32) (result i32)
                   (i32.add (local.get 0) (i32.const {})))",
                *constant as i32
            );
        }
        text.push_str("(func (export \"gone\") (param i32)) (func (export \"go\")))\n");
    }

    fn second_module(&self, text: &mut String) {
        text.push_str("(core module $second\n");
        for import in 0..self.imports.len() {
            let _ = writeln!(
                text,
                "(import \"first\" \"i{import}\" (func $i{import} (param i32) (result i32)))"
            );
        }
        for (number, builtin) in self.builtins.iter().enumerate() {
            let builtin = &BUILTINS[*builtin];
            let signature = signature(builtin.parameters, builtin.result);
            let _ = writeln!(
                text,
                "(import \"builtins\" \"b{number}\" (func $b{number} {signature}))"
            );
        }
        if self.start {
            text.push_str("(import \"first\" \"go\" (func $go)) (start $go)\n");
        }
        text.push_str(
            "(memory 1) (data (i32.const 4) \"more\") (global $g (mut i32) (i32.const 1))\n",
        );
        for (number, calls) in self.second.iter().enumerate() {
            let export = if number == 0 { "(export \"run\")" } else { "" };
            let _ = writeln!(text, "(func $f{number} {export} (param i32) (result i32)");
            let mut done = false;
            for call in calls {
                done = self.write_call(text, *call);
                if done {
                    break;
                }
            }
            if !done {
                text.push_str("(global.get $g)");
            }
            text.push_str(")\n");
        }
        text.push_str(")\n");
    }

    /// Writes a call; says whether nothing follows it.
    fn write_call(&self, text: &mut String, call: Call) -> bool {
        let (name, parameters, result): (String, &[&str], _) = match call.what {
            Callee::Import(number) if !self.imports.is_empty() => {
                (format!("$i{}", number % self.imports.len()), ONE, I32)
            }
            Callee::Builtin(number) if !self.builtins.is_empty() => {
                let number = number % self.builtins.len();
                let builtin = &BUILTINS[self.builtins[number]];
                (format!("$b{number}"), builtin.parameters, builtin.result)
            }
            Callee::Import(number) | Callee::Own(number) | Callee::Builtin(number) => {
                (format!("$f{}", number % self.second.len()), ONE, I32)
            }
        };
        let tail = call.tail && parameters == ONE && result == I32;
        let operator = if tail { "return_call" } else { "call" };
        let _ = write!(text, "({operator} {name}");
        for ty in parameters {
            let _ = write!(text, " ({ty}.const {})", call.constant as i32);
        }
        text.push(')');
        if !tail && result.is_some() {
            text.push_str(" (drop)");
        }
        text.push('\n');
        tail
    }

    /// Two components, of which one calls the other.
    fn adapted(&self, text: &mut String) {
        const LIBRARY: &str = "(memory (export \"memory\") 1)
            (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 1024))";
        let _ = writeln!(text, "(component $has (core module $m {LIBRARY}");
        for (number, function) in self.adapted.iter().enumerate() {
            let (parameters, result) = function.core();
            let result = if result.len() > 1 {
                I32
            } else {
                result.first().copied()
            };
            let _ = write!(
                text,
                "(func (export \"f{number}\") {}",
                signature(&parameters, result)
            );
            if let Some(result) = result {
                let _ = write!(text, " ({result}.const {number})");
            }
            text.push_str(")\n");
        }
        text.push_str(") (core instance $m (instantiate $m))\n");
        for (number, function) in self.adapted.iter().enumerate() {
            let options = options("m", function.encodings[0]);
            let _ = writeln!(
                text,
                "(func (export \"f{number}\") {} (canon lift (core func $m \"f{number}\") {options}))",
                function.signature()
            );
        }
        let _ = write!(
            text,
            ")\n(component $calls (core module $l {LIBRARY})
            (core instance $l (instantiate $l))\n"
        );
        for (number, function) in self.adapted.iter().enumerate() {
            let options = options("l", function.encodings[1]);
            let _ = writeln!(
                text,
                "(import \"f{number}\" (func $f{number} {}))
                 (core func $c{number} (canon lower (func $f{number}) {options}))",
                function.signature()
            );
        }
        text.push_str("(core module $m\n");
        let mut calls = String::new();
        for (number, function) in self.adapted.iter().enumerate() {
            let (mut parameters, result) = function.core();
            let through_memory = result.len() > 1;
            if through_memory {
                parameters.push("i32");
            }
            let result = result.first().copied().filter(|_| !through_memory);
            let signature = signature(&parameters, result);
            let _ = writeln!(
                text,
                "(import \"\" \"c{number}\" (func $c{number} {signature}))"
            );
            let _ = write!(calls, "(call $c{number}");
            for ty in &parameters {
                let _ = write!(calls, " ({ty}.const 8)");
            }
            calls.push(')');
            if result.is_some() {
                calls.push_str(" (drop)");
            }
        }
        let _ = write!(
            text,
            "(func (export \"go\") {calls}))\n(core instance $m (instantiate $m (with \"\" (instance"
        );
        for number in 0..self.adapted.len() {
            let _ = write!(text, " (export \"c{number}\" (func $c{number}))");
        }
        text.push_str("))))\n(func (export \"go\") (canon lift (core func $m \"go\"))))\n");
        text.push_str("(instance $has (instantiate $has))\n(instance $calls (instantiate $calls");
        for number in 0..self.adapted.len() {
            let _ = write!(text, " (with \"f{number}\" (func $has \"f{number}\"))");
        }
        text.push_str("))\n(export \"go\" (func $calls \"go\"))\n");
    }
}

impl Adapted {
    fn random(random: &mut Random) -> Adapted {
        Adapted {
            parameters: (0..random.below(5))
                .map(|_| random.below(VALUES.len()))
                .collect(),
            result: (!random.one_in(3)).then(|| random.below(VALUES.len())),
            encodings: [(); 2].map(|()| random.below(ENCODINGS.len())),
        }
    }

    /// Its parameters and results in a core function.
    fn core(&self) -> (Vec<&'static str>, &'static [&'static str]) {
        let parameters = self.parameters.iter();
        let parameters = parameters.flat_map(|value| VALUES[*value].1).copied();
        let result = self.result.map_or(&[][..], |value| VALUES[value].1);
        (parameters.collect(), result)
    }

    /// Its parameters and results in a component.
    fn signature(&self) -> String {
        let mut text = String::new();
        for (number, value) in self.parameters.iter().enumerate() {
            let _ = write!(text, "(param \"p{number}\" {}) ", VALUES[*value].0);
        }
        if let Some(result) = self.result {
            let _ = write!(text, "(result {})", VALUES[result].0);
        }
        text
    }
}

fn signature(parameters: &[&str], result: Option<&str>) -> String {
    let result = result.map(|result| format!(" (result {result})"));
    format!(
        "(param {}){}",
        parameters.join(" "),
        result.unwrap_or_default()
    )
}

fn options(instance: &str, encoding: usize) -> String {
    format!(
        "string-encoding={} (memory (core memory ${instance} \"memory\"))
         (realloc (core func ${instance} \"realloc\"))",
        ENCODINGS[encoding]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::component::Component;
    use wasmtime::{Config, Engine};

    #[test]
    fn what_is_made_is_valid() {
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        let engine = Engine::new(&config).unwrap();
        for seed in 0..100 {
            let mut random = Random::new(seed);
            let mut linked = Linked::random(&mut random, None);
            for _ in 0..3 {
                let text = linked.text();
                Component::new(&engine, linked.wasm())
                    .unwrap_or_else(|error| panic!("seed {seed}: {error:?}\n{text}"));
                linked.edit(&mut random);
            }
        }
    }
}
