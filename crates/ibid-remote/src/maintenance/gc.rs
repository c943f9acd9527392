//! Removing from a remote what nobody needs, and gathering what is scattered.
//!
//! The order makes it safe to run beside writers and readers, and to be stopped anywhere: first
//! the new packs and the new segment that leads to all that stays, then the old segments go, then
//! the floor rises, then the packs go that nothing leads to. A pack is left alone while it is
//! young: its writer may be about to write the segment.

use super::{Described, MaintenanceError, describe};
use crate::descriptor::{Descriptor, Name};
use crate::floor::Floor;
use crate::index::Index;
use crate::objects::{FLOOR, Failed, INDEX, Listed, PACKS, pack_path, segment_path};
use crate::pack::{self, Fingerprint, Pack};
use crate::packed::Packed;
use crate::remote::{LATER, Shared, now, persistently};
use crate::store::{Backend, RemoteStore};
use crate::trust::PublicKey;
use ibid_store::Entry;
use rustc_hash::FxHashSet;
use std::sync::Arc;
use std::time::Duration;

/// Packs of less than this are merged, in bytes.
pub(crate) const SMALL: u64 = 1 << 20;

/// Merged packs are about this large, in bytes.
const MERGED: u64 = 32 << 20;

/// Packs that were written further apart than this are not merged, in seconds: what they hold
/// would live on too long.
const MERGED_WITHIN: u64 = 7 * 24 * 60 * 60;

/// Packs of more writers than a descriptor can name are not merged: a writer who is not named could
/// not be revoked.
const MOST_WRITERS: usize = u8::MAX as usize;

/// So many descriptors' bytes make a segment.
pub(crate) const SEGMENT_BYTES: usize = 32 << 20;

/// What to remove.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GcOptions {
    /// Packs that were written longer ago go. The default is none but those whose own time is over.
    pub max_age: Option<Duration>,
    /// The oldest packs go until those that are left take no more, in bytes. The default is no
    /// limit.
    pub max_bytes: Option<u64>,
    /// A pack that nothing leads to stays for so long. The default is one hour.
    pub grace: Duration,
    /// Only say what would be removed.
    pub dry_run: bool,
}

