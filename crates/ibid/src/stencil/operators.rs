//! Which operators refer to the module, and how.
//!
//! The table is made from `wasmparser`'s own list of operators, by proposal and by
//! the names of the immediates, so that an operator of a later release cannot slip
//! through: what is not listed here falls into [`Class::Everything`], the class
//! whose key holds all that the module says outside its bodies and data.
//!
//! Operators are looked at through a visitor, so that most of them are no more than the
//! constant that their class is.

use super::addresses::{Survey, is_looked_at};
use wasmparser::{Ieee32, Ieee64, Operator, V128, VisitOperator, VisitSimdOperator};

/// How an operator depends on what lies outside its function's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The operator's own bytes say all that its translation reads.
    Plain,
    /// The bytes, and facts about the memory that the operator accesses.
    Memory,
    /// The bytes; the operator is an integer constant, which may be an address.
    Constant,
    /// The bytes, and facts about the entities that the operator names;
    /// `body::resolve` has a rule of its own for it.
    Resolved,
    /// The bytes and the module environment: the module's number and all types.
    Environment,
    /// Anything else: the bytes and all that the module says outside its bodies and
    /// data.
    Everything,
}

/// Immediates whose meaning does not depend on the module.
const PLAIN_IMMEDIATES: &[&str] = &[
    "relative_depth",
    "targets",
    "local_index",
    "value",
    "lane",
    "lanes",
];

/// Immediates that name something of the module and that `body::resolve` follows.
const RESOLVED_IMMEDIATES: &[&str] = &[
    "blockty",
    "function_index",
    "type_index",
    "table_index",
    "global_index",
    "memarg",
    "mem",
    "hty",
    "data_index",
    "dst_mem",
    "src_mem",
    "elem_index",
    "table",
    "dst_table",
    "src_table",
    "ty",
    "tys",
    "try_table",
    "tag_index",
];

/// Immediates of the garbage collection proposal that name types and parts of types.
const TYPE_IMMEDIATES: &[&str] = &[
    "struct_type_index",
    "field_index",
    "array_type_index",
    "array_type_index_dst",
    "array_type_index_src",
    "array_size",
    "hty",
    "relative_depth",
    "from_ref_type",
    "to_ref_type",
];

/// Proposals whose operators were read, one by one, in the pinned release.
const KNOWN_PROPOSALS: &[&str] = &[
    "mvp",
    "sign_extension",
    "saturating_float_to_int",
    "bulk_memory",
    "reference_types",
    "tail_call",
    "threads",
    "simd",
    "relaxed_simd",
    "exceptions",
    "function_references",
    "wide_arithmetic",
];

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn contains(list: &[&str], name: &str) -> bool {
    let mut i = 0;
    while i < list.len() {
        if same(list[i], name) {
            return true;
        }
        i += 1;
    }
    false
}

const fn classify(proposal: &str, immediates: &[&str]) -> Class {
    let mut i = 0;
    if same(proposal, "gc") {
        while i < immediates.len() {
            if !contains(TYPE_IMMEDIATES, immediates[i]) {
                return Class::Everything;
            }
            i += 1;
        }
        return Class::Environment;
    }
    if !contains(KNOWN_PROPOSALS, proposal) {
        return Class::Everything;
    }
    let mut class = Class::Plain;
    while i < immediates.len() {
        if contains(RESOLVED_IMMEDIATES, immediates[i]) {
            class = Class::Resolved;
        } else if !contains(PLAIN_IMMEDIATES, immediates[i]) {
            return Class::Everything;
        }
        i += 1;
    }
    class
}

/// Finds the class of each operator that it visits.
#[derive(Default)]
pub(crate) struct Classifier<'a> {
    /// The last operator of the class [`Class::Resolved`].
    pub(crate) named: Option<Operator<'a>>,
    /// The memory that the last operator of the class [`Class::Memory`] accesses, and the
    /// offset of the access.
    pub(crate) memory: u32,
    pub(crate) offset: u64,
    /// The last constant, without its sign.
    pub(crate) constant: u64,
    pub(crate) survey: Survey,
}

/// The immediates that are called `value`, and no others.
trait Constant {
    /// An integer as it is without its sign.
    fn integer(self) -> Option<u64>;
}

impl Constant for i32 {
    fn integer(self) -> Option<u64> {
        Some(self.cast_unsigned().into())
    }
}

impl Constant for i64 {
    fn integer(self) -> Option<u64> {
        Some(self.cast_unsigned())
    }
}

