//! Programs that change, machines that compile them, day after day.

use super::objects::{Request, Stage};
use super::parameters::{Habits, Parameters, Programs, Scenario};
use super::random::Random;
use super::remote::{Part, PieceId, Remote, SegmentId};
use ibid_remote::model;
use std::collections::HashMap;

/// A day, in seconds.
const DAY: f64 = 24.0 * 60.0 * 60.0;

/// Machines are followed for so many days, so that they know on the last one what they have
/// compiled before.
const FOLLOWED_DAYS: u64 = 12;

/// What is found is counted on so many days: which of the segments a client takes in differs from
/// day to day.
const COUNTED_DAYS: u64 = 10;

/// So many new machines are made in each of their evenings.
const NEW_MACHINES: usize = 50;

/// A program, since it became another one.
#[derive(Debug, Default)]
struct Program {
    generation: u64,
    versions: Vec<Version>,
    surroundings: u32,
    /// The next upload has a bundle.
    is_seen: bool,
    /// Entries that were edited since there is a bundle.
    edited: u32,
    /// Of which surroundings, of which version.
    bundles: Vec<(u32, usize, PieceId)>,
}

#[derive(Clone, Copy, Debug)]
struct Version {
    surroundings: u32,
    piece: PieceId,
    at: f64,
}

/// What a machine has in its own store of a program.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    generation: u64,
    version: Option<usize>,
    /// Of which surroundings and version it has a bundle.
    bundle: Option<(u32, usize)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    programs: Vec<usize>,
    known: HashMap<usize, Known>,
    refreshed: Option<f64>,
    taken: Vec<SegmentId>,
    compiled_today: bool,
}

/// What a compile asked of a remote.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) stages: Vec<Stage>,
    /// The bytes of the index among them.
    pub(super) index_bytes: u64,
    pub(super) is_first_of_day: bool,
    /// The index was not as young as it may be.
    pub(super) refreshed: bool,
    /// Entries that the machine did not have, and those of them that were found.
    pub(super) needed: f64,
    pub(super) found: f64,
    /// What a server of values would have been asked instead.
    pub(super) values: Values,
}

/// What a server of values is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Values {
    pub(super) round_trips: u64,
    pub(super) commands: u64,
    pub(super) values: u64,
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    First,
    Upgrade,
    Edit,
}

enum Event {
    UploadBegins(usize),
    UploadEnds(usize),
    Compile { machine: usize, is_edit: bool },
}

pub(super) struct Fleet {
    pub(super) parameters: Parameters,
    pub(super) scenario: Scenario,
    pub(super) remote: Remote,
    programs: Vec<Program>,
    machines: Vec<Machine>,
    random: Random,
    /// Entries and bytes that were uploaded on a day: the mean.
    pub(super) uploaded: (f64, f64),
    pub(super) days: Days,
}

/// What was counted on several days.
#[derive(Clone, Debug, Default)]
pub(super) struct Days {
    /// The entries that were lacking, and those that were found, on each day.
    pub(super) found: Vec<(f64, f64)>,
    /// The same of new machines in the evening.
    pub(super) found_by_new: Vec<(f64, f64)>,
    /// The largest segment, in bytes, and unpacked.
    pub(super) largest: (u64, f64),
}

impl Fleet {
    pub(super) fn new(parameters: Parameters, scenario: Scenario) -> Fleet {
        let mut random = Random::new(1);
        let Habits {
            programs, followed, ..
        } = parameters.habits;
        let there_are = scenario
            .uploads
            .div_ceil(parameters.programs.uploads_of_one)
            .max(1) as usize;
        let machine = |_| {
            let mut chosen: Vec<usize> = (0..there_are).collect();
            while chosen.len() > programs {
                if there_are > 4 * programs {
                    chosen = (0..programs).map(|_| random.below(there_are)).collect();
                } else {
                    chosen.swap_remove(random.below(chosen.len()));
                }
            }
            Machine {
                programs: chosen,
                ..Machine::default()
            }
        };
        let machines = (0..scenario.machines.min(followed)).map(machine).collect();
        Fleet {
            remote: Remote::new(parameters, scenario.clone()),
            programs: (0..there_are).map(|_| Program::default()).collect(),
            machines,
            random,
            parameters,
            scenario,
            uploaded: (0.0, 0.0),
            days: Days::default(),
        }
    }

    /// How many machines there are for each that is followed.
    pub(super) fn factor(&self) -> f64 {
        self.scenario.machines as f64 / self.machines.len() as f64
    }

