//! Where the cache is.

use ibid::{CacheStore, MemoryStore};
use ibid_store::DiskStore;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names the directory of the cache, if it is not to be in `target/`.
const VARIABLE: &str = "FIXTURE_CACHE";

/// The cache of all test processes. Where there cannot be one, tests are slower, and pass.
pub(crate) fn open() -> Arc<dyn CacheStore> {
    let directory = directory();
    match DiskStore::open(&directory) {
        Ok(store) => Arc::new(store),
        Err(error) => {
            eprintln!("tests compile without a cache ({VARIABLE} can name another): {error}");
            Arc::new(MemoryStore::new())
        }
    }
}

/// In `target/`, so that `cargo clean` removes it, and CI keeps it with all else that was built.
fn directory() -> PathBuf {
    if let Some(directory) = env::var_os(VARIABLE) {
        return directory.into();
    }
    let target = env::current_exe().ok().and_then(|test| target_of(&test));
    match target {
        Some(target) => target.join("fixture.ibid"),
        // Not a test that Cargo has built.
        None => env::temp_dir().join("fixture.ibid"),
    }
}

/// The directory `target/`, or what it is called, that a test was built in. Cargo does not tell at
/// run time, but it puts tests into `target/PROFILE/deps/`, or `target/TRIPLE/PROFILE/deps/`: then
/// this is `target/TRIPLE/`.
fn target_of(test: &Path) -> Option<PathBuf> {
    let deps = test
        .parent()
        .filter(|directory| directory.ends_with("deps"))?;
    Some(deps.parent()?.parent()?.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_of_a_test_is_in_its_target_directory() {
        let test = env::current_exe().unwrap();
        let target = target_of(&test).unwrap();
        assert_eq!(test.strip_prefix(&target).unwrap().components().count(), 3);
        assert_eq!(target_of(Path::new("/usr/bin/test")), None);
        assert_eq!(target_of(Path::new("deps/test")), None);
    }
}
