//! Where in a function's code a register holds the pointer to the instance.
//!
//! Code reaches what an instance holds at an offset from that pointer, which is the function's
//! first argument (`Compiler::compile_function` in Wasmtime's `compiler.rs`; the first integer
//! argument is in RDI by `X64ABIMachineSpec::compute_arg_locs` in Cranelift's
//! `isa/x64/abi.rs`). The pointer is followed from there: through copies from register to
//! register, and to and from the places in the frame where the register allocator puts it.
//! Beside what is known to hold it, what may hold it is followed, or anything computed from it.

use iced_x86::{
    Code, FlowControl, Instruction, InstructionInfo, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

/// Passes over the code after which nothing is taken for the instance: a loop that is entered
/// with the pointer in one place and repeated with it in another takes one more each.
const MOST_PASSES: usize = 16;

/// Collects what instructions do to the pointer; see [`finish`](Self::finish).
pub(super) struct Follow {
    effects: Vec<(u32, Effect)>,
    /// Where control may go besides the next instruction.
    labels: Vec<u32>,
    factory: InstructionInfoFactory,
    after_call: bool,
    uses: usize,
}

/// What an instruction does. Registers are numbers of general ones of 64 bits; places in the
/// frame are distances from RSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Copy {
        to: usize,
        from: usize,
    },
    Spill {
        to: i64,
        from: usize,
    },
    Reload {
        to: usize,
        from: i64,
    },
    /// The registers of one mask hold something else, computed from those of the other.
    Overwrite {
        to: u16,
        from: u16,
    },
    /// Something computed from the registers of this mask lies where it is not followed.
    Hide(u16),
    /// A register is loaded from somewhere in the frame.
    ReloadSomething(usize),
    /// So does the frame from one place up to another.
    OverwriteFrame(i64, i64),
    /// What lies in the frame is not known any more.
    LoseFrame,
    Call,
    MayJump(u32),
    /// Control does not go on to the next instruction.
    Stop,
    /// The register is asked for.
    Use(Option<usize>),
}

/// Whether a register holds the pointer, whatever way control takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Never,
    /// This is not known, or it is something computed from the pointer.
    Maybe,
    Always,
}

impl Follow {
    pub(super) fn new() -> Follow {
        Follow {
            effects: Vec::new(),
            labels: Vec::new(),
            factory: InstructionInfoFactory::new(),
            after_call: false,
            uses: 0,
        }
    }

    /// Asks whether `register` holds the instance at the instruction at `ip`, which is the next
    /// one.
    pub(super) fn uses(&mut self, ip: u64, register: Register) {
        self.push(ip, Effect::Use(number(register)));
        self.uses += 1;
    }

    /// Control may go to `target` from the last instruction.
    pub(super) fn may_jump(&mut self, target: u32) {
        let at = self.effects.last().map_or(0, |(at, _)| *at);
        // An indirect branch has stopped already.
        let stopped = matches!(self.effects.last(), Some((_, Effect::Stop)));
        if stopped {
            self.effects.pop();
        }
        self.effects.push((at, Effect::MayJump(target)));
        if stopped {
            self.effects.push((at, Effect::Stop));
        }
        self.labels.push(target);
    }