    /// Lets days pass until there is as much as there will be, and gives what was asked on the
    /// last one.
    pub(super) fn run(&mut self) -> Vec<Trace> {
        let days = self.scenario.days + 5;
        let mut traces = Vec::new();
        for day in 0..days {
            self.remote.today = Default::default();
            self.remote.most_segments = 0;
            let is_followed = days - day <= FOLLOWED_DAYS;
            let night = day as f64 * DAY;
            self.remote.gc(night + DAY / 12.0);
            traces = self.day(night + DAY / 3.0, is_followed);
            if days - day <= COUNTED_DAYS {
                let evening = night + DAY * 2.0 / 3.0;
                let new: Vec<Trace> = (0..NEW_MACHINES)
                    .map(|_| self.cold_compile(evening))
                    .collect();
                self.days.found.push(found(&traces));
                self.days.found_by_new.push(found(&new));
                let largest = self.remote.largest_segment();
                if self.days.largest.0 < largest.0 {
                    self.days.largest = largest;
                }
            }
        }
        let (entries, bytes) = self.uploaded;
        self.uploaded = (entries / days as f64, bytes / days as f64);
        traces
    }

    fn day(&mut self, morning: f64, is_followed: bool) -> Vec<Trace> {
        let Habits {
            seconds, compiles, ..
        } = self.parameters.habits;
        let mut events: Vec<(f64, Event)> = Vec::new();
        for number in 0..self.scenario.uploads as usize {
            let begins = morning + self.random.between(0.0, seconds);
            events.push((begins, Event::UploadBegins(number)));
            events.push((begins + self.upload_seconds(), Event::UploadEnds(number)));
        }
        if is_followed {
            let all = (self.scenario.machines * compiles) as f64;
            let edits = self.scenario.uploads as f64 / all;
            for machine in 0..self.machines.len() {
                self.machines[machine].compiled_today = false;
                for _ in 0..compiles {
                    let at = morning + self.random.between(0.0, seconds);
                    let is_edit = self.random.chance(edits);
                    events.push((at, Event::Compile { machine, is_edit }));
                }
            }
        }
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut listed: HashMap<usize, Vec<SegmentId>> = HashMap::new();
        let mut traces = Vec::new();
        for (now, event) in events {
            match event {
                Event::UploadBegins(number) => {
                    // Its lookups were seconds ago: it lacks what was written since.
                    let mut asked: Stage = self.remote.written_since(now - 10.0);
                    asked.extend((0..self.remote.lists()).map(|_| Request::List));
                    asked.push(Request::Get(120));
                    for request in asked {
                        self.remote.today.uploads.add(request);
                    }
                    listed.insert(number, self.remote.listed());
                }
                Event::UploadEnds(number) => {
                    let before = listed.remove(&number).expect("it began");
                    self.upload(&before, now);
                }
                Event::Compile { machine, is_edit } => {
                    let mut taken = std::mem::take(&mut self.machines[machine]);
                    let program = taken.programs[self.random.below(taken.programs.len())];
                    traces.push(self.compile(&mut taken, program, is_edit, now));
                    self.machines[machine] = taken;
                }
            }
        }
        traces
    }

    /// How long it takes from the listing to the segment.
    fn upload_seconds(&mut self) -> f64 {
        let store = self.parameters.store;
        let stages = [
            vec![Request::List],
            vec![Request::Put(2_000_000)],
            vec![Request::Put(1000)],
        ];
        super::objects::milliseconds(&stages, &store, &mut self.random) / 1e3
    }

