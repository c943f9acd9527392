//! A body as a row of tokens, in which what it names and the numbers in it stand apart.

use std::hash::{Hash, Hasher};
use wasmparser::{
    BlockType, BrTable, Catch, FunctionBody, HeapType, Ieee32, Ieee64, MemArg, Operator, Ordering,
    RefType, ResumeTable, TryTable, UnpackedIndex, V128, ValType,
};

/// What an index counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Space {
    Function,
    Type,
    /// Of a block; it is a slot in the stencil.
    BlockType,
    Memory,
    Table,
    Global,
    Tag,
    Data,
    Element,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Token {
    Operator(&'static str),
    Index(Space, u32),
    /// An integer constant, or the offset of an access, without its sign.
    Number(u64),
    /// A digest of anything else.
    Other(u64),
}

/// The tokens of `body`; `None` if it does not read.
pub(super) fn tokens(body: &FunctionBody<'_>) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    for local in body.get_locals_reader().ok()? {
        let (count, ty) = local.ok()?;
        other(&mut out, count);
        value_type(&mut out, ty);
    }
    let mut operators = body.get_operators_reader().ok()?;
    while !operators.eof() {
        operator(&mut out, &operators.read().ok()?);
    }
    Some(out)
}

fn other(out: &mut Vec<Token>, value: impl Hash) {
    let mut hasher = rustc_hash::FxHasher::default();
    value.hash(&mut hasher);
    out.push(Token::Other(hasher.finish()));
}

fn value_type(out: &mut Vec<Token>, ty: ValType) {
    match ty {
        ValType::Ref(ty) => ref_type(out, ty),
        ty => other(out, ty),
    }
}

fn ref_type(out: &mut Vec<Token>, ty: RefType) {
    other(out, ty.is_nullable());
    ty.heap_type().put("", out);
}

/// Something that is written behind an opcode.
trait Immediate {
    /// Appends what it is, for an immediate that the list of operators calls `name`.
    fn put(&self, name: &str, out: &mut Vec<Token>);
}

impl Immediate for u32 {
    fn put(&self, name: &str, out: &mut Vec<Token>) {
        let space = match name {
            "function_index" => Space::Function,
            "global_index" => Space::Global,
            "table_index" | "table" | "dst_table" | "src_table" => Space::Table,
            "mem" | "dst_mem" | "src_mem" => Space::Memory,
            "tag_index" => Space::Tag,
            "data_index" | "array_data_index" => Space::Data,
            "elem_index" | "array_elem_index" => Space::Element,
            name if name.contains("type_index") => Space::Type,
            _ => return other(out, self),
        };
        out.push(Token::Index(space, *self));
    }
}

impl Immediate for i32 {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        out.push(Token::Number(self.cast_unsigned().into()));
    }
}

impl Immediate for i64 {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        out.push(Token::Number(self.cast_unsigned()));
    }
}

impl Immediate for MemArg {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        out.push(Token::Index(Space::Memory, self.memory));
        other(out, self.align);
        out.push(Token::Number(self.offset));
    }
}

impl Immediate for BlockType {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        match self {
            BlockType::Empty => other(out, 0),
            BlockType::Type(ty) => value_type(out, *ty),
            BlockType::FuncType(index) => out.push(Token::Index(Space::BlockType, *index)),
        }
    }
}

impl Immediate for HeapType {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        match self {
            HeapType::Concrete(UnpackedIndex::Module(index)) => {
                out.push(Token::Index(Space::Type, *index));
            }
            ty => other(out, ty),
        }
    }
}

impl Immediate for RefType {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        ref_type(out, *self);
    }
}

impl Immediate for ValType {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        value_type(out, *self);
    }
}

impl Immediate for Vec<ValType> {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        other(out, self.len());
        self.iter().for_each(|ty| value_type(out, *ty));
    }
}

impl Immediate for BrTable<'_> {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        let targets: Vec<u32> = self.targets().map(|t| t.unwrap_or(u32::MAX)).collect();
        other(out, (targets, self.default()));
    }
}

impl Immediate for TryTable {
    fn put(&self, _: &str, out: &mut Vec<Token>) {
        match self.ty {
            // Its number stays in the stencil.
            BlockType::FuncType(index) => out.push(Token::Index(Space::Type, index)),
            ty => ty.put("", out),
        }
        for catch in &self.catches {
            let (kind, tag, label) = match *catch {
                Catch::One { tag, label } => (0, Some(tag), label),
                Catch::OneRef { tag, label } => (1, Some(tag), label),
                Catch::All { label } => (2, None, label),
                Catch::AllRef { label } => (3, None, label),
            };
            other(out, (kind, label));
            out.extend(tag.map(|tag| Token::Index(Space::Tag, tag)));
        }
    }
}

macro_rules! as_they_are_written {
    ($($ty:ty)*) => {
        $(
            impl Immediate for $ty {
                fn put(&self, _: &str, out: &mut Vec<Token>) {
                    other(out, format!("{self:?}"));
                }
            }
        )*
    };
}

as_they_are_written!(u8 [u8; 16] Ieee32 Ieee64 V128 Ordering ResumeTable);

macro_rules! define_operator {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
        fn operator(out: &mut Vec<Token>, operator: &Operator<'_>) {
            match operator {
                $(
                    Operator::$op $({ $($arg),* })? => {
                        out.push(Token::Operator(stringify!($op)));
                        $($( Immediate::put($arg, stringify!($arg), out); )*)?
                    }
                )*
                operator => other(out, format!("{operator:?}")),
            }
        }
    };
}

wasmparser::for_each_operator!(define_operator);

/// A digest of what is left of `tokens` without the indices and numbers.
pub(super) fn skeleton(tokens: &[Token]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    for token in tokens {
        match token {
            Token::Index(space, _) => space.hash(&mut hasher),
            Token::Number(_) => 0.hash(&mut hasher),
            token => token.hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// How often which operators follow each other, in few buckets.
pub(super) fn profile(tokens: &[Token]) -> Vec<u32> {
    let mut buckets = vec![0; 509];
    let mut last = "";
    for token in tokens {
        if let Token::Operator(name) = token {
            let mut hasher = rustc_hash::FxHasher::default();
            (last, name).hash(&mut hasher);
            buckets[(hasher.finish() % 509) as usize] += 1;
            last = name;
        }
    }
    buckets
}