    /// Takes in the next instruction.
    pub(super) fn step(&mut self, instruction: &Instruction) {
        let ip = instruction.ip();
        let after_call = std::mem::take(&mut self.after_call);
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::Interrupt => {}
            FlowControl::Call | FlowControl::IndirectCall => {
                self.after_call = true;
                return self.push(ip, Effect::Call);
            }
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                let target = instruction.near_branch_target() as u32;
                self.push(ip, Effect::MayJump(target));
                self.labels.push(target);
                if instruction.flow_control() == FlowControl::UnconditionalBranch {
                    self.push(ip, Effect::Stop);
                }
                return;
            }
            _ => return self.push(ip, Effect::Stop),
        }
        if let Some(effect) = moved(instruction) {
            return self.push(ip, effect);
        }
        match simple(instruction) {
            Some(Simple::Nothing) => return,
            Some(Simple::Overwrite { to, from }) => {
                return self.push(ip, Effect::Overwrite { to, from });
            }
            None => {}
        }
        // The callee has taken its arguments off the stack, and the caller makes room again:
        // RSP is what it was before the call.
        if after_call
            && instruction.mnemonic() == Mnemonic::Sub
            && instruction.op0_register() == Register::RSP
        {
            return;
        }
        self.overwrite(instruction);
    }

    /// Everything that `instruction` writes holds something else.
    fn overwrite(&mut self, instruction: &Instruction) {
        let info = self.factory.info(instruction);
        let (mut to, mut from, mut hides) = (0, 0, false);
        for used in info.used_registers() {
            let register = used.register();
            let mask = number(register).map_or(0, |number| 1 << number);
            if writes(used.access()) {
                to |= mask;
                hides |= register.is_vector_register();
            }
            // A pointer is read whole: a part of it is none.
            let is_whole = register.size() == POINTER as usize;
            let stays = matches!(used.access(), OpAccess::CondWrite | OpAccess::ReadCondWrite);
            let is_read = reads(used.access()) && is_operand(instruction, info, register);
            if is_whole && (stays || is_read) {
                from |= mask;
            }
        }
        let mut frame = None;
        for used in info.used_memory() {
            let is_frame = matches!(used.base(), Register::RSP | Register::RBP);
            // No other pointer leads to where registers are kept.
            if !is_frame || !writes(used.access()) {
                continue;
            }
            hides = true;
            frame = if used.base() == Register::RSP && used.index() == Register::None {
                let start = used.displacement().cast_signed();
                let end = start + used.memory_size().size() as i64;
                Some(Effect::OverwriteFrame(start, end))
            } else {
                Some(Effect::LoseFrame)
            };
        }
        // Zero is made of what a register happens to hold: `imm` in `isa/x64/inst.isle`.
        if instruction.mnemonic() == Mnemonic::Xor {
            from = 0;
        }
        let ip = instruction.ip();
        if to & STACK_POINTER != 0 {
            frame = Some(Effect::LoseFrame);
        }
        if let Some(frame) = frame {
            self.push(ip, frame);
        }
        if hides && from != 0 {
            self.push(ip, Effect::Hide(from));
        }
        let to = to & !STACK_POINTER;
        if to != 0 {
            self.push(ip, Effect::Overwrite { to, from });
        }
    }

    fn push(&mut self, ip: u64, effect: Effect) {
        self.effects.push((ip as u32, effect));
    }

    /// Whether each register that was asked for holds the instance. Control may come to
    /// `handlers` from any call.
    pub(super) fn finish(mut self, handlers: &[u32]) -> Vec<Holds> {
        if self.uses == 0 {
            return Vec::new();
        }
        self.labels.extend(handlers);
        self.labels.sort_unstable();
        self.labels.dedup();
        // `None` where control has not come yet.
        let mut states: Vec<Option<State>> = vec![None; self.labels.len()];
        for (label, state) in self.labels.iter().zip(&mut states) {
            if handlers.contains(label) {
                *state = Some(State::unknown());
            }
        }
        for _ in 0..MOST_PASSES {
            let (uses, changed) = self.pass(&mut states);
            if !changed {
                return uses;
            }
        }
        vec![Holds::Maybe; self.uses]
    }

    /// One pass over the code. Whether control came to an earlier place knowing less than
    /// was taken for known there.
    fn pass(&self, states: &mut [Option<State>]) -> (Vec<Holds>, bool) {
        let mut uses = Vec::with_capacity(self.uses);
        let mut changed = false;
        let mut current = Some(State::entry());
        let mut next = 0;
        for (at, effect) in &self.effects {
            while let Some(label) = self.labels.get(next)
                && label <= at
            {
                join(&mut states[next], current.as_ref());
                current.clone_from(&states[next]);
                next += 1;
            }
            match effect {
                Effect::Use(register) => uses.push(match (&current, register) {
                    (Some(state), Some(register)) => state.holds(*register),
                    _ => Holds::Never,
                }),
                Effect::Stop => current = None,
                Effect::MayJump(target) => {
                    if let Ok(label) = self.labels.binary_search(target) {
                        let less = join(&mut states[label], current.as_ref());
                        changed |= less && target <= at;
                    }
                }
                effect => {
                    if let Some(state) = &mut current {
                        state.apply(*effect);
                    }
                }
            }
        }
        (uses, changed)
    }
}

