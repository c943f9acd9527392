//! A remote of packs and an index of them.

use crate::descriptor::{Descriptor, Name};
use crate::floor::Floor;
use crate::index::{Index, Refused};
use crate::local::State;
use crate::objects::{FLOOR, Failed, INDEX, Listed, Objects, pack_path, segment_path};
use crate::pack::{self, Pack};
use crate::ranges::{self, Read};
use crate::remote::{Batch, LATER, Remote, SOON, Shared, Wanted, now, persistently};
use crate::rollup;
use crate::segment::{self, Segment};
use crate::statistics::count;
use futures::future::{BoxFuture, join_all};
use ibid_store::Entry;
use rustc_hash::FxHashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A lookup makes at most so many reads of packs.
pub(crate) const MOST_READS: usize = 16;

/// The segments of an index are fetched at most so many at a time.
pub(crate) const FETCHED_AT_ONCE: usize = 32;

/// A pack has no more of entries, in bytes; larger batches become several.
const PACK_BYTES: usize = 128 << 20;

/// A floor is a few dozen bytes.
const MOST_OF_A_FLOOR: u64 = 4096;

/// A remote of packs.
pub(crate) struct Packed {
    pub(crate) objects: Objects,
    pub(crate) shared: Arc<Shared>,
    /// Held while the index is refreshed.
    refreshing: tokio::sync::Mutex<()>,
    loaded: Mutex<Loaded>,
    /// The packs that this client uploaded, which are no reason not to upload what comes later.
    own: Mutex<FxHashSet<Name>>,
}

/// The index, and what it was made of.
#[derive(Clone, Default)]
struct Loaded {
    index: Arc<Index>,
    segments: FxHashSet<Name>,
    floor: Floor,
    /// Whether what is kept on this machine was taken in.
    from_local: bool,
}

impl Remote for Packed {
    fn look_up(self: Arc<Self>, wanted: Arc<Wanted>) -> BoxFuture<'static, Result<(), Failed>> {
        Box::pin(async move {
            let index = self.index().await?;
            self.read(index, wanted).await
        })
    }

    fn upload(self: Arc<Self>, batch: Batch) -> BoxFuture<'static, Result<(), Failed>> {
        Box::pin(self.store(batch))
    }

    fn known(&self) -> FxHashSet<Name> {
        let packs = self.loaded().index;
        let names = packs.packs().iter().map(|pack| pack.descriptor.pack);
        names.collect()
    }
}

impl Packed {
    pub(crate) fn new(objects: Objects, shared: Arc<Shared>) -> Packed {
        Packed {
            objects,
            shared,
            refreshing: tokio::sync::Mutex::default(),
            loaded: Mutex::default(),
            own: Mutex::default(),
        }
    }

    fn loaded(&self) -> Loaded {
        let loaded = self.loaded.lock();
        loaded.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn own(&self) -> MutexGuard<'_, FxHashSet<Name>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_loaded(&self, loaded: Loaded) {
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = loaded;
    }

    /// The index, no older than it may be.
    async fn index(&self) -> Result<Arc<Index>, Failed> {
        let is_fresh = |state: &State| {
            let age = now().checked_sub(state.refreshed);
            age.is_some_and(|age| age < self.shared.refresh_after.as_secs())
        };
        // Who uploads may be refreshing it, which is nothing to wait for.
        let loaded = self.loaded();
        if loaded.from_local && is_fresh(&self.shared.state()) {
            return Ok(loaded.index);
        }
        let _refreshing = self.refreshing.lock().await;
        let state = *self.shared.state();
        if is_fresh(&state) {
            return Ok(self.kept(state.floor));
        }
        self.refresh().await?;
        Ok(self.loaded().index)
    }

    /// The index as it was when it was last refreshed, by whatever process.
    fn kept(&self, floor: Floor) -> Arc<Index> {
        let loaded = self.loaded();
        if loaded.from_local {
            return loaded.index;
        }
        let mut read = Loaded {
            floor,
            from_local: true,
            ..Loaded::default()
        };
        let mut index = Index::default();
        for name in self.shared.local.segments() {
            let bytes = self.shared.local.segment(&name);
            if let Some(segment) = bytes.and_then(|bytes| Segment::read(&bytes).ok()) {
                index.add(&segment, &self.shared.trust, floor, now());
                read.segments.insert(name);
            }
        }
        self.count_refused(&index, Refused::default());
        read.index = Arc::new(index);
        self.set_loaded(read.clone());
        read.index
    }

