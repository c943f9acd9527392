//! Plugins that change while requests keep coming.

mod plugins;

use plugin_host::{Host, Load, Refused, Reloaded, Watch, engine, follow};
use plugins::{FUNCTIONS, hanging, number_of, with_number};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: ibid::Watched = ibid::Watched::system();

/// Long enough for the busiest machine.
const LONG: Duration = Duration::from_secs(60);

/// Longer than it takes until a file counts as written.
const PAUSE: Duration = Duration::from_millis(150);

/// A host that follows a directory, which is empty at first.
struct Running {
    host: Arc<Host>,
    directory: tempfile::TempDir,
    outcomes: Receiver<Result<Reloaded, Refused>>,
    stop: plugin_host::watch::Stop,
    follower: Option<JoinHandle<()>>,
    _cache: tempfile::TempDir,
}

impl Running {
    fn start() -> Running {
        let directory = tempfile::tempdir().unwrap();
        let cache = tempfile::tempdir().unwrap();
        let store = ibid_store::DiskStore::open(cache.path().join("cache")).unwrap();
        let store = Arc::new(ibid_store::WriteBehind::new(store));
        let host = Arc::new(Host::new(&engine::engine().unwrap(), store));
        let mut watch = Watch::new(directory.path()).unwrap();
        let stop = watch.stop();
        let (sender, outcomes) = channel();
        let follower = std::thread::spawn({
            let host = host.clone();
            move || {
                follow(&host, &mut watch, |outcome| {
                    // A test that is over does not want to know.
                    let _ = sender.send(outcome);
                });
            }
        });
        Running {
            host,
            directory,
            outcomes,
            stop,
            follower: Some(follower),
            _cache: cache,
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn next(&self) -> Result<Reloaded, Refused> {
        self.outcomes.recv_timeout(LONG).unwrap()
    }

    /// The next version that comes into service, whatever is refused before it.
    fn reloaded(&self) -> Reloaded {
        loop {
            if let Ok(reloaded) = self.next() {
                return reloaded;
            }
        }
    }

    /// The next version that is refused.
    fn refused(&self) -> Refused {
        match self.next() {
            Err(refused) => refused,
            Ok(reloaded) => panic!("in service: {reloaded}"),
        }
    }

    /// The number that the plugin `greet` answers with.
    fn number(&self) -> u64 {
        number_of(&self.host.answer("greet", "").unwrap(), "")
    }

    fn await_number(&self, number: u64) {
        let start = Instant::now();
        while self.number() != number {
            assert!(
                start.elapsed() < LONG,
                "{number} does not come into service"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The code in service is what Wasmtime alone makes of `wasm`.
    fn assert_artifact(&self, wasm: &str) {
        let plugin = self.host.plugin("greet").unwrap();
        let plain = self.host_engine().precompile_module(wasm.as_bytes());
        assert!(plugin.module().serialize().unwrap() == plain.unwrap());
    }

    fn host_engine(&self) -> wasmtime::Engine {
        self.host.plugin("greet").unwrap().module().engine().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        let joined = self.follower.take().unwrap().join();
        assert!(joined.is_ok() || std::thread::panicking());
    }
}

/// The ways in which a file gets its contents.
#[derive(Clone, Copy)]
enum Way {
    /// Into the file, in one go.
    Written,
    /// Beside it, and renamed.
    Renamed,
    /// Into the file, in two pieces, with a pause in which half of it is there.
    InPieces,
}

fn write(way: Way, path: &Path, contents: &str) {
    match way {
        Way::Written => std::fs::write(path, contents).unwrap(),
        Way::Renamed => {
            let beside = path.with_extension("new");
            std::fs::write(&beside, contents).unwrap();
            std::fs::rename(&beside, path).unwrap();
        }
        Way::InPieces => {
            std::fs::write(path, &contents[..contents.len() / 2]).unwrap();
            std::thread::sleep(PAUSE);
            std::fs::write(path, contents).unwrap();
        }
    }
}

/// What clients and the one who writes plugins know of versions.
#[derive(Default)]
struct Versions {
    /// The newest that is known to be in service.
    in_service: AtomicU64,
    /// The newest that was written.
    written: AtomicU64,
    requests: AtomicU64,
    /// What went wrong, in words.
    complaints: Mutex<Vec<String>>,
}

impl Versions {
    /// A client's request: answered, by what was in service when it began or came later.
    fn request(&self, host: &Host, number: u64) {
        let least = self.in_service.load(Ordering::SeqCst);
        let request = format!("request {number}");
        let answer = host.answer("greet", &request);
        let most = self.written.load(Ordering::SeqCst);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let complaint = match answer {
            Err(error) => format!("{error:#}"),
            Ok(answer) => match number_of(&answer, &request) {
                version if (least..=most).contains(&version) => return,
                version => format!("{version} answered, and {least} to {most} should"),
            },
        };
        self.complaints.lock().unwrap().push(complaint);
    }
}

#[test]
fn a_plugin_changes_under_load() {
    const VERSIONS: u64 = 60;
    let running = Running::start();
    let path = running.path("greet.wat");
    let versions = Arc::new(Versions::default());
    let put = |way, number| {
        versions.written.store(number, Ordering::SeqCst);
        write(way, &path, &with_number(number));
    };
    put(Way::Renamed, 1);
    let first = running.reloaded();
    assert!(first.is_first);
    assert_eq!(first.functions.total, FUNCTIONS);
    running.assert_artifact(&with_number(1));
    versions.in_service.store(1, Ordering::SeqCst);

    let load = Load::start(4, {
        let (host, versions) = (running.host.clone(), versions.clone());
        move |number| versions.request(&host, number)
    });
    let mut served = 0;
    for number in 2..=VERSIONS {
        let way = [Way::Written, Way::Renamed, Way::InPieces][number as usize % 3];
        put(way, number);
        // Now and then the next one comes before this one is in service.
        if number % 5 == 0 && number != VERSIONS {
            continue;
        }
        running.await_number(number);
        versions.in_service.store(number, Ordering::SeqCst);
        while let Ok(outcome) = running.outcomes.try_recv() {
            match outcome {
                Ok(reloaded) => {
                    assert_eq!(reloaded.functions.compiled, 1, "{reloaded}");
                    assert_eq!(reloaded.failed, 0, "{reloaded}");
                    served += reloaded.served;
                }
                Err(refused) => assert!(refused.in_service, "{refused}"),
            }
        }
        if number % 20 == 0 {
            running.assert_artifact(&with_number(number));
        }
        if number % 7 == 0 {
            std::fs::write(&path, "(module (func (result i32)))").unwrap();
            let refused = refusal(&running);
            assert!(refused.in_service);
            assert_eq!(running.number(), number);
        }
    }
    assert!(load.finish());
    let complaints = versions.complaints.lock().unwrap();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(served > 0);
    assert!(versions.requests.load(Ordering::Relaxed) > VERSIONS);
    assert_eq!(running.number(), VERSIONS);
    running.assert_artifact(&with_number(VERSIONS));
}

/// The next refusal of a plugin that is whole, and does not compile.
fn refusal(running: &Running) -> Refused {
    loop {
        match running.next() {
            Err(refused) if refused.to_string().contains("type mismatch") => return refused,
            _ => {}
        }
    }
}

#[test]
fn what_is_refused_is_refused_in_wasmtimes_words() {
    let running = Running::start();
    let path = running.path("greet.wat");
    std::fs::write(&path, with_number(1)).unwrap();
    running.reloaded();
    let engine = running.host_engine();
    for broken in [
        // Half of one, invalid, and not even close.
        &with_number(2)[..500],
        "(module (func (result i32)))",
        "\0asm\x01\0\0\0\x01",
        "fn main() {}",
    ] {
        write(Way::Renamed, &path, broken);
        let refused = running.refused();
        let plain = engine.precompile_module(broken.as_bytes()).unwrap_err();
        assert_eq!(format!("{:#}", refused.error), format!("{plain:#}"));
        assert!(refused.to_string().contains("the version before stays"));
        assert_eq!(running.number(), 1);
    }
    // Each of these is a module, and none is a plugin.
    for (stranger, lacking) in [
        ("(module)", "`memory`"),
        (r#"(module (memory (export "memory") 1))"#, "`handle`"),
        (r#"(module (import "env" "f" (func)))"#, "env"),
        ("(module (func $f unreachable) (start $f))", "unreachable"),
    ] {
        write(Way::Renamed, &path, stranger);
        let refused = running.refused();
        assert!(refused.to_string().contains(lacking), "{refused}");
        assert_eq!(running.number(), 1);
    }
    std::fs::write(&path, with_number(2)).unwrap();
    running.reloaded();
    assert_eq!(running.number(), 2);
}

#[test]
fn a_plugin_that_hangs_harms_itself_alone() {
    let running = Running::start();
    std::fs::write(running.path("greet.wat"), with_number(1)).unwrap();
    running.reloaded();
    std::fs::write(running.path("other.wat"), hanging()).unwrap();
    running.reloaded();
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| running.host.answer("other", ""));
        while !hanging.is_finished() {
            assert_eq!(running.number(), 1);
        }
        let error = hanging.join().unwrap().unwrap_err();
        assert!(format!("{error:#}").contains("interrupt"), "{error:#}");
    });
    std::fs::write(running.path("other.wat"), with_number(2)).unwrap();
    let reloaded = running.reloaded();
    assert_eq!((reloaded.failed, reloaded.served), (1, 0));
    assert!(running.host.answer("other", "").is_ok());
}

#[test]
fn plugins_come_later_and_stay() {
    let running = Running::start();
    let error = running.host.answer("greet", "").unwrap_err();
    assert_eq!(error.to_string(), "there is no plugin 'greet'");
    // The text format under the name of the binary one, which is none of the host's business.
    std::fs::write(running.path("greet.wasm"), with_number(1)).unwrap();
    assert!(running.reloaded().is_first);
    assert_eq!(running.number(), 1);
    std::fs::remove_file(running.path("greet.wasm")).unwrap();
    std::fs::write(running.path("notes.txt"), "no plugin").unwrap();
    std::thread::sleep(PAUSE);
    assert_eq!(running.number(), 1);
    assert_eq!(running.host.names(), ["greet"]);
}
