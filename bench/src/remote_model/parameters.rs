//! What the model takes for granted.

use ibid_remote::{RemoteOptions, Trust};
use serde::Serialize;

/// The object store: Amazon S3, as seen from a machine in its region.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Store {
    /// Until the first byte of an answer to a GET, in milliseconds: the median and the 99th
    /// percentile of a lognormal distribution.
    pub get_ms: (f64, f64),
    /// The same of a PUT.
    pub put_ms: (f64, f64),
    /// The same of a LIST.
    pub list_ms: (f64, f64),
    /// Of one connection.
    pub bytes_per_second: f64,
    /// GET, HEAD and LIST a second, of one prefix.
    pub reads_per_second: u64,
    /// PUT and DELETE a second, of one prefix.
    pub writes_per_second: u64,
    /// Dollars for a thousand GETs.
    pub thousand_gets: f64,
    /// Dollars for a thousand PUTs or LISTs.
    pub thousand_puts: f64,
    /// Dollars for a gigabyte that is stored for a month.
    pub gigabyte_month: f64,
}

/// What is compiled.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Programs {
    /// Entries of a module: stencils and records.
    pub entries: u32,
    /// Of these, the share of records, and their share of the bytes.
    pub records: (f64, f64),
    /// What they take in a pack, in bytes.
    pub bytes: u64,
    /// What the bundle takes in a pack, in bytes.
    pub bundle_bytes: u64,
    /// How many times smaller zstd makes an entry.
    pub compressed: f64,
    /// Of uploads, the share of modules that nobody has compiled before.
    pub first: f64,
    /// Of uploads, the share of upgrades. The rest is edits.
    pub upgrades: f64,
    /// The share of a module that an upgrade compiles: between these.
    pub upgraded: (f64, f64),
    /// The entries that an edit makes: between these.
    pub edited: (f64, f64),
    /// The share of edits after which the module has other surroundings, so that the next upload
    /// of it has a bundle.
    pub new_surroundings: f64,
    /// The uploads a day of one program; there are as many programs as that makes.
    pub uploads_of_one: u64,
}

/// Who compiles.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Habits {
    /// Compiles of a machine on a day.
    pub compiles: u64,
    /// The seconds of a day on which somebody compiles.
    pub seconds: f64,
    /// The programs that are compiled on one machine.
    pub programs: usize,
    /// So many machines are followed; the figures of larger fleets are multiples of theirs.
    pub followed: u64,
}

/// What the model takes for granted.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Parameters {
    /// The object store.
    pub store: Store,
    /// What is compiled.
    pub programs: Programs,
    /// Who compiles.
    pub habits: Habits,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            store: Store {
                get_ms: (20.0, 120.0),
                put_ms: (35.0, 200.0),
                list_ms: (25.0, 150.0),
                bytes_per_second: 80e6,
                reads_per_second: 5500,
                writes_per_second: 3500,
                thousand_gets: 0.0004,
                thousand_puts: 0.005,
                gigabyte_month: 0.023,
            },
            programs: Programs {
                entries: 13_000,
                records: (0.37, 0.05),
                bytes: 10_000_000,
                bundle_bytes: 10_000_000,
                compressed: 2.5,
                first: 0.01,
                upgrades: 0.09,
                upgraded: (0.06, 0.30),
                edited: (2.0, 20.0),
                new_surroundings: 0.1,
                uploads_of_one: 10,
            },
            habits: Habits {
                compiles: 20,
                seconds: 8.0 * 3600.0,
                programs: 5,
                followed: 500,
            },
        }
    }
}

/// How segments of the index are joined, and what `gc` makes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Upkeep {
    /// As the crate does it.
    Present,
    /// Segments are of one day each: only those of today are joined; clients take in the latest
    /// days; `gc` merges what is small of the last day, and leaves older days alone until their time
    /// is over.
    ByDay,
}

/// A fleet and its remote.
#[derive(Clone, Debug, Serialize)]
pub struct Scenario {
    /// What is special about it.
    pub name: String,
    /// How many machines there are.
    pub machines: u64,
    /// Compiles a day that upload something.
    pub uploads: u64,
    /// How old the index may be, in seconds.
    pub refresh_after: f64,
    /// For how many days uploads hold.
    pub days: u64,
    /// How much of the index a client takes in.
    pub max_index_bytes: u64,
    /// How segments are joined.
    pub upkeep: Upkeep,
    /// There are so many such fleets, each with a prefix of its own.
    pub prefixes: u64,
}

impl Scenario {
    /// A fleet with the options that the crate has by default.
    pub fn new(machines: u64, uploads: u64) -> Scenario {
        let options = RemoteOptions::new(Trust::Anyone);
        Scenario {
            name: String::new(),
            machines,
            uploads,
            refresh_after: options.refresh_after.as_secs_f64(),
            days: options.lifetime.as_secs() / (24 * 60 * 60),
            max_index_bytes: options.max_index_bytes,
            upkeep: Upkeep::Present,
            prefixes: 1,
        }
    }
}
