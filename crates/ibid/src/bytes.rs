//! Reading and writing of the flat little-endian arrays that the store holds.

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed entry")]
pub struct Malformed;

/// Appends little-endian values.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
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

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Takes little-endian values off the front; never panics.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
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

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An array of 32-bit little-endian words, read in place.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    pub(crate) fn len(self) -> usize {
        self.0.len() / 4
    }

    pub(crate) fn at(self, index: usize) -> u32 {
        let at = index * 4;
        u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    /// The words in records of `N`.
    pub(crate) fn records<const N: usize>(self) -> impl ExactSizeIterator<Item = [u32; N]> + 'a {
        (0..self.len() / N).map(move |i| std::array::from_fn(|field| self.at(i * N + field)))
    }
}

impl<'a> IntoIterator for Words<'a> {
    type Item = u32;
    type IntoIter = WordsIter<'a>;

    fn into_iter(self) -> WordsIter<'a> {
        WordsIter {
            words: self,
            next: 0,
        }
    }
}

impl Words<'_> {
    pub(crate) fn collect<C: FromIterator<u32>>(self) -> C {
        self.into_iter().collect()
    }
}

/// Iterator over [`Words`].
pub(crate) struct WordsIter<'a> {
    words: Words<'a>,
    next: usize,
}

impl Iterator for WordsIter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        (self.next < self.words.len()).then(|| {
            self.next += 1;
            self.words.at(self.next - 1)
        })
    }
}