    /// Asks for what is new. Gives the segments that there are.
    pub(crate) async fn refresh(&self) -> Result<Vec<Listed>, Failed> {
        // Twice: a segment may be joined with others between the listing and the reading.
        for last in [false, true] {
            let (listed, floor) = tokio::join!(
                persistently(&SOON, || self.objects.list(INDEX)),
                self.floor()
            );
            let (listed, floor) = (listed?, floor?);
            if self.take_in(&listed, floor).await? || last {
                let mut state = self.shared.state();
                (state.refreshed, state.floor) = (now(), floor);
                self.shared.local.set_state(*state);
                return Ok(listed);
            }
        }
        unreachable!("the last turn returns");
    }

    /// The floor, if it is not behind one that was seen before.
    pub(crate) async fn floor(&self) -> Result<Floor, Failed> {
        let read = || self.objects.read(FLOOR, None, MOST_OF_A_FLOOR);
        let seen = self.shared.state().floor;
        let counting = &self.shared.counting;
        let floor = match persistently(&SOON, read).await {
            Ok(bytes) => Floor::read(&bytes, &self.shared.trust).map_err(|refusal| {
                count(&counting.refused, 1);
                Failed::refused(format!("the remote's floor is {refusal}"))
            })?,
            Err(failed) if failed.is_absent => Floor::default(),
            Err(failed) => return Err(failed),
        };
        if floor.number < seen.number {
            count(&counting.replayed, 1);
            return Err(Failed::refused(format!(
                "the remote is an older one: its floor is {}, and {} was seen before",
                floor.number, seen.number
            )));
        }
        Ok(floor)
    }

    /// Makes the index that of the segments `listed`. Says whether all of them could be had.
    async fn take_in(&self, listed: &[Listed], floor: Floor) -> Result<bool, Failed> {
        let listed = affordable(listed, self.shared.max_index_bytes);
        let names: FxHashSet<Name> = listed.iter().map(|segment| segment.name).collect();
        let loaded = self.loaded();
        let only_more = loaded.floor == floor && loaded.segments.is_subset(&names);
        if only_more && loaded.segments.len() == names.len() && loaded.from_local {
            return Ok(true);
        }
        let wanted: Vec<Listed> = listed
            .iter()
            .filter(|segment| !only_more || !loaded.segments.contains(&segment.name))
            .copied()
            .collect();
        let mut fetched = Vec::new();
        let mut complete = true;
        for some in wanted.chunks(FETCHED_AT_ONCE) {
            let some = some.iter().map(|segment| self.segment(segment));
            for segment in join_all(some).await {
                match segment {
                    Ok(segment) => fetched.extend(segment),
                    Err(failed) if failed.is_absent => complete = false,
                    Err(failed) => return Err(failed),
                }
            }
        }
        let mut index = if only_more && loaded.from_local {
            Arc::unwrap_or_clone(loaded.index)
        } else {
            Index::default()
        };
        let before = index.refused;
        let mut segments = match only_more {
            true => loaded.segments,
            false => FxHashSet::default(),
        };
        for (name, segment) in &fetched {
            index.add(segment, &self.shared.trust, floor, now());
            segments.insert(*name);
        }
        self.count_refused(&index, before);
        for name in self.shared.local.segments() {
            if !names.contains(&name) {
                self.shared.local.forget(&name);
            }
        }
        self.set_loaded(Loaded {
            index: Arc::new(index),
            segments,
            floor,
            from_local: true,
        });
        Ok(complete)
    }

    /// A segment, from this machine or the remote; `None` if it is damaged.
    pub(crate) async fn segment(&self, listed: &Listed) -> Result<Option<(Name, Segment)>, Failed> {
        let (name, local) = (listed.name, &self.shared.local);
        if let Some(kept) = local.segment(&name)
            && let Ok(segment) = Segment::read(&kept)
        {
            return Ok(Some((name, segment)));
        }
        let path = segment_path(&name);
        let read = || self.objects.read(&path, None, segment::MAX_BYTES as u64);
        let bytes = persistently(&SOON, read).await?;
        if blake3::hash(&bytes) != name {
            count(&self.shared.counting.damaged, 1);
            tracing::warn!("`{path}` of the remote is not what its name says");
            return Ok(None);
        }
        match Segment::read(&bytes) {
            Ok(segment) => {
                local.keep(&name, &bytes);
                Ok(Some((name, segment)))
            }
            Err(_) => {
                count(&self.shared.counting.damaged, 1);
                tracing::warn!("`{path}` of the remote is malformed");
                Ok(None)
            }
        }
    }