    /// A version of some program is uploaded.
    fn upload(&mut self, before: &[SegmentId], now: f64) {
        let Programs {
            entries,
            bytes,
            bundle_bytes,
            first,
            upgrades,
            upgraded,
            edited,
            new_surroundings,
            ..
        } = self.parameters.programs;
        let number = self.random.below(self.programs.len());
        let mut program = std::mem::take(&mut self.programs[number]);
        let kind = self.random.fraction();
        let kind = match program.versions.is_empty() {
            true => Kind::First,
            false if kind < first => Kind::First,
            false if kind < first + upgrades => Kind::Upgrade,
            false => Kind::Edit,
        };
        let share = match kind {
            Kind::First => 1.0,
            Kind::Upgrade => self.random.between(upgraded.0, upgraded.1),
            Kind::Edit => self.random.between(edited.0, edited.1).round() / f64::from(entries),
        };
        let mut pieces = match kind {
            Kind::First => Vec::new(),
            _ => self.renewed(&program, now),
        };
        if kind == Kind::First {
            program = Program {
                generation: program.generation + 1,
                ..Program::default()
            };
        }
        let made = (share * f64::from(entries)).round() as u32;
        let piece = self
            .remote
            .piece((share * bytes as f64) as u64, made, false);
        pieces.push(piece);
        program.edited += made;
        if kind == Kind::Upgrade || kind == Kind::Edit && self.random.chance(new_surroundings) {
            program.surroundings += 1;
            program.is_seen = false;
        }
        program.versions.push(Version {
            surroundings: program.surroundings,
            piece,
            at: now,
        });
        // A new module is mostly compiled; else its surroundings have to be seen a second time.
        let has_bundle = program
            .bundles
            .last()
            .is_some_and(|b| b.0 == program.surroundings);
        let has_drifted = has_bundle && program.edited > entries / 16;
        if kind == Kind::First || program.is_seen && (!has_bundle || has_drifted) {
            let bundle = self.remote.piece(bundle_bytes, 1, true);
            if has_drifted && let Some((_, _, old)) = program.bundles.last() {
                self.remote.pieces[*old as usize].is_current = false;
            }
            let version = program.versions.len() - 1;
            program
                .bundles
                .push((program.surroundings, version, bundle));
            program.edited = 0;
            pieces.push(bundle);
        }
        program.is_seen = true;
        for piece in &pieces {
            let piece = &self.remote.pieces[*piece as usize];
            self.uploaded.0 += f64::from(piece.entries);
            self.uploaded.1 += piece.bytes as f64;
        }
        self.remote.upload(pieces, before, now);
        self.programs[number] = program;
    }

    /// What is stored again, because half of its time is over.
    fn renewed(&self, program: &Program, now: f64) -> Vec<PieceId> {
        let versions = program.versions.iter().map(|version| version.piece);
        let bundle = program.bundles.last().map(|(_, _, piece)| *piece);
        let is_old = |piece: &PieceId| {
            now - self.remote.written(*piece) > self.scenario.days as f64 * DAY / 2.0
        };
        versions.chain(bundle).filter(is_old).collect()
    }

    /// A machine that has nothing compiles what was uploaded last of some program.
    pub(super) fn cold_compile(&mut self, now: f64) -> Trace {
        let program = self.random.below(self.programs.len());
        self.compile(&mut Machine::default(), program, false, now)
    }

    /// A machine compiles what was uploaded lately, or an edit of its own over it.
    fn compile(&mut self, machine: &mut Machine, program: usize, is_edit: bool, now: f64) -> Trace {
        let mut trace = Trace {
            is_first_of_day: !machine.compiled_today,
            ..Trace::default()
        };
        machine.compiled_today = true;
        let Some(last) = self.programs[program].versions.len().checked_sub(1) else {
            return trace;
        };
        let recent = |version: &Version| now - version.at <= DAY;
        let lately = self.programs[program]
            .versions
            .iter()
            .rev()
            .take_while(|v| recent(v))
            .count();
        let version = last
            - if lately > 0 {
                self.random.below(lately)
            } else {
                0
            };
        let program_now = &self.programs[program];
        let mut known = machine.known.get(&program).copied().unwrap_or_default();
        if known.generation != program_now.generation {
            known = Known {
                generation: program_now.generation,
                ..Known::default()
            };
        }
        let surroundings = program_now.versions[version].surroundings;
        let has = |v: usize| known.version.is_some_and(|last| v <= last);
        if !has(version) || is_edit {
            self.look_up(&mut trace, machine, program, &known, version, is_edit, now);
        }
        let bundles = &self.programs[program].bundles;
        let bundle = bundles.iter().rev().find(|bundle| bundle.0 == surroundings);
        let had = known.bundle.filter(|bundle| bundle.0 == surroundings);
        known.bundle = had.or(bundle.map(|(of, version, _)| (*of, *version)));
        known.version = known.version.max(Some(version));
        machine.known.insert(program, known);
        trace
    }

