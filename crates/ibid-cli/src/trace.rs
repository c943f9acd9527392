//! What ibid does, as it does it: its `tracing` spans and events on standard error.

use crate::terminal;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Shows what ibid's own crates report from now on, and how long each step took if `steps`.
pub(crate) fn install(steps: bool) {
    let spans = if steps { FmtSpan::CLOSE } else { FmtSpan::NONE };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(terminal::has_colors())
        .with_timer(tracing_subscriber::fmt::time::uptime())
        .with_target(false)
        .with_span_events(spans)
        .with_filter(FilterFn::new(is_shown));
    tracing_subscriber::registry().with(layer).init();
}

/// What other crates trace is theirs, and much.
fn is_shown(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("ibid") && *metadata.level() <= Level::DEBUG
}