/// The effect of a move of 64 bits between registers, or between a register and the frame.
fn moved(instruction: &Instruction) -> Option<Effect> {
    if !matches!(instruction.code(), Code::Mov_r64_rm64 | Code::Mov_rm64_r64) {
        return None;
    }
    let base = instruction.memory_base();
    let frame = || {
        let is_frame = base == Register::RSP && instruction.memory_index() == Register::None;
        is_frame.then(|| instruction.memory_displacement64().cast_signed())
    };
    let [to, from] = [instruction.op0_kind(), instruction.op1_kind()];
    let [first, second] = [instruction.op0_register(), instruction.op1_register()].map(number);
    match (to, from) {
        (OpKind::Register, _) if first? == RSP => None,
        (OpKind::Register, OpKind::Register) => Some(Effect::Copy {
            to: first?,
            from: second?,
        }),
        (OpKind::Memory, OpKind::Register) => Some(Effect::Spill {
            to: frame()?,
            from: second?,
        }),
        (OpKind::Register, OpKind::Memory) => match frame() {
            Some(from) => Some(Effect::Reload { to: first?, from }),
            None => matches!(base, Register::RSP | Register::RBP)
                .then_some(Effect::ReloadSomething(first?)),
        },
        _ => None,
    }
}

/// What most instructions do.
#[derive(Debug, PartialEq, Eq)]
enum Simple {
    /// Nothing to a register, or to a place in the frame.
    Nothing,
    Overwrite {
        to: u16,
        from: u16,
    },
}

/// The same as [`Follow::overwrite`] finds, told faster, for instructions that do no more than
/// they say.
fn simple(instruction: &Instruction) -> Option<Simple> {
    let (reads_first, reads_second) = match instruction.mnemonic() {
        Mnemonic::Cmp | Mnemonic::Test => return Some(Simple::Nothing),
        Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd => (false, true),
        Mnemonic::Add | Mnemonic::Sub | Mnemonic::And | Mnemonic::Or => (true, true),
        Mnemonic::Shl | Mnemonic::Shr | Mnemonic::Sar => (true, false),
        Mnemonic::Xor | Mnemonic::Lea => (false, false),
        _ => return None,
    };
    if instruction.op0_kind() != OpKind::Register {
        // No other pointer leads to where registers are kept.
        let is_frame = matches!(instruction.memory_base(), Register::RSP | Register::RBP);
        return (!is_frame).then_some(Simple::Nothing);
    }
    let whole = |register: Register| match register.size() as i64 == POINTER {
        true => number(register).map_or(0, |number| 1 << number),
        false => 0,
    };
    let first = instruction.op0_register();
    let to = 1 << number(first)?;
    if to == STACK_POINTER {
        return None;
    }
    let mut from = 0;
    if reads_first {
        from |= whole(first);
    }
    if reads_second && instruction.op1_kind() == OpKind::Register {
        from |= whole(instruction.op1_register());
    }
    if instruction.mnemonic() == Mnemonic::Lea && whole(first) != 0 {
        from |= whole(instruction.memory_base()) | whole(instruction.memory_index());
    }
    Some(Simple::Overwrite { to, from })
}

fn writes(access: OpAccess) -> bool {
    !matches!(
        access,
        OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess
    )
}

fn reads(access: OpAccess) -> bool {
    !matches!(
        access,
        OpAccess::None | OpAccess::Write | OpAccess::CondWrite | OpAccess::NoMemAccess
    )
}

