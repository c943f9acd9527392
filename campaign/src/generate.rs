//! Random modules.

use crate::random::Random;
use arbitrary::Unstructured;
use wasm_smith::{Config, MemoryOffsetChoices, Module};

/// A random module in the binary format, small, of any of the proposals that
/// [`Configuration`](crate::Configuration) turns on. `None` if `dna` is too short for one.
///
/// It is valid as a rule; one in twelve has functions of random bytes.
pub fn module(random: &mut Random, dna: &[u8]) -> Option<Vec<u8>> {
    let config = shape(random);
    let module = Module::new(config, &mut Unstructured::new(dna)).ok()?;
    Some(module.to_bytes())
}

/// How large the module may be, and which proposals it draws on.
fn shape(random: &mut Random) -> Config {
    // References make many functions depend on all types; without them more is found.
    let references = !random.one_in(4);
    let gc = references && random.one_in(2);
    Config {
        min_types: 1 + random.below(4),
        max_types: 8,
        max_type_size: 60,
        min_funcs: 2 + random.below(6),
        max_funcs: 14,
        max_imports: random.below(7),
        max_tags: random.below(4),
        min_globals: random.below(3),
        max_globals: 6,
        max_exports: random.below(10),
        min_memories: u32::from(!random.one_in(4)),
        max_memories: 1 + random.below(3),
        min_tables: u32::from(random.one_in(2)),
        max_tables: 1 + random.below(3),
        max_table_elements: *random.pick(&[4, 16, 1000]),
        max_element_segments: random.below(5),
        max_elements: 6,
        min_data_segments: random.below(3),
        max_data_segments: 4,
        max_instructions: *random.pick(&[10, 40, 100]),
        const_expr_fuel: 8,
        limit_arrays_in_const_exprs: true,
        // A page, a few, and all that there is.
        max_memory32_bytes: *random.pick(&[1 << 16, 1 << 18, 1 << 32]),
        max_memory64_bytes: *random.pick(&[1 << 16, 1 << 18, 1 << 33, 1 << 64]),
        memory_offset_choices: random
            .pick(&[
                MemoryOffsetChoices(90, 9, 1),
                MemoryOffsetChoices(10, 80, 10),
                MemoryOffsetChoices(1, 9, 90),
            ])
            .clone(),
        memory_max_size_required: random.one_in(4),
        table_max_size_required: random.one_in(4),
        min_uleb_size: *random.pick(&[1, 1, 1, 3]),
        reference_types_enabled: references,
        gc_enabled: gc,
        exceptions_enabled: references && random.one_in(2),
        threads_enabled: random.one_in(2),
        memory64_enabled: random.one_in(2),
        custom_page_sizes_enabled: random.one_in(4),
        wide_arithmetic_enabled: random.one_in(2),
        simd_enabled: random.one_in(2),
        relaxed_simd_enabled: random.one_in(2),
        bulk_memory_enabled: true,
        tail_call_enabled: true,
        multi_value_enabled: true,
        extended_const_enabled: random.one_in(2),
        allow_invalid_funcs: random.one_in(12),
        ..Config::default()
    }
}
