//! Running the commands of a page, in the terminals that it has its reader use.
//!
//! A terminal is a shell that waits for each of its blocks to be let go, and says when one is done.
//! All terminals of a page share a directory that was empty, and a cache; `ibid` is in `PATH`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use super::Tools;
use super::expected;
use super::pages::{Block, Body, Page};

/// How long a block may take. The longest installs the command, which may have to be built.
const PATIENCE: Duration = Duration::from_secs(900);

/// How long what goes on may take until it has printed what is shown, or until it has ended.
const SOON: Duration = Duration::from_secs(60);

/// Runs the blocks of `page` that are run, and compares what they print with what is shown.
///
/// # Errors
///
/// If a command fails, or prints something else.
pub(super) fn run(tools: &Tools, page: &Page) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::new(tools, folder.path())?;
    let mut terminals = BTreeMap::new();
    for (number, blocks) in by_terminal(page) {
        terminals.insert(number, Terminal::open(&stage, number, &blocks)?);
    }
    let mut last = None;
    for block in &page.blocks {
        let number = match &block.body {
            Body::Shell(shell) if block.not_run.is_none() => shell.terminal,
            Body::Output(number) => *number,
            _ => continue,
        };
        let terminal = terminals.get_mut(&number);
        let done = match (terminal, &block.body) {
            (None, _) => Err(anyhow::anyhow!("nothing is run in terminal {number}")),
            (Some(_), Body::Output(_)) if last.is_none() => {
                Err(anyhow::anyhow!("nothing was run yet"))
            }
            (Some(terminal), Body::Shell(shell)) => terminal.run(shell.stays),
            (Some(terminal), _) => terminal.prints(&block.text),
        };
        done.with_context(|| page.at(block))?;
        last = Some(block);
    }
    for terminal in terminals.values_mut() {
        let ended = terminal.end();
        ended.with_context(|| format!("{}: at its end", page.path.display()))?;
    }
    Ok(())
}

/// The blocks that are run, by their terminals.
fn by_terminal(page: &Page) -> BTreeMap<u8, Vec<&Block>> {
    let mut blocks: BTreeMap<u8, Vec<&Block>> = BTreeMap::new();
    for block in &page.blocks {
        if let (Body::Shell(shell), None) = (&block.body, &block.not_run) {
            blocks.entry(shell.terminal).or_default().push(block);
        }
    }
    blocks
}

/// Where a page is played.
struct Stage<'t> {
    tools: &'t Tools,
    /// For everything that is not the page's.
    folder: &'t Path,
    /// The directory that the page's reader is in.
    directory: PathBuf,
}

impl<'t> Stage<'t> {
    fn new(tools: &'t Tools, folder: &'t Path) -> Result<Stage<'t>> {
        let directory = folder.join("page");
        std::fs::create_dir(&directory)?;
        std::fs::create_dir(folder.join("bin"))?;
        std::os::unix::fs::symlink(&tools.ibid, folder.join("bin/ibid"))?;
        Ok(Stage {
            tools,
            folder,
            directory,
        })
    }

    /// A shell in the page's directory. What `cargo install` installs comes first in its `PATH`.
    fn shell(&self, script: &Path) -> Result<Command> {
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]).arg(script);
        command.current_dir(&self.directory);
        let theirs = std::env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("IBID_")));
        for (name, _) in theirs {
            command.env_remove(name);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = [self.folder.join("installed/bin"), self.folder.join("bin")];
        let path = own.into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path)?);
        command.env("XDG_CACHE_HOME", self.folder.join("cache"));
        command.env("CARGO_INSTALL_ROOT", self.folder.join("installed"));
        command.env("CARGO_TARGET_DIR", self.tools.root.join("target"));
        Ok(command)
    }
}

/// A terminal in which a page's reader types.
struct Terminal {
    shell: Child,
    /// A line lets the next block go.
    go: Option<ChildStdin>,
    /// A line for each block that is done, until the shell ends.
    done: Receiver<()>,
    /// What is printed.
    output: PathBuf,
    /// How much of it was dealt with, in bytes.
    seen: usize,
    /// A block goes on.
    busy: bool,
}

impl Terminal {
    /// A terminal in which `blocks` will be run.
    fn open(stage: &Stage<'_>, number: u8, blocks: &[&Block]) -> Result<Terminal> {
        let output = stage.folder.join(format!("output-{number}"));
        let script = stage.folder.join(format!("script-{number}"));
        std::fs::write(&output, "")?;
        let text = self::script(stage, &output, number, blocks)?;
        std::fs::write(&script, text)?;
        let mut command = stage.shell(&script)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(std::fs::OpenOptions::new().append(true).open(&output)?);
        // Ctrl-C in it is not Ctrl-C here.
        command.process_group(0);
        let mut shell = command.spawn().context("cannot run bash")?;
        let (sender, done) = channel();
        if let Some(stdout) = shell.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines() {
                    if line.is_err() || sender.send(()).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Terminal {
            go: shell.stdin.take(),
            shell,
            done,
            output,
            seen: 0,
            busy: false,
        })
    }

    /// Runs the next block, to its end unless it stays. What still goes on is ended before.
    fn run(&mut self, stays: bool) -> Result<()> {
        self.interrupt()?;
        self.seen = self.printed()?.len();
        let go = self.go.as_mut().context("the shell takes no commands")?;
        writeln!(go).context("the shell has ended")?;
        self.busy = true;
        match stays {
            true => Ok(()),
            false => self.wait(PATIENCE),
        }
    }

    /// Waits until the block is done.
    fn wait(&mut self, patience: Duration) -> Result<()> {
        match self.done.recv_timeout(patience) {
            Ok(()) => {
                self.busy = false;
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("not done in {} s; {}", patience.as_secs(), self.said()?)
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("a command failed; {}", self.said()?)
            }
        }
    }

