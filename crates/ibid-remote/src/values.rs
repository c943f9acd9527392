//! Values that are stored one by one, each with what proves who wrote it.
//!
//! A signature takes longer to make and to check than all else about a small value. So values that
//! are stored together are signed in groups, as leaves of a hash tree: each carries its path to
//! the root, and the signature of the root is checked once for all of a group.
//!
//! ```text
//! offset  size  field (numbers are little-endian)
//!      0     8  "IBIDVL1\n"
//!      8    32  public key of the signer; zeros if there is none
//!     40     8  when it was written, in seconds since 1970 (UTC)
//!     48     8  until when it holds
//!     56     4  length of the value, unpacked
//!     60     1  bits: on which side the hashes beside the path are, from the leaf up; 1 is left
//!     61     1  length p of the path
//!     62  32·p  hashes beside the path, from the leaf up
//!      -    64  signature, as of a descriptor, of the word `values`, over both times and the root;
//!               if there is none, the root and zeros, by which damage is noticed
//!      -     -  a zstd frame: the value
//! ```
//!
//! A leaf is BLAKE3 in its mode to derive keys, of context `ibid remote 1: value`, over the length
//! of the key (8), the key, the length of the value (4) and the frame; a node the same of context
//! `ibid remote 1: node` over the two below it. The last one of an odd number goes up as it is.

use crate::bytes::{Malformed, Reader};
use crate::descriptor::Refusal;
use crate::pack::MAX_BLOCK_BYTES;
use crate::remote::{Shared, Wanted, now};
use crate::statistics::count;
use crate::trust::{PublicKey, SIGNATURE_BYTES, SecretKey, Trust};
use ibid_store::Entry;
use rustc_hash::FxHashSet;

const MAGIC: [u8; 8] = *b"IBIDVL1\n";

/// What a group is signed as.
const WHAT: &str = "values";

/// So many values are signed together.
const GROUP: usize = 64;

/// No path is longer.
const LONGEST_PATH: usize = 6;

/// How far in the future a value may be written, in seconds: clocks differ.
const CLOCKS_DIFFER: u64 = 60 * 60;

const LEVEL: i32 = 3;

type Hash = [u8; 32];

/// Seals `entries`, in their order.
pub(crate) fn seal(
    entries: &[Entry],
    key: Option<&SecretKey>,
    written: u64,
    lifetime: u64,
) -> Vec<Vec<u8>> {
    let group = |group: &[Entry]| seal_group(group, key, written, written.saturating_add(lifetime));
    entries.chunks(GROUP).flat_map(group).collect()
}

fn seal_group(
    entries: &[Entry],
    key: Option<&SecretKey>,
    written: u64,
    expires: u64,
) -> Vec<Vec<u8>> {
    let compress = |entry: &Entry| {
        zstd::bulk::compress(&entry.value, LEVEL)
            .expect("memory is compressed into memory, at a level that there is")
    };
    let frames: Vec<Vec<u8>> = entries.iter().map(compress).collect();
    let leaves = entries.iter().zip(&frames);
    let leaves = leaves.map(|(e, frame)| leaf(&e.key, e.value.len() as u32, frame));
    let levels = tree(leaves.collect());
    let root = levels.last().expect("a group has values")[0];
    let signature = key.map_or(unsigned(&root), |key| {
        key.sign(WHAT, &signed(written, expires, &root))
    });
    let signer = key.map_or(PublicKey::NOBODY, SecretKey::public);
    let value = |(place, (entry, frame)): (usize, (&Entry, &Vec<u8>))| {
        let (sides, path) = path(&levels, place);
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(signer.as_bytes());
        out.extend_from_slice(&written.to_le_bytes());
        out.extend_from_slice(&expires.to_le_bytes());
        out.extend_from_slice(&(entry.value.len() as u32).to_le_bytes());
        out.extend_from_slice(&[sides, path.len() as u8]);
        path.iter().for_each(|hash| out.extend_from_slice(hash));
        out.extend_from_slice(&signature);
        out.extend_from_slice(frame);
        out
    };
    entries.iter().zip(&frames).enumerate().map(value).collect()
}

/// All levels of the tree, from the leaves to the root.
fn tree(leaves: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut levels = vec![leaves];
    while let Some(last) = levels.last()
        && last.len() > 1
    {
        let up = last.chunks(2).map(|pair| match pair {
            [left, right] => node(left, right),
            alone => alone[0],
        });
        let up = up.collect();
        levels.push(up);
    }
    levels
}

