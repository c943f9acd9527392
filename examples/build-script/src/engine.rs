//! The engine's settings, in one place: `build.rs` compiles with them, and the program loads with
//! them. Wasmtime refuses an artifact of an engine with others.

use wasmtime::Config;

/// The settings that decide code.
pub fn config() -> Config {
    let mut config = Config::new();
    // A plugin that never ends runs out of fuel.
    config.consume_fuel(true);
    config
}
