//! What a remote has: packs, and the segments that lead to them.

use super::objects::{Request, Stage, Traffic};
use super::parameters::{Parameters, Scenario, Upkeep};
use super::random::{Random, mix};
use ibid_remote::model;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

pub(super) type PackId = u32;
pub(super) type PieceId = u32;
pub(super) type SegmentId = u32;

/// What one upload stored of one program: its entries, or its bundle.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) pack: PackId,
    /// Where it begins, behind other entries or bundles of the pack.
    offset: u64,
    pub(super) bytes: u64,
    pub(super) entries: u32,
    is_bundle: bool,
    /// Nothing that was stored since has taken its place.
    pub(super) is_current: bool,
}

/// Which entries of a piece are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Bundle,
    Records,
    Stencils,
}

#[derive(Clone, Debug)]
struct Pack {
    /// In seconds since the beginning.
    written: f64,
    expires: f64,
    pieces: Vec<PieceId>,
    /// What its entries take, and what its bundles take.
    bytes: [u64; 2],
    entries: u32,
    /// The bytes of its descriptor, as it is and in a segment.
    raw: f64,
    indexed: f64,
    /// The segments that have led to it.
    segments: Vec<SegmentId>,
    is_there: bool,
}

#[derive(Clone, Debug)]
struct Segment {
    packs: Vec<PackId>,
    bytes: u64,
    raw: f64,
    written: f64,
    /// When the latest of its packs was written.
    latest: f64,
}

impl Segment {
    /// Whether the crate reads it. Else it leads to nothing.
    fn is_readable(&self) -> bool {
        self.raw <= model::MAX_SEGMENT_BYTES as f64
    }
}

/// How large descriptors are, as measured of some that the crate writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    raw: [f64; 3],
    indexed: [f64; 3],
}

impl Sizes {
    pub(super) fn measured() -> Sizes {
        /// So many alike, so that what a segment has once does not count.
        const ALIKE: usize = 50;
        let of = |entries, blocks| {
            let (raw, segment) = model::segment_bytes(&[(entries, blocks); ALIKE]);
            [raw, segment].map(|bytes| bytes as f64 / ALIKE as f64)
        };
        let [small, large, parted] = [of(10, 1), of(8000, 80), of(8000, 160)];
        let linear = |which: usize| {
            let block = (parted[which] - large[which]) / 80.0;
            let entry = (large[which] - small[which] - 79.0 * block) / 7990.0;
            [small[which] - 10.0 * entry - block, entry, block]
        };
        Sizes {
            raw: linear(0),
            indexed: linear(1),
        }
    }

    fn of([each, entry, block]: [f64; 3], entries: u32, blocks: u64) -> f64 {
        each + entry * f64::from(entries) + block * blocks as f64
    }
}

/// What was done on a day, beside lookups.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Upkept {
    pub(super) uploads: Traffic,
    pub(super) joins: Traffic,
    pub(super) joined: u64,
    /// Segments that were joined twice, by clients that did not know of each other.
    pub(super) joined_twice: u64,
    pub(super) gc: Traffic,
    pub(super) gc_milliseconds: f64,
    pub(super) merged: u64,
}

pub(super) struct Remote {
    pub(super) parameters: Parameters,
    scenario: Scenario,
    sizes: Sizes,
    packs: Vec<Pack>,
    pub(super) pieces: Vec<Piece>,
    segments: BTreeMap<SegmentId, Segment>,
    /// Segments that were joined into others since `gc` last ran.
    gone: BTreeMap<SegmentId, Segment>,
    next: SegmentId,
    pub(super) today: Upkept,
    random: Random,
    /// The bytes of all descriptors when `gc` last looked.
    pub(super) raw_at_gc: f64,
    pub(super) most_segments: usize,
}

const SECONDS_OF_A_DAY: f64 = 24.0 * 60.0 * 60.0;

/// The day of a time.
fn day(time: f64) -> u64 {
    (time / SECONDS_OF_A_DAY) as u64
}

/// Numbers of bundles' blocks begin here.
const BUNDLES: u32 = 1 << 24;

impl Remote {
    pub(super) fn new(parameters: Parameters, scenario: Scenario) -> Remote {
        Remote {
            parameters,
            scenario,
            sizes: Sizes::measured(),
            packs: Vec::new(),
            pieces: Vec::new(),
            segments: BTreeMap::new(),
            gone: BTreeMap::new(),
            next: 0,
            today: Upkept::default(),
            random: Random::new(2),
            raw_at_gc: 0.0,
            most_segments: 0,
        }
    }

