//! One file out of an npm tarball, into memory.

use std::io::Read as _;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use tar::Archive;

/// Returns the content of the file `member` of a gzipped tar archive.
///
/// No path of the archive ever names a file of this machine. An entry is not read unless it says
/// that it is `bytes` long, so an archive cannot ask for more memory than that.
///
/// # Errors
///
/// The archive is damaged, or holds no regular file of that name and length.
pub(super) fn extract(tarball: &[u8], member: &str, bytes: u64) -> Result<Vec<u8>> {
    let mut archive = Archive::new(GzDecoder::new(tarball));
    for entry in archive.entries().context("cannot read the tarball")? {
        let mut entry = entry.context("cannot read the tarball")?;
        if *entry.path_bytes() != *member.as_bytes() || !entry.header().entry_type().is_file() {
            continue;
        }
        ensure!(
            entry.size() == bytes,
            "`{member}` has {} bytes in the tarball, it must have {bytes}",
            entry.size()
        );
        let mut content = Vec::with_capacity(usize::try_from(bytes)?);
        entry
            .read_to_end(&mut content)
            .with_context(|| format!("cannot unpack `{member}`"))?;
        ensure!(
            content.len() as u64 == bytes,
            "`{member}` is cut short in the tarball"
        );
        return Ok(content);
    }
    bail!("the tarball holds no file `{member}`")
}

/// Makes a tarball of the files, each a path and its content.
#[cfg(test)]
pub(super) fn pack_for_test(files: &[(&str, &[u8])]) -> Vec<u8> {
    use flate2::{Compression, write::GzEncoder};

    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_one_file() {
        let tarball = pack_for_test(&[
            ("package/package.json", b"{}"),
            ("package/dist/a.wasm", b"\0asm"),
            ("package/a.wasm", b"another"),
        ]);
        let content = extract(&tarball, "package/dist/a.wasm", 4).unwrap();
        assert_eq!(content, b"\0asm");
    }

    #[test]
    fn says_which_file_is_missing() {
        let tarball = pack_for_test(&[("package/package.json", b"{}")]);
        let error = extract(&tarball, "package/a.wasm", 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the tarball holds no file `package/a.wasm`"
        );
    }

    #[test]
    fn refuses_another_length() {
        let tarball = pack_for_test(&[("package/a.wasm", b"\0asm\x01")]);
        let error = extract(&tarball, "package/a.wasm", 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`package/a.wasm` has 5 bytes in the tarball, it must have 4"
        );
    }

    #[test]
    fn follows_no_link() {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder
            .append_link(&mut header, "package/a.wasm", "../outside")
            .unwrap();
        let tarball = builder.into_inner().unwrap().finish().unwrap();
        assert!(extract(&tarball, "package/a.wasm", 0).is_err());
    }

    #[test]
    fn refuses_a_damaged_tarball() {
        let tarball = pack_for_test(&[("package/a.wasm", &[7; 4096])]);
        assert!(extract(&tarball[..tarball.len() / 2], "package/a.wasm", 4096).is_err());
        assert!(extract(b"no archive", "package/a.wasm", 4096).is_err());
    }
}
