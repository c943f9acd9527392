//! Ctrl-C, and the other ways of the system to say that it is time to end.

use crate::watch::changes::Event;
use crate::watch::program::Program;
use crate::{Failure, terminal};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ends the command when the user wants that: soon, and with nothing left behind.
pub(crate) struct Stop {
    /// Whether the command may end where it is.
    anywhere: Arc<Mutex<bool>>,
}

impl Stop {
    /// From now on Ctrl-C is told to `events`; in the midst of what may be
    /// [interrupted](Self::interruptible), it ends `program` and this process.
    ///
    /// # Errors
    ///
    /// If the operating system does not let this process know.
    pub(crate) fn new(
        events: Sender<Event>,
        program: Arc<Mutex<Program>>,
    ) -> Result<Stop, Failure> {
        let anywhere = Arc::new(Mutex::new(false));
        let shared = anywhere.clone();
        let handler = move || {
            // Where nobody waits for events, the command ends anyway.
            let _ = events.send(Event::Stop);
            // While this is locked, what is interrupted cannot come to its end and write a file.
            let anywhere = lock(&shared);
            if *anywhere {
                lock(&program).stop();
                terminal::clear_line();
                std::process::exit(0);
            }
        };
        ctrlc::set_handler(handler)
            .map_err(|error| Failure::Input(format!("cannot watch for Ctrl-C: {error}")))?;
        Ok(Stop { anywhere })
    }

    /// Does `work`, which may take long, and in which the process may end at any time.
    pub(crate) fn interruptible<T>(&self, work: impl FnOnce() -> T) -> T {
        *lock(&self.anywhere) = true;
        let result = work();
        *lock(&self.anywhere) = false;
        result
    }
}

/// What is behind `mutex`, which is as good after a panic as before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