    pub(super) fn piece(&mut self, bytes: u64, entries: u32, is_bundle: bool) -> PieceId {
        self.pieces.push(Piece {
            pack: PackId::MAX,
            offset: 0,
            bytes,
            entries,
            is_bundle,
            is_current: true,
        });
        self.pieces.len() as PieceId - 1
    }

    /// When the pack was written in which a piece is.
    pub(super) fn written(&self, piece: PieceId) -> f64 {
        self.packs[self.pieces[piece as usize].pack as usize].written
    }

    fn block_bytes(&self) -> u64 {
        (model::BLOCK_BYTES as f64 / self.parameters.programs.compressed) as u64
    }

    /// Makes a pack of `pieces`, which are in this one from now on.
    fn pack(&mut self, pieces: Vec<PieceId>, written: f64, expires: f64) -> PackId {
        let id = self.packs.len() as PackId;
        let (mut bytes, mut entries, mut bundles) = ([0; 2], 0, 0);
        for piece in &pieces {
            let piece = &mut self.pieces[*piece as usize];
            let end = &mut bytes[usize::from(piece.is_bundle)];
            (piece.pack, piece.offset) = (id, *end);
            *end += piece.bytes;
            entries += piece.entries;
            bundles += u64::from(piece.is_bundle);
        }
        let blocks = bytes[0].div_ceil(self.block_bytes()) + bundles;
        self.packs.push(Pack {
            written,
            expires,
            pieces,
            bytes,
            entries,
            raw: Sizes::of(self.sizes.raw, entries, blocks),
            indexed: Sizes::of(self.sizes.indexed, entries, blocks),
            segments: Vec::new(),
            is_there: true,
        });
        id
    }

    fn pack_bytes(&self, pack: PackId) -> u64 {
        self.packs[pack as usize].bytes.iter().sum()
    }

    /// Adds a segment, which takes the place of none.
    fn segment(&mut self, mut packs: Vec<PackId>, written: f64) -> SegmentId {
        packs.sort_unstable();
        packs.dedup();
        let id = self.next;
        self.next += 1;
        let (mut raw, mut bytes, mut latest) = (0.0, 40.0, 0f64);
        for pack in &packs {
            let pack = &self.packs[*pack as usize];
            (raw, bytes) = (raw + pack.raw, bytes + pack.indexed);
            latest = latest.max(pack.written);
        }
        let segment = Segment {
            packs,
            bytes: bytes as u64,
            raw,
            written,
            latest,
        };
        if segment.is_readable() {
            for pack in &segment.packs {
                self.packs[*pack as usize].segments.push(id);
            }
        }
        self.segments.insert(id, segment);
        self.most_segments = self.most_segments.max(self.segments.len());
        id
    }

    /// The segments that there are.
    pub(super) fn listed(&self) -> Vec<SegmentId> {
        self.segments.keys().copied().collect()
    }

    /// The requests that a listing takes.
    pub(super) fn lists(&self) -> u64 {
        (self.segments.len() as u64)
            .div_ceil(model::LISTED_AT_ONCE)
            .max(1)
    }

    pub(super) fn segment_bytes(&self, segment: SegmentId) -> u64 {
        self.segments[&segment].bytes
    }

    /// The segments that a client takes in.
    pub(super) fn affordable(&self) -> Vec<SegmentId> {
        let mut ids = HashMap::new();
        let listed: Vec<_> = self
            .segments
            .iter()
            .map(|(id, segment)| {
                ids.insert(name(*id), *id);
                let at = match self.scenario.upkeep {
                    Upkeep::Present => segment.written,
                    Upkeep::ByDay => segment.latest,
                };
                (name(*id), segment.bytes, at as u64)
            })
            .collect();
        let taken = model::affordable(&listed, self.scenario.max_index_bytes);
        taken.iter().map(|name| ids[name]).collect()
    }

    /// How many bytes of the index were written within so many seconds before `now`.
    pub(super) fn written_since(&self, since: f64) -> Stage {
        let young = self
            .segments
            .values()
            .filter(|segment| segment.written >= since);
        young.map(|segment| Request::Get(segment.bytes)).collect()
    }

