//! Runs a target on random cases for some minutes of processor time, without a fuzzer.
//!
//! ```text
//! cargo run --release -p ibid-campaign -- TARGET --minutes M [--seed S] [--threads N]
//! cargo run --release -p ibid-campaign -- TARGET --replay FILE
//! ```
//!
//! `TARGET` may be `all`. The minutes are those of all threads together, for each target.
//!
//! With the feature `drop-facts`, `--drop FACT` (or `all`) in place of a long run tells how soon a
//! target finds out that keys lack a fact: what a campaign that finds nothing is worth.

use ibid_campaign::targets::{self, Target};
use ibid_campaign::{Random, Tally, write_aside};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

const USAGE: &str = "usage: campaign TARGET (--minutes M [--seed S] [--threads N] | --replay FILE)
targets: all, same_again, parameters_only, moved_addresses, components, anything_else, stencil_bytes, engine_settings";

struct Arguments {
    targets: Vec<Target>,
    time: Duration,
    seed: u64,
    threads: u32,
    replay: Option<String>,
    #[cfg(feature = "drop-facts")]
    drop: Option<String>,
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    #[cfg(feature = "drop-facts")]
    if let Some(fact) = &arguments.drop {
        return dropping::run(fact, &arguments);
    }
    let mut failures = 0;
    for target in &arguments.targets {
        if let Some(file) = &arguments.replay {
            let data = match fs::read(file) {
                Ok(data) => data,
                Err(error) => {
                    eprintln!("{file}: {error}");
                    return ExitCode::from(2);
                }
            };
            println!("{}: {}", target.name, (target.run)(&data));
            continue;
        }
        let (tally, failed) = campaign(*target, &arguments);
        println!(
            "{}: {tally}; {failed} failures (seed {:#x})",
            target.name, arguments.seed
        );
        failures += failed;
    }
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Arguments {
    fn read() -> Option<Arguments> {
        let mut words = env::args().skip(1);
        let name = words.next()?;
        let targets = match &*name {
            "all" => targets::ALL.to_vec(),
            name => vec![targets::find(name)?],
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let mut arguments = Arguments {
            targets,
            time: Duration::from_secs(60),
            seed: now.as_nanos() as u64,
            threads: 2,
            replay: None,
            #[cfg(feature = "drop-facts")]
            drop: None,
        };
        while let Some(option) = words.next() {
            let value = words.next()?;
            match &*option {
                "--minutes" => {
                    let minutes: f64 = value.parse().ok()?;
                    arguments.time = Duration::try_from_secs_f64(minutes * 60.0).ok()?;
                }
                "--seed" => {
                    arguments.seed = match value.strip_prefix("0x") {
                        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
                        None => value.parse().ok()?,
                    };
                }
                "--threads" => arguments.threads = value.parse().ok().filter(|n| *n > 0)?,
                "--replay" => arguments.replay = Some(value),
                #[cfg(feature = "drop-facts")]
                "--drop" => arguments.drop = Some(value),
                _ => return None,
            }
        }
        Some(arguments)
    }
}

/// Runs `target` until the time is up on every thread.
fn campaign(target: Target, arguments: &Arguments) -> (Tally, u64) {
    let total = Mutex::new((Tally::default(), 0));
    thread::scope(|scope| {
        for number in 0..arguments.threads {
            let seed = arguments
                .seed
                .wrapping_add(u64::from(number).wrapping_mul(1 << 32));
            let time = arguments.time / arguments.threads;
            let total = &total;
            scope.spawn(move || {
                let (tally, failed) = run(target, seed, time);
                let mut total = total.lock().expect("no thread panics");
                total.0 += tally;
                total.1 += failed;
            });
        }
    });
    total.into_inner().expect("no thread panics")
}

/// The processor time of this thread; the time on the clock where the system does not say.
fn processor_time() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// Runs `target` on the cases of `seed`, `seed + 1` …, for so much time.
fn run(target: Target, mut seed: u64, time: Duration) -> (Tally, u64) {
    let (mut tally, mut failed) = (Tally::default(), 0);
    let start = processor_time();
    let mut said = start;
    while processor_time().saturating_sub(start) < time {
        if processor_time().saturating_sub(said) > Duration::from_secs(60) {
            said = processor_time();
            eprintln!("{}, a thread so far: {tally}", target.name);
        }
        let data = Random::new(seed).case();
        match catch_unwind(AssertUnwindSafe(|| (target.run)(&data))) {
            Ok(one) => tally += one,
            Err(_) => {
                failed += 1;
                let written = write_aside(target.name, &data, &[("", &data)]);
                let file =
                    written.map_or_else(|error| error.to_string(), |p| p.display().to_string());
                eprintln!("{}: seed {seed:#x} failed: {file}", target.name);
            }
        }
        seed = seed.wrapping_add(1);
    }
    (tally, failed)
}

/// How soon a fact is missed.
#[cfg(feature = "drop-facts")]
mod dropping {
    use super::{Arguments, Random, Tally, Target, processor_time};
    use ibid::{KeyFact, drop_fact};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::process::ExitCode;
    use std::thread;
    use std::time::Duration;

    /// Leaves out one fact after the other; the facts that no target missed are the exit's reason.
    pub(super) fn run(name: &str, arguments: &Arguments) -> ExitCode {
        std::panic::set_hook(Box::new(|_| {}));
        let mut unseen = Vec::new();
        let facts = KeyFact::ALL.iter().copied();
        for fact in facts.filter(|fact| name == "all" || name == format!("{fact:?}")) {
            drop_fact(Some(fact));
            let seen = arguments.targets.iter().find_map(|target| {
                // A thread of its own has engines of its own.
                let search = || first_failure(*target, arguments.seed, arguments.time);
                let cases = thread::scope(|scope| scope.spawn(search).join());
                Some((target.name, cases.expect("the search does not panic")?))
            });
            match seen {
                Some((target, cases)) => println!("{fact:?}: {target} in {cases} cases"),
                None => {
                    println!("{fact:?}: not seen");
                    unseen.push(fact);
                }
            }
        }
        println!("not seen: {unseen:?}");
        ExitCode::from(u8::from(!unseen.is_empty()))
    }

    fn first_failure(target: Target, seed: u64, time: Duration) -> Option<u64> {
        let start = processor_time();
        let mut tally = Tally::default();
        while processor_time().saturating_sub(start) < time {
            let data = Random::new(seed.wrapping_add(tally.cases)).case();
            match catch_unwind(AssertUnwindSafe(|| (target.run)(&data))) {
                Ok(one) => tally += one,
                Err(_) => return Some(tally.cases + 1),
            }
        }
        None
    }
}
