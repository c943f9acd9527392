//! The index in memory: where the entries are of all packs that are believed.

use crate::descriptor::{Descriptor, Name, Refusal};
use crate::floor::Floor;
use crate::pack::Fingerprint;
use crate::segment::Segment;
use crate::trust::Trust;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Where the entries are.
#[derive(Clone, Default)]
pub(crate) struct Index {
    packs: Vec<IndexedPack>,
    /// The numbers of the packs.
    known: FxHashMap<Name, u32>,
    places: FxHashMap<Fingerprint, Place>,
    /// Descriptors that were not believed, by why.
    pub(crate) refused: Refused,
}

/// A pack that is believed.
#[derive(Clone)]
pub(crate) struct IndexedPack {
    pub(crate) descriptor: Descriptor,
    ranges: Vec<Range<u64>>,
}

impl IndexedPack {
    /// Whether `other` says the same of the same pack, as of later: it was uploaded again.
    fn is_renewed_by(&self, other: &Descriptor) -> bool {
        let Descriptor {
            written,
            blocks,
            entries,
            ..
        } = &self.descriptor;
        *written < other.written && *blocks == other.blocks && *entries == other.entries
    }
}

/// The pack and the block in which an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) pack: u32,
    pub(crate) block: u32,
}

/// How many descriptors were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Malformed, of an untrusted writer, or with a wrong signature.
    pub(crate) untrusted: u64,
    pub(crate) expired: u64,
}

impl Index {
    /// Takes in the descriptors of `segment`.
    pub(crate) fn add(&mut self, segment: &Segment, trust: &Trust, floor: Floor, now: u64) {
        for bytes in segment.descriptors() {
            self.add_descriptor(bytes, trust, floor, now);
        }
    }

    /// Takes in a descriptor.
    pub(crate) fn add_descriptor(&mut self, bytes: &[u8], trust: &Trust, floor: Floor, now: u64) {
        let read = Descriptor::read(bytes, trust, now).and_then(|read| {
            match read.written < floor.not_before {
                true => Err(Refusal::Expired),
                false => Ok(read),
            }
        });
        match read {
            Ok(descriptor) => self.add_pack(descriptor),
            Err(Refusal::Expired) => self.refused.expired += 1,
            Err(refusal) => {
                tracing::warn!("a descriptor of the remote is refused: it is {refusal}");
                self.refused.untrusted += 1;
            }
        }
    }

    fn add_pack(&mut self, descriptor: Descriptor) {
        let number = match self.known.get(&descriptor.pack) {
            Some(number) if !self.packs[*number as usize].is_renewed_by(&descriptor) => return,
            Some(number) => *number,
            None => self.packs.len() as u32,
        };
        for (fingerprint, block) in &descriptor.entries {
            let place = Place {
                pack: number,
                block: *block,
            };
            let there = self.places.entry(*fingerprint).or_insert(place);
            // The latest one counts, of equally late ones the one with the larger name.
            let age = |descriptor: &Descriptor| (descriptor.written, descriptor.pack);
            if let Some(other) = self.packs.get(there.pack as usize)
                && age(&other.descriptor) < age(&descriptor)
            {
                *there = place;
            }
        }
        self.known.insert(descriptor.pack, number);
        let ranges = descriptor.ranges();
        let pack = IndexedPack { descriptor, ranges };
        match self.packs.get_mut(number as usize) {
            Some(there) => *there = pack,
            None => self.packs.push(pack),
        }
    }

    /// Where the entry under a key is, if one may be there whose time is not over.
    pub(crate) fn place(&self, key: Fingerprint, now: u64) -> Option<Place> {
        let place = self.places.get(&key)?;
        (now < self.pack(place.pack).descriptor.expires).then_some(*place)
    }

    pub(crate) fn pack(&self, number: u32) -> &IndexedPack {
        &self.packs[number as usize]
    }

    pub(crate) fn packs(&self) -> &[IndexedPack] {
        &self.packs
    }

    /// Entries of different keys.
    pub(crate) fn entries(&self) -> usize {
        self.places.len()
    }

