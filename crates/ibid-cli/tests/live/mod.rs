//! A command that runs while a test looks at it.
//!
//! Nothing here depends on how long anything takes: what is waited for comes in the end, or the test
//! fails after minutes.
#![allow(dead_code, reason = "each test uses some of it")]

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long to wait for what must come.
const FOREVER: Duration = Duration::from_secs(180);

/// Waits until `done` gives something.
#[track_caller]
pub(crate) fn until<T>(what: &dyn Fn() -> String, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = done() {
            return result;
        }
        assert!(start.elapsed() < FOREVER, "{}", what());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a stream has given so far.
pub(crate) struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn of(mut from: impl Read + Send + 'static) -> Stream {
        let text: Arc<Mutex<Vec<u8>>> = Arc::default();
        let to = text.clone();
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal whose last program has gone gives an error, which is an end, too.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Stream {
            text,
            reader: Some(reader),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.text().matches(text).count()
    }

    /// Waits until `text` was there `times` times.
    #[track_caller]
    pub(crate) fn await_times(&self, text: &str, times: usize) {
        let what = || format!("no `{text}`, {times} times, in:\n{}", self.text());
        until(&what, || (self.count(text) >= times).then_some(()));
    }

    #[track_caller]
    pub(crate) fn await_text(&self, text: &str) {
        self.await_times(text, 1);
    }

    /// Waits until there is nobody any more who could write, and gives all that was written.
    #[track_caller]
    pub(crate) fn await_end(&mut self) -> String {
        let reader = self.reader.take().unwrap();
        let what = || format!("somebody still has it open:\n{}", self.text());
        until(&what, || reader.is_finished().then_some(()));
        self.text()
    }
}

/// A process whose streams are pipes.
pub(crate) struct Live {
    child: Child,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
}

impl Live {
    pub(crate) fn start(mut command: Command) -> Live {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Live {
            stdout: Stream::of(child.stdout.take().unwrap()),
            stderr: Stream::of(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Says what Ctrl-C says.
    pub(crate) fn interrupt(&self) {
        kill_process(pid(self.child.id()), Signal::INT).unwrap();
    }

    #[track_caller]
    pub(crate) fn await_exit(&mut self) -> ExitStatus {
        until(&|| "it does not end".into(), || {
            self.child.try_wait().unwrap()
        })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it said:\n{}\n{}", self.stdout.text(), self.stderr.text());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number as i32).unwrap()
}

/// Whether there is a process of this number.
pub(crate) fn is_alive(number: u32) -> bool {
    test_kill_process(pid(number)).is_ok()
}

/// A process whose streams are all one terminal.
pub(crate) struct Terminal {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    pub(crate) screen: Stream,
    /// The terminal goes when this does.
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    /// Runs the program, arguments, directory and environment of `command`.
    pub(crate) fn start(command: &Command) -> Terminal {
        let size = PtySize {
            rows: 24,
            cols: 120,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.cwd(command.get_current_dir().unwrap_or(Path::new(".")));
        builder.env("TERM", "xterm-256color");
        builder.env_remove("NO_COLOR");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => builder.env(name, value),
                None => builder.env_remove(name),
            }
        }
        let child = pair.slave.spawn_command(builder).unwrap();
        Terminal {
            child,
            writer: pair.master.take_writer().unwrap(),
            screen: Stream::of(pair.master.try_clone_reader().unwrap()),
            _master: pair.master,
        }
    }

    /// Types `keys`.
    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Waits for the end. Gives the exit code, and all that was on the screen.
    #[track_caller]
    pub(crate) fn await_exit(&mut self) -> (u32, String) {
        let what = || "it does not end".to_string();
        let status = until(&what, || self.child.try_wait().unwrap());
        (status.exit_code(), self.screen.await_end())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the screen:\n{}", self.screen.text());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