impl Default for GcOptions {
    fn default() -> Self {
        GcOptions {
            max_age: None,
            max_bytes: None,
            grace: Duration::from_secs(60 * 60),
            dry_run: false,
        }
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gc {
    /// Packs that were removed: too old, out of date, not by trusted writers, or of nothing that
    /// is not in later ones; and small ones that were merged.
    pub packs_removed: u64,
    /// What these took, in bytes.
    pub bytes_removed: u64,
    /// Of those, how many nothing had led to.
    pub orphans_removed: u64,
    /// Small packs that were merged into larger ones.
    pub packs_merged: u64,
    /// Packs that are left.
    pub packs_left: u64,
    /// What these take, in bytes.
    pub bytes_left: u64,
    /// Segments of the index before.
    pub segments_before: u64,
    /// And after.
    pub segments_left: u64,
    /// The number of the floor.
    pub floor: u64,
}

impl RemoteStore {
    /// Removes what nobody needs: packs out of date, of writers that are not trusted, or of nothing
    /// that is not in later ones. Merges small packs, and the index into few segments.
    ///
    /// It can run beside writers and readers, but should not run twice at once. It can be stopped
    /// at any time.
    ///
    /// # Errors
    ///
    /// If the remote does not answer, if a key is needed, or if the server looks after itself.
    pub fn gc(&self, options: &GcOptions) -> Result<Gc, MaintenanceError> {
        match self.backend.clone() {
            Backend::Packed(packed) => {
                let Shared { key, trust, .. } = &*packed.shared;
                match key {
                    None if trust.is_strict() => return Err(MaintenanceError::NoKey),
                    // Nobody who trusts the same would believe the floor.
                    Some(key) if !trust.accepts(&[key.public()]) => {
                        return Err(MaintenanceError::NotTrusted);
                    }
                    _ => {}
                }
                let options = options.clone();
                Ok(self.run(async move { collect(&packed, &options).await })?)
            }
            #[cfg(any(feature = "redis", feature = "memcached"))]
            _ => Err(MaintenanceError::Itself),
        }
    }
}

/// A descriptor that is believed.
pub(crate) struct Living {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptor: Descriptor,
}

async fn collect(packed: &Arc<Packed>, options: &GcOptions) -> Result<Gc, Failed> {
    let listed = persistently(&LATER, || packed.objects.list(INDEX)).await?;
    let packs = persistently(&LATER, || packed.objects.list(PACKS)).await?;
    let floor = packed.floor().await?;
    let (described, _) = describe(packed, &listed).await?;
    let mut gc = Gc {
        segments_before: listed.len() as u64,
        floor: floor.number,
        ..Gc::default()
    };
    let led_to: FxHashSet<Name> = described
        .iter()
        .filter_map(|described| Some(described.descriptor.as_ref()?.pack))
        .collect();
    let (living, index) = living(packed, described, &packs, floor, options);
    let (small, mut stay) = split_small(living);
    let mut merged = Vec::new();
    for group in groups(small) {
        if group.len() < 2 {
            stay.extend(group);
            continue;
        }
        gc.packs_merged += group.len() as u64;
        if options.dry_run {
            continue;
        }
        merged.push(merge(packed, &group, &index).await?);
    }
    stay.extend(merged.into_iter().flatten());
    let names: FxHashSet<Name> = stay.iter().map(|living| living.descriptor.pack).collect();
    gc.packs_left = stay.len() as u64;
    gc.bytes_left = stay
        .iter()
        .map(|living| living.descriptor.pack_length)
        .sum();
    let removed = removable(&packs, &names, options.grace);
    gc.packs_removed = removed.len() as u64;
    gc.bytes_removed = removed.iter().map(|pack| pack.length).sum();
    let orphans = removed.iter().filter(|pack| !led_to.contains(&pack.name));
    gc.orphans_removed = orphans.count() as u64;
    if options.dry_run {
        gc.segments_left = gc.segments_before;
        return Ok(gc);
    }
    gc.segments_left = write_index(packed, &stay, &listed).await?;
    gc.floor = raise(packed, &stay, floor, options).await?;
    for pack in &removed {
        let path = pack_path(&pack.name);
        persistently(&LATER, || packed.objects.delete(&path)).await?;
    }
    Ok(gc)
}

/// What stays of all that is described, and where the latest entries are of that.
fn living(
    packed: &Packed,
    described: Vec<Described>,
    packs: &[Listed],
    floor: Floor,
    options: &GcOptions,
) -> (Vec<Living>, Index) {
    let there: FxHashSet<Name> = packs.iter().map(|pack| pack.name).collect();
    let oldest = options
        .max_age
        .map_or(0, |age| now().saturating_sub(age.as_secs()))
        .max(floor.not_before);
    let mut living: Vec<Living> = described
        .into_iter()
        .filter(|described| described.refusal.is_none())
        .filter_map(|described| {
            Some(Living {
                bytes: described.bytes,
                descriptor: described.descriptor?,
            })
        })
        .filter(|living| living.descriptor.written >= oldest)
        .filter(|living| there.contains(&living.descriptor.pack))
        .collect();
    let index = index_of(packed, &living);
    let is_current = |living: &Living| {
        let descriptor = &living.descriptor;
        let mut entries = descriptor.entries.iter();
        entries.any(|(fingerprint, _)| is_of(&index, *fingerprint, descriptor))
    };
    living.retain(is_current);
    // The latest first, in the order of the index, each pack once.
    living.sort_by_key(|Living { descriptor, .. }| {
        std::cmp::Reverse((descriptor.written, descriptor.pack))
    });
    let mut seen = FxHashSet::default();
    living.retain(|living| seen.insert(living.descriptor.pack));
    if let Some(most) = options.max_bytes {
        let mut left = most;
        living.retain(|living| {
            let fits = living.descriptor.pack_length <= left;
            // What is older than one that does not fit goes as well.
            left = match fits {
                true => left - living.descriptor.pack_length,
                false => 0,
            };
            fits
        });
    }
    // What is left out for its size is older than all that stays, and hides nothing of that.
    (living, index)
}

fn index_of(packed: &Packed, living: &[Living]) -> Index {
    let mut index = Index::default();
    for living in living {
        let (trust, floor) = (&packed.shared.trust, Floor::default());
        index.add_descriptor(&living.bytes, trust, floor, now());
    }
    index
}

/// Whether the latest entry under a key is in the pack of `descriptor`.
fn is_of(index: &Index, fingerprint: Fingerprint, descriptor: &Descriptor) -> bool {
    let place = index.place(fingerprint, now());
    place.is_some_and(|place| index.pack(place.pack).descriptor.pack == descriptor.pack)
}

fn split_small(living: Vec<Living>) -> (Vec<Living>, Vec<Living>) {
    let is_small = |living: &Living| living.descriptor.pack_length < SMALL;
    living.into_iter().partition(is_small)
}

/// Groups of packs that become one each.
pub(crate) fn groups(small: Vec<Living>) -> Vec<Vec<Living>> {
    let mut groups: Vec<Vec<Living>> = Vec::new();
    let mut bytes = 0;
    let mut writers: FxHashSet<PublicKey> = FxHashSet::default();
    for living in small {
        let descriptor = &living.descriptor;
        bytes += descriptor.pack_length;
        writers.extend(&descriptor.writers);
        let fits = |group: &Vec<Living>| {
            let first = group[0].descriptor.written;
            bytes <= MERGED
                && writers.len() <= MOST_WRITERS
                && first.abs_diff(descriptor.written) <= MERGED_WITHIN
        };
        if groups.last().is_none_or(|group| !fits(group)) {
            bytes = descriptor.pack_length;
            writers = descriptor.writers.iter().copied().collect();
            groups.push(Vec::new());
        }
        groups.last_mut().expect("there is one now").push(living);
    }
    groups
}

/// Writes one pack of all that is current in those of `group`.
async fn merge(
    packed: &Arc<Packed>,
    group: &[Living],
    index: &Index,
) -> Result<Option<Living>, Failed> {
    let mut entries = Vec::new();
    let mut writers: Vec<PublicKey> = Vec::new();
    for Living { descriptor, .. } in group {
        let path = pack_path(&descriptor.pack);
        let read = || packed.objects.read(&path, None, descriptor.pack_length);
        let bytes = persistently(&LATER, read).await?;
        for (block, range) in descriptor.blocks.iter().zip(descriptor.ranges()) {
            let bytes = bytes.get(range.start as usize..range.end as usize);
            let raw = bytes.map(|bytes| pack::unpack(block, bytes));
            // One that is damaged is not merged: what it had is gone.
            let Some(Ok(raw)) = raw else { continue };
            for (key, value) in pack::entries(&raw).unwrap_or_default() {
                if is_of(index, Fingerprint::of(key), descriptor) {
                    entries.push(Entry {
                        key: key.to_vec(),
                        value: value.to_vec(),
                    });
                }
            }
        }
        for writer in &descriptor.writers {
            if !writers.contains(writer) {
                writers.push(*writer);
            }
        }
    }
    let times = group.iter().map(|living| &living.descriptor);
    let written = times.clone().map(|d| d.written).max().unwrap_or_default();
    let expires = times.map(|d| d.expires).max().unwrap_or_default();
    let key = packed.shared.key.as_ref();
    let describe = |pack: &Pack| Descriptor::of(pack, key, &writers, written, expires - written);
    let stored = packed.store_pack(entries, describe).await?;
    Ok(stored.map(|(bytes, descriptor)| Living { bytes, descriptor }))
}

/// Writes segments of all that stays, then removes those that were there before. Gives the number
/// of those that there are now.
async fn write_index(
    packed: &Arc<Packed>,
    stay: &[Living],
    before: &[Listed],
) -> Result<u64, Failed> {
    let mut written: FxHashSet<Name> = FxHashSet::default();
    // The oldest first: clients that cannot take in all prefer what was written last.
    let mut sorted: Vec<&Living> = stay.iter().collect();
    sorted.sort_by_key(|living| living.descriptor.written);
    let mut rest = sorted.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|living| {
            bytes += living.bytes.len();
            bytes <= SEGMENT_BYTES
        });
        let count = fitting.count().max(1);
        let (now, later) = rest.split_at(count);
        let descriptors = now.iter().map(|living| living.bytes.as_slice());
        let segment = packed.store_segment(descriptors.collect()).await?;
        written.insert(segment.name);
        rest = later;
    }
    for segment in before.iter().filter(|s| !written.contains(&s.name)) {
        let path = segment_path(&segment.name);
        persistently(&LATER, || packed.objects.delete(&path)).await?;
    }
    Ok(written.len() as u64)
}

