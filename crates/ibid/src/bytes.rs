//! Reading and writing of the flat little-endian arrays that the store holds.

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed entry")]
pub struct Malformed;

/// Appends little-endian values.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// A writer of nothing yet, in the memory of `bytes`.
    pub(crate) fn reusing(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Writer(bytes)
    }

    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Writer(Vec::with_capacity(bytes))
    }

    pub(crate) fn word(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A length or an offset.
    ///
    /// # Panics
    ///
    /// Panics if `value` does not fit into 32 bits; no function's code or metadata does.
    pub(crate) fn u32(&mut self, value: usize) {
        self.word(u32::try_from(value).expect("a function's metadata is smaller than 4 GiB"));
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Zeros up to a multiple of four bytes.
    pub(crate) fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Takes little-endian values off the front; never panics.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn word(&mut self) -> Result<u32, Malformed> {
        let bytes = self.raw(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A length or an offset.
    pub(crate) fn u32(&mut self) -> Result<usize, Malformed> {
        Ok(self.word()? as usize)
    }

    pub(crate) fn words(&mut self, count: usize) -> Result<Words<'a>, Malformed> {
        Ok(Words(self.raw(count.checked_mul(4).ok_or(Malformed)?)?))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.raw(N)?.try_into().map_err(|_| Malformed)
    }

    /// `length` bytes and the zeros behind them up to a multiple of four.
    pub(crate) fn padded(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let bytes = self.raw(length)?;
        self.raw(length.next_multiple_of(4) - length)?;
        Ok(bytes)
    }

    /// The number of bytes that were not taken yet.
    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }
}

/// An array of 32-bit little-endian words, read in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    pub(crate) fn len(self) -> usize {
        self.0.len() / 4
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// # Panics
    ///
    /// Panics if there are not so many words; [`get`](Self::get) does not.
    pub(crate) fn at(self, index: usize) -> u32 {
        self.get(index).expect("the index is in bounds")
    }

    pub(crate) fn get(self, index: usize) -> Option<u32> {
        let rest = self.0.get(index.checked_mul(4)?..)?;
        rest.first_chunk().copied().map(u32::from_le_bytes)
    }

    /// The first `count` words, and the rest.
    pub(crate) fn split_at(self, count: usize) -> Result<(Words<'a>, Words<'a>), Malformed> {
        let bytes = count.checked_mul(4).ok_or(Malformed)?;
        let (head, tail) = self.0.split_at_checked(bytes).ok_or(Malformed)?;
        Ok((Words(head), Words(tail)))
    }

    /// The words in records of `N`.
    pub(crate) fn records<const N: usize>(
        self,
    ) -> impl ExactSizeIterator<Item = [u32; N]> + Clone + 'a {
        self.0.chunks_exact(4 * N).map(|record| {
            std::array::from_fn(|field| {
                let word = record[4 * field..].first_chunk();
                u32::from_le_bytes(*word.expect("a record is so long"))
            })
        })
    }

    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = u32> + Clone + 'a {
        self.records().map(|[word]| word)
    }
}

/// Appends `value` in LEB128.
#[inline]
pub(crate) fn write_uleb(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` in signed LEB128.
#[inline]
pub(crate) fn write_sleb(out: &mut Vec<u8>, mut value: i64) {
    while !(-0x40..0x40).contains(&value) {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8 & 0x7f);
}

/// Takes a number in LEB128 off the front.
#[inline]
pub(crate) fn read_uleb(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    match bytes.split_first() {
        Some((byte, rest)) if *byte < 0x80 => {
            *bytes = rest;
            Ok(u64::from(*byte))
        }
        _ => Ok(read_leb(bytes)?.0),
    }
}

/// Takes a number in signed LEB128 off the front.
#[inline]
pub(crate) fn read_sleb(bytes: &mut &[u8]) -> Result<i64, Malformed> {
    let (value, bits) = match bytes.split_first() {
        Some((byte, rest)) if *byte < 0x80 => {
            *bytes = rest;
            (u64::from(*byte), 7)
        }
        _ => read_leb(bytes)?,
    };
    let unused = 64 - bits;
    Ok((value << unused).cast_signed() >> unused)
}

/// The bits of a number, and how many there are; at most nine bytes.
#[cold]
fn read_leb(bytes: &mut &[u8]) -> Result<(u64, u32), Malformed> {
    let (mut value, mut bits) = (0, 0);
    while bits < 63 {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << bits;
        bits += 7;
        if byte & 0x80 == 0 {
            return Ok((value, bits));
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_there_and_back() {
        for shift in 0..40 {
            for near in -2..=2 {
                let value = (1i64 << shift) + near;
                for value in [value, -value] {
                    let mut bytes = Vec::new();
                    write_sleb(&mut bytes, value);
                    assert_eq!(read_sleb(&mut &bytes[..]), Ok(value));
                    if let Ok(value) = u64::try_from(value) {
                        let mut bytes = Vec::new();
                        write_uleb(&mut bytes, value);
                        assert_eq!(read_uleb(&mut &bytes[..]), Ok(value));
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_that_do_not_end_are_malformed() {
        assert_eq!(read_uleb(&mut &[][..]), Err(Malformed));
        assert_eq!(read_uleb(&mut &[0x80; 3][..]), Err(Malformed));
        assert_eq!(read_sleb(&mut &[0xff; 20][..]), Err(Malformed));
    }
}
