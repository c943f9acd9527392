//! A file put in its place as a whole, or not at all.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes `content` to `directory/name`, replacing what is there. The directory is made if need be.
///
/// The content is written aside and then renamed, so whoever opens the file sees all of it. An
/// error leaves the directory as it was.
pub(super) fn place(directory: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = directory.join(name);
    let write = || -> Result<()> {
        std::fs::create_dir_all(directory)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".").suffix(".partial");
        #[cfg(unix)]
        {
            // As any other new file, where a temporary one would be its owner's alone.
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut aside = builder.tempfile_in(directory)?;
        aside.write_all(content)?;
        // The error would hold the file aside, and so keep it: drop that half now.
        aside.persist(&path).map_err(|failed| failed.error)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("corpus");
        place(&directory, "a.wasm", b"one").unwrap();
        place(&directory, "a.wasm", b"two").unwrap();
        assert_eq!(std::fs::read(directory.join("a.wasm")).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn leaves_nothing_behind_when_it_fails() {
        let directory = tempfile::tempdir().unwrap();
        // A directory cannot be replaced by a file.
        std::fs::create_dir(directory.path().join("a.wasm")).unwrap();
        let error = place(directory.path(), "a.wasm", b"one").unwrap_err();
        assert!(error.to_string().starts_with("cannot write"));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