    /// Compares what was printed with `expected`; waits for it if the block goes on.
    fn prints(&mut self, expected: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let printed = self.printed()?;
            let new = String::from_utf8_lossy(&printed[self.seen..]);
            match expected::compare(expected, &new) {
                Ok(()) => {
                    self.seen = printed.len();
                    return Ok(());
                }
                Err(wrong) => ensure!(self.busy && start.elapsed() < SOON, "{wrong}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ctrl-C, if a block goes on. It has to end well.
    fn interrupt(&mut self) -> Result<()> {
        if !self.busy {
            return Ok(());
        }
        ensure!(
            self.done.try_recv().is_err(),
            "a block that stays has ended by itself; {}",
            self.said()?
        );
        self.signal(Signal::INT);
        self.wait(SOON)
    }

    /// Ends the terminal, after its last block.
    fn end(&mut self) -> Result<()> {
        self.interrupt()?;
        self.go = None;
        let status = self.shell.wait()?;
        ensure!(status.success(), "the shell ended with {status}");
        Ok(())
    }

    /// Signals everything that runs in the terminal.
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.shell.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended.
            let _ = kill_process_group(pid, signal);
        }
    }

    fn printed(&self) -> Result<Vec<u8>> {
        std::fs::read(&self.output).context("what is printed cannot be read")
    }

    /// What was printed by the block that is run.
    fn said(&self) -> Result<String> {
        let printed = self.printed()?;
        let said = String::from_utf8_lossy(&printed[self.seen..]);
        Ok(format!("it said\n{}", said.trim_end()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !matches!(self.shell.try_wait(), Ok(Some(_))) {
            self.signal(Signal::KILL);
            let _ = self.shell.wait();
        }
    }
}

/// What the shell of a terminal does.
fn script(stage: &Stage<'_>, output: &Path, number: u8, blocks: &[&Block]) -> Result<String> {
    let mut script = format!(
        "set -eo pipefail\n\
         exec 3<&0 4>&1 0</dev/null 1>>{} 2>&1\n",
        quoted(output)?
    );
    let file = |name: String, text: &str| -> Result<String> {
        let path = stage.folder.join(name);
        std::fs::write(&path, text)?;
        quoted(&path)
    };
    for (place, block) in blocks.iter().enumerate() {
        script += "read -r -u 3 _ || exit 0\n";
        if let Some(before) = &block.before {
            let before = file(format!("before-{number}-{place}"), before)?;
            // Writing to a string does not fail.
            let _ = writeln!(script, "{{ . {before}; }} 3<&- 4>&- >/dev/null");
        }
        let commands = file(format!("block-{number}-{place}"), &block.text)?;
        let checkout = matches!(&block.body, Body::Shell(shell) if shell.checkout);
        if checkout {
            let _ = writeln!(script, "pushd {} >/dev/null", quoted(&stage.tools.root)?);
        }
        let _ = writeln!(script, "{{ . {commands}; }} 3<&- 4>&-");
        if checkout {
            script += "popd >/dev/null\n";
        }
        script += "echo >&4\n";
    }
    Ok(script)
}

/// `path` as a word of the shell.
fn quoted(path: &Path) -> Result<String> {
    let path = path.to_str().context("a path is not Unicode")?;
    Ok(format!("'{}'", path.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::super::pages;
    use super::*;

    /// Runs a page of this text.
    fn play(text: &str) -> Result<()> {
        let tools = Tools {
            root: env!("CARGO_MANIFEST_DIR").into(),
            ibid: "/bin/true".into(),
        };
        let page = Page {
            path: "page.md".into(),
            text: text.into(),
            blocks: pages::blocks(text)?,
        };
        run(&tools, &page)
    }

    #[track_caller]
    fn fails(text: &str, message: &str) {
        let error = format!("{:#}", play(text).expect_err("it is to fail"));
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn a_page_is_one_story() -> Result<()> {
        play(
            "```sh\nexport A=1; mkdir d; cd d\n```\n\
             <!-- before: echo hidden; B=2 -->\n\n\
             ```sh\necho $A $B $(basename $PWD); ibid\n```\n```text,output\n1 2 d\n```\n\
             ```sh,checkout\nls Cargo.toml\n```\n```text,output\nCargo.toml\n```\n\
             ```sh,terminal=2\nls\n```\n```text,output,terminal=2\nd\n```\n\
             ```sh\ncat\n```\n```text,output\n```\n",
        )
    }

    #[test]
    fn what_stays_is_watched_and_interrupted() -> Result<()> {
        let watch = "trap 'exit 0' INT; until [ -e go ]; do sleep 0.01; done; echo gone; sleep 99";
        play(&format!(
            "```sh,stays\nbash -c \"{watch}\"\n```\n\
             ```sh,terminal=2\ntouch go\n```\n```text,output\ngone\n```\n\
             ```sh\necho next\n```\n```text,output\nnext\n```\n"
        ))
    }

    #[test]
    fn what_goes_wrong_is_told() {
        fails("```sh\nfalse\n```\n", "page.md:1: a command failed");
        fails("Text.\n\n```sh\necho why; false | true\n```\n", "why");
        fails("```sh\nno-such-command\n```\n", "no-such-command");
        fails("```sh\nif\n```\n", "syntax error");
        fails(
            "```sh\necho a\n```\n```text,output\nb\n```\n",
            "page.md:4: this line was not printed",
        );
        fails("```text,output\nb\n```\n", "nothing is run in terminal 1");
        fails(
            "```sh,stays\ntrue\n```\n```sh,terminal=2\nsleep 1\n```\n```sh\ntrue\n```\n",
            "ended by itself",
        );
        fails("```sh,stays\nsleep 99\n```\n", "a command failed");
    }
}