impl Constant for Ieee32 {
    fn integer(self) -> Option<u64> {
        None
    }
}

impl Constant for Ieee64 {
    fn integer(self) -> Option<u64> {
        None
    }
}

impl Constant for V128 {
    fn integer(self) -> Option<u64> {
        None
    }
}

macro_rules! define_visits {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
        $(
            #[inline]
            fn $visit(&mut self $($(, $arg: $argty)*)?) -> Class {
                if const { is_looked_at(stringify!($op)) } {
                    self.survey.look(&Operator::$op $({ $($arg: $arg.clone()),* })?);
                }
                let class = const {
                    classify(stringify!($proposal), &[$($(stringify!($arg)),*)?])
                };
                match class {
                    Class::Resolved => define_visits!(@resolved self $op [$($($arg)*)?] $($($arg)*)?),
                    Class::Plain => define_visits!(@plain self [$($($arg)*)?] $($($arg)*)?),
                    class => {
                        $($( let _ = $arg; )*)?
                        class
                    }
                }
            }
        )*
    };
    (@plain $self:ident [$value:ident] value) => {
        match $value.integer() {
            Some(constant) => {
                $self.constant = constant;
                Class::Constant
            }
            None => Class::Plain,
        }
    };
    (@plain $self:ident [$($arg:ident)*] $($_arg:ident)*) => {{
        $( let _ = $arg; )*
        Class::Plain
    }};
    (@resolved $self:ident $op:ident [$memarg:ident $($lane:ident)?] memarg $($_lane:ident)?) => {{
        $( let _ = $lane; )?
        $self.memory = $memarg.memory;
        $self.offset = $memarg.offset;
        Class::Memory
    }};
    (@resolved $self:ident $op:ident [$($arg:ident)*] $($_arg:ident)*) => {{
        $self.named = Some(Operator::$op { $($arg),* });
        Class::Resolved
    }};
}

impl<'a> VisitOperator<'a> for Classifier<'a> {
    type Output = Class;

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = Class>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(define_visits);
}

impl<'a> VisitSimdOperator<'a> for Classifier<'a> {
    wasmparser::for_each_visit_simd_operator!(define_visits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{BlockType, HeapType, MemArg};

    fn class_of(operator: &Operator<'_>) -> Class {
        Classifier::default().visit_operator(operator)
    }

    #[test]
    fn the_class_follows_the_immediates_and_the_proposal() {
        assert_eq!(class_of(&Operator::I32Add), Class::Plain);
        assert_eq!(
            class_of(&Operator::LocalGet { local_index: 3 }),
            Class::Plain
        );
        assert_eq!(
            class_of(&Operator::Call { function_index: 3 }),
            Class::Resolved
        );
        assert_eq!(
            class_of(&Operator::Block {
                blockty: BlockType::Empty
            }),
            Class::Resolved
        );
        assert_eq!(
            class_of(&Operator::StructNew {
                struct_type_index: 0
            }),
            Class::Environment
        );
        assert_eq!(class_of(&Operator::ArrayLen), Class::Environment);
        assert_eq!(
            class_of(&Operator::ArrayNewData {
                array_type_index: 0,
                array_data_index: 0
            }),
            Class::Everything
        );
        assert_eq!(class_of(&Operator::CatchAll), Class::Everything);
        assert_eq!(
            class_of(&Operator::ContNew { cont_type_index: 0 }),
            Class::Everything
        );
        assert_eq!(
            class_of(&Operator::RefCastNullable {
                hty: HeapType::FUNC
            }),
            Class::Environment
        );
    }

    #[test]
    fn memargs_are_found() {
        let memarg = MemArg {
            align: 2,
            max_align: 2,
            offset: 8,
            memory: 1,
        };
        for operator in [
            Operator::I32Load { memarg },
            Operator::V128Load8Lane { memarg, lane: 1 },
        ] {
            let mut classifier = Classifier::default();
            assert_eq!(classifier.visit_operator(&operator), Class::Memory);
            assert_eq!(classifier.memory, 1);
        }
        assert_eq!(class_of(&Operator::I32Add), Class::Plain);
    }

    #[test]
    fn what_is_resolved_is_kept() {
        let mut classifier = Classifier::default();
        let call = Operator::Call { function_index: 7 };
        assert_eq!(classifier.visit_operator(&call), Class::Resolved);
        assert_eq!(classifier.named, Some(call));
    }
}