    #[expect(clippy::too_many_arguments)]
    fn look_up(
        &mut self,
        trace: &mut Trace,
        machine: &mut Machine,
        program: usize,
        known: &Known,
        version: usize,
        is_edit: bool,
        now: f64,
    ) {
        let program = &self.programs[program];
        let surroundings = program.versions[version].surroundings;
        let pieces = |range: std::ops::Range<usize>| {
            program.versions[range].iter().map(|version| version.piece)
        };
        let entries = |piece: PieceId| f64::from(self.remote.pieces[piece as usize].entries);
        let first_lacking = known.version.map_or(0, |version| version + 1);
        trace.needed = pieces(first_lacking.min(version + 1)..version + 1)
            .map(entries)
            .sum();
        let mut covered = known
            .bundle
            .filter(|bundle| bundle.0 == surroundings)
            .map(|b| b.1);
        if covered.is_none() {
            self.refresh(trace, machine, now);
            let bundles = program.bundles.iter().rev();
            let mut bundles = bundles.filter(|bundle| bundle.0 == surroundings);
            trace.values.round_trips += 1;
            trace.values.commands += 1;
            if let Some((_, of, bundle)) = bundles.next() {
                trace.values.values += 1;
                trace.values.bytes += self.remote.pieces[*bundle as usize].bytes;
                if self.remote.is_known(*bundle, &machine.taken, now) {
                    trace.stages.push(self.reads(&[*bundle], Part::Bundle).0);
                    covered = Some(*of);
                }
            }
        }
        let first_read = covered.map_or(0, |covered| covered + 1).max(first_lacking);
        let lacking: Vec<PieceId> = pieces(first_read.min(version + 1)..version + 1).collect();
        trace.found = trace.needed - lacking.iter().map(|piece| entries(*piece)).sum::<f64>();
        if lacking.is_empty() && !is_edit {
            return;
        }
        self.refresh(trace, machine, now);
        let there: Vec<PieceId> = lacking
            .iter()
            .copied()
            .filter(|piece| self.remote.is_known(*piece, &machine.taken, now))
            .collect();
        for part in [Part::Records, Part::Stencils] {
            let (stage, share) = self.reads(&there, part);
            if !stage.is_empty() {
                trace.stages.push(stage);
            }
            let records = self.parameters.programs.records.0;
            let of_part = if part == Part::Records {
                records
            } else {
                1.0 - records
            };
            let all: f64 = there.iter().map(|piece| entries(*piece)).sum();
            trace.found += all * of_part * share;
            let asked: f64 = lacking.iter().map(|piece| entries(*piece)).sum::<f64>() * of_part;
            /// The keys of one command.
            const ASKED_AT_ONCE: f64 = 256.0;
            trace.values.round_trips += 1;
            trace.values.commands += (asked / ASKED_AT_ONCE).ceil().max(1.0) as u64;
            trace.values.values += asked as u64;
        }
        let bytes = lacking
            .iter()
            .map(|piece| self.remote.pieces[*piece as usize].bytes);
        trace.values.bytes += bytes.sum::<u64>();
    }

    /// Asks for what is new in the index, if that may be.
    fn refresh(&self, trace: &mut Trace, machine: &mut Machine, now: f64) {
        let age = machine.refreshed.map(|at| now - at);
        if age.is_some_and(|age| age < self.scenario.refresh_after) {
            return;
        }
        let mut first = vec![Request::Get(120)];
        first.extend((0..self.remote.lists()).map(|_| Request::List));
        trace.stages.push(first);
        let affordable = self.remote.affordable();
        let lacking: Vec<Request> = affordable
            .iter()
            .filter(|segment| !machine.taken.contains(segment))
            .map(|segment| Request::Get(self.remote.segment_bytes(*segment)))
            .collect();
        for request in &lacking {
            if let Request::Get(bytes) = request {
                trace.index_bytes += bytes;
            }
        }
        let chunks = lacking
            .chunks(model::FETCHED_AT_ONCE)
            .map(<[Request]>::to_vec);
        trace.stages.extend(chunks);
        trace.refreshed = true;
        (machine.taken, machine.refreshed) = (affordable, Some(now));
    }

    /// The reads of a lookup, and the share of the blocks that they bring.
    fn reads(&self, pieces: &[PieceId], part: Part) -> (Stage, f64) {
        let blocks = pieces
            .iter()
            .flat_map(|piece| self.remote.blocks(*piece, part));
        let mut blocks: Vec<_> = blocks.collect();
        blocks.sort_by_key(|(pack, number, _)| (*pack, *number));
        blocks.dedup();
        let reads = model::reads(&blocks);
        let read: usize = reads.iter().map(|(_, _, blocks)| blocks.len()).sum();
        let stage = reads
            .iter()
            .map(|(_, range, _)| Request::Get(range.end - range.start));
        (stage.collect(), read as f64 / blocks.len().max(1) as f64)
    }
}

/// The entries that were lacking, and those that were found.
fn found(traces: &[Trace]) -> (f64, f64) {
    let sum = |of: fn(&Trace) -> f64| traces.iter().map(of).sum();
    (sum(|trace| trace.needed), sum(|trace| trace.found))
}

