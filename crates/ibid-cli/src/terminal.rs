//! How the command talks: colors, how much it says, and whether it draws.

use anstream::ColorChoice;
use clap::{ArgAction, Args, ValueEnum};
use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::sync::OnceLock;

/// How the command talks.
#[derive(Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct TerminalOptions {
    /// When to use colors; NO_COLOR in the environment turns them off unless this says otherwise
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    color: Color,

    /// Say nothing but errors, and what was asked for
    #[arg(short, long, conflicts_with = "verbose", global = true)]
    quiet: bool,

    /// Say what is done, on standard error; twice: also how long each step takes
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal
    Auto,
    /// Even into a pipe or a file
    Always,
    /// Never
    Never,
}

impl Color {
    fn choice(self) -> ColorChoice {
        match self {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
    }
}

/// What is asked for on the command line, for all of the process.
static SETTINGS: OnceLock<Settings> = OnceLock::new();

#[derive(Default)]
struct Settings {
    quiet: bool,
    verbose: bool,
}

impl TerminalOptions {
    /// Makes all that is said from now on as it was asked for.
    pub(crate) fn apply(&self) {
        self.color.choice().write_global();
        let settings = Settings {
            quiet: self.quiet,
            verbose: self.verbose > 0,
        };
        // There is one command line in a process, so nothing else was set before.
        let _ = SETTINGS.set(settings);
        if self.verbose > 0 {
            crate::trace::install(self.verbose > 1);
        }
    }
}

/// Looks for `--color` before the command line is parsed, so that help and what is said about a
/// wrong command line have the colors that were asked for.
pub(crate) fn early_colors<A: AsRef<OsStr>>(arguments: impl Iterator<Item = A>) {
    if let Some(color) = color_in(arguments) {
        color.choice().write_global();
    }
}

fn color_in<A: AsRef<OsStr>>(arguments: impl Iterator<Item = A>) -> Option<Color> {
    let mut follows = false;
    for argument in arguments {
        let argument = argument.as_ref().to_str().unwrap_or_default();
        let value = match argument.strip_prefix("--color=") {
            Some(value) => value,
            None if follows => argument,
            None => {
                follows = argument == "--color";
                continue;
            }
        };
        return Color::from_str(value, false).ok();
    }
    None
}

/// Whether nothing but errors is to be said.
pub(crate) fn is_quiet() -> bool {
    SETTINGS.get().is_some_and(|settings| settings.quiet)
}

/// Whether standard error has colors.
pub(crate) fn has_colors() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}

/// Whether progress may be drawn: on a terminal that can take back what is on it, and where
/// nothing else is written meanwhile.
pub(crate) fn draws() -> bool {
    let verbose = SETTINGS.get().is_some_and(|settings| settings.verbose);
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !dumb && !verbose && !is_quiet()
}

/// Takes off the terminal what is on the line that is being drawn, if anything is.
pub(crate) fn clear_line() {
    if draws() {
        eprint!("\r\x1b[K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_found_before_the_command_line_is_parsed() {
        let color = |arguments: &[&str]| color_in(arguments.iter());
        assert!(color(&["compile", "--color", "never"]) == Some(Color::Never));
        assert!(color(&["--color=always", "compile"]) == Some(Color::Always));
        assert!(color(&["compile", "in.wasm"]).is_none());
        assert!(color(&["--color"]).is_none());
        assert!(color(&["--color", "green"]).is_none());
    }
}
