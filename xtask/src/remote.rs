//! `cargo xtask remote`: two machines that share a cache, on a real module.
//!
//! The machines are two runs of the `ibid` command with caches of their own, the remote an S3
//! server on loopback, with a latency of its own before each answer.

// The servers and the proxy are those of the remote's own tests.
#[path = "../../crates/ibid-remote/tests/support/elsewhere.rs"]
mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;
use support::{Blackhole, Faults, Proxy, Recorded, S3};
use wasmtime::Engine;

use crate::command;
use crate::corpus::{self, Module};

/// The module that is shared if none is named, a large one.
const DEFAULT: &str = "esbuild";

/// The second machine shall need no more requests.
const MOST_REQUESTS: usize = 10;

/// What is measured, and how.
#[derive(Debug, Args)]
pub struct RemoteOptions {
    /// A module of the corpus [default: a large one].
    module: Option<String>,

    /// What each request takes before it is answered, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 20)]
    latency: u64,

    /// How often each time is measured; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
}

/// Has one machine compile a module and upload it, and others compile it, and the next release,
/// with what was uploaded; then with the remote down. Compares every artifact with Wasmtime's.
///
/// # Errors
///
/// Fails if the module is unknown or cannot be fetched, if there is no S3 server, if an artifact is
/// not Wasmtime's, if a second machine compiles a function of what the first compiled, or if it
/// needs more than ten requests.
pub fn run(options: &RemoteOptions, out: &mut impl Write) -> Result<()> {
    let name = options.module.as_deref().unwrap_or(DEFAULT);
    let modules: Vec<&Module> = corpus::modules()
        .iter()
        .filter(|module| module.accepted && module.name == name)
        .collect();
    let [first, .., next] = modules[..] else {
        bail!("there are no two releases of `{name}` in the corpus");
    };
    for module in [first, next] {
        corpus::fetch(std::slice::from_ref(module), out)?;
    }
    let Some(server) = S3::start() else {
        bail!(
            "there is no S3 server here: `pip install 'moto[server]'`, or name it in IBID_MOTO_SERVER"
        );
    };
    let folder = tempfile::tempdir()?;
    let fleet = Fleet {
        ibid: command::build()?,
        folder: folder.path(),
        proxy: Proxy::start(server.address()),
        options,
    };
    fleet.keys()?;
    let [old, new] = [first, next].map(corpus::path);
    let (plain, cold) = fleet.plainly(&old)?;
    let (plain_new, cold_new) = fleet.plainly(&new)?;

    fleet.proxy.set(Faults {
        latency: Duration::from_millis(options.latency),
        ..Faults::default()
    });
    let mut table = Table::new(out, options.latency, name)?;
    let writer = ["--remote-key", "ci.key", "--wait-upload"];
    let uploaded = fleet.compile(&old, "writer", &writer, &plain)?;
    table.row("the first machine, and uploads", &uploaded, cold)?;

    let second = fleet.repeated(&old, "second", &plain)?;
    table.row("a second machine", &second, cold)?;
    ensure!(
        second.compiled == 0,
        "the second machine compiled something"
    );
    ensure!(
        second.requests.len() <= MOST_REQUESTS,
        "the second machine needed {} requests",
        second.requests.len()
    );
    let upgraded = fleet.repeated(&new, "third", &plain_new)?;
    table.row("a third one, the next release", &upgraded, cold_new)?;

    fleet.proxy.set(Faults {
        refuse: true,
        ..Faults::default()
    });
    let down = fleet.repeated(&old, "down", &plain)?;
    table.row("the server is down", &down, cold)?;
    fleet.proxy.set(Faults {
        hang: true,
        ..Faults::default()
    });
    let hangs = fleet.repeated(&old, "hangs", &plain)?;
    table.row("the server hangs", &hangs, cold)?;
    let hole = Blackhole::start();
    let lost = fleet.repeated_at(hole.address(), &old, "lost", &plain)?;
    table.row("the network is gone", &lost, cold)?;
    table.finish()
}

struct Fleet<'f> {
    ibid: PathBuf,
    folder: &'f Path,
    proxy: Proxy,
    options: &'f RemoteOptions,
}

/// What a compile took.
struct Outcome {
    /// The process, from start to end.
    took: Duration,
    /// Of that the compile, by its own account.
    compile: Duration,
    compiled: u64,
    requests: Vec<Recorded>,
}