#[cfg(test)]
mod tests {
    use super::super::objects::Traffic;
    use super::*;

    /// One program, of which only edits come after the first upload.
    fn fleet(scenario: Scenario) -> Fleet {
        let mut parameters = Parameters::default();
        parameters.programs.first = 0.0;
        parameters.programs.upgrades = 0.0;
        parameters.programs.new_surroundings = 0.0;
        Fleet::new(parameters, scenario)
    }

    fn upload(fleet: &mut Fleet, now: f64) {
        let before = fleet.remote.listed();
        fleet.upload(&before, now);
    }

    #[test]
    fn a_module_and_an_edit_are_found_with_these_requests() {
        let mut fleet = fleet(Scenario::new(1, 10));
        let mut machine = Machine::default();
        upload(&mut fleet, 0.0);
        assert_eq!(fleet.remote.today.uploads.puts, 2.0);
        let trace = fleet.compile(&mut machine, 0, false, 100.0);
        // The list and the floor, the segment, the bundle.
        let traffic = Traffic::of(&trace.stages);
        assert_eq!((traffic.lists, traffic.gets), (1.0, 3.0));
        assert_eq!(
            traffic.down,
            10_000_000.0 + 120.0 + trace.index_bytes as f64
        );
        assert!((90_000..115_000).contains(&trace.index_bytes));
        assert_eq!((trace.needed, trace.found), (13_000.0, 13_000.0));
        assert_eq!(trace.values.round_trips, 1);
        let stages = trace.stages.iter().map(Vec::len);
        assert_eq!(stages.collect::<Vec<_>>(), [2, 1, 1]);
        // What it has it does not ask for.
        let again = fleet.compile(&mut machine, 0, false, 200.0);
        assert!(again.stages.is_empty() && again.needed == 0.0);

        upload(&mut fleet, 1000.0);
        let known = machine.known[&0];
        let mut trace = Trace::default();
        fleet.look_up(&mut trace, &mut machine, 0, &known, 1, false, 2000.0);
        // The list and the floor, the new segment, the pack for records and again for stencils.
        let traffic = Traffic::of(&trace.stages);
        assert_eq!((traffic.lists, traffic.gets), (1.0, 4.0));
        assert!(trace.needed > 0.0 && (trace.found - trace.needed).abs() < 1e-9);
        assert_eq!(trace.values.round_trips, 2);
    }

    #[test]
    fn a_young_index_is_not_asked_for() {
        let mut fleet = fleet(Scenario::new(1, 10));
        let mut machine = Machine::default();
        upload(&mut fleet, 0.0);
        fleet.compile(&mut machine, 0, false, 100.0);
        let edit = fleet.compile(&mut machine, 0, true, 129.0);
        assert!(edit.stages.is_empty() && !edit.refreshed);
        let edit = fleet.compile(&mut machine, 0, true, 131.0);
        let expected = Traffic {
            gets: 1.0,
            lists: 1.0,
            down: 120.0,
            ..Traffic::default()
        };
        assert_eq!(Traffic::of(&edit.stages), expected);
    }

    #[test]
    fn what_is_beyond_the_index_of_a_client_is_not_found() {
        let mut small = Scenario::new(1, 10);
        small.max_index_bytes = 50_000;
        let mut fleet = fleet(small);
        upload(&mut fleet, 0.0);
        let trace = fleet.compile(&mut Machine::default(), 0, false, 100.0);
        let traffic = Traffic::of(&trace.stages);
        assert_eq!((traffic.lists, traffic.gets), (1.0, 1.0));
        assert_eq!((trace.needed, trace.found), (13_000.0, 0.0));
    }

    #[test]
    fn a_day_is_the_same_in_every_run() {
        let run = || {
            let mut fleet = Fleet::new(Parameters::default(), Scenario::new(3, 20));
            let traces = fleet.run();
            let mut sum = Traffic::default();
            traces
                .iter()
                .for_each(|trace| sum += Traffic::of(&trace.stages));
            (sum, fleet.remote.stored(), fleet.remote.today.uploads)
        };
        let (lookups, (stored, live), uploads) = run();
        assert_eq!((lookups, (stored, live), uploads), run());
        // No compile asks more than once; each upload asks once.
        assert!(lookups.lists <= 60.0 && lookups.lists > 0.0);
        assert_eq!((uploads.lists, uploads.puts), (20.0, 40.0));
        assert!(live <= stored && live > 0);
    }
}
