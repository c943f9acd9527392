//! Who wrote what a remote has: Ed25519 keys, and which of them a client trusts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::str::FromStr;
use zeroize::Zeroizing;

/// What a secret key's line begins with.
const SECRET: &str = "ibid-secret-1:";
/// What a public key's line begins with.
const PUBLIC: &str = "ibid-public-1:";

/// The length of a signature, in bytes.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// The length of a public key, in bytes.
pub(crate) const KEY_BYTES: usize = 32;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the file cannot be used")]
    File(#[from] io::Error),
    /// The text is no key.
    #[error(
        "line {line} is no key: one is `{expected}` and 44 characters of Base64, as `ibid remote keygen` writes it"
    )]
    Malformed {
        /// The number of the line, from 1.
        line: usize,
        /// What a line begins with.
        expected: &'static str,
    },
    /// There is no key in the file.
    #[error("there is no key in it")]
    Empty,
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

/// The secret key of a writer, which signs what it uploads.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A new key, of the system's random numbers.
    ///
    /// # Errors
    ///
    /// If the system gives none.
    pub fn generate() -> Result<SecretKey, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(SecretKey(SigningKey::from_bytes(&seed)))
    }

    /// The key in a file: one line, as [`Self::write_to`] writes it. Empty lines and those that
    /// start with `#` do not count.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or there is no key in it.
    pub fn from_file(path: &Path) -> Result<SecretKey, KeyError> {
        let text = Zeroizing::new(fs::read_to_string(path)?);
        let (line, text) = lines(&text).next().ok_or(KeyError::Empty)?;
        let seed = Zeroizing::new(parse(text, SECRET, line)?);
        Ok(SecretKey(SigningKey::from_bytes(&seed)))
    }

    /// Writes the key to a new file that nobody else may read.
    ///
    /// # Errors
    ///
    /// If there is such a file already, or it cannot be written.
    pub fn write_to(&self, path: &Path) -> Result<(), KeyError> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let seed = Zeroizing::new(STANDARD.encode(self.0.to_bytes()));
        let line = Zeroizing::new(format!("{SECRET}{}\n", *seed));
        file.write_all(line.as_bytes())?;
        Ok(())
    }

    /// The public key that goes with it.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`, which is said to be a `what`.
    pub(crate) fn sign(&self, what: &str, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(&digest(what, message)).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

/// The public key of a writer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// What stands for a writer that does not sign.
    pub(crate) const NOBODY: PublicKey = PublicKey([0; KEY_BYTES]);

    pub(crate) fn from_bytes(bytes: [u8; KEY_BYTES]) -> PublicKey {
        PublicKey(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Whether `signature` is this writer's under `message`, said to be a `what`.
    pub(crate) fn has_signed(
        &self,
        what: &str,
        message: &[u8],
        signature: &[u8; SIGNATURE_BYTES],
    ) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else {
            return false;
        };
        let signature = Signature::from_bytes(signature);
        key.verify_strict(&digest(what, message), &signature)
            .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<PublicKey, KeyError> {
        parse(text.trim(), PUBLIC, 1).map(PublicKey)
    }
}

/// Whom a client believes.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Writers with one of these keys, and nobody else.
    Keys(Vec<PublicKey>),
    /// Whoever can write to the remote, signed or not. Whoever can do that then decides what
    /// machine code this client runs.
    Anyone,
}

impl Trust {
    /// The keys in a file: one on each line, with a name behind it if you like. Empty lines and
    /// those that start with `#` do not count.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, a line is no key, or there is none.
    pub fn from_file(path: &Path) -> Result<Trust, KeyError> {
        Self::from_text(&fs::read_to_string(path)?)
    }

    fn from_text(text: &str) -> Result<Trust, KeyError> {
        let key = |(number, line): (usize, &str)| {
            let key = line.split_whitespace().next().unwrap_or_default();
            parse(key, PUBLIC, number).map(PublicKey)
        };
        let keys: Vec<PublicKey> = lines(text).map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Trust::Keys(keys))
    }

    /// Whether what comes of all of `writers` together is believed.
    pub(crate) fn accepts(&self, writers: &[PublicKey]) -> bool {
        match self {
            Trust::Anyone => true,
            Trust::Keys(keys) => {
                // Nobody is trusted, even if a list has the key that stands for nobody.
                let is_trusted =
                    |writer: &PublicKey| *writer != PublicKey::NOBODY && keys.contains(writer);
                !writers.is_empty() && writers.iter().all(is_trusted)
            }
        }
    }

    /// Whether signatures count.
    pub(crate) fn is_strict(&self) -> bool {
        matches!(self, Trust::Keys(_))
    }
}

/// The lines of a file of keys, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = (1..).zip(text.lines().map(str::trim));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn parse(text: &str, prefix: &'static str, line: usize) -> Result<[u8; 32], KeyError> {
    let encoded = text.strip_prefix(prefix).map(|text| text.trim());
    let bytes = encoded.and_then(|text| STANDARD.decode(text).ok());
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(KeyError::Malformed {
            line,
            expected: prefix,
        })
}

/// What is signed: nothing that is signed as one thing is another.
fn digest(what: &str, message: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("ibid remote 1: signed");
    hasher.update(&(what.len() as u64).to_le_bytes());
    hasher.update(what.as_bytes());
    hasher.update(message);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_of_the_key_the_message_and_the_kind() {
        let [mine, other] = [(); 2].map(|()| SecretKey::generate().unwrap());
        let signature = mine.sign("pack", b"message");
        let key = mine.public();
        assert!(key.has_signed("pack", b"message", &signature));
        assert!(!key.has_signed("floor", b"message", &signature));
        assert!(!key.has_signed("pack", b"massage", &signature));
        assert!(!other.public().has_signed("pack", b"message", &signature));
        assert!(!PublicKey::NOBODY.has_signed("pack", b"message", &[0; 64]));
        for at in 0..SIGNATURE_BYTES {
            let mut changed = signature;
            changed[at] ^= 1;
            assert!(!key.has_signed("pack", b"message", &changed));
        }
    }

    #[test]
    fn keys_go_to_files_and_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let key = SecretKey::generate().unwrap();
        key.write_to(&path).unwrap();
        assert!(matches!(key.write_to(&path), Err(KeyError::File(_))));
        let read = SecretKey::from_file(&path).unwrap();
        assert_eq!(read.public(), key.public());
        let public = key.public().to_string();
        assert_eq!(public.parse::<PublicKey>().unwrap(), key.public());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_of_trusted_keys_has_names_and_comments() {
        let [a, b, c] = [(); 3].map(|()| SecretKey::generate().unwrap().public());
        let text = format!("# CI\n{a} ci-1\n\n  {b}\n");
        let trust = Trust::from_text(&text).unwrap();
        assert!(trust.accepts(&[a]) && trust.accepts(&[a, b]));
        assert!(!trust.accepts(&[c]) && !trust.accepts(&[a, c]) && !trust.accepts(&[]));
        assert!(matches!(Trust::from_text("# none\n"), Err(KeyError::Empty)));
        let nobody = Trust::from_text(&PublicKey::NOBODY.to_string()).unwrap();
        assert!(!nobody.accepts(&[PublicKey::NOBODY]));
        let wrong = Trust::from_text(&format!("{a}\nibid-public-1:short\n"));
        assert!(matches!(wrong, Err(KeyError::Malformed { line: 2, .. })));
    }
}
