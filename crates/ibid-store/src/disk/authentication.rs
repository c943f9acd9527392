//! The key with which entries are authenticated.

use super::private;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// What makes and checks the codes of entries, see
/// [`DiskOptions::authentication`](crate::DiskOptions::authentication).
///
/// Whoever has the key can make entries that are accepted, and nobody else can.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthenticationKey([u8; 32]);

impl AuthenticationKey {
    /// What the key of the codes is derived for, in the words of BLAKE3's `derive_key`.
    pub(super) const CONTEXT: &str = "ibid-store 2026-11 authentication of entries";

    /// The fewest bytes that a secret has to have.
    pub const LEAST_BYTES: usize = 32;

    /// The most bytes of a file that are read.
    const MOST_BYTES: u64 = 1 << 16;

    /// The key made of `secret`; `None` if that is shorter than
    /// [`LEAST_BYTES`](Self::LEAST_BYTES).
    pub fn new(secret: &[u8]) -> Option<AuthenticationKey> {
        let is_long_enough = secret.len() >= Self::LEAST_BYTES;
        is_long_enough.then(|| AuthenticationKey(blake3::derive_key(Self::CONTEXT, secret)))
    }

    /// The key made of the contents of a file: all its bytes, whatever they are.
    ///
    /// # Errors
    ///
    /// What the operating system says; [`ErrorKind::InvalidData`] if the file has fewer than
    /// [`LEAST_BYTES`](Self::LEAST_BYTES) or more than 65,536 bytes; and
    /// [`ErrorKind::PermissionDenied`], on Unix, if others than its owner may read or write it,
    /// or it is neither the user's own nor root's.
    pub fn from_file(path: impl AsRef<Path>) -> io::Result<AuthenticationKey> {
        let file = File::open(path)?;
        private::check_secret(&file.metadata()?)?;
        let mut secret = Vec::new();
        file.take(Self::MOST_BYTES + 1).read_to_end(&mut secret)?;
        if secret.len() as u64 > Self::MOST_BYTES {
            let message = format!("the file is longer than {} bytes", Self::MOST_BYTES);
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        AuthenticationKey::new(&secret).ok_or_else(|| {
            let message = format!(
                "the key has {} bytes and needs {} (`head -c 32 /dev/urandom` makes some)",
                secret.len(),
                Self::LEAST_BYTES
            );
            io::Error::new(ErrorKind::InvalidData, message)
        })
    }

    pub(super) fn hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.0)
    }
}

impl fmt::Debug for AuthenticationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticationKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_not_shown() {
        let key = AuthenticationKey::new(&[0x2a; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "AuthenticationKey(..)");
    }

    #[test]
    #[cfg(unix)]
    fn comes_from_a_file_that_nobody_else_reads() {
        use std::fs::{self, Permissions};
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let with = |bytes: &[u8], mode| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            AuthenticationKey::from_file(&path)
        };
        assert_eq!(
            with(&[1; 40], 0o600).unwrap(),
            AuthenticationKey::new(&[1; 40]).unwrap()
        );
        let kind = |result: io::Result<AuthenticationKey>| result.unwrap_err().kind();
        assert_eq!(kind(with(&[1; 31], 0o600)), ErrorKind::InvalidData);
        assert_eq!(kind(with(&[1; 65_537], 0o600)), ErrorKind::InvalidData);
        assert_eq!(kind(with(&[1; 40], 0o640)), ErrorKind::PermissionDenied);
        assert_eq!(kind(with(&[1; 40], 0o604)), ErrorKind::PermissionDenied);
        fs::remove_file(&path).unwrap();
        let absent = AuthenticationKey::from_file(&path);
        assert_eq!(kind(absent), ErrorKind::NotFound);
    }
}