    /// Counts what `index` refused that it had not `before`.
    fn count_refused(&self, index: &Index, before: Refused) {
        let (counting, refused) = (&self.shared.counting, index.refused);
        count(&counting.refused, refused.untrusted - before.untrusted);
        count(&counting.expired, refused.expired - before.expired);
    }

    /// Reads the blocks in which something `wanted` may be.
    async fn read(self: &Arc<Self>, index: Arc<Index>, wanted: Arc<Wanted>) -> Result<(), Failed> {
        let places = wanted.fingerprints.iter();
        let places = places.filter_map(|fingerprint| index.place(*fingerprint, now()));
        let reads = ranges::plan(&index.blocks(places), MOST_READS);
        let tasks = reads.into_iter().map(|read| {
            let (remote, index, wanted) = (self.clone(), index.clone(), wanted.clone());
            tokio::spawn(async move { remote.read_blocks(&index, read, &wanted).await })
        });
        let mut first = Ok(());
        for result in join_all(tasks).await {
            let result = match result {
                Ok(result) => result,
                Err(panicked) => Err(Failed::refused(format!("a read ended: {panicked}"))),
            };
            match result {
                Err(failed) if !failed.is_absent => first = first.and(Err(failed)),
                // It was removed since the index was refreshed.
                Err(_) => count(&self.shared.counting.damaged, 1),
                Ok(()) => {}
            }
        }
        first
    }

    async fn read_blocks(&self, index: &Index, read: Read, wanted: &Wanted) -> Result<(), Failed> {
        let descriptor = &index.pack(read.pack).descriptor;
        let path = pack_path(&descriptor.pack);
        let ask = || {
            let length = read.range.end - read.range.start;
            self.objects.read(&path, Some(read.range.clone()), length)
        };
        let bytes = persistently(&SOON, ask).await?;
        for number in &read.blocks {
            let range = index.range(read.pack, *number);
            let [start, end] = [range.start, range.end].map(|at| (at - read.range.start) as usize);
            let block = &descriptor.blocks[*number as usize];
            let raw = pack::unpack(block, &bytes[start..end]);
            let entries = raw.as_deref().map(pack::entries);
            let Ok(Ok(entries)) = entries else {
                count(&self.shared.counting.damaged, 1);
                count(&self.shared.counting.refused, 1);
                tracing::warn!("a block of `{path}` of the remote is not the one that was signed");
                continue;
            };
            let entries: Vec<(&[u8], &[u8])> = entries
                .into_iter()
                .filter(|(key, _)| wanted.is_wanted(key))
                .collect();
            for (key, value) in &entries {
                self.shared.found(key, value, descriptor.written);
            }
            wanted.found(entries);
        }
        Ok(())
    }

    /// Writes packs of `batch`, then the segment that leads to them, and joins segments if there
    /// are many.
    async fn store(self: Arc<Self>, batch: Batch) -> Result<(), Failed> {
        let mut listed = {
            let _refreshing = self.refreshing.lock().await;
            self.refresh().await?
        };
        let index = self.loaded().index;
        let entries = lacking(batch, &index, &self.own());
        let mut written = Vec::new();
        for some in chunks(entries) {
            if let Some(descriptor) = self.store_entries(some).await? {
                written.push(descriptor);
            }
        }
        if written.is_empty() {
            return Ok(());
        }
        let refs = written.iter().map(Vec::as_slice).collect();
        listed.push(self.store_segment(refs).await?);
        self.join_segments(listed).await
    }

    /// Writes a pack of what was inserted, and gives its descriptor's bytes.
    async fn store_entries(&self, entries: Vec<Entry>) -> Result<Option<Vec<u8>>, Failed> {
        let given = entries.len() as u64;
        let Shared { key, lifetime, .. } = &*self.shared;
        let describe = |pack: &Pack| {
            let lifetime = lifetime.as_secs();
            Descriptor::of(pack, key.as_ref(), &[], now(), lifetime)
        };
        let Some((bytes, descriptor)) = self.store_pack(entries, describe).await? else {
            return Ok(None);
        };
        self.own().insert(descriptor.pack);
        let counting = &self.shared.counting;
        count(&counting.uploaded, descriptor.entries.len() as u64);
        let lost = given - descriptor.entries.len() as u64;
        count(&counting.not_uploaded, lost);
        Ok(Some(bytes))
    }

