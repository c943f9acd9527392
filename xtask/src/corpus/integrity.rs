//! The two digests: SHA-512 of a tarball, as npm writes it, and SHA-256 of a module.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha2::{Digest as _, Sha256, Sha512};

/// A tarball's digest. It is read and written as npm's `dist.integrity` field: `sha512-` and the
/// digest in padded base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Integrity([u8; 64]);

impl Integrity {
    /// Reads an integrity field.
    ///
    /// # Errors
    ///
    /// Any other digest than SHA-512, or more than one, is an error.
    pub(super) fn parse(field: &str) -> Result<Self> {
        let Some(encoded) = field.strip_prefix("sha512-") else {
            bail!("the integrity `{field}` is not of the form `sha512-<base64>`");
        };
        let digest = BASE64_STANDARD
            .decode(encoded)
            .with_context(|| format!("the integrity `{field}` is not base64"))?;
        match digest.try_into() {
            Ok(digest) => Ok(Self(digest)),
            Err(digest) => bail!(
                "the integrity `{field}` holds {} bytes, a SHA-512 digest has 64",
                digest.len()
            ),
        }
    }

    /// The digest of a tarball.
    pub(super) fn of(tarball: &[u8]) -> Self {
        Self(Sha512::digest(tarball).into())
    }

    /// Succeeds if the tarball has this digest.
    pub(super) fn verify(self, tarball: &[u8]) -> Result<()> {
        let found = Self::of(tarball);
        ensure!(
            found == self,
            "the tarball's integrity is {found}, it must be {self}"
        );
        Ok(())
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha512-{}", BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The SHA-256 of a module, in lower-case hexadecimal.
pub(super) fn sha256(module: &[u8]) -> String {
    format!("{:x}", Sha256::digest(module))
}

/// Succeeds if the module has this SHA-256.
pub(super) fn verify_sha256(module: &[u8], expected: &str) -> Result<()> {
    let found = sha256(module);
    ensure!(
        found == expected,
        "the module's SHA-256 is {found}, it must be {expected}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests of `abc` that the standard itself gives as its example.
    const ABC_SHA512: &str = "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";
    const ABC_SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn reads_what_it_writes() {
        let integrity = Integrity::parse(ABC_SHA512).unwrap();
        assert_eq!(integrity, Integrity::of(b"abc"));
        assert_eq!(integrity.to_string(), ABC_SHA512);
    }

    #[test]
    fn refuses_what_is_no_sha512() {
        let bad = [
            "",
            "sha512-",
            "sha512-3a81oZNherrMQXNJriBBMQ==",
            "sha512-!!!!",
            "sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
            &ABC_SHA512[..ABC_SHA512.len() - 2],
            &format!("{ABC_SHA512} {ABC_SHA512}"),
        ];
        for field in bad {
            assert!(Integrity::parse(field).is_err(), "{field:?}");
        }
    }

    #[test]
    fn tells_another_tarball_apart() {
        let integrity = Integrity::parse(ABC_SHA512).unwrap();
        integrity.verify(b"abc").unwrap();
        let error = integrity.verify(b"abd").unwrap_err().to_string();
        assert!(error.ends_with(&format!("it must be {ABC_SHA512}")));
    }

    #[test]
    fn tells_another_module_apart() {
        verify_sha256(b"abc", ABC_SHA256).unwrap();
        let error = verify_sha256(b"abd", ABC_SHA256).unwrap_err().to_string();
        assert!(error.ends_with(&format!("it must be {ABC_SHA256}")));
    }
}
