//! `plugin-host`: serves the plugins of a directory, reloads those that change, and makes the
//! requests itself.

use clap::Parser;
use ibid::{CacheStore, MemoryStore};
use ibid_store::{DiskStore, WriteBehind};
use plugin_host::{Host, Load, Watch, engine, follow};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::error::Context as _;

/// Functions whose data moved are found too, with this; see [`ibid::Watched`].
#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();

/// What the cache may take in memory, where there can be none on disk.
const MEMORY_BYTES: u64 = 256 << 20;

/// How long a client waits after a request that failed.
const DISAPPOINTED: Duration = Duration::from_secs(1);

/// Serve the plugins of a directory, and reload those that change.
#[derive(Parser)]
#[command(name = "plugin-host")]
struct Arguments {
    /// The directory of the plugins, files `*.wat` and `*.wasm`
    directory: PathBuf,

    /// How many threads make requests
    #[arg(long, default_value_t = 4)]
    threads: usize,

    /// The directory of the cache [default: `ibid` in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> wasmtime::Result<()> {
    let host = Arc::new(Host::new(&engine::engine()?, store(arguments)));
    let directory = &arguments.directory;
    let mut watch = Watch::new(directory)
        .with_context(|| format!("cannot watch the directory `{}`", directory.display()))?;
    let stop = watch.stop();
    ctrlc::set_handler(move || stop.stop()).context("cannot watch for Ctrl-C")?;

    let load = Load::start(arguments.threads, {
        let host = host.clone();
        move |number| request(&host, number)
    });
    follow(&host, &mut watch, |outcome| match outcome {
        Ok(reloaded) => println!("{reloaded}"),
        Err(refused) => eprintln!("{refused}"),
    });
    load.finish();
    // The host is dropped at the end, which waits for the cache to be written.
    Ok(())
}

/// The cache on disk. A host without it is a slower host, and no broken one.
fn store(arguments: &Arguments) -> Arc<dyn CacheStore> {
    let directory = arguments
        .cache
        .clone()
        .or_else(ibid_store::default_directory);
    let why = match directory.map(DiskStore::open) {
        // Nobody waits for the disk, not even the next reload.
        Some(Ok(store)) => return Arc::new(WriteBehind::new(store)),
        Some(Err(error)) => error.to_string(),
        None => "there is no directory for a cache; say one with `--cache`".into(),
    };
    eprintln!("warning: what is compiled is forgotten at the end: {why}");
    Arc::new(MemoryStore::with_capacity_bytes(MEMORY_BYTES))
}

/// A request to each plugin in service.
fn request(host: &Host, number: u64) {
    for name in host.names() {
        if host.plugin(&name).is_none() {
            continue;
        }
        if let Err(error) = host.answer(&name, &format!("client {number}")) {
            eprintln!("plugin '{name}' failed a request: {error:#}");
            std::thread::sleep(DISAPPOINTED);
        }
    }
}
