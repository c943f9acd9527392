//! `ibid completions` and `ibid man`: what shells and `man` want to know of the command line.

use crate::{Failure, output};
use clap::{Args, Command};
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(Args)]
pub(crate) struct Man {
    /// Write a page for each subcommand to this directory, which must exist [default: print the
    /// first page]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints what completes the command line `command` in a shell.
pub(crate) fn completions(mut command: Command, arguments: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    let name = command.get_name().to_string();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    output::Output::Standard.write(&script)
}

/// Prints or writes the pages of the manual.
pub(crate) fn man(command: Command, arguments: &Man) -> Result<(), Failure> {
    let Some(directory) = &arguments.dir else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        rendered.map_err(|error| Failure::Input(format!("cannot make the page: {error}")))?;
        return output::Output::Standard.write(&page);
    };
    let command = command.mut_subcommands(of_this_release);
    clap_mangen::generate_to(command, directory).map_err(|error| {
        Failure::Input(format!(
            "cannot write the pages to `{}`, which must be a directory: {error}",
            directory.display()
        ))
    })
}

/// The pages of subcommands tell the release too, though `--version` is the command's alone.
fn of_this_release(command: Command) -> Command {
    let command = command.mut_subcommands(of_this_release);
    command
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
}
