//! Programs that mention addresses: random functions, of which the addresses of static data
//! can be others each time, and the places of what they name in the instance.

use crate::random::Random;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    Instruction, MemArg, MemorySection, MemoryType, Module, TableSection, TableType, TypeSection,
    ValType,
};

const PAGE: u64 = 1 << 16;

/// A program without its addresses.
pub(crate) struct Program {
    functions: Vec<Vec<Item>>,
    memory: MemoryType,
    second_memory: bool,
    exported: bool,
}

/// An operator, or one that holds an address.
#[derive(Clone)]
enum Item {
    Operator(Instruction<'static>),
    /// A constant: the number of the address, what is added, 64 bits wide.
    Constant(usize, i64, bool),
    /// An access, by the operator that it is without an offset.
    Access(Access, usize, i64),
    /// A call of one of [`CALLEES`].
    Call(usize),
}

/// What functions call: imported functions, and the first that the program defines.
const CALLEES: usize = IMPORTED + 1;

/// How many functions are imported and called.
const IMPORTED: usize = 2;

/// What a program imports besides: it moves all other places in the instance.
#[derive(Clone, Copy, Default)]
pub(crate) struct Surroundings {
    /// Functions before those that are called, between them, and behind them.
    imports: [u32; 3],
}

impl Surroundings {
    pub(crate) fn random(random: &mut Random) -> Surroundings {
        Surroundings {
            imports: [(); 3].map(|()| *random.pick(&[0, 0, 1, 2, 3, 4, 5, 40])),
        }
    }

    /// The function index of a callee.
    fn callee(self, number: usize) -> u32 {
        let before: u32 = self.imports[..=number].iter().sum();
        before + number as u32
    }
}

type Access = fn(MemArg) -> Instruction<'static>;

/// Locals of every function: parameters first.
const NARROW: [u32; 4] = [0, 1, 4, 5];
const WIDE: [u32; 4] = [2, 3, 6, 7];

const NARROW_LOADS: &[Access] = &[
    Instruction::I32Load,
    Instruction::I32Load,
    Instruction::I32Load8S,
    Instruction::I32Load8U,
    Instruction::I32Load16S,
    Instruction::I32Load16U,
];

const WIDE_LOADS: &[Access] = &[
    Instruction::I64Load,
    Instruction::I64Load,
    Instruction::I64Load8S,
    Instruction::I64Load8U,
    Instruction::I64Load16S,
    Instruction::I64Load16U,
    Instruction::I64Load32S,
    Instruction::I64Load32U,
];

const NARROW_STORES: &[Access] = &[
    Instruction::I32Store,
    Instruction::I32Store,
    Instruction::I32Store8,
    Instruction::I32Store16,
];

const WIDE_STORES: &[Access] = &[
    Instruction::I64Store,
    Instruction::I64Store,
    Instruction::I64Store8,
    Instruction::I64Store16,
    Instruction::I64Store32,
];

const NARROW_BINARY: &[Instruction<'static>] = &[
    Instruction::I32Add,
    Instruction::I32Add,
    Instruction::I32Add,
    Instruction::I32Sub,
    Instruction::I32Mul,
    Instruction::I32DivS,
    Instruction::I32DivU,
    Instruction::I32RemS,
    Instruction::I32RemU,
    Instruction::I32And,
    Instruction::I32Or,
    Instruction::I32Xor,
    Instruction::I32Shl,
    Instruction::I32ShrS,
    Instruction::I32ShrU,
    Instruction::I32Rotl,
    Instruction::I32Rotr,
    Instruction::I32Eq,
    Instruction::I32Ne,
    Instruction::I32LtS,
    Instruction::I32LtU,
    Instruction::I32GtS,
    Instruction::I32GtU,
    Instruction::I32LeS,
    Instruction::I32LeU,
    Instruction::I32GeS,
    Instruction::I32GeU,
];

const WIDE_BINARY: &[Instruction<'static>] = &[
    Instruction::I64Add,
    Instruction::I64Add,
    Instruction::I64Add,
    Instruction::I64Sub,
    Instruction::I64Mul,
    Instruction::I64DivS,
    Instruction::I64DivU,
    Instruction::I64RemS,
    Instruction::I64RemU,
    Instruction::I64And,
    Instruction::I64Or,
    Instruction::I64Xor,
    Instruction::I64Shl,
    Instruction::I64ShrS,
    Instruction::I64ShrU,
    Instruction::I64Rotl,
    Instruction::I64Rotr,
];

const WIDE_COMPARISONS: &[Instruction<'static>] = &[
    Instruction::I64Eq,
    Instruction::I64Ne,
    Instruction::I64LtS,
    Instruction::I64LtU,
    Instruction::I64GtS,
    Instruction::I64GtU,
    Instruction::I64LeS,
    Instruction::I64LeU,
    Instruction::I64GeS,
    Instruction::I64GeU,
];

const NARROW_UNARY: &[Instruction<'static>] = &[
    Instruction::I32Eqz,
    Instruction::I32Clz,
    Instruction::I32Ctz,
    Instruction::I32Popcnt,
    Instruction::I32Extend8S,
    Instruction::I32Extend16S,
];

const WIDE_UNARY: &[Instruction<'static>] = &[
    Instruction::I64Clz,
    Instruction::I64Ctz,
    Instruction::I64Popcnt,
    Instruction::I64Extend8S,
    Instruction::I64Extend16S,
    Instruction::I64Extend32S,
];

/// Constants of many classes.
const LITERALS: &[i64] = &[
    0,
    1,
    2,
    3,
    4,
    8,
    10,
    16,
    31,
    100,
    127,
    128,
    255,
    256,
    1000,
    1023,
    1024,
    1025,
    4095,
    4096,
    65_535,
    65_536,
    70_000,
    // About where sentinels of places lie.
    2_216,
    2_248,
    2_256,
    2_280,
    2_344,
    1_048_576,
    0x7fff_ffff,
    -1,
    -4,
    -8,
    -16,
    -1024,
    -65_536,
    -0x8000_0000,
];

impl Program {
    /// A random program that mentions `addresses` different addresses.
    pub(crate) fn new(random: &mut Random, addresses: usize) -> Program {
        let pages = *random.pick(&[1, 2, 17, 256, 600, 1100, 2000]);
        let wide = random.one_in(6);
        let maximum = match random.below(3) {
            0 => None,
            1 => Some(pages),
            _ => Some(4000),
        };
        let count = 1 + random.below(4);
        let mut generator = Generator {
            random,
            addresses,
            wide,
            second_memory: false,
            depth: 0,
            tame: false,
            labels: Vec::new(),
            items: Vec::new(),
        };
        generator.second_memory = generator.random.one_in(6);
        let functions = (0..count).map(|_| generator.function()).collect();
        Program {
            functions,
            memory: MemoryType {
                minimum: pages,
                maximum,
                memory64: wide,
                shared: false,
                page_size_log2: None,
            },
            second_memory: generator.second_memory,
            exported: generator.random.one_in(2),
        }
    }