    /// The places of blocks, each once, with where they lie in their packs.
    pub(crate) fn blocks(
        &self,
        places: impl Iterator<Item = Place>,
    ) -> Vec<(u32, u32, Range<u64>)> {
        let mut places: Vec<Place> = places.collect();
        places.sort_unstable();
        places.dedup();
        let range = |place: &Place| {
            let range = self.pack(place.pack).ranges[place.block as usize].clone();
            (place.pack, place.block, range)
        };
        places.iter().map(range).collect()
    }

    /// Where a block lies in its pack.
    pub(crate) fn range(&self, pack: u32, block: u32) -> Range<u64> {
        self.pack(pack).ranges[block as usize].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::SecretKey;
    use ibid_store::Entry;

    const NOW: u64 = 1_800_000_000;

    fn descriptor(keys: &[u8], key: &SecretKey, written: u64) -> Vec<u8> {
        let entries: Vec<Entry> = keys
            .iter()
            .map(|k| Entry {
                key: vec![*k],
                value: vec![*k; 10],
            })
            .collect();
        let pack = crate::pack::pack(&entries).unwrap();
        Descriptor::of(&pack, Some(key), &[], written, 1000).write(Some(key))
    }

    #[test]
    fn the_latest_pack_counts_in_whatever_order_they_come() {
        let [mine, other] = [(); 2].map(|()| SecretKey::generate().unwrap());
        let trust = Trust::Keys(vec![mine.public()]);
        let all = [
            descriptor(&[1, 2], &mine, NOW - 5),
            descriptor(&[2, 3], &mine, NOW),
            descriptor(&[3, 4], &mine, NOW - 9),
            descriptor(&[5], &other, NOW),
            descriptor(&[6], &mine, NOW - 2000),
            descriptor(&[7], &mine, NOW - 20),
        ];
        let floor = Floor {
            number: 1,
            not_before: NOW - 10,
        };
        for turn in 0..all.len() {
            let mut turned: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
            turned.rotate_left(turn);
            let mut index = Index::default();
            for descriptor in turned {
                let segment = Segment::read(&crate::segment::write(vec![descriptor])).unwrap();
                index.add(&segment, &trust, floor, NOW);
                index.add(&segment, &trust, floor, NOW);
            }
            assert_eq!(index.entries(), 4);
            let written = |key: u8| {
                let place = index.place(Fingerprint::of(&[key]), NOW)?;
                Some(index.pack(place.pack).descriptor.written)
            };
            let expected = [(1, NOW - 5), (2, NOW), (3, NOW), (4, NOW - 9)];
            for (key, at) in expected {
                assert_eq!(written(key), Some(at), "{key}");
            }
            assert!(written(5).is_none() && written(6).is_none() && written(7).is_none());
            assert_eq!(
                index.refused,
                Refused {
                    untrusted: 2,
                    expired: 4
                }
            );
        }
    }

    #[test]
    fn a_pack_that_is_uploaded_again_holds_for_longer() {
        let key = SecretKey::generate().unwrap();
        let trust = Trust::Keys(vec![key.public()]);
        let all = [
            descriptor(&[1, 2], &key, NOW - 5),
            descriptor(&[2, 3], &key, NOW - 3),
            descriptor(&[1, 2], &key, NOW),
        ];
        for turn in 0..all.len() {
            let mut index = Index::default();
            for descriptor in all.iter().cycle().skip(turn).take(all.len()) {
                let segment = Segment::read(&crate::segment::write(vec![descriptor])).unwrap();
                index.add(&segment, &trust, Floor::default(), NOW);
            }
            assert_eq!(index.packs().len(), 2);
            let place = |key: u8, now| index.place(Fingerprint::of(&[key]), now);
            for (key, at) in [(1, NOW), (2, NOW), (3, NOW - 3)] {
                let place = place(key, NOW).unwrap();
                assert_eq!(index.pack(place.pack).descriptor.written, at, "{key}");
            }
            assert!(place(1, NOW + 999).is_some() && place(1, NOW + 1000).is_none());
            assert!(place(3, NOW + 996).is_some() && place(3, NOW + 997).is_none());
        }
    }
}
