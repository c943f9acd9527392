//! What goes wrong around the command costs time, never a wrong artifact.
//!
//! The bounded form runs with the other tests; `IBID_FULL=1` kills two hundred times. Tests that
//! mount file systems need the superuser, and say so when they cannot run.
#![cfg(unix)]

mod common;

use common::Sandbox;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};
use wasmtime::Engine;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

impl Sandbox {
    /// `ibid compile` of `wasm` with the cache in `cache`, written to `out.cwasm`.
    fn compile(&self, wasm: &[u8], cache: &Path, more: &[&str]) -> Command {
        let _ = fs::remove_file(self.path("out.cwasm"));
        fs::write(self.path("in.wasm"), wasm).unwrap();
        let mut command = self.command(&["compile", "in.wasm", "-o", "out.cwasm", "--cache"]);
        command.arg(cache).args(more);
        command
    }

    /// Compiles `wasm`; the artifact must be Wasmtime's. What was said on standard error.
    #[track_caller]
    fn compiles(&self, wasm: &[u8], cache: &Path) -> String {
        let output = self.compile(wasm, cache, &[]).output().unwrap();
        let said = stderr(&output);
        assert!(output.status.success(), "{}: {said}", output.status);
        assert!(!said.contains("panicked"), "{said}");
        assert!(
            fs::read(self.path("out.cwasm")).unwrap() == plain(wasm),
            "another artifact"
        );
        said
    }

    #[track_caller]
    fn compiles_in_silence(&self, wasm: &[u8], cache: &Path) {
        assert_eq!(self.compiles(wasm, cache), "");
    }