/// The hashes beside the path of the leaf at `place`, and on which sides they are.
fn path(levels: &[Vec<Hash>], place: usize) -> (u8, Vec<Hash>) {
    let (mut sides, mut path) = (0, Vec::new());
    for (depth, level) in levels.iter().take(levels.len() - 1).enumerate() {
        let place = place >> depth;
        if let Some(beside) = level.get(place ^ 1) {
            sides |= ((place & 1) as u8) << path.len();
            path.push(*beside);
        }
    }
    (sides, path)
}

/// A sealed value that was taken apart and not looked at.
pub(crate) struct Sealed<'b> {
    signer: PublicKey,
    pub(crate) written: u64,
    expires: u64,
    raw_length: u32,
    root: Hash,
    signature: [u8; SIGNATURE_BYTES],
    frame: &'b [u8],
}

/// Whose signatures were found to be right.
#[derive(Default)]
pub(crate) struct Checked(FxHashSet<(PublicKey, [u8; SIGNATURE_BYTES], Hash, u64, u64)>);

impl Checked {
    /// Whether the signature of `sealed` is right, or, where nobody signed, its root.
    fn contains(&mut self, sealed: &Sealed<'_>) -> bool {
        let Sealed {
            signer,
            signature,
            root,
            written,
            expires,
            ..
        } = sealed;
        if *signer == PublicKey::NOBODY {
            return *signature == unsigned(root);
        }
        let group = (*signer, *signature, *root, *written, *expires);
        if self.0.contains(&group) {
            return true;
        }
        let is_right = signer.has_signed(WHAT, &signed(*written, *expires, root), signature);
        if is_right {
            self.0.insert(group);
        }
        is_right
    }
}