    /// Whether who took in these segments knows where a piece is.
    pub(super) fn is_known(&self, piece: PieceId, taken: &[SegmentId], now: f64) -> bool {
        let pack = &self.packs[self.pieces[piece as usize].pack as usize];
        let is_led_to = pack.segments.iter().any(|segment| taken.contains(segment));
        is_led_to && pack.is_there && now < pack.expires
    }

    /// Where a part of a piece is: pack, number of the block, range.
    pub(super) fn blocks(&self, piece: PieceId, part: Part) -> Vec<(u32, u32, Range<u64>)> {
        let piece = &self.pieces[piece as usize];
        let pack = &self.packs[piece.pack as usize];
        /// What a pack begins with.
        const MAGIC: u64 = 8;
        let within = match part {
            Part::Bundle => {
                let start = MAGIC + pack.bytes[0] + piece.offset;
                let number = BUNDLES + (piece.offset / piece.bytes.max(1)) as u32;
                return vec![(piece.pack, number, start..start + piece.bytes)];
            }
            Part::Records => 0.0..self.parameters.programs.records.1,
            Part::Stencils => self.parameters.programs.records.1..1.0,
        };
        let at = |share: f64| piece.offset + (share * piece.bytes as f64) as u64;
        let length = self.block_bytes();
        let (first, last) = (at(within.start) / length, at(within.end).max(1) - 1);
        let block = |number: u64| {
            let [start, end] = [number * length, ((number + 1) * length).min(pack.bytes[0])];
            (piece.pack, number as u32, MAGIC + start..MAGIC + end)
        };
        (first..=(last / length).max(first)).map(block).collect()
    }

    /// Stores a pack, and a segment that leads to it; then joins segments, of those that there
    /// were when the upload began.
    pub(super) fn upload(&mut self, pieces: Vec<PieceId>, before: &[SegmentId], now: f64) {
        let lifetime = self.scenario.days as f64 * SECONDS_OF_A_DAY;
        let pack = self.pack(pieces, now, now + lifetime);
        self.today.uploads.add(Request::Put(self.pack_bytes(pack)));
        let new = self.segment(vec![pack], now);
        self.today
            .uploads
            .add(Request::Put(self.segment_bytes(new)));
        let affordable = self.affordable();
        let is_joinable = |segment: &Segment| {
            self.scenario.upkeep == Upkeep::Present || day(segment.latest) == day(now)
        };
        let known = before.iter().chain([&new]).filter_map(|id| {
            let segment = self.as_it_was(*id).filter(|segment| is_joinable(segment));
            Some((*id, segment?.bytes))
        });
        let mut known: Vec<(SegmentId, u64)> = known.collect();
        while let Some(joined) = self.due(&known) {
            for (id, bytes) in known.iter().filter(|(id, _)| joined.contains(id)) {
                if self.segments.contains_key(id) && !affordable.contains(id) {
                    self.today.joins.add(Request::Get(*bytes));
                }
            }
            let id = self.join(&joined, now);
            known.retain(|(id, _)| !joined.contains(id));
            known.push((id, self.segment_bytes(id)));
        }
    }

    /// A segment, also one that is gone since: who took it in has it in a directory of its own.
    fn as_it_was(&self, id: SegmentId) -> Option<&Segment> {
        self.segments.get(&id).or_else(|| self.gone.get(&id))
    }

    fn due(&self, segments: &[(SegmentId, u64)]) -> Option<Vec<SegmentId>> {
        let named: Vec<_> = segments
            .iter()
            .map(|(id, bytes)| (name(*id), *bytes))
            .collect();
        let due: HashSet<_> = model::due(&named)?.into_iter().collect();
        let ids = segments.iter().map(|(id, _)| *id);
        Some(ids.filter(|id| due.contains(&name(*id))).collect())
    }

    /// Joins segments into one.
    fn join(&mut self, joined: &[SegmentId], now: f64) -> SegmentId {
        let mut packs = Vec::new();
        for id in joined {
            if let Some(segment) = self.segments.remove(id) {
                // What cannot be read is left out, and removed.
                if segment.is_readable() {
                    packs.extend(&segment.packs);
                }
                self.gone.insert(*id, segment);
            } else if let Some(segment) = self.gone.get(id) {
                packs.extend(&segment.packs);
                self.today.joined_twice += 1;
            }
        }
        packs.retain(|pack| now < self.packs[*pack as usize].expires);
        let id = self.segment(packs, now);
        self.today.joins.add(Request::Put(self.segment_bytes(id)));
        self.today.joins.deletes += joined.len() as f64;
        self.today.joined += 1;
        id
    }

