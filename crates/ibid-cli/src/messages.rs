//! What the command says on standard error.

use crate::terminal;
use anstyle::{AnsiColor, Style};
use std::fmt::Display;

/// Says why the command fails, or what it goes on without.
pub(crate) fn error(message: impl Display) {
    labelled("error:", AnsiColor::Red.on_default().bold(), &message);
}

/// Says what did not work and does not matter to the result.
pub(crate) fn warn(message: impl Display) {
    if !terminal::is_quiet() {
        labelled("warning:", AnsiColor::Yellow.on_default().bold(), &message);
    }
}

/// Says how things are going: `what` stands out, `rest` follows.
pub(crate) fn tell(what: impl Display, rest: impl Display) {
    if !terminal::is_quiet() {
        let style = AnsiColor::Green.on_default().bold();
        anstream::eprintln!("{style}{what}{style:#}{rest}");
    }
}

fn labelled(label: &str, style: Style, message: &dyn Display) {
    anstream::eprintln!("{style}{label}{style:#} {message}");
}
