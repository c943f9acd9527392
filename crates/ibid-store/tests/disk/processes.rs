//! Several processes on one store, and processes that are killed.
//!
//! A child is this test binary, told by an environment variable to run one of the roles below.

use crate::common::{SMALL_STORE, entries, found, open, trouble};
use ibid_store::{CacheStore, Counters};
use std::env;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const ROLE: &str = "IBID_STORE_TEST_ROLE";
const DIRECTORY: &str = "IBID_STORE_TEST_DIRECTORY";

/// Starts a child in `role`.
fn spawn(role: &str, directory: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture"])
        .env(ROLE, role)
        .env(DIRECTORY, directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Does nothing but in a child.
#[test]
fn child() {
    let (Ok(role), Some(directory)) = (env::var(ROLE), env::var_os(DIRECTORY)) else {
        return;
    };
    match role.as_str() {
        "store and look up" => store_and_look_up(Path::new(&directory)),
        "store until killed" => store_until_killed(Path::new(&directory)),
        role => panic!("no such role: {role}"),
    }
}

fn store_and_look_up(directory: &Path) {
    let store = open(directory, &SMALL_STORE);
    // Each process starts somewhere else, and stores what others store as well.
    let offset = std::process::id() % 10;
    for step in 0..40 {
        let start = (offset + step) % 10 * 30;
        assert_eq!(store.insert_many(entries(start..start + 60)), 60);
        assert_eq!(found(&store, start..start + 60), 60);
    }
    assert_eq!(trouble(&store), Counters::default());
}

/// What is stored until somebody puts an end to it.
const MOST_NUMBERS: u32 = 20_000;

fn store_until_killed(directory: &Path) {
    let store = open(directory, &SMALL_STORE);
    let mut start = std::process::id() % 100 * 100;
    loop {
        store.insert_many(entries(start..start + 50));
        found(&store, start..start + 50);
        start = (start + 50) % MOST_NUMBERS;
    }
}

#[test]
fn processes_write_the_same_entries_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| spawn("store and look up", directory.path()))
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let store = open(directory.path(), &SMALL_STORE);
    assert_eq!(found(&store, 0..330), 330);
    assert_eq!(trouble(&store), Counters::default());
}

#[test]
fn a_process_sees_what_another_one_stores() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &SMALL_STORE);
    assert_eq!(found(&store, 0..330), 0);
    let mut child = spawn("store and look up", directory.path());
    assert!(child.wait().unwrap().success());
    assert_eq!(found(&store, 0..330), 330);
}

#[test]
fn killed_processes_leave_an_intact_store() {
    let directory = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let mut rounds = 0;
    let mut most_found = 0;
    // Another handle in this process stays open through it all, as does one that is reopened.
    let witness = open(directory.path(), &SMALL_STORE);
    while rounds < 20 && started.elapsed() < Duration::from_secs(15) {
        let mut children = [(); 2].map(|()| spawn("store until killed", directory.path()));
        for (number, child) in children.iter_mut().enumerate() {
            sleep(Duration::from_millis(30 + 7 * rounds + 11 * number as u64));
            // SIGKILL.
            child.kill().unwrap();
            child.wait().unwrap();
            // The writer's lock is free although whoever held it is dead.
            assert_eq!(witness.insert_many(entries(30_000..30_010)), 10);
        }
        let found = found(&witness, 0..MOST_NUMBERS);
        most_found = most_found.max(found);
        assert_eq!(trouble(&witness), Counters::default());
        rounds += 1;
    }
    assert!(rounds >= 5, "only {rounds} rounds in the time there is");
    assert!(
        most_found > 100,
        "the children had no time to store anything"
    );
}

#[test]
fn a_store_whose_last_process_was_killed_opens() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let mut child = spawn("store until killed", directory.path());
        sleep(Duration::from_millis(20 + 13 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(directory.path(), &SMALL_STORE);
        found(&store, 0..MOST_NUMBERS);
        assert_eq!(store.insert_many(entries(30_000..30_010)), 10);
        assert_eq!(trouble(&store), Counters::default());
    }
}