    /// Addresses for the program: anywhere in its memory, at the edges of what has encodings or
    /// checks of its own, and close to each other.
    pub(crate) fn addresses(&self, random: &mut Random, count: usize) -> Vec<u64> {
        let end = self.memory.minimum * PAGE;
        let mut addresses: Vec<u64> = Vec::with_capacity(count);
        for _ in 0..count {
            let any = random.number() % end;
            let near = addresses.last().copied().unwrap_or(end / 2);
            let edge = *random.pick(&[
                1000,
                1023,
                1024,
                1025,
                1032,
                4096,
                65_536,
                2_248,
                2_280,
                (32 << 20) - 32,
                (32 << 20) - 16,
                (32 << 20) - 1,
                32 << 20,
                (32 << 20) + 1,
                end - 20,
                end - 16,
                end - 8,
                end - 1,
                end,
            ]);
            let address = match random.below(8) {
                0 => edge,
                1 => near + *random.pick(&[0, 1, 4, 8, 16, 24, 100, 4096]),
                2 => near.saturating_sub(*random.pick(&[1, 4, 8, 16])),
                _ => any,
            };
            addresses.push(address.min((1 << 31) + 8));
        }
        addresses
    }

    /// A number that the compiler might make of the program's literals and these addresses.
    fn made(&self, random: &mut Random, addresses: &[u64]) -> u64 {
        let constants = self
            .functions
            .iter()
            .flatten()
            .filter_map(|item| match item {
                Item::Operator(Instruction::I32Const(value)) => Some(i64::from(*value)),
                Item::Operator(Instruction::I64Const(value)) => Some(*value),
                _ => None,
            });
        let mut numbers: Vec<i64> = constants.collect();
        numbers.extend(addresses.iter().map(|address| *address as i64));
        // Mostly of those that are written one after the other.
        let first = random.below(numbers.len());
        let mut number = numbers[first];
        for next in 1..2 + random.below(2) {
            let other = match numbers.get(first + next) {
                Some(other) if !random.one_in(4) => *other,
                _ => *random.pick(&numbers),
            };
            let by = other as u32 % 64;
            number = match random.below(13) {
                0 => number.wrapping_add(other),
                1 => number.wrapping_sub(other),
                2 => number.wrapping_mul(other),
                3 => number & other,
                4 => number | other,
                5 => number ^ other,
                6 => number << by,
                7 => number >> by,
                8 => number.checked_div(other).unwrap_or(number),
                9 => number.checked_rem(other).unwrap_or(number),
                10 => (i128::from(u64::MAX) >> by)
                    .checked_div(other.into())
                    .unwrap_or(1) as i64,
                11 => i64::from(number as i32),
                _ => !number,
            };
        }
        let number = u64::from(number.wrapping_add(random.below(3) as i64 - 1) as u32);
        match self.memory.minimum * PAGE {
            end if number > end => number % end,
            _ => number,
        }
    }