    /// What `ibid remote gc` does.
    pub(super) fn gc(&mut self, now: f64) {
        let store = self.parameters.store;
        let mut stages: Vec<Stage> = Vec::new();
        let there = self.packs.iter().filter(|pack| pack.is_there).count() as u64;
        let lists = self.lists() + there.div_ceil(model::LISTED_AT_ONCE).max(1);
        stages.extend((0..lists).map(|_| vec![Request::List]));
        stages.push(vec![Request::Get(120)]);
        stages.extend(self.segments.values().map(|s| vec![Request::Get(s.bytes)]));
        let readable = self.segments.values().filter(|s| s.is_readable());
        let mut all: Vec<PackId> = readable.flat_map(|s| s.packs.clone()).collect();
        all.sort_unstable();
        all.dedup();
        self.raw_at_gc = all.iter().map(|pack| self.packs[*pack as usize].raw).sum();
        let by_day = self.scenario.upkeep == Upkeep::ByDay;
        all.retain(|id| {
            let pack = &self.packs[*id as usize];
            let is_current = || pack.pieces.iter().any(|piece| self.is_in(*piece, *id));
            let lifetime = self.scenario.days;
            match by_day {
                true => pack.is_there && day(now) <= day(pack.written) + lifetime,
                false => pack.is_there && now < pack.expires && is_current(),
            }
        });
        let written = |remote: &Remote, id: PackId| remote.packs[id as usize].written;
        all.sort_by(|a, b| written(self, *b).total_cmp(&written(self, *a)));
        let (small, mut stay): (Vec<PackId>, Vec<PackId>) = all.into_iter().partition(|pack| {
            // Of days, only the last one is new.
            let is_new = !by_day || day(written(self, *pack)) + 1 >= day(now);
            self.pack_bytes(*pack) < model::MERGED_BELOW && is_new
        });
        let listed: Vec<(u64, u64)> = small
            .iter()
            .map(|id| (written(self, *id) as u64, self.pack_bytes(*id)))
            .collect();
        let mut new = Vec::new();
        for group in model::merged(&listed) {
            let group: Vec<PackId> = group.into_iter().map(|number| small[number]).collect();
            if let [alone] = group[..] {
                stay.push(alone);
                continue;
            }
            self.today.merged += group.len() as u64;
            let mut pieces = Vec::new();
            let (mut last, mut expires) = (0.0, 0.0);
            for id in &group {
                let pack = &self.packs[*id as usize];
                stages.push(vec![Request::Get(pack.bytes.iter().sum())]);
                pieces.extend(pack.pieces.iter().filter(|piece| self.is_in(**piece, *id)));
                (last, expires) = (pack.written.max(last), pack.expires.max(expires));
            }
            let id = self.pack(pieces, last, expires);
            stages.push(vec![Request::Put(self.pack_bytes(id))]);
            new.push(id);
        }
        stay.extend(new);
        let deleted = self.write_index(&stay, now, &mut stages);
        stages.push(vec![Request::Put(120)]);
        let stay: HashSet<PackId> = stay.into_iter().collect();
        let mut gone = 0;
        for (pack, id) in self.packs.iter_mut().zip(0..) {
            if pack.is_there && !stay.contains(&id) {
                (pack.is_there, pack.pieces) = (false, Vec::new());
                gone += 1;
            }
        }
        let deletes = vec![vec![Request::Put(0)]; deleted + gone];
        let milliseconds = |stages: &[Stage], random: &mut Random| {
            super::objects::milliseconds(stages, &store, random)
        };
        self.today.gc_milliseconds += milliseconds(&stages, &mut self.random);
        self.today.gc_milliseconds += milliseconds(&deletes, &mut self.random);
        self.today.gc += Traffic::of(&stages);
        self.today.gc.deletes += (deleted + gone) as f64;
    }

    fn is_in(&self, piece: PieceId, pack: PackId) -> bool {
        let piece = &self.pieces[piece as usize];
        piece.is_current && piece.pack == pack
    }

