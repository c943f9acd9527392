//! The engine of all plugins, and the clock that plugins are bounded by.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime::{Config, Engine, Result};

/// How often the engine's epoch goes on.
const TICK: Duration = Duration::from_millis(10);

/// How many ticks a plugin has for a request: a second, which is forever for one that answers.
pub(crate) const DEADLINE: u64 = 100;

/// The engine that plugins are compiled for and run in.
///
/// All that is compiled in one place and loaded in another has to have these settings.
///
/// # Errors
///
/// Wasmtime's own, if this machine cannot run plugins.
pub fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    Engine::new(&config)
}

/// Lets the epoch of an engine go on, from a thread of its own, until it is dropped.
pub(crate) struct Clock {
    /// `None` once it is to stop.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    /// Starts the clock of `engine`.
    pub(crate) fn start(engine: &Engine) -> Clock {
        let engine = engine.clone();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        });
        Clock {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, that has been said.
            let _ = thread.join();
        }
    }
}