    /// Other addresses: all moved alike, one moved, two swapped, two made equal, one that the
    /// compiler might make of other numbers, or all anew.
    pub(crate) fn moved(&self, random: &mut Random, addresses: &[u64]) -> Vec<u64> {
        let mut moved = addresses.to_vec();
        let distance = *random.pick(&[1, 4, 8, 16, 64, 120, 1000, 4096, 65_536, 1 << 20]);
        let (a, b) = (random.below(moved.len()), random.below(moved.len()));
        match random.below(11) {
            0..3 => moved.iter_mut().for_each(|address| *address += distance),
            3 => moved
                .iter_mut()
                .for_each(|address| *address = address.saturating_sub(distance)),
            4 => moved[a] += distance,
            5 => moved.swap(a, b),
            6 => moved[a] = moved[b],
            7..10 => moved[a] = self.made(random, addresses),
            _ => moved = self.addresses(random, addresses.len()),
        }
        moved
    }

    /// The program with these addresses and surroundings, in the binary format.
    pub(crate) fn module(&self, addresses: &[u64], surroundings: Surroundings) -> Vec<u8> {
        let first = surroundings.callee(IMPORTED);
        let mut module = Module::new();
        let parameters = [ValType::I32, ValType::I32, ValType::I64, ValType::I64];
        let mut types = TypeSection::new();
        types.ty().function(parameters, [ValType::I32]);
        module.section(&types);
        let mut imports = ImportSection::new();
        for _ in 0..first {
            imports.import("", "", EntityType::Function(0));
        }
        imports.import("", "", EntityType::Global(global(ValType::I32, false)));
        module.section(&imports);
        let mut functions = FunctionSection::new();
        self.functions.iter().for_each(|_| {
            functions.function(0);
        });
        module.section(&functions);
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: wasm_encoder::RefType::FUNCREF,
            table64: false,
            minimum: 4,
            maximum: None,
            shared: false,
        });
        module.section(&tables);
        let mut memories = MemorySection::new();
        memories.memory(self.memory);
        if self.second_memory {
            memories.memory(MemoryType {
                minimum: 1,
                maximum: None,
                memory64: self.memory.memory64,
                shared: false,
                page_size_log2: None,
            });
        }
        module.section(&memories);
        let mut globals = GlobalSection::new();
        for (ty, mutable, value) in [
            (ValType::I32, true, ConstExpr::i32_const(64)),
            (ValType::I32, false, ConstExpr::i32_const(1024)),
            (ValType::I64, true, ConstExpr::i64_const(70_000)),
        ] {
            globals.global(global(ty, mutable), &value);
        }
        module.section(&globals);
        let mut exports = ExportSection::new();
        for index in 0..self.functions.len() as u32 {
            exports.export(&format!("f{index}"), ExportKind::Func, first + index);
        }
        if self.exported {
            exports.export("memory", ExportKind::Memory, 0);
        }
        module.section(&exports);
        let mut elements = ElementSection::new();
        let offset = ConstExpr::i32_const(0);
        elements.active(
            None,
            &offset,
            Elements::Functions([first].as_slice().into()),
        );
        module.section(&elements);
        let mut code = CodeSection::new();
        for items in &self.functions {
            code.function(&write(items, addresses, surroundings));
        }
        module.section(&code);
        let mut data = DataSection::new();
        let start = addresses.iter().copied().min().unwrap_or(0);
        let start = start.min(self.memory.minimum * PAGE - 8);
        let start = if self.memory.memory64 {
            ConstExpr::i64_const(start.cast_signed())
        } else {
            ConstExpr::i32_const(start as i32)
        };
        data.active(0, &start, *b"address");
        module.section(&data);
        module.finish()
    }
}