    /// Writes a pack, and gives its descriptor, signed and as it was made by `describe`. `None` if
    /// no entry goes into a pack.
    pub(crate) async fn store_pack(
        &self,
        entries: Vec<Entry>,
        describe: impl FnOnce(&Pack) -> Descriptor,
    ) -> Result<Option<(Vec<u8>, Descriptor)>, Failed> {
        let packed = tokio::task::spawn_blocking(move || pack::pack(&entries)).await;
        let Some(pack) = packed.map_err(|error| Failed::refused(error.to_string()))? else {
            return Ok(None);
        };
        let descriptor = describe(&pack);
        let path = pack_path(&descriptor.pack);
        let write = || self.objects.write(&path, pack.bytes.clone());
        persistently(&LATER, write).await?;
        let bytes = descriptor.write(self.shared.key.as_ref());
        Ok(Some((bytes, descriptor)))
    }

    /// Writes a segment of `descriptors`, and takes it in.
    pub(crate) async fn store_segment(&self, descriptors: Vec<&[u8]>) -> Result<Listed, Failed> {
        let bytes = segment::write(descriptors);
        let listed = Listed {
            name: blake3::hash(&bytes).into(),
            length: bytes.len() as u64,
            modified: Some(now()),
        };
        let path = segment_path(&listed.name);
        let write = || self.objects.write(&path, bytes.clone());
        persistently(&LATER, write).await?;
        self.shared.local.keep(&listed.name, &bytes);
        Ok(listed)
    }

    /// Joins segments while there are many of one size.
    async fn join_segments(&self, mut listed: Vec<Listed>) -> Result<(), Failed> {
        loop {
            let sizes: Vec<(Name, u64)> = listed.iter().map(|s| (s.name, s.length)).collect();
            let Some(names) = rollup::due(&sizes) else {
                return Ok(());
            };
            let (joined, rest) = listed.into_iter().partition(|s| names.contains(&s.name));
            listed = rest;
            let Some(new) = self.join_into_one(joined).await? else {
                return Ok(());
            };
            listed.push(new);
        }
    }

    /// Writes one segment in place of `segments`. `None` if somebody else does so right now.
    async fn join_into_one(&self, segments: Vec<Listed>) -> Result<Option<Listed>, Failed> {
        let mut read = Vec::new();
        for segment in join_all(segments.iter().map(|segment| self.segment(segment))).await {
            match segment {
                Ok(segment) => read.extend(segment),
                Err(failed) if failed.is_absent => return Ok(None),
                Err(failed) => return Err(failed),
            }
        }
        let descriptors = read.iter().flat_map(|(_, segment)| segment.descriptors());
        let descriptors = descriptors.filter(|bytes| {
            let parsed = Descriptor::parse(bytes);
            parsed.is_ok_and(|(descriptor, _)| descriptor.expires > now())
        });
        let new = self.store_segment(descriptors.collect()).await?;
        // What leads to the packs is there twice until now, and once from now on.
        for segment in segments.iter().filter(|segment| segment.name != new.name) {
            let removed = self.objects.delete(&segment_path(&segment.name)).await;
            if let Err(failed) = removed {
                tracing::debug!("a segment that was joined is left: {failed}");
            }
        }
        Ok(Some(new))
    }
}

/// The segments that fit into what an index may take, `most`, the latest first.
pub(crate) fn affordable(listed: &[Listed], most: u64) -> Vec<Listed> {
    let mut listed = listed.to_vec();
    listed.sort_by_key(|segment| (std::cmp::Reverse(segment.modified), segment.name));
    let mut left = most;
    listed.retain(|segment| {
        let fits = segment.length <= left;
        left -= if fits { segment.length } else { 0 };
        fits
    });
    listed
}

/// What of `batch` nobody else has stored since it was inserted.
fn lacking(batch: Batch, index: &Index, own: &FxHashSet<Name>) -> Vec<Entry> {
    let Batch { entries, known } = batch;
    let mut seen = FxHashSet::default();
    let mut lacking: Vec<Entry> = entries
        .into_iter()
        .rev()
        .filter(|entry| {
            let fingerprint = pack::Fingerprint::of(&entry.key);
            let place = index.place(fingerprint, now());
            let pack = place.map(|place| index.pack(place.pack).descriptor.pack);
            let is_new = pack.is_none_or(|pack| known.contains(&pack) || own.contains(&pack));
            // Of two with one key the later one counts.
            is_new && seen.insert(fingerprint)
        })
        .collect();
    lacking.reverse();
    lacking
}

/// Entries for one pack each.
pub(crate) fn chunks(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut chunks = Vec::new();
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        let size = entry.key.len() + entry.value.len();
        if bytes + size > PACK_BYTES && !chunk.is_empty() {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += size;
        chunk.push(entry);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}
