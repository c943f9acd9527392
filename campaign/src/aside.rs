//! Where failing inputs and differing artifacts go.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The directory for what failed: `$IBID_ASIDE`, or `campaign-failures` in the workspace.
pub fn directory() -> PathBuf {
    match env::var_os("IBID_ASIDE") {
        Some(directory) => directory.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the crate lies in the workspace")
            .join("campaign-failures"),
    }
}

/// Writes `parts` — an ending and bytes each — under one name into [`directory`]. The name is
/// `about` and a digest of `of`. Returns the path without an ending.
///
/// # Errors
///
/// Those of the file system.
pub fn write_aside(about: &str, of: &[u8], parts: &[(&str, &[u8])]) -> io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    let directory = directory();
    fs::create_dir_all(&directory)?;
    // Nobody commits what failed by accident.
    fs::write(directory.join(".gitignore"), "*\n")?;
    let path = directory.join(format!("{about}-{:016x}", hasher.finish()));
    for (ending, bytes) in parts {
        let mut name = path.clone().into_os_string();
        name.push(ending);
        fs::write(name, bytes)?;
    }
    Ok(path)
}