impl Fleet<'_> {
    fn keys(&self) -> Result<()> {
        let made = self.ibid(&["remote", "keygen", "ci.key"])?;
        fs::write(self.folder.join("trusted"), made)?;
        Ok(())
    }

    /// Wasmtime's artifact, and the time that Wasmtime takes for it.
    fn plainly(&self, input: &Path) -> Result<(Vec<u8>, Duration)> {
        let (engine, wasm) = (Engine::default(), fs::read(input)?);
        let mut times = Vec::new();
        let mut artifact = Vec::new();
        for _ in 0..self.options.rounds.max(1) {
            let start = Instant::now();
            artifact = engine.precompile_module(&wasm)?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        Ok((artifact, times[times.len() / 2]))
    }

    /// The median of compiles on so many new machines.
    fn repeated(&self, input: &Path, machine: &str, expected: &[u8]) -> Result<Outcome> {
        self.repeated_at(self.proxy.address(), input, machine, expected)
    }

    fn repeated_at(
        &self,
        address: std::net::SocketAddr,
        input: &Path,
        machine: &str,
        expected: &[u8],
    ) -> Result<Outcome> {
        let mut outcomes = Vec::new();
        for round in 0..self.options.rounds.max(1) {
            let machine = format!("{machine}-{round}");
            outcomes.push(self.compile_at(address, input, &machine, &[], expected)?);
        }
        outcomes.sort_unstable_by_key(|outcome| outcome.took);
        Ok(outcomes.swap_remove(outcomes.len() / 2))
    }

    fn compile(
        &self,
        input: &Path,
        machine: &str,
        options: &[&str],
        expected: &[u8],
    ) -> Result<Outcome> {
        self.compile_at(self.proxy.address(), input, machine, options, expected)
    }

    /// One compile on a machine with a cache of its own.
    fn compile_at(
        &self,
        address: std::net::SocketAddr,
        input: &Path,
        machine: &str,
        options: &[&str],
        expected: &[u8],
    ) -> Result<Outcome> {
        let input = fs::canonicalize(input)?;
        let input = input
            .to_str()
            .context("the corpus has a name that is not UTF-8")?;
        let url = format!(
            "s3://{}/team?region=us-east-1&endpoint=http://{address}",
            support::BUCKET
        );
        let mut arguments = vec!["compile", input, "-o", "out.cwasm", "--stats=json"];
        arguments.extend([
            "--cache",
            machine,
            "--remote",
            &url,
            "--remote-trust",
            "trusted",
        ]);
        arguments.extend(options);
        self.proxy.clear();
        let start = Instant::now();
        let said = self.ibid(&arguments)?;
        let took = start.elapsed();
        let report: Value = serde_json::from_str(&said).context("no report")?;
        let artifact = fs::read(self.folder.join("out.cwasm"))?;
        ensure!(
            artifact == expected,
            "the artifact of `{machine}` is not Wasmtime's"
        );
        let milliseconds = report["time_ms"]["total"].as_f64().context("no time")?;
        Ok(Outcome {
            took,
            compile: Duration::from_secs_f64(milliseconds / 1e3),
            compiled: report["functions"]["compiled"]
                .as_u64()
                .context("no count")?,
            requests: self.proxy.requests(),
        })
    }

    /// Runs the command, and gives what it prints.
    fn ibid(&self, arguments: &[&str]) -> Result<String> {
        let finished = Command::new(&self.ibid)
            .args(arguments)
            .current_dir(self.folder)
            .env("AWS_ACCESS_KEY_ID", "loopback")
            .env("AWS_SECRET_ACCESS_KEY", "loopback")
            .output()
            .context("cannot run ibid")?;
        if !finished.status.success() {
            let said = String::from_utf8_lossy(&finished.stderr);
            bail!("ibid failed: {said}");
        }
        Ok(String::from_utf8(finished.stdout)?)
    }
}

/// The table that is printed.
struct Table<'o, W>(&'o mut W);

impl<'o, W: Write> Table<'o, W> {
    fn new(out: &'o mut W, latency: u64, module: &str) -> Result<Self> {
        writeln!(
            out,
            "\n`{module}`, {latency} ms a request; shares are of Wasmtime's cold compile\n"
        )?;
        writeln!(
            out,
            "| | process, ms | compile, ms | of cold | functions compiled | requests | received, MB |"
        )?;
        writeln!(out, "|---|---:|---:|---:|---:|---:|---:|")?;
        Ok(Table(out))
    }

    fn row(&mut self, what: &str, outcome: &Outcome, cold: Duration) -> Result<()> {
        let received: usize = outcome.requests.iter().map(|r| r.response_bytes).sum();
        writeln!(
            self.0,
            "| {what} | {:.0} | {:.0} | {:.1} % | {} | {} | {:.1} |",
            outcome.took.as_secs_f64() * 1e3,
            outcome.compile.as_secs_f64() * 1e3,
            100.0 * outcome.compile.as_secs_f64() / cold.as_secs_f64(),
            outcome.compiled,
            outcome.requests.len(),
            received as f64 / 1e6,
        )?;
        self.0.flush()?;
        Ok(())
    }

    fn finish(self) -> Result<()> {
        writeln!(self.0, "\nall artifacts are, byte for byte, Wasmtime's")?;
        Ok(())
    }
}