    /// Writes segments of all that stays, and removes the others. Says how many those were.
    fn write_index(&mut self, stay: &[PackId], now: f64, stages: &mut Vec<Stage>) -> usize {
        let of_day = |remote: &Remote, pack: PackId| day(remote.packs[pack as usize].written);
        let mut stay = stay.to_vec();
        // The oldest first: clients that cannot take in all prefer what was written last.
        let written = |pack: PackId| self.packs[pack as usize].written;
        stay.sort_by(|a, b| written(*a).total_cmp(&written(*b)));
        let mut chunks: Vec<Vec<PackId>> = Vec::new();
        let mut raw = 0.0;
        for pack in stay {
            let bytes = self.packs[pack as usize].raw;
            raw += bytes;
            let is_full = raw > model::GC_SEGMENT_BYTES as f64;
            let by_day = self.scenario.upkeep == Upkeep::ByDay;
            let is_next =
                |chunk: &Vec<PackId>| by_day && of_day(self, chunk[0]) != of_day(self, pack);
            if chunks.last().is_none_or(|chunk| is_full || is_next(chunk)) {
                chunks.push(Vec::new());
                raw = bytes;
            }
            chunks.last_mut().expect("there is one now").push(pack);
        }
        self.gone.clear();
        let old: HashMap<Vec<PackId>, SegmentId> = self
            .segments
            .iter()
            .map(|(id, segment)| (segment.packs.clone(), *id))
            .collect();
        let before = self.segments.len();
        let mut kept: HashSet<SegmentId> = HashSet::new();
        let mut at = now;
        for mut chunk in chunks {
            chunk.sort_unstable();
            if let Some(id) = old.get(&chunk) {
                kept.insert(*id);
                continue;
            }
            let id = self.segment(chunk, at);
            let request = Request::Put(self.segment_bytes(id));
            at += request.milliseconds(&self.parameters.store, &mut self.random) / 1e3;
            stages.push(vec![request]);
            kept.insert(id);
        }
        self.segments.retain(|id, _| kept.contains(id));
        before - before.min(old.values().filter(|id| kept.contains(id)).count())
    }

    /// The bytes of all packs and segments, and those of what nothing has taken the place of.
    pub(super) fn stored(&self) -> (u64, u64) {
        let there = self.packs.iter().filter(|pack| pack.is_there);
        let packs: u64 = there.clone().flat_map(|pack| pack.bytes).sum();
        let current = |piece: &&PieceId| self.pieces[**piece as usize].is_current;
        let pieces = there.flat_map(|pack| pack.pieces.iter().filter(current));
        let live = pieces.map(|piece| self.pieces[*piece as usize].bytes).sum();
        (packs + self.index_bytes(), live)
    }

    pub(super) fn index_bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// The entries that the index leads to, of those of the segments `taken` or of all.
    pub(super) fn indexed(&self, taken: Option<&[SegmentId]>) -> u64 {
        let is_taken = |id: &SegmentId| taken.is_none_or(|taken| taken.contains(id));
        let segments = self.segments.iter();
        let segments = segments.filter(|(id, segment)| is_taken(id) && segment.is_readable());
        let mut packs: Vec<PackId> = segments.flat_map(|(_, s)| s.packs.clone()).collect();
        packs.sort_unstable();
        packs.dedup();
        packs
            .iter()
            .map(|pack| u64::from(self.packs[*pack as usize].entries))
            .sum()
    }

    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The largest segment, in bytes.
    pub(super) fn largest_segment(&self) -> (u64, f64) {
        let sizes = self.segments.values().map(|s| (s.bytes, s.raw));
        sizes.max_by_key(|(bytes, _)| *bytes).unwrap_or_default()
    }
}

