//! Engine configurations, as values.

use crate::oracle::Oracle;
use crate::random::Random;
use crate::store::OpenStore;
use ibid::Options;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use wasmtime::{
    Collector, Config, Engine, Inlining, InstanceAllocationStrategy, OptLevel, RegallocAlgorithm,
    Strategy,
};

/// A configuration of an engine: the proposals are on that the generator of modules knows, and
/// some settings are others than the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Configuration(BTreeMap<Setting, usize>);

/// A setting, by its place in [`SETTINGS`].
type Setting = usize;

/// A name, how many values there are, and what the value of a number does.
type Rule = (&'static str, usize, fn(&mut Config, usize));

/// Sizes around which the code of memory accesses changes.
const SIZES: [u64; 6] = [0, 1 << 16, 1 << 17, 1 << 20, 1 << 31, 1 << 32];

/// The settings that may decide code, validity, or the artifact.
const SETTINGS: &[Rule] = &[
    ("opt-level", 2, |config, value| {
        config.cranelift_opt_level([OptLevel::None, OptLevel::SpeedAndSize][value]);
    }),
    ("regalloc", 1, |config, _| {
        config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }),
    ("no signals", 1, |config, _| {
        config.signals_based_traps(false);
    }),
    ("fuel", 1, |config, _| {
        config.consume_fuel(true);
    }),
    ("epochs", 1, |config, _| {
        config.epoch_interruption(true);
    }),
    ("memory reservation", SIZES.len(), |config, value| {
        config.memory_reservation(SIZES[value]);
    }),
    ("memory guard", SIZES.len(), |config, value| {
        config.memory_guard_size(SIZES[value]);
    }),
    ("memory growth", 2, |config, value| {
        config.memory_reservation_for_growth([0, 1 << 20][value]);
    }),
    ("memories stay", 1, |config, _| {
        config.memory_may_move(false);
    }),
    ("no guard before", 1, |config, _| {
        config.guard_before_linear_memory(false);
    }),
    ("eager tables", 1, |config, _| {
        config.table_lazy_init(false);
    }),
    ("no images", 1, |config, _| {
        config.memory_init_cow(false);
    }),
    ("dense images", 3, |config, value| {
        config.memory_guaranteed_dense_image_size([0, 1 << 12, 1 << 40][value]);
    }),
    ("no address map", 1, |config, _| {
        config.generate_address_map(false);
    }),
    ("no unwind information", 1, |config, _| {
        config.native_unwind_info(false);
    }),
    ("no symbols", 1, |config, _| {
        config.debug_symbols(false);
    }),
    ("canonical NaNs", 1, |config, _| {
        config.cranelift_nan_canonicalization(true);
    }),
    ("deterministic relaxed SIMD", 1, |config, _| {
        config.relaxed_simd_deterministic(true);
    }),
    ("collector", 2, |config, value| {
        config.collector([Collector::Null, Collector::DeferredReferenceCounting][value]);
    }),
    ("heap reservation", SIZES.len(), |config, value| {
        config.gc_heap_reservation(SIZES[value]);
    }),
    ("heap guard", SIZES.len(), |config, value| {
        config.gc_heap_guard_size(SIZES[value]);
    }),
    ("heaps stay", 1, |config, _| {
        config.gc_heap_may_move(false);
    }),
    ("verifier", 1, |config, _| {
        config.cranelift_debug_verifier(true);
    }),
    ("parallel", 1, |config, _| {
        config.parallel_compilation(true);
    }),
    ("one proposal off", 8, |config, value| {
        match value {
            0 => config.wasm_tail_call(false),
            1 => config.wasm_branch_hinting(false),
            2 => config.wasm_custom_page_sizes(false),
            3 => config.wasm_gc(false),
            4 => config.wasm_wide_arithmetic(false),
            5 => config.wasm_relaxed_simd(false),
            6 => config.wasm_memory64(false),
            _ => config.wasm_exceptions(false),
        };
    }),
    ("flag", FLAGS.len(), |config, value| {
        let (name, on) = FLAGS[value];
        // SAFETY: nothing runs what an engine of the campaign compiles.
        unsafe { config.cranelift_flag_set(name, on) };
    }),
    // What ibid leaves to Wasmtime.
    ("inlining", 1, |config, _| {
        config.compiler_inlining(Inlining::Yes);
    }),
    ("Winch", 1, |config, _| {
        config.strategy(Strategy::Winch);
    }),
    // What nothing that compiles reads.
    ("backtraces", 1, |config, _| {
        config.wasm_backtrace_max_frames(None);
    }),
    ("stack", 1, |config, _| {
        config.max_wasm_stack(1 << 18);
    }),
    ("shared memories", 1, |config, _| {
        config.shared_memory(true);
    }),
    ("pooling", 1, |config, _| {
        config.allocation_strategy(InstanceAllocationStrategy::pooling());
    }),
];

/// Flags of Cranelift and of the target.
const FLAGS: [(&str, &str); 10] = [
    ("enable_alias_analysis", "false"),
    ("enable_probestack", "true"),
    ("enable_heap_access_spectre_mitigation", "false"),
    ("enable_table_access_spectre_mitigation", "false"),
    ("preserve_frame_pointers", "false"),
    ("machine_code_cfg_info", "true"),
    ("log2_min_function_alignment", "6"),
    ("bb_padding_log2_minus_one", "2"),
    // Of x86-64; an engine of another target refuses them.
    ("has_avx2", "false"),
    ("has_bmi1", "false"),
];

/// Configurations over which the other targets draw: one for each way of translating memories,
/// tables, traps and references.
const POOL: &[&[(&str, usize)]] = &[
    &[],
    &[],
    &[("memory reservation", 0), ("memory guard", 0)],
    &[("no signals", 0), ("epochs", 0)],
    &[("fuel", 0), ("memory reservation", 2)],
    &[("eager tables", 0), ("memories stay", 0)],
    &[("collector", 0)],
    &[("collector", 1), ("no images", 0)],
    &[("opt-level", 0), ("no symbols", 0)],
    &[("dense images", 0), ("no address map", 0)],
];

impl Configuration {
    /// One of a few that differ much.
    pub fn common(random: &mut Random) -> Configuration {
        let rules = |name| SETTINGS.iter().position(|(other, ..)| *other == name);
        let settings = random.pick(POOL).iter();
        Configuration(
            settings
                .map(|(name, value)| (rules(*name).expect("it is a setting"), *value))
                .collect(),
        )
    }

    /// Any.
    pub fn any(random: &mut Random) -> Configuration {
        let mut configuration = Configuration::default();
        for _ in 0..random.below(5) {
            configuration = configuration.neighbour(random);
        }
        configuration
    }

    /// The same but for one setting.
    #[must_use]
    pub fn neighbour(&self, random: &mut Random) -> Configuration {
        let mut neighbour = self.clone();
        let setting = random.below(SETTINGS.len());
        if neighbour.0.remove(&setting).is_none() || random.one_in(2) {
            neighbour
                .0
                .insert(setting, random.below(SETTINGS[setting].1));
        }
        neighbour
    }

    /// The names of the settings that are not the default, and the number of each one's value.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let settings = self.0.iter();
        settings.map(|(setting, value)| (SETTINGS[*setting].0, *value))
    }

    /// The configuration itself.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .wasm_gc(true)
            .wasm_function_references(true)
            .wasm_exceptions(true)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_custom_page_sizes(true)
            .wasm_threads(true)
            .wasm_branch_hinting(true)
            .wasm_wide_arithmetic(true)
            .parallel_compilation(false);
        for (setting, value) in &self.0 {
            (SETTINGS[*setting].2)(&mut config, *value);
        }
        config
    }

    /// An oracle of this configuration over a store that remembers nothing but the self-check;
    /// made once for each thread.
    ///
    /// # Panics
    ///
    /// Panics if the configuration is unsound; no [common](Self::common) one is.
    pub fn oracle(&self, whole_artifacts: bool) -> Rc<Oracle<OpenStore>> {
        type Made = BTreeMap<(Configuration, bool), Rc<Oracle<OpenStore>>>;
        thread_local! {
            static MADE: RefCell<Made> = RefCell::default();
        }
        let oracle = MADE.with_borrow_mut(|made| {
            made.entry((self.clone(), whole_artifacts))
                .or_insert_with(|| {
                    let engine = Engine::new(&self.config()).expect("the configuration is sound");
                    let mut options = Options::default();
                    options.whole_artifacts = whole_artifacts;
                    // Where stencils are forgotten, something is left to find.
                    options.clif = !whole_artifacts;
                    // Only bodies that change make a difference to this.
                    options.hot_reload = !whole_artifacts;
                    let oracle = Oracle::of(&engine, Arc::default(), options);
                    assert_eq!(oracle.compiler.plain_reason(), None, "{self:?}");
                    Rc::new(oracle)
                })
                .clone()
        });
        oracle.store.forget();
        oracle
    }
}
