//! The `ibid` command as a whole: from file to file, in a process of its own.

use crate::figures::timed;
use crate::known::same;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The command, and files for it to work on.
#[derive(Debug)]
pub struct CommandLine {
    ibid: PathBuf,
    folder: TempDir,
}

/// The most memory that a process had, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Peak {
    /// Resident pages, those of mapped files included.
    pub resident_bytes: u64,
    /// Resident pages that are no file's: what the process made itself.
    pub anonymous_bytes: u64,
}

impl CommandLine {
    /// The command in the file `ibid`, working in a directory in `at`.
    ///
    /// # Errors
    ///
    /// If the directory cannot be made.
    pub fn new(ibid: PathBuf, at: &Path) -> Result<CommandLine> {
        Ok(CommandLine {
            ibid,
            folder: tempfile::tempdir_in(at)?,
        })
    }

    /// Compiles `wasm` with the cache in a directory, or with none, and says how many
    /// milliseconds the process took.
    ///
    /// # Errors
    ///
    /// If the command fails, or what it makes is not `plain`.
    pub fn compile(&self, wasm: &[u8], plain: &[u8], cache: Option<&Path>) -> Result<f64> {
        let mut command = self.command(wasm, cache)?;
        let (finished, ms) = timed(|| command.spawn()?.wait_with_output());
        let finished = finished.with_context(|| format!("cannot run {}", self.ibid.display()))?;
        self.check(finished.status, &finished.stderr, plain)?;
        Ok(ms)
    }

    /// Compiles `wasm` as [`compile`](Self::compile) does, and says how much memory the process
    /// had; `None` where the system does not say.
    ///
    /// The process is looked at five thousand times a second, which is why it is not timed. Of
    /// its resident pages the system keeps the maximum, so that only what is added in the last
    /// moment before the process ends can be missed.
    ///
    /// # Errors
    ///
    /// As of [`compile`](Self::compile).
    pub fn peak(&self, wasm: &[u8], plain: &[u8], cache: Option<&Path>) -> Result<Option<Peak>> {
        let mut child = self.command(wasm, cache)?.spawn()?;
        let (status, peak) = watch(&mut child)?;
        let mut said = Vec::new();
        if let Some(mut stderr) = child.stderr.take() {
            std::io::Read::read_to_end(&mut stderr, &mut said)?;
        }
        self.check(status, &said, plain)?;
        Ok((peak != Peak::default()).then_some(peak))
    }

    fn command(&self, wasm: &[u8], cache: Option<&Path>) -> Result<Command> {
        fs::write(self.input(), wasm)?;
        let mut command = Command::new(&self.ibid);
        command
            .arg("compile")
            .arg(self.input())
            .arg("-o")
            .arg(self.output())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        match cache {
            Some(directory) => command.arg("--cache").arg(directory),
            None => command.arg("--no-cache"),
        };
        Ok(command)
    }

    fn check(&self, status: ExitStatus, said: &[u8], plain: &[u8]) -> Result<()> {
        if !status.success() {
            bail!("ibid failed: {}", String::from_utf8_lossy(said));
        }
        let artifact = fs::read(self.output()).context("ibid made no artifact")?;
        fs::remove_file(self.output())?;
        same(&artifact, plain)
    }

    fn input(&self) -> PathBuf {
        self.folder.path().join("in.wasm")
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out.cwasm")
    }
}

/// Looks at the process until it ends. It says so little that no pipe fills up.
fn watch(child: &mut Child) -> Result<(ExitStatus, Peak)> {
    let path = format!("/proc/{}/status", child.id());
    let mut peak = Peak::default();
    loop {
        // There is no such file on other systems, and none once the process has ended.
        if let Ok(status) = fs::read_to_string(&path) {
            let bytes = |field| kilobytes(&status, field).unwrap_or(0) << 10;
            peak.resident_bytes = peak.resident_bytes.max(bytes("VmHWM:"));
            peak.anonymous_bytes = peak.anonymous_bytes.max(bytes("RssAnon:"));
        }
        if let Some(status) = child.try_wait()? {
            return Ok((status, peak));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The value of a field of `/proc/PID/status`, in KiB.
fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_says() {
        let status = "Name:\tibid\nVmHWM:\t   12345 kB\nRssAnon:\t     678 kB\n";
        assert_eq!(kilobytes(status, "VmHWM:"), Some(12345));
        assert_eq!(kilobytes(status, "RssAnon:"), Some(678));
        assert_eq!(kilobytes(status, "RssShmem:"), None);
    }
}