/// Whether `instruction` takes what is in `register`, and not only what that points to.
fn is_operand(instruction: &Instruction, info: &InstructionInfo, register: Register) -> bool {
    let is_pointer = [instruction.memory_base(), instruction.memory_index()].contains(&register);
    let is_named = || {
        (0..instruction.op_count()).any(|at| {
            instruction.op_kind(at) == OpKind::Register
                && instruction.op_register(at) == register
                && reads(info.op_access(at))
        })
    };
    !is_pointer || instruction.mnemonic() == Mnemonic::Lea || is_named()
}

/// The number of RSP.
const RSP: usize = 4;
const STACK_POINTER: u16 = 1 << RSP;

/// What every callee leaves as it was when it returns: RBX and R12 to R15
/// (`X64ABIMachineSpec::get_regs_clobbered_by_call`).
const CALLEE_SAVED: u16 = 1 << 3 | 0b1111 << 12;

/// The number of RDI, in which the first argument is.
const FIRST_ARGUMENT: usize = 7;

/// The number of the general register that `register` is a part of.
fn number(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

/// What is known at one place in the code.
#[derive(Clone, Debug)]
struct State {
    /// What holds the pointer.
    always: Holders,
    /// What else may hold it, or something computed from it.
    maybe: Holders,
    /// The same is so for all of the frame.
    maybe_in_frame: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Holders {
    registers: u16,
    frame: Vec<i64>,
}

impl State {
    fn entry() -> State {
        let holders = Holders {
            registers: 1 << FIRST_ARGUMENT,
            frame: Vec::new(),
        };
        State {
            always: holders.clone(),
            maybe: holders,
            maybe_in_frame: false,
        }
    }

    fn unknown() -> State {
        State {
            always: Holders::default(),
            maybe: Holders {
                registers: !STACK_POINTER,
                frame: Vec::new(),
            },
            maybe_in_frame: true,
        }
    }

    fn holds(&self, register: usize) -> Holds {
        if self.always.holds(register) {
            Holds::Always
        } else if self.maybe.holds(register) {
            Holds::Maybe
        } else {
            Holds::Never
        }
    }

    fn apply(&mut self, effect: Effect) {
        let State {
            always,
            maybe,
            maybe_in_frame,
        } = self;
        match effect {
            Effect::Copy { to, from } => {
                always.set(to, always.holds(from));
                maybe.set(to, maybe.holds(from));
            }
            Effect::Reload { to, from } => {
                always.set(to, always.frame.contains(&from));
                maybe.set(to, *maybe_in_frame || maybe.frame.contains(&from));
            }
            Effect::ReloadSomething(to) => {
                always.set(to, false);
                maybe.set(to, *maybe_in_frame || !maybe.frame.is_empty());
            }
            Effect::Spill { to, from } => {
                always.spill(to, from);
                maybe.spill(to, from);
            }
            Effect::Overwrite { to, from } => {
                always.registers &= !to;
                if maybe.registers & from == 0 {
                    maybe.registers &= !to;
                } else {
                    maybe.registers |= to;
                }
            }
            Effect::Hide(from) => {
                if maybe.registers & from != 0 {
                    *self = State::unknown();
                }
            }
            Effect::OverwriteFrame(start, end) => {
                always.overwrite_frame(start, end);
                maybe.overwrite_frame(start, end);
            }
            Effect::LoseFrame => {
                always.frame.clear();
                *maybe_in_frame |= !maybe.frame.is_empty();
            }
            Effect::Call => {
                always.registers &= CALLEE_SAVED;
                maybe.registers &= CALLEE_SAVED;
            }
            Effect::MayJump(_) | Effect::Stop | Effect::Use(_) => {}
        }
    }

    /// Takes in that control comes here with `other` too. Whether less is known than before.
    fn join(&mut self, other: &State) -> bool {
        let State {
            always,
            maybe,
            maybe_in_frame,
        } = self;
        let size = |always: &Holders, maybe: &Holders| {
            [
                (always.registers.count_ones(), always.frame.len()),
                (maybe.registers.count_ones(), maybe.frame.len()),
            ]
        };
        let before = (size(always, maybe), *maybe_in_frame);
        always.registers &= other.always.registers;
        always.frame.retain(|at| other.always.frame.contains(at));
        maybe.registers |= other.maybe.registers;
        let known = maybe.frame.len();
        for at in &other.maybe.frame {
            if !maybe.frame[..known].contains(at) {
                maybe.frame.push(*at);
            }
        }
        *maybe_in_frame |= other.maybe_in_frame;
        (size(always, maybe), *maybe_in_frame) != before
    }
}

impl Holders {
    fn holds(&self, register: usize) -> bool {
        self.registers & 1 << register != 0
    }

    fn set(&mut self, register: usize, holds: bool) {
        self.registers &= !(1 << register);
        self.registers |= u16::from(holds) << register;
    }

    fn spill(&mut self, to: i64, from: usize) {
        self.overwrite_frame(to, to + POINTER);
        if self.holds(from) {
            self.frame.push(to);
        }
    }

    fn overwrite_frame(&mut self, start: i64, end: i64) {
        self.frame
            .retain(|place| place + POINTER <= start || *place >= end);
    }
}

/// The size of a pointer, in bytes.
const POINTER: i64 = 8;

/// What is known where control comes with `other` too. Whether that is less than before.
fn join(state: &mut Option<State>, other: Option<&State>) -> bool {
    match (state, other) {
        (_, None) => false,
        (Some(state), Some(other)) => state.join(other),
        (state, other) => {
            *state = other.cloned();
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Holds::{Always, Maybe, Never};
    use iced_x86::{Decoder, DecoderOptions};

    /// `mov eax, [rdi + 0x1000]` and the same from RBX, RAX.
    const FROM_RDI: &[u8] = &[0x8b, 0x87, 0, 0x10, 0, 0];
    const FROM_RBX: &[u8] = &[0x8b, 0x83, 0, 0x10, 0, 0];
    const FROM_RAX: &[u8] = &[0x8b, 0x80, 0, 0x10, 0, 0];
    const CALL: &[u8] = &[0xe8, 0, 0, 0, 0];
    /// `mov rbx, rdi`.
    const COPY: &[u8] = &[0x48, 0x89, 0xfb];
    /// `mov [rsp + 8], rdi` and `mov rax, [rsp + 8]`.
    const SPILL: &[u8] = &[0x48, 0x89, 0x7c, 0x24, 8];
    const RELOAD: &[u8] = &[0x48, 0x8b, 0x44, 0x24, 8];
    /// `xor edi, edi`.
    const CLEAR: &[u8] = &[0x31, 0xff];
    const RETURN: &[u8] = &[0xc3];

    /// Of each access with the displacement 0x1000: whether it is from the instance.
    fn follow(code: &[&[u8]], handlers: &[u32]) -> Vec<Holds> {
        let code = code.concat();
        let mut follow = Follow::new();
        for instruction in &mut Decoder::with_ip(64, &code, 0, DecoderOptions::NONE) {
            if instruction.memory_displacement32() == 0x1000 {
                follow.uses(instruction.ip(), instruction.memory_base());
            }
            follow.step(&instruction);
        }
        follow.finish(handlers)
    }

    /// What the general way finds of an instruction, told as the simple one does.
    fn overwritten(instruction: &Instruction) -> Simple {
        let mut follow = Follow::new();
        follow.overwrite(instruction);
        match follow.effects[..] {
            [] => Simple::Nothing,
            [(_, Effect::Overwrite { to, from })] => Simple::Overwrite { to, from },
            ref others => panic!("{others:?}"),
        }
    }

    #[test]
    fn simple_instructions_do_what_they_say() {
        let mut compared = 0;
        // One byte of opcode or two, with any operands.
        let opcodes = (0..=0xff).map(|byte| vec![byte]);
        let opcodes = opcodes.chain((0..=0xff).map(|byte| vec![0x0f, byte]));
        for opcode in opcodes {
            for (prefix, operands) in (0x40..=0x4f).flat_map(|prefix| {
                [
                    0x00, 0x07, 0x38, 0x47, 0x78, 0x87, 0xc0, 0xc7, 0xe8, 0xf8, 0xfb,
                ]
                .map(|operands| (prefix, operands))
            }) {
                let mut code = vec![prefix];
                code.extend(&opcode);
                code.extend([operands, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58]);
                let mut decoder = Decoder::with_ip(64, &code, 0, DecoderOptions::NONE);
                let instruction = decoder.decode();
                // A register taken from itself is zero, for the general way.
                let is_zero = instruction.mnemonic() == Mnemonic::Sub
                    && instruction.op0_register() == instruction.op1_register();
                if instruction.is_invalid() || is_zero || moved(&instruction).is_some() {
                    continue;
                }
                if let Some(simple) = simple(&instruction) {
                    assert_eq!(simple, overwritten(&instruction), "{code:x?}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 5_000, "{compared}");
    }

    #[test]
    fn copies_are_followed() {
        assert_eq!(follow(&[FROM_RDI, FROM_RBX, RETURN], &[]), [Always, Never]);
        assert_eq!(follow(&[COPY, FROM_RDI, FROM_RBX], &[]), [Always, Always]);
        assert_eq!(
            follow(&[COPY, CLEAR, FROM_RDI, FROM_RBX], &[]),
            [Never, Always]
        );
        assert_eq!(follow(&[SPILL, RELOAD, FROM_RAX], &[]), [Always]);
        assert_eq!(follow(&[RELOAD, FROM_RAX], &[]), [Never]);
    }

    #[test]
    fn calls_keep_the_frame_and_some_registers() {
        let code = [COPY, SPILL, CALL, FROM_RBX, FROM_RDI, RELOAD, FROM_RAX];
        assert_eq!(follow(&code, &[]), [Always, Never, Always]);
        // `sub rsp, 16` behind a call undoes what the callee did; elsewhere it moves the frame.
        let sub: &[u8] = &[0x48, 0x83, 0xec, 16];
        assert_eq!(follow(&[SPILL, CALL, sub, RELOAD, FROM_RAX], &[]), [Always]);
        assert_eq!(follow(&[SPILL, sub, RELOAD, FROM_RAX], &[]), [Maybe]);
        let push: &[u8] = &[0x50];
        assert_eq!(follow(&[SPILL, push, RELOAD, FROM_RAX], &[]), [Maybe]);
    }

    #[test]
    fn the_frame_is_overwritten() {
        // `mov dword [rsp + 12], 0`, `mov dword [rsp + 16], 0`, `mov dword [rbp - 8], 0`,
        // `mov dword [rax], 0`.
        let inside: &[u8] = &[0xc7, 0x44, 0x24, 12, 0, 0, 0, 0];
        let behind: &[u8] = &[0xc7, 0x44, 0x24, 16, 0, 0, 0, 0];
        let by_rbp: &[u8] = &[0xc7, 0x45, 0xf8, 0, 0, 0, 0];
        let elsewhere: &[u8] = &[0xc7, 0x00, 0, 0, 0, 0];
        for (write, holds) in [
            (inside, Never),
            (behind, Always),
            (by_rbp, Maybe),
            (elsewhere, Always),
        ] {
            let code = [SPILL, write, RELOAD, FROM_RAX];
            assert_eq!(follow(&code, &[]), [holds], "{write:x?}");
        }
    }

    #[test]
    fn what_writes_without_saying_so_is_seen() {
        // `mul rbx` writes RAX and RDX, `cqo` RDX, `xchg rax, rdi` both, `mov al, 1` a part.
        let to_rax: &[u8] = &[0x48, 0x89, 0xf8];
        let multiply: &[u8] = &[0x48, 0xf7, 0xe3];
        let exchange: &[u8] = &[0x48, 0x97];
        let part: &[u8] = &[0xb0, 1];
        for (write, holds) in [
            (multiply, [Always, Never]),
            (exchange, [Maybe, Never]),
            (part, [Always, Never]),
        ] {
            let code = [to_rax, write, FROM_RDI, FROM_RAX];
            assert_eq!(follow(&code, &[]), holds, "{write:x?}");
        }
    }

    #[test]
    fn what_is_computed_from_it_is_followed() {
        // `lea rax, [rdi + 8]`, `lea rax, [rsi + rdi]`, `mov rax, [rdi + 8]`, `add rax, rdi`,
        // `cmove rax, rdi`, `xor rax, rdi`, `mov al, 1`, `nop`.
        let step: &[u8] = &[0x48, 0x8d, 0x47, 8];
        let index: &[u8] = &[0x48, 0x8d, 0x04, 0x3e];
        let load: &[u8] = &[0x48, 0x8b, 0x47, 8];
        let add: &[u8] = &[0x48, 0x01, 0xf8];
        let choose: &[u8] = &[0x48, 0x0f, 0x44, 0xc7];
        let zero: &[u8] = &[0x48, 0x31, 0xf8];
        let part: &[u8] = &[0xb0, 1];
        let nop: &[u8] = &[0x90];
        for (code, holds) in [
            ([step, nop], Maybe),
            ([index, nop], Maybe),
            ([load, nop], Never),
            ([step, load], Never),
            ([load, add], Maybe),
            ([load, choose], Maybe),
            ([load, zero], Never),
            ([step, part], Never),
        ] {
            let code = [code[0], code[1], FROM_RAX];
            assert_eq!(follow(&code, &[]), [holds], "{code:x?}");
        }
    }

    #[test]
    fn what_is_hidden_may_be_anywhere() {
        // `movq xmm0, rdi`, `mov [rbp - 8], rdi`, `mov [rsp + rcx], rdi`, `push rdi`; `mov rax,
        // [rsi]`, `mov rax, [rbp - 8]`.
        let vector: &[u8] = &[0x66, 0x48, 0x0f, 0x6e, 0xc7];
        let by_rbp: &[u8] = &[0x48, 0x89, 0x7d, 0xf8];
        let indexed: &[u8] = &[0x48, 0x89, 0x3c, 0x0c];
        let push: &[u8] = &[0x57];
        let load: &[u8] = &[0x48, 0x8b, 0x06];
        let reload: &[u8] = &[0x48, 0x8b, 0x45, 0xf8];
        for hide in [vector, by_rbp, indexed, push] {
            assert_eq!(follow(&[hide, FROM_RBX], &[]), [Maybe], "{hide:x?}");
            let code = [hide, load, FROM_RAX];
            assert_eq!(follow(&code, &[]), [Never], "{hide:x?}");
            let code = [hide, RELOAD, FROM_RAX];
            assert_eq!(follow(&code, &[]), [Maybe], "{hide:x?}");
        }
        assert_eq!(follow(&[reload, FROM_RAX], &[]), [Never]);
        assert_eq!(follow(&[SPILL, reload, FROM_RAX], &[]), [Maybe]);
    }

    #[test]
    fn every_way_counts() {
        // `je` over the clearing.
        let over: &[u8] = &[0x74, 2];
        assert_eq!(follow(&[over, CLEAR, FROM_RDI], &[]), [Maybe]);
        assert_eq!(follow(&[over, &[0x90, 0x90], FROM_RDI], &[]), [Always]);
        // A loop: the access is at its beginning, behind it RDI is cleared and control goes back.
        let back: &[u8] = &[0xeb, 0xf6];
        assert_eq!(follow(&[FROM_RDI, CLEAR, back], &[]), [Maybe]);
        assert_eq!(follow(&[FROM_RDI, &[0x90, 0x90], back], &[]), [Always]);
    }

    #[test]
    fn at_a_handler_nothing_is_known() {
        let code = [SPILL, CALL, RETURN, RELOAD, FROM_RAX, FROM_RDI];
        assert_eq!(follow(&code, &[11]), [Maybe, Maybe]);
        // Control never comes to what follows a return.
        assert_eq!(follow(&code, &[]), [Never, Never]);
    }
}