/// The name of a segment: any, but as random as a digest.
fn name(id: SegmentId) -> model::Name {
    let mut name = [0; 32];
    name[..8].copy_from_slice(&mix(u64::from(id) + 1).to_le_bytes());
    name[8..12].copy_from_slice(&id.to_le_bytes());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> Remote {
        Remote::new(Parameters::default(), Scenario::new(1, 10))
    }

    fn upload(remote: &mut Remote, bytes: u64, now: f64) -> PieceId {
        let (before, piece) = (remote.listed(), remote.piece(bytes, 10, false));
        remote.upload(vec![piece], &before, now);
        piece
    }

    #[test]
    fn eight_segments_become_one() {
        let mut remote = remote();
        for number in 1..=8 {
            upload(&mut remote, 8000, f64::from(number));
            assert_eq!(
                remote.segments(),
                if number < 8 { number as usize } else { 1 }
            );
        }
        let Upkept {
            uploads,
            joins,
            joined,
            joined_twice,
            ..
        } = remote.today;
        assert_eq!((uploads.puts, joins.puts, joins.deletes), (16.0, 1.0, 8.0));
        assert_eq!((joined, joined_twice, joins.gets), (1, 0, 0.0));
        assert!(
            (8 * 150..8 * 400).contains(&remote.index_bytes()),
            "{}",
            remote.index_bytes()
        );
        assert_eq!(remote.indexed(None), 80);
    }

    #[test]
    fn two_clients_at_once_join_the_same_segments() {
        let mut remote = remote();
        for number in 1..=7 {
            upload(&mut remote, 8000, f64::from(number));
        }
        let before = remote.listed();
        for now in [8.0, 8.1] {
            let piece = remote.piece(8000, 10, false);
            remote.upload(vec![piece], &before, now);
        }
        assert_eq!((remote.today.joined, remote.today.joined_twice), (2, 7));
        assert_eq!((remote.segments(), remote.indexed(None)), (2, 90));
    }

    #[test]
    fn gc_merges_small_packs_and_removes_what_is_out_of_date() {
        let mut remote = remote();
        let large = upload(&mut remote, 5_000_000, 0.0);
        let small: Vec<PieceId> = [1.0, 2.0, 3.0]
            .map(|at| upload(&mut remote, 8000, at))
            .into();
        remote.today = Upkept::default();
        remote.gc(100.0);
        let gc = remote.today.gc;
        // Two lists; the floor, four segments, three packs; a pack, a segment, the floor; four
        // segments and three packs.
        assert_eq!(
            (gc.lists, gc.gets, gc.puts, gc.deletes),
            (2.0, 8.0, 3.0, 7.0)
        );
        assert_eq!((remote.today.merged, remote.segments()), (3, 1));
        let pack = remote.pieces[small[0] as usize].pack;
        assert!(
            small
                .iter()
                .all(|piece| remote.pieces[*piece as usize].pack == pack)
        );
        assert_eq!(remote.stored().1, 5_024_000);
        let all = remote.affordable();
        assert!(remote.is_known(large, &all, 200.0) && remote.is_known(small[2], &all, 200.0));

        let later = 30.0 * SECONDS_OF_A_DAY + 2.5;
        remote.gc(later);
        let all = remote.affordable();
        assert!(!remote.is_known(large, &all, later) && remote.is_known(small[0], &all, later));
        remote.gc(later + 1.0);
        assert_eq!((remote.segments(), remote.stored()), (0, (0, 0)));
    }

    #[test]
    fn blocks_lie_where_their_pieces_do() {
        let mut remote = remote();
        let first = remote.piece(1_000_000, 100, false);
        let bundle = remote.piece(300, 1, true);
        let second = remote.piece(1000, 2, false);
        remote.upload(vec![first, bundle, second], &[], 0.0);
        let length = (262_144.0 / 2.5) as u64;
        assert_eq!(remote.blocks(first, Part::Records), [(0, 0, 8..8 + length)]);
        assert_eq!(remote.blocks(first, Part::Stencils).len(), 10);
        let last = (0, 9, 8 + 9 * length..1_001_008);
        assert_eq!(remote.blocks(second, Part::Stencils), [last]);
        let of_bundle = (0, BUNDLES, 1_001_008..1_001_308);
        assert_eq!(remote.blocks(bundle, Part::Bundle), [of_bundle]);
    }

    #[test]
    fn descriptors_are_as_large_as_those_of_the_crate() {
        let sizes = Sizes::measured();
        for packs in [
            vec![(10, 1); 100],
            vec![(13_000, 96)],
            vec![(2000, 20), (7, 1), (300, 4)],
        ] {
            let (raw, segment) = model::segment_bytes(&packs);
            let [raw_here, here] = [sizes.raw, sizes.indexed].map(|sizes| {
                let of =
                    |(entries, blocks): &(u32, u32)| Sizes::of(sizes, *entries, u64::from(*blocks));
                packs.iter().map(of).sum::<f64>()
            });
            assert!(
                (raw as f64 - raw_here).abs() < 2.0 * packs.len() as f64,
                "{raw} {raw_here}"
            );
            let close = (segment as f64 / here - 1.0).abs() < 0.1;
            assert!(close, "{packs:?}: {segment} {here}");
        }
    }
}