/// Writes a floor below which nothing is that stays.
async fn raise(
    packed: &Packed,
    stay: &[Living],
    before: Floor,
    options: &GcOptions,
) -> Result<u64, Failed> {
    let oldest = stay.iter().map(|living| living.descriptor.written).min();
    let recent = now().saturating_sub(options.grace.as_secs());
    let floor = Floor {
        number: before.number + 1,
        // What is uploaded meanwhile was written since.
        not_before: oldest.unwrap_or(recent).min(recent).max(before.not_before),
    };
    let bytes = floor.write(packed.shared.key.as_ref());
    let write = || packed.objects.write(FLOOR, bytes.clone());
    persistently(&LATER, write).await?;
    Ok(floor.number)
}

/// The packs that nothing of what stays leads to, and that are not young.
fn removable(packs: &[Listed], stay: &FxHashSet<Name>, grace: Duration) -> Vec<Listed> {
    let is_old = |pack: &Listed| {
        let age = pack.modified.map(|at| now().saturating_sub(at));
        // Of a store that does not say, it is not known that it is not young.
        age.is_some_and(|age| age >= grace.as_secs())
    };
    let gone = packs.iter().filter(|pack| !stay.contains(&pack.name));
    gone.filter(|pack| is_old(pack)).copied().collect()
}
