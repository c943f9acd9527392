//! The program that runs after each build, one at a time.

use crate::{Failure, messages, warn};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);

/// The program that runs, if one does.
pub(crate) struct Program {
    kind: Kind,
    running: Option<Running>,
}

/// What runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A command of the user's, which may start others: it leads a group of processes, which end
    /// with it.
    Command,
    /// The program that was compiled, which may read the terminal, as only the group of processes
    /// in front may.
    Guest,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Command => "the command",
            Kind::Guest => "the program",
        }
    }
}

struct Running {
    child: Child,
    /// It was said that it has ended.
    said: bool,
}

impl Program {
    /// None yet.
    pub(crate) fn new(kind: Kind) -> Program {
        Program {
            kind,
            running: None,
        }
    }

    /// Ends the last one, and starts this one.
    pub(crate) fn restart(&mut self, mut command: Command) -> Result<(), Failure> {
        self.stop();
        #[cfg(unix)]
        if self.kind == Kind::Command {
            use std::os::unix::process::CommandExt as _;
            command.process_group(0);
        }
        let child = command.spawn();
        let child = child.map_err(|error| {
            Failure::Input(format!(
                "cannot start {}, `{}`: {error}",
                self.kind.name(),
                command.get_program().display()
            ))
        })?;
        self.running = Some(Running { child, said: false });
        Ok(())
    }

    /// Says so if the program has ended by itself.
    pub(crate) fn look(&mut self) {
        if let Some(running) = &mut self.running
            && !running.said
            && let Some(status) = how_it_ended(&mut running.child)
        {
            running.said = true;
            let name = self.kind.name();
            if !status.success() {
                warn(format!("{name} ended with {status}; waiting for a change"));
            } else if self.kind == Kind::Guest {
                messages::tell("", format!("{name} ended; waiting for a change"));
            }
        }
    }

    /// Ends the program, with violence if it takes its time.
    pub(crate) fn stop(&mut self) {
        let Some(Running { mut child, .. }) = self.running.take() else {
            return;
        };
        let start = Instant::now();
        signal(&child, self.kind, false);
        while matches!(child.try_wait(), Ok(None)) {
            if start.elapsed() > GRACE {
                signal(&child, self.kind, true);
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How the process ended, if it has. Its number is not given to another one yet, so that the
/// number of its group, in which it may have left others behind, stays good.
#[cfg(unix)]
fn how_it_ended(child: &mut Child) -> Option<ExitStatus> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use std::os::unix::process::ExitStatusExt as _;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(pid(child)?), options).ok()??;
    let code = status.exit_status().map(|code| (code & 0xff) << 8);
    code.or(status.terminating_signal())
        .map(ExitStatus::from_raw)
}

#[cfg(not(unix))]
fn how_it_ended(child: &mut Child) -> Option<ExitStatus> {
    child.try_wait().ok()?
}

#[cfg(unix)]
fn pid(child: &Child) -> Option<rustix::process::Pid> {
    i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
}

/// Asks the process, or its group, to end; `now` does not ask.
#[cfg(unix)]
fn signal(child: &Child, kind: Kind, now: bool) {
    use rustix::process::{Signal, kill_process, kill_process_group};
    let signal = if now { Signal::KILL } else { Signal::TERM };
    let Some(pid) = pid(child) else {
        return;
    };
    // The process was not waited for, so its number is its own. It may have ended.
    let _ = match kind {
        Kind::Command => kill_process_group(pid, signal),
        Kind::Guest => kill_process(pid, signal),
    };
}

#[cfg(not(unix))]
fn signal(child: &Child, _: Kind, _: bool) {
    let _ = child;
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// Waits for `path` to be there.
    fn await_file(path: &std::path::Path) {
        let start = Instant::now();
        while !path.exists() {
            assert!(start.elapsed() < Duration::from_secs(60), "no {path:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_a_program_started_ends_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let mut program = Program::new(Kind::Command);
        let script = format!(
            "sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait",
            pid.display()
        );
        program.restart(shell(&script)).unwrap();
        await_file(&pid);
        program.stop();
        let pid: u32 = std::fs::read_to_string(&pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let start = Instant::now();
        // A process that nobody has waited for yet has no command line any more.
        let alive =
            || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
        while alive() {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_program_that_does_not_listen_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let ready = directory.path().join("ready");
        let mut program = Program::new(Kind::Command);
        let script = format!("trap '' TERM; touch {}; sleep 600", ready.display());
        program.restart(shell(&script)).unwrap();
        await_file(&ready);
        program.stop();
        assert!(program.running.is_none());
    }

    #[test]
    fn what_cannot_be_started_is_an_error() {
        let mut program = Program::new(Kind::Guest);
        let failure = program.restart(Command::new("/no/such/program"));
        assert!(matches!(failure, Err(Failure::Input(message)) if message.contains("/no/such")));
    }
}
