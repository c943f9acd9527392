//! The floor: what a remote does not go back behind.
//!
//! Descriptors hold until they expire, so whoever can write to the remote could put old ones back
//! that were removed for a reason. The floor says from when on descriptors count, and has a
//! number that only grows: a client that has seen one refuses a smaller one, and a remote that
//! has none any more. `ibid remote gc` raises it.
//!
//! ```text
//! offset  size  field (little-endian)
//!      0     8  "IBIDFL1\n"
//!      8    32  public key of the signer; zeros if there is none
//!     40     8  number
//!     48     8  descriptors that were written before this time do not count
//!     56    64  signature of all before, as of a descriptor, of the word `floor`
//! ```

use crate::bytes::{Malformed, Reader};
use crate::descriptor::Refusal;
use crate::trust::{PublicKey, SIGNATURE_BYTES, SecretKey, Trust};

const MAGIC: [u8; 8] = *b"IBIDFL1\n";

/// What a floor is signed as.
const WHAT: &str = "floor";

/// What a remote does not go back behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) number: u64,
    pub(crate) not_before: u64,
}

impl Floor {
    pub(crate) fn write(self, key: Option<&SecretKey>) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let signer = key.map_or(PublicKey::NOBODY, SecretKey::public);
        out.extend_from_slice(signer.as_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.not_before.to_le_bytes());
        let signature = key.map_or([0; SIGNATURE_BYTES], |key| key.sign(WHAT, &out));
        out.extend_from_slice(&signature);
        out
    }

    /// Reads a floor, if it is of somebody whom `trust` trusts.
    pub(crate) fn read(bytes: &[u8], trust: &Trust) -> Result<Floor, Refusal> {
        let mut input = Reader(bytes);
        if input.array()? != MAGIC {
            return Err(Refusal::Malformed);
        }
        let signer = PublicKey::from_bytes(input.array()?);
        let floor = Floor {
            number: input.u64()?,
            not_before: input.u64()?,
        };
        let signature = input.array()?;
        input.finish().map_err(|Malformed| Refusal::Malformed)?;
        if !trust.accepts(&[signer]) {
            return Err(Refusal::Untrusted);
        }
        let signed = &bytes[..bytes.len() - SIGNATURE_BYTES];
        if trust.is_strict() && !signer.has_signed(WHAT, signed, &signature) {
            return Err(Refusal::Forged);
        }
        Ok(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_of_who_is_trusted() {
        let [mine, other] = [(); 2].map(|()| SecretKey::generate().unwrap());
        let floor = Floor {
            number: 7,
            not_before: 1_800_000_000,
        };
        let trust = Trust::Keys(vec![mine.public()]);
        let bytes = floor.write(Some(&mine));
        assert_eq!(Floor::read(&bytes, &trust), Ok(floor));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Floor::read(&changed, &trust).is_err());
            assert!(Floor::read(&bytes[..at], &trust).is_err());
        }
        let others = floor.write(Some(&other));
        assert_eq!(Floor::read(&others, &trust), Err(Refusal::Untrusted));
        let unsigned = floor.write(None);
        assert_eq!(Floor::read(&unsigned, &trust), Err(Refusal::Untrusted));
        assert_eq!(Floor::read(&unsigned, &Trust::Anyone), Ok(floor));
    }
}