    #[track_caller]
    fn compiles_with_a_warning(&self, wasm: &[u8], cache: &Path) {
        let said = self.compiles(wasm, cache);
        assert!(said.starts_with("warning: "), "{said:?}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }

    /// How many functions are compiled anew; the artifact must be Wasmtime's.
    #[track_caller]
    fn compiled_anew(&self, wasm: &[u8], cache: &Path) -> u64 {
        let output = self
            .compile(wasm, cache, &["--stats=json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(fs::read(self.path("out.cwasm")).unwrap() == plain(wasm));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["functions"]["compiled"].as_u64().unwrap()
    }

    #[track_caller]
    fn has_statistics(&self, cache: &Path) -> serde_json::Value {
        let output = self
            .command(&["cache", "stats", "--json", "--cache"])
            .arg(cache)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn plain(wasm: &[u8]) -> Vec<u8> {
    ENGINE.precompile_module(wasm).unwrap()
}

/// A module with a function for each of `numbers`, which no other number's function equals.
fn module(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut text = String::from("(module (memory 1)");
    for number in numbers {
        write!(
            text,
            r#"(func (export "{number}") (param i64) (result i64) (local i64)
                 (loop
                   (local.set 1 (i64.add (local.get 1) (i64.mul (local.get 0) (i64.const {}))))
                   (i64.store (i32.wrap_i64 (local.get 1)) (i64.const {number}))
                   (br_if 0 (i64.lt_u (local.get 1) (i64.const 1000000))))
                 (i64.load offset={} (i32.wrap_i64 (local.get 1))))"#,
            number * 7919 + 13,
            number % 65_000,
        )
        .unwrap();
    }
    text.push(')');
    wat::parse_str(&text).unwrap()
}

/// Numbers that look random, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        bound.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

#[test]
fn killed_while_storing() {
    let kills = if full() { 200 } else { 20 };
    let sandbox = Sandbox::new();
    let cache = sandbox.path("cache");
    let artifact = sandbox.path("out.cwasm");
    // Some write little, some much.
    let functions = [8, 64, 512];
    let mut next = 0;
    let mut known = Vec::new();
    let mut random = Random(0x1b1d);

    // How long a run takes, and how long of that it stores: the artifact is there before.
    let mut whole = [Duration::ZERO; 3];
    let mut storing = [Duration::ZERO; 3];
    for (size, functions) in functions.into_iter().enumerate() {
        let wasm = module(next..next + functions);
        known.push(next..next + functions);
        next += functions;
        let started = Instant::now();
        let mut child = sandbox.compile(&wasm, &cache, &[]).spawn().unwrap();
        until(|| artifact.exists());
        let stored = Instant::now();
        assert!(child.wait().unwrap().success());
        whole[size] = started.elapsed();
        storing[size] = stored.elapsed();
    }

    let (mut killed, mut killed_storing, mut runs) = (0, 0, 0);
    while killed < kills {
        assert!(runs < 20 * kills, "killed {killed} in {runs} runs");
        let size = runs % 3;
        let numbers = next..next + functions[size];
        let wasm = module(numbers.clone());
        next += functions[size];
        // Three of four at the store, the others anywhere: in half of these the store is made.
        let anywhere = runs % 4 == 0;
        let fresh = sandbox.path(&format!("fresh-{runs}"));
        let cache = if runs % 8 == 0 { &fresh } else { &cache };
        let mut child = sandbox
            .compile(&wasm, cache, &[])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if anywhere {
            sleep(random.below(whole[size]));
        } else {
            until(|| artifact.exists());
            sleep(random.below(storing[size]));
        }
        let stored = artifact.exists();
        child.kill().unwrap();
        let status = child.wait().unwrap();
        runs += 1;
        match status.signal() {
            None => assert!(status.success(), "{status}"),
            Some(signal) => {
                assert_eq!(signal, 9, "it was not us who ended it");
                killed += 1;
                killed_storing += usize::from(stored);
            }
        }
        // An artifact is there as a whole, or not.
        if let Ok(artifact) = fs::read(&artifact) {
            assert!(artifact == plain(&wasm), "half an artifact");
        }
        sandbox.has_statistics(cache);
        sandbox.compiles_in_silence(&wasm, cache);
        assert_eq!(sandbox.compiled_anew(&wasm, cache), 0);
        known.extend((cache != &fresh).then_some(numbers));
    }
    eprintln!("{runs} runs, {killed} killed, {killed_storing} of them while storing");
    assert!(killed_storing >= kills / 4, "the kills missed the store");

    // All that was compiled is known, whoever was killed in between.
    let wasm = module(known.into_iter().flatten());
    assert_eq!(sandbox.compiled_anew(&wasm, &cache), 0);
}

fn full() -> bool {
    std::env::var_os("IBID_FULL").is_some_and(|value| value == "1")
}

fn until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_micros(50));
    }
}

#[test]
fn eight_processes_at_once() {
    let sandbox = Sandbox::new();
    // Each shares most of its functions with its neighbours.
    let modules: Vec<_> = (0..8).map(|i| module(i * 40..i * 40 + 160)).collect();
    for round in 0..3 {
        let children: Vec<_> = (0..8)
            .map(|i| {
                let (input, output) = (format!("{i}.wasm"), format!("{i}.cwasm"));
                fs::write(sandbox.path(&input), &modules[(i + round) % 8]).unwrap();
                sandbox
                    .command(&["compile", &input, "-o", &output])
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for (i, child) in children.into_iter().enumerate() {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
            assert_eq!(stderr(&output), "");
            let artifact = fs::read(sandbox.path(&format!("{i}.cwasm"))).unwrap();
            assert!(artifact == plain(&modules[(i + round) % 8]));
        }
    }
    let cache = sandbox.path("cache/ibid");
    assert_eq!(sandbox.compiled_anew(&module(0..440), &cache), 0);
}

/// A small file system of its own, if the superuser runs the tests.
struct Mounted {
    path: PathBuf,
}

impl Mounted {
    fn new(sandbox: &Sandbox, name: &str, bytes: u64) -> Option<Mounted> {
        let path = sandbox.path(name);
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={bytes},mode=700"),
                "tmpfs",
            ])
            .arg(&path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Mounted { path }),
            _ => {
                eprintln!("skipped: no file system can be mounted here (that takes the superuser)");
                None
            }
        }
    }

    fn remount_read_only(&self) {
        let status = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(&self.path)
            .status();
        assert!(status.unwrap().success());
    }

    /// Writes to a file until nothing more fits, then makes room for `free` bytes.
    fn fill(&self, free: u64) {
        let mut file = File::create(self.path.join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(free)).unwrap();
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(&self.path).unwrap();
        files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// The free space, in pages, in which the database does not fit, let alone the entries.
const WARNS_UP_TO: u64 = 32;

#[test]
fn a_cache_on_a_full_disk() {
    let sandbox = Sandbox::new();
    let wasm = module(0..300);
    let mut warnings = Vec::new();
    for free in [0, 1, 2, 4, 8, 16, 17, 18, 19, 20, 22, 24, 32, 64, 128].map(|pages| pages * 4096) {
        let Some(disk) = Mounted::new(&sandbox, &format!("disk-{free}"), 4 << 20) else {
            return;
        };
        disk.fill(free);
        // A cache that does not fit, twice: what the first run left behind is no trap. Where the
        // cache just fits there is nothing to warn of.
        for _ in 0..2 {
            let said = sandbox.compiles(&wasm, &disk.path.join("cache"));
            assert!(said.is_empty() || said.starts_with("warning: "), "{said:?}");
            warnings.push((free / 4096, !said.is_empty()));
        }
        // With room it is a cache again.
        fs::remove_file(disk.path.join("filler")).unwrap();
        sandbox.compiles_in_silence(&wasm, &disk.path.join("cache"));
        assert_eq!(sandbox.compiled_anew(&wasm, &disk.path.join("cache")), 0);
    }
    for (pages, warned) in &warnings {
        assert!(
            *warned || *pages > WARNS_UP_TO,
            "no warning with {pages} pages: {warnings:?}"
        );
    }
}

#[test]
fn a_disk_that_fills_up_behind_a_cache() {
    let sandbox = Sandbox::new();
    let Some(disk) = Mounted::new(&sandbox, "disk", 4 << 20) else {
        return;
    };
    let cache = disk.path.join("cache");
    sandbox.compiles_in_silence(&module(0..100), &cache);
    disk.fill(0);
    // What is known is found, and what is new does not fit.
    sandbox.compiles_with_a_warning(&module(0..400), &cache);
    assert_eq!(sandbox.compiled_anew(&module(0..100), &cache), 0);
    fs::remove_file(disk.path.join("filler")).unwrap();
    sandbox.compiles_in_silence(&module(0..400), &cache);
    assert_eq!(sandbox.compiled_anew(&module(0..400), &cache), 0);
}

#[test]
fn an_artifact_that_does_not_fit() {
    let sandbox = Sandbox::new();
    let Some(disk) = Mounted::new(&sandbox, "disk", 1 << 20) else {
        return;
    };
    disk.fill(8192);
    let artifact = disk.path.join("out.cwasm");
    fs::write(&artifact, "an older one").unwrap();
    let before = disk.files();
    fs::write(sandbox.path("in.wasm"), module(0..300)).unwrap();
    let output = sandbox
        .command(&["compile", "in.wasm", "-o"])
        .arg(&artifact)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.starts_with("error: cannot write"), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(fs::read(&artifact).unwrap(), b"an older one");
    assert_eq!(disk.files(), before);
}

#[test]
fn a_cache_that_may_not_be_written() {
    let sandbox = Sandbox::new();
    let wasm = module(0..20);
    let Some(disk) = Mounted::new(&sandbox, "disk", 4 << 20) else {
        return;
    };
    let cache = disk.path.join("cache");
    sandbox.compiles_in_silence(&wasm, &cache);
    disk.remount_read_only();
    sandbox.compiles_with_a_warning(&wasm, &cache);
    sandbox.compiles_with_a_warning(&wasm, &disk.path.join("another"));
}

#[test]
fn a_truncated_database() {
    let sandbox = Sandbox::new();
    let wasm = module(0..100);
    let cache = sandbox.path("cache");
    sandbox.compiles_in_silence(&wasm, &cache);
    let length = data_file(&cache).metadata().unwrap().len();

    // With less than its first two pages there is nothing in it. An empty one is as one that is
    // not there; the others may be made anew as well.
    for length in [0, 1, 24, 100, 4095, 4096, 4097, 8191] {
        set_length(&data_file(&cache), length);
        let said = sandbox.compiles(&wasm, &cache);
        assert!(said.is_empty() || said.starts_with("warning: "), "{said}");
        assert!(said.is_empty() || length != 0, "{said}");
        clear(&sandbox, &cache);
        sandbox.compiles_in_silence(&wasm, &cache);
    }
    for length in [
        8192,
        8193,
        12_288,
        20_000,
        length / 2,
        length - 4096,
        length - 1,
    ] {
        set_length(&data_file(&cache), length);
        sandbox.compiles_with_a_warning(&wasm, &cache);
        sandbox.compiles_with_a_warning(&wasm, &cache);
        // The warning names the way out.
        clear(&sandbox, &cache);
        sandbox.compiles_in_silence(&wasm, &cache);
        assert_eq!(sandbox.compiled_anew(&wasm, &cache), 0);
    }
}

fn clear(sandbox: &Sandbox, cache: &Path) {
    let mut command = sandbox.command(&["cache", "clear", "--cache"]);
    assert!(command.arg(cache).status().unwrap().success());
}

fn set_length(file: &Path, length: u64) {
    let file = File::options().write(true).open(file).unwrap();
    file.set_len(length).unwrap();
}

fn data_file(cache: &Path) -> PathBuf {
    cache.join("v2/data.mdb")
}

#[test]
fn a_database_of_another_version() {
    let sandbox = Sandbox::new();
    let wasm = module(0..20);

    // Of the cache's own format: a directory beside, which is left alone.
    let cache = sandbox.path("newer");
    fs::create_dir_all(cache.join("v9")).unwrap();
    fs::write(cache.join("v9/data.mdb"), "of a later version").unwrap();
    sandbox.compiles_in_silence(&wasm, &cache);
    assert_eq!(sandbox.compiled_anew(&wasm, &cache), 0);
    let kept = fs::read(cache.join("v9/data.mdb")).unwrap();
    assert_eq!(kept, b"of a later version");

    // Of the database's format, whose number both first pages have behind a magic number.
    let cache = sandbox.path("database");
    sandbox.compiles_in_silence(&wasm, &cache);
    let mut file = File::options()
        .read(true)
        .write(true)
        .open(data_file(&cache))
        .unwrap();
    for page in [0, 4096] {
        let mut magic = [0; 4];
        file.seek(SeekFrom::Start(page + 16)).unwrap();
        file.read_exact(&mut magic).unwrap();
        assert_eq!(u32::from_ne_bytes(magic), 0xBEEF_C0DE);
        file.write_all(&999_u32.to_ne_bytes()).unwrap();
    }
    drop(file);
    sandbox.compiles_with_a_warning(&wasm, &cache);

    // What is no database at all.
    type Rubbish<'f> = (&'static str, &'f dyn Fn(&Path));
    let rubbish: [Rubbish<'_>; 5] = [
        ("text", &|cache| {
            fs::create_dir_all(cache.join("v2")).unwrap();
            fs::write(data_file(cache), "something else").unwrap();
        }),
        ("zeros", &|cache| {
            fs::create_dir_all(cache.join("v2")).unwrap();
            fs::write(data_file(cache), vec![0; 100_000]).unwrap();
        }),
        ("a directory for the data", &|cache| {
            fs::create_dir_all(data_file(cache)).unwrap();
        }),
        ("a file for the directory", &|cache| {
            fs::create_dir_all(cache).unwrap();
            fs::write(cache.join("v2"), "").unwrap();
        }),
        ("a directory for the lock", &|cache| {
            fs::create_dir_all(cache.join("store.lock")).unwrap();
        }),
    ];
    for (name, make) in rubbish {
        let cache = sandbox.path(name);
        make(&cache);
        close(&cache);
        sandbox.compiles_with_a_warning(&wasm, &cache);
    }
}

/// Closes what is at `path` and in it to others, so that it is not refused for that.
fn close(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let is_directory = path.is_dir();
    let mode = if is_directory { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_directory {
        for entry in fs::read_dir(path).unwrap() {
            close(&entry.unwrap().path());
        }
    }
}

/// No decision depends on a clock; the times of files are all that a clock that jumped leaves.
#[test]
fn times_that_make_no_sense() {
    let sandbox = Sandbox::new();
    let wasm = module(0..20);
    let cache = sandbox.path("cache");
    sandbox.compiles_in_silence(&wasm, &cache);
    let decades = Duration::from_secs(40 * 365 * 24 * 3600);
    for time in [
        SystemTime::UNIX_EPOCH,
        SystemTime::now() + decades,
        SystemTime::now() - Duration::from_secs(3600),
    ] {
        for file in ["store.lock", "v2/data.mdb", "v2/lock.mdb", "v2", "."] {
            let file = File::open(cache.join(file)).unwrap();
            file.set_modified(time).unwrap();
        }
        assert_eq!(sandbox.compiled_anew(&wasm, &cache), 0);
        sandbox.compiles_in_silence(&wasm, &cache);
    }
}