fn global(val_type: ValType, mutable: bool) -> GlobalType {
    GlobalType {
        val_type,
        mutable,
        shared: false,
    }
}

fn write(items: &[Item], addresses: &[u64], surroundings: Surroundings) -> Function {
    let mut function = Function::new([(2, ValType::I32), (2, ValType::I64)]);
    for item in items {
        let instruction = match item {
            Item::Operator(instruction) => instruction.clone(),
            Item::Constant(number, added, true) => {
                Instruction::I64Const(addresses[*number].cast_signed().wrapping_add(*added))
            }
            Item::Constant(number, added, false) => {
                let value = addresses[*number].cast_signed().wrapping_add(*added);
                Instruction::I32Const(value as i32)
            }
            Item::Access(access, number, added) => {
                let offset = addresses[*number].saturating_add_signed(*added);
                access(memarg(offset.min(u32::MAX.into()), 0))
            }
            Item::Call(callee) => Instruction::Call(surroundings.callee(*callee)),
        };
        function.instruction(&instruction);
    }
    function.instruction(&Instruction::End);
    function
}

fn memarg(offset: u64, memory_index: u32) -> MemArg {
    MemArg {
        offset,
        align: 0,
        memory_index,
    }
}

struct Generator<'r> {
    random: &'r mut Random,
    addresses: usize,
    /// Memories have 64-bit indices.
    wide: bool,
    second_memory: bool,
    depth: usize,
    /// Few operators, more addresses as they are.
    tame: bool,
    /// Enclosing blocks: whether a branch to them goes back.
    labels: Vec<bool>,
    items: Vec<Item>,
}

