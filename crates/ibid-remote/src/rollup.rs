//! Which segments of the index are joined, and when.
//!
//! Every upload adds a segment, and a client that comes new has to fetch them all. So who uploads
//! joins [`FANOUT`] segments of about the same size into one, and of those again: of n uploads
//! there are less than `FANOUT · log(n)` segments, and each descriptor is written anew
//! `log(n)` times.

use crate::descriptor::Name;

/// How many segments of about the same size there may be, less one; and how many times larger
/// the next size is.
pub(crate) const FANOUT: usize = 8;

/// Segments of up to so many bytes are of the smallest size.
const SMALLEST: u64 = 4 << 10;

/// No segment that was joined is larger, in bytes: clients take in 64 MiB of an index, by default,
/// and unpack no more than 256 MiB.
pub(crate) const LARGEST: u64 = 32 << 20;

/// The segments to be joined into one, of all that there are with their lengths in bytes: those of
/// the smallest size of which there are enough.
pub(crate) fn due(segments: &[(Name, u64)]) -> Option<Vec<Name>> {
    let size = |length: u64| (length / SMALLEST).max(1).ilog(FANOUT as u64) as usize;
    let mut by_size: Vec<Vec<(Name, u64)>> = Vec::new();
    for segment in segments {
        let size = size(segment.1);
        if by_size.len() <= size {
            by_size.resize(size + 1, Vec::new());
        }
        by_size[size].push(*segment);
    }
    let mut joined = by_size.into_iter().map(fitting);
    joined.find(|names| names.len() >= FANOUT)
}

/// Of segments of one size those that make one together which is not too large.
fn fitting(mut segments: Vec<(Name, u64)>) -> Vec<Name> {
    segments.sort_unstable_by_key(|(name, length)| (*length, *name));
    let mut total = 0;
    let fitting = segments.iter().take_while(|(_, length)| {
        total += length;
        total <= LARGEST
    });
    fitting.map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(number: u64) -> Name {
        blake3::hash(&number.to_le_bytes()).into()
    }

    #[test]
    fn enough_of_one_size_are_joined() {
        let mut segments: Vec<(Name, u64)> = (0..7).map(|n| (named(n), 100 + n)).collect();
        segments.extend((7..14).map(|n| (named(n), 60_000)));
        segments.extend((14..100).map(|n| (named(n), LARGEST)));
        assert_eq!(due(&segments), None);
        segments.push((named(200), 4000));
        let joined = due(&segments).unwrap();
        assert_eq!(joined.len(), 8);
        assert!(joined.contains(&named(200)) && joined.contains(&named(0)));
    }

    #[test]
    fn nothing_becomes_too_large() {
        let many = |count: u64, length: u64| -> Vec<(Name, u64)> {
            (0..count).map(|n| (named(n), length)).collect()
        };
        assert_eq!(due(&many(100, LARGEST / 4)), None);
        assert_eq!(due(&many(100, LARGEST / 8)).unwrap().len(), 8);
        assert_eq!(due(&many(100, LARGEST / 20)).unwrap().len(), 20);
    }

    #[test]
    fn of_many_uploads_there_are_few_segments() {
        let mut segments: Vec<(Name, u64)> = Vec::new();
        let (mut most, mut rewritten) = (0, 0);
        for upload in 0..20_000u64 {
            segments.push((named(upload), 600 + upload % 3000));
            while let Some(names) = due(&segments) {
                let joined = segments.iter().filter(|(name, _)| names.contains(name));
                let length = joined.map(|(_, length)| length).sum::<u64>();
                rewritten += length;
                segments.retain(|(name, _)| !names.contains(name));
                segments.push((named(u64::MAX - rewritten), length));
            }
            most = most.max(segments.len());
        }
        let total: u64 = segments.iter().map(|(_, length)| length).sum();
        assert!(most <= 60, "{most} segments at once");
        assert!(rewritten < 8 * total, "{rewritten} bytes of {total}");
    }
}