impl<'b> Sealed<'b> {
    /// Takes what is stored under `key` apart.
    pub(crate) fn parse(key: &[u8], bytes: &'b [u8]) -> Result<Sealed<'b>, Malformed> {
        let mut input = Reader(bytes);
        if input.array()? != MAGIC {
            return Err(Malformed);
        }
        let signer = PublicKey::from_bytes(input.array()?);
        let (written, expires) = (input.u64()?, input.u64()?);
        let (raw_length, sides, length) = (input.u32()?, input.u8()?, input.u8()? as usize);
        if length > LONGEST_PATH || raw_length as usize > MAX_BLOCK_BYTES {
            return Err(Malformed);
        }
        let mut path = Vec::with_capacity(length);
        for _ in 0..length {
            path.push(input.array()?);
        }
        let signature = input.array()?;
        let frame = input.0;
        let leaf = leaf(key, raw_length, frame);
        let root = path
            .iter()
            .enumerate()
            .fold(leaf, |below, (level, beside)| match sides >> level & 1 {
                0 => node(&below, beside),
                _ => node(beside, &below),
            });
        Ok(Sealed {
            signer,
            written,
            expires,
            raw_length,
            root,
            signature,
            frame,
        })
    }

    /// The value, if it is of somebody whom `trust` trusts, and holds at the time `now`.
    pub(crate) fn open(
        &self,
        trust: &Trust,
        now: u64,
        checked: &mut Checked,
    ) -> Result<Vec<u8>, Refusal> {
        if !trust.accepts(&[self.signer]) {
            return Err(Refusal::Untrusted);
        }
        if now >= self.expires || self.written > now.saturating_add(CLOCKS_DIFFER) {
            return Err(Refusal::Expired);
        }
        if !checked.contains(self) {
            return Err(Refusal::Forged);
        }
        let length = self.raw_length as usize;
        let value = zstd::bulk::decompress(self.frame, length).map_err(|_| Refusal::Malformed)?;
        match value.len() == length {
            true => Ok(value),
            false => Err(Refusal::Malformed),
        }
    }
}

/// Opens what was `found` of `wanted`.
pub(crate) fn take_in(
    shared: &Shared,
    wanted: &Wanted,
    found: impl Iterator<Item = (usize, Vec<u8>)>,
) {
    let (counting, mut checked) = (&shared.counting, Checked::default());
    let mut values = Vec::new();
    for (number, bytes) in found {
        count(&counting.bytes_read, bytes.len() as u64);
        let key = &wanted.keys[number];
        let sealed = Sealed::parse(key, &bytes).map_err(Refusal::from);
        let opened = sealed.and_then(|sealed| {
            let value = sealed.open(&shared.trust, now(), &mut checked)?;
            Ok((sealed.written, value))
        });
        match opened {
            Ok((written, value)) => {
                shared.found(key, &value, written);
                values.push((key, value));
            }
            Err(Refusal::Expired) => count(&counting.expired, 1),
            Err(Refusal::Malformed) => count(&counting.damaged, 1),
            Err(refusal) => {
                count(&counting.refused, 1);
                tracing::warn!("a value of the remote is refused: it is {refusal}");
            }
        }
    }
    let pairs = values.iter();
    wanted.found(pairs.map(|(key, value)| (key.as_slice(), value.as_slice())));
}

fn leaf(key: &[u8], raw_length: u32, frame: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("ibid remote 1: value");
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(&raw_length.to_le_bytes());
    hasher.update(frame);
    hasher.finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("ibid remote 1: node");
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// What stands in the place of a signature.
fn unsigned(root: &Hash) -> [u8; SIGNATURE_BYTES] {
    let mut bytes = [0; SIGNATURE_BYTES];
    bytes[..root.len()].copy_from_slice(root);
    bytes
}

fn signed(written: u64, expires: u64, root: &Hash) -> Vec<u8> {
    [&written.to_le_bytes()[..], &expires.to_le_bytes(), root].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn entries(count: u32) -> Vec<Entry> {
        let entry = |number: u32| Entry {
            key: number.to_le_bytes().to_vec(),
            value: number.to_le_bytes().repeat(number as usize % 50),
        };
        (0..count).map(entry).collect()
    }

    fn open(key: &[u8], bytes: &[u8], trust: &Trust) -> Result<Vec<u8>, Refusal> {
        Sealed::parse(key, bytes)?.open(trust, NOW, &mut Checked::default())
    }

    #[test]
    fn values_of_groups_of_any_size_are_opened() {
        let key = SecretKey::generate().unwrap();
        let trust = Trust::Keys(vec![key.public()]);
        for count in (1..=20).chain([63, 64, 65, 130]) {
            let entries = entries(count);
            let sealed = seal(&entries, Some(&key), NOW, 100);
            let mut checked = Checked::default();
            for (entry, bytes) in entries.iter().zip(&sealed) {
                let parsed = Sealed::parse(&entry.key, bytes).unwrap();
                let value = parsed.open(&trust, NOW, &mut checked);
                assert_eq!(value.as_ref(), Ok(&entry.value), "of {count}");
            }
            assert_eq!(checked.0.len(), (count as usize).div_ceil(GROUP));
        }
    }

    #[test]
    fn nothing_else_is_opened() {
        let [key, other] = [(); 2].map(|()| SecretKey::generate().unwrap());
        let trust = Trust::Keys(vec![key.public()]);
        let entries = entries(5);
        let sealed = seal(&entries, Some(&key), NOW, 100);
        for (entry, bytes) in entries.iter().zip(&sealed) {
            assert!(open(&entry.key, bytes, &trust).is_ok());
            assert!(open(b"another key", bytes, &trust).is_err());
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(open(&entry.key, &changed, &trust).is_err(), "byte {at}");
                assert!(open(&entry.key, &bytes[..at], &trust).is_err());
            }
        }
        let swapped = open(&entries[0].key, &sealed[1], &trust);
        assert_eq!(swapped, Err(Refusal::Forged));
        let late = Sealed::parse(&entries[0].key, &sealed[0]).unwrap();
        let late = late.open(&trust, NOW + 100, &mut Checked::default());
        assert_eq!(late, Err(Refusal::Expired));
        let others = seal(&entries, Some(&other), NOW, 100);
        let refused = open(&entries[0].key, &others[0], &trust);
        assert_eq!(refused, Err(Refusal::Untrusted));
        let unsigned = seal(&entries, None, NOW, 100);
        let refused = open(&entries[0].key, &unsigned[0], &trust);
        assert_eq!(refused, Err(Refusal::Untrusted));
        assert!(open(&entries[0].key, &unsigned[0], &Trust::Anyone).is_ok());
    }

    #[test]
    fn damage_is_noticed_by_who_trusts_anyone() {
        let key = SecretKey::generate().unwrap();
        let entries = entries(5);
        for signer in [None, Some(&key)] {
            let sealed = seal(&entries, signer, NOW, 100);
            let times = 40..56;
            for at in (0..sealed[3].len()).filter(|at| signer.is_some() || !times.contains(at)) {
                let mut changed = sealed[3].clone();
                changed[at] ^= 1;
                let opened = open(&entries[3].key, &changed, &Trust::Anyone);
                assert!(opened.is_err(), "byte {at}");
            }
            let swapped = open(&entries[0].key, &sealed[1], &Trust::Anyone);
            assert_eq!(swapped, Err(Refusal::Forged));
        }
    }
}