impl Generator<'_> {
    fn function(&mut self) -> Vec<Item> {
        self.tame = self.random.one_in(2);
        for _ in 0..2 + self.random.below(12) {
            self.statement();
        }
        self.narrow();
        std::mem::take(&mut self.items)
    }

    fn put(&mut self, instruction: Instruction<'static>) {
        self.items.push(Item::Operator(instruction));
    }

    fn added(&mut self) -> i64 {
        *self.random.pick(&[0, 0, 0, 0, 1, 4, 8, 16, -4, -8, 1000])
    }

    fn address(&mut self, wide: bool) {
        let (number, added) = (self.random.below(self.addresses), self.added());
        self.items.push(Item::Constant(number, added, wide));
    }

    /// One literal after the other, on something unknown.
    fn chain(&mut self, wide: bool) {
        let (locals, subtract): (&[u32], _) = match wide {
            true => (&WIDE, Instruction::I64Sub),
            false => (&NARROW, Instruction::I32Sub),
        };
        let local = *self.random.pick(locals);
        self.put(Instruction::LocalGet(local));
        if self.random.one_in(4) {
            let other = *self.random.pick(locals);
            self.put(Instruction::LocalGet(other));
            self.put(subtract);
        }
        for _ in 0..2 + self.random.below(3) {
            let literal = match self.random.below(3) {
                0 => *self.random.pick(LITERALS),
                _ => (self.random.number() >> self.random.below(64)) as i64,
            };
            let operators = if wide {
                self.put(Instruction::I64Const(literal));
                WIDE_BINARY
            } else {
                self.put(Instruction::I32Const(literal as i32));
                NARROW_BINARY
            };
            let operator = self.random.pick(operators).clone();
            self.put(operator);
        }
    }

    /// An index into a memory: mostly an address, alone or with something added.
    fn index(&mut self) {
        if self.wide {
            self.wide()
        } else {
            self.narrow()
        }
    }

    fn access(&mut self, choices: &[Access]) -> Item {
        let access = *self.random.pick(choices);
        if self.random.one_in(3) {
            let (number, added) = (self.random.below(self.addresses), self.added());
            return Item::Access(access, number, added);
        }
        let offset = *self.random.pick(&[
            0,
            0,
            0,
            4,
            8,
            12,
            100,
            1024,
            4096,
            40_000,
            1 << 20,
            40 << 20,
        ]);
        let memory = u32::from(self.second_memory && self.random.one_in(4));
        Item::Operator(access(memarg(offset, memory)))
    }

    fn deeper(&mut self, make: impl FnOnce(&mut Self)) {
        self.depth += 1;
        make(self);
        self.depth -= 1;
    }

    /// Something of type `i32` on the stack.
    fn narrow(&mut self) {
        let choice = match self.random.below(if self.depth > 4 { 4 } else { 17 }) {
            4..7 | 14 if self.tame => self.random.below(3),
            choice => choice,
        };
        self.deeper(|this| match choice {
            0 | 1 => this.address(false),
            2 => {
                let local = *this.random.pick(&NARROW);
                this.put(Instruction::LocalGet(local));
            }
            3 => {
                let literal = *this.random.pick(LITERALS) as i32;
                this.put(Instruction::I32Const(literal));
            }
            4..8 => {
                this.narrow();
                this.narrow();
                let operator = this.random.pick(NARROW_BINARY).clone();
                this.put(operator);
            }
            8 => {
                this.wide();
                this.wide();
                let operator = this.random.pick(WIDE_COMPARISONS).clone();
                this.put(operator);
            }
            9 => {
                this.narrow();
                let operator = this.random.pick(NARROW_UNARY).clone();
                this.put(operator);
            }
            10 => {
                this.wide();
                this.put(Instruction::I32WrapI64);
            }
            11 | 12 => {
                this.index();
                let access = this.access(NARROW_LOADS);
                this.items.push(access);
            }
            13 => match this.random.below(3) {
                0 => {
                    this.narrow();
                    this.narrow();
                    this.narrow();
                    this.put(Instruction::Select);
                }
                1 => {
                    this.narrow();
                    this.narrow();
                    this.wide();
                    this.wide();
                    let callee = this.random.below(CALLEES);
                    this.items.push(Item::Call(callee));
                }
                _ => {
                    let global = this.random.below(3) as u32;
                    this.put(Instruction::GlobalGet(global));
                }
            },
            14 | 15 => this.chain(false),
            _ => this.odd_narrow(),
        });
    }

    /// Ways through other types and control flow.
    fn odd_narrow(&mut self) {
        match self.random.below(5) {
            0 => {
                self.narrow();
                self.put(Instruction::F32ReinterpretI32);
                self.put(Instruction::I32ReinterpretF32);
            }
            1 => {
                self.narrow();
                self.put(Instruction::I32x4Splat);
                let lane = self.random.below(4) as u8;
                self.put(Instruction::I32x4ExtractLane(lane));
            }
            2 => {
                self.narrow();
                self.put(Instruction::If(BlockType::Result(ValType::I32)));
                self.labels.push(false);
                self.narrow();
                self.put(Instruction::Else);
                self.narrow();
                self.labels.pop();
                self.put(Instruction::End);
            }
            3 => {
                self.put(Instruction::Block(BlockType::Result(ValType::I32)));
                self.labels.push(false);
                self.narrow();
                self.narrow();
                self.put(Instruction::BrIf(0));
                self.labels.pop();
                self.put(Instruction::End);
            }
            _ => {
                self.narrow();
                self.put(Instruction::F64ConvertI32U);
                self.put(Instruction::I32TruncSatF64U);
            }
        }
    }

    /// Something of type `i64` on the stack.
    fn wide(&mut self) {
        let choice = match self.random.below(if self.depth > 4 { 4 } else { 15 }) {
            4..7 | 12 if self.tame => self.random.below(3),
            choice => choice,
        };
        self.deeper(|this| match choice {
            0 | 1 => this.address(true),
            2 => {
                let local = *this.random.pick(&WIDE);
                this.put(Instruction::LocalGet(local));
            }
            3 => {
                let literal = *this.random.pick(LITERALS);
                this.put(Instruction::I64Const(literal));
            }
            4..8 => {
                this.wide();
                this.wide();
                let operator = this.random.pick(WIDE_BINARY).clone();
                this.put(operator);
            }
            8 => {
                this.wide();
                let operator = this.random.pick(WIDE_UNARY).clone();
                this.put(operator);
            }
            9 | 10 => {
                this.narrow();
                let signed = this.random.one_in(2);
                this.put(if signed {
                    Instruction::I64ExtendI32S
                } else {
                    Instruction::I64ExtendI32U
                });
            }
            11 => {
                this.index();
                let access = this.access(WIDE_LOADS);
                this.items.push(access);
            }
            12 | 13 => this.chain(true),
            _ => {
                this.wide();
                this.wide();
                this.narrow();
                this.put(Instruction::Select);
            }
        });
    }

    fn statement(&mut self) {
        let choice = if self.depth > 3 {
            self.random.below(6)
        } else {
            self.random.below(15)
        };
        self.deeper(|this| match choice {
            0 | 1 => {
                this.narrow();
                let local = *this.random.pick(&NARROW);
                this.put(Instruction::LocalSet(local));
            }
            2 => {
                this.wide();
                let local = *this.random.pick(&WIDE);
                this.put(Instruction::LocalSet(local));
            }
            3 | 4 => {
                this.index();
                this.narrow();
                let access = this.access(NARROW_STORES);
                this.items.push(access);
            }
            5 => {
                this.index();
                this.wide();
                let access = this.access(WIDE_STORES);
                this.items.push(access);
            }
            6 => {
                this.narrow();
                this.put(Instruction::GlobalSet(1));
            }
            7 => this.bulk(),
            8 => {
                this.narrow();
                this.put(Instruction::If(BlockType::Empty));
                this.block(false);
                if this.random.one_in(2) {
                    this.put(Instruction::Else);
                    this.block(false);
                }
                this.put(Instruction::End);
            }
            9 | 10 => {
                this.put(Instruction::Loop(BlockType::Empty));
                this.block(true);
                this.put(Instruction::End);
            }
            11 => {
                this.put(Instruction::Block(BlockType::Empty));
                this.block(false);
                this.put(Instruction::End);
            }
            12 if !this.labels.is_empty() => this.branch(),
            13 => {
                this.narrow();
                this.narrow();
                this.wide();
                this.wide();
                this.narrow();
                this.put(Instruction::CallIndirect {
                    type_index: 0,
                    table_index: 0,
                });
                this.put(Instruction::Drop);
            }
            _ => {
                this.narrow();
                let local = *this.random.pick(&NARROW);
                this.put(Instruction::LocalTee(local));
                this.put(Instruction::Drop);
            }
        });
    }

    fn block(&mut self, is_loop: bool) {
        self.labels.push(is_loop);
        for _ in 0..1 + self.random.below(4) {
            self.statement();
        }
        self.labels.pop();
    }

    fn branch(&mut self) {
        let depth = self.random.below(self.labels.len()) as u32;
        match self.random.below(4) {
            0 => {
                self.narrow();
                let targets: Vec<u32> = (0..self.random.below(6))
                    .map(|_| self.random.below(self.labels.len()) as u32)
                    .collect();
                // What follows in the block is not reached.
                self.put(Instruction::BrTable(targets.into(), depth));
            }
            _ => {
                self.narrow();
                self.put(Instruction::BrIf(depth));
            }
        }
    }

    fn bulk(&mut self) {
        let length = *self.random.pick(&[0, 1, 8, 16, 100, 128, 129, 280, 5000]);
        self.index();
        let fill = self.random.one_in(3);
        if fill {
            self.narrow()
        } else {
            self.index()
        }
        match (self.random.below(4), self.wide) {
            (0, true) => self.wide(),
            (0, false) => self.narrow(),
            (_, true) => self.put(Instruction::I64Const(length)),
            (_, false) => self.put(Instruction::I32Const(length as i32)),
        }
        let second = u32::from(self.second_memory && self.random.one_in(4));
        self.put(if fill {
            Instruction::MemoryFill(second)
        } else {
            Instruction::MemoryCopy {
                src_mem: second,
                dst_mem: 0,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_valid() {
        let engine = wasmtime::Engine::default();
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let program = Program::new(&mut random, 4);
            let addresses = program.addresses(&mut random, 4);
            let wasm = program.module(&addresses, Surroundings::random(&mut random));
            wasmtime::Module::validate(&engine, &wasm).unwrap_or_else(|error| {
                panic!("seed {seed}: {error:?}");
            });
        }
    }
}
