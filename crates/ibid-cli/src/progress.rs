//! A progress bar, on a terminal, when a compile takes more than half a second.

use ibid::ProgressCallback;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long a compile may take before it shows how far it is.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the bar looks like.
const TEMPLATE: &str = "compiling {bar:30} {pos}/{len} functions";

pub(crate) struct Progress {
    shown: Arc<OnceLock<ProgressBar>>,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress {
            shown: Arc::default(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// What the compiler is to call after every function.
    pub(crate) fn callback(&self) -> ProgressCallback {
        let (shown, terminal, start) = (self.shown.clone(), self.terminal, Instant::now());
        ProgressCallback::new(move |progress| {
            if terminal && start.elapsed() > PATIENCE {
                let bar = shown.get_or_init(|| bar(progress.total));
                if bar.length() != Some(progress.total) {
                    bar.set_length(progress.total);
                }
                bar.set_position(progress.compiled);
            }
        })
    }

    /// Takes the bar off the terminal.
    pub(crate) fn finish(&self) {
        if let Some(bar) = self.shown.get() {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(TEMPLATE).expect("the template is well-formed");
    bar.with_style(style.progress_chars("=> "))
}
