//! A progress bar, on a terminal, when a compile takes more than half a second.

use crate::terminal;
use ibid::ProgressCallback;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a compile may take before it shows how far it is.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the bar looks like.
const TEMPLATE: &str = "compiling {bar:30} {pos}/{len} functions";

/// The progress of one compile, or of several, one after the other.
pub(crate) struct Progress {
    current: Arc<Mutex<Current>>,
    draws: bool,
}

struct Current {
    start: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A compile starts now.
    pub(crate) fn new() -> Progress {
        Progress {
            current: Arc::new(Mutex::new(Current {
                start: Instant::now(),
                bar: None,
            })),
            draws: terminal::draws(),
        }
    }

    /// The next compile starts now.
    pub(crate) fn begin(&self) {
        lock(&self.current).start = Instant::now();
    }

    /// What the compiler is to call after every function.
    pub(crate) fn callback(&self) -> ProgressCallback {
        let (current, draws) = (self.current.clone(), self.draws);
        ProgressCallback::new(move |progress| {
            if !draws {
                return;
            }
            let mut current = lock(&current);
            if current.start.elapsed() > PATIENCE {
                let bar = current.bar.get_or_insert_with(|| bar(progress.total));
                // Both at once, for there may be a new total, with which counting begins anew.
                bar.update(|state| {
                    state.set_len(progress.total);
                    state.set_pos(progress.compiled);
                });
            }
        })
    }

    /// Takes the bar off the terminal.
    pub(crate) fn finish(&self) {
        if let Some(bar) = lock(&self.current).bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn lock(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(TEMPLATE).expect("the template is well-formed");
    bar.with_style(style.progress_chars("=> "))
}
