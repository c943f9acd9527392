//! Looking at LMDB's data file before it is mapped into memory.
//!
//! LMDB maps more than the file has (the map is as large as the file may become) and trusts that
//! every page in use is there. If the file was cut short, by a copy that was interrupted or a full
//! disk, then the first access to a page beyond its end raises `SIGBUS`, which ends the process.
//! So the file is looked at with plain reads first. What can be told by that is whether it is an
//! LMDB database at all, and whether it is long enough. That its pages are intact cannot; the
//! checksums of the entries are there for that.
//!
//! The file starts with two meta pages; a commit writes them by turns, and the one with the higher
//! transaction number holds. This is what is read of each, as laid out on 64-bit machines by
//! `MDB_page` and `MDB_meta` in `mdb.c` of LMDB 0.9.70 (lmdb-master-sys 0.2.6), data version 1:
//!
//! ```text
//! offset  size  field
//!     10     2  mp_flags               8 for a meta page (P_META)
//!     16     4  mm_magic               0xBEEFC0DE
//!     20     4  mm_version             1
//!     32     8  mm_mapsize             the largest map of any process so far, in bytes
//!     40     4  mm_dbs[0].md_pad       page size, in bytes
//!     80     8  mm_dbs[0].md_root      root page of the list of free pages, or all ones
//!    136     8  mm_last_pg             the last page that was ever allocated
//!    144     8  mm_txnid               transaction number
//! ```
//!
//! All numbers are in the machine's byte order. The second meta page is one page size further.
//! On other than 64-bit machines offsets differ, and nothing is checked.

use super::error::OpenError;
use super::free_pages::{self, Pages};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

const META_BYTES: usize = 152;
const META_PAGE_FLAG: u16 = 8;
const MAGIC: u32 = 0xBEEF_C0DE;
const DATA_VERSION: u32 = 1;

/// How often to look again at a file that seems damaged, and how long to wait in between.
///
/// Another process may be at work. If a commit of its falls between two of the reads here, then
/// what they found does not fit together. Damage stays.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// Checks the data file at `path` and returns the size of the largest map so far, in bytes.
///
/// That is 0 if there is no file yet, or an empty one, which LMDB takes as a new database.
///
/// # Errors
///
/// [`OpenError::Foreign`] and [`OpenError::Truncated`] by what is in the file, and
/// [`OpenError::File`] if it cannot be read.
pub(super) fn check(path: &Path) -> Result<u64, OpenError> {
    if cfg!(not(target_pointer_width = "64")) {
        return Ok(0);
    }
    let look = || look_at(path).map_err(|source| file_error(path, source));
    let mut verdict = look()?;
    for _ in 1..LOOKS {
        if verdict.is_sound() {
            break;
        }
        sleep(PAUSE);
        verdict = look()?;
    }
    let path = path.to_owned();
    match verdict {
        Verdict::Absent => Ok(0),
        // Nothing was stored in it, and nobody has it open: it is made under the lock of the store,
        // which the caller has.
        Verdict::Unfinished => File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(0))
            .map(|()| 0)
            .map_err(|source| file_error(&path, source)),
        Verdict::Sound { map_bytes } => Ok(map_bytes),
        Verdict::Foreign => Err(OpenError::Foreign { path }),
        Verdict::Truncated { length, expected } => Err(OpenError::Truncated {
            path,
            length,
            expected,
        }),
    }
}

enum Verdict {
    Absent,
    /// Whoever made it ran out of space, or was killed, between the two meta pages.
    Unfinished,
    Sound {
        map_bytes: u64,
    },
    Foreign,
    Truncated {
        length: u64,
        expected: u64,
    },
}

impl Verdict {
    fn is_sound(&self) -> bool {
        !matches!(self, Verdict::Foreign | Verdict::Truncated { .. })
    }
}

fn look_at(path: &Path) -> io::Result<Verdict> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Verdict::Absent),
        result => result?,
    };
    if file.metadata()?.len() == 0 {
        return Ok(Verdict::Absent);
    }
    let Some(meta) = newest_meta(&mut file)? else {
        let unfinished = match meta_at(&mut file, 0)? {
            Some(first) => file.metadata()?.len() < 2 * first.page_size,
            None => false,
        };
        return Ok(match unfinished {
            true => Verdict::Unfinished,
            false => Verdict::Foreign,
        });
    };
    // Pages are written before the meta page that makes them current. So the length is taken
    // after the meta page was read: the file of a writer at work is never too short for it.
    let length = file.metadata()?.len();
    let pages = length / meta.page_size;
    if pages > meta.last_page || unused(&mut file, &meta, pages)? {
        return Ok(Verdict::Sound {
            map_bytes: meta.map_bytes,
        });
    }
    Ok(Verdict::Truncated {
        length,
        expected: meta
            .last_page
            .saturating_add(1)
            .saturating_mul(meta.page_size),
    })
}

/// Whether no page from `pages` on is in use, so that a file of `pages` pages is long enough.
///
/// LMDB does not write a page that one transaction both allocated and freed. If that is the last
/// one, the file ends before it, and that is as it should be.
fn unused(file: &mut File, meta: &Meta, pages: u64) -> io::Result<bool> {
    let mut pages = Pages::new(file, meta.page_size, pages);
    free_pages::list_the_rest(&mut pages, meta.free_root, meta.last_page)
}

/// What a meta page says.
struct Meta {
    map_bytes: u64,
    page_size: u64,
    free_root: u64,
    last_page: u64,
    transaction: u64,
}

fn newest_meta(file: &mut File) -> io::Result<Option<Meta>> {
    let Some(first) = meta_at(file, 0)? else {
        return Ok(None);
    };
    let Some(second) = meta_at(file, first.page_size)? else {
        return Ok(None);
    };
    Ok(Some(match first.transaction < second.transaction {
        true => second,
        false => first,
    }))
}

fn meta_at(file: &mut File, offset: u64) -> io::Result<Option<Meta>> {
    let mut bytes = [0; META_BYTES];
    file.seek(SeekFrom::Start(offset))?;
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(parse(&bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(bytes: &[u8; META_BYTES]) -> Option<Meta> {
    fn field<const N: usize>(bytes: &[u8; META_BYTES], offset: usize) -> [u8; N] {
        bytes[offset..offset + N].try_into().expect("N bytes")
    }
    let u32_at = |offset| u32::from_ne_bytes(field(bytes, offset));
    let u64_at = |offset| u64::from_ne_bytes(field(bytes, offset));

    let is_meta_page = u16::from_ne_bytes(field(bytes, 10)) & META_PAGE_FLAG != 0;
    let page_size = u32_at(40);
    let is_ours = is_meta_page
        && u32_at(16) == MAGIC
        && u32_at(20) == DATA_VERSION
        && page_size.is_power_of_two()
        && (512..=65_536).contains(&page_size);
    is_ours.then(|| Meta {
        map_bytes: u64_at(32),
        page_size: page_size.into(),
        free_root: u64_at(80),
        last_page: u64_at(136),
        transaction: u64_at(144),
    })
}

fn file_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
#[cfg(target_pointer_width = "64")]
mod tests {
    use super::*;
    use heed::byteorder::BigEndian;
    use heed::types::{Bytes, U32};
    use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, RwTxn, WithoutTls};
    use std::fs;

    type Numbers = Database<'static, U32<BigEndian>, Bytes>;
    const MAP_BYTES: usize = 64 << 20;

    fn database(directory: &Path) -> (Env<WithoutTls>, Numbers) {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        // SAFETY: nobody else uses this directory.
        let env = unsafe { options.map_size(MAP_BYTES).open(directory) }.unwrap();
        let table = env
            .create_databases_and_commit(env.write_txn().unwrap(), |opener, txn| {
                let table = opener.create_database(txn, None)?;
                heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(table))
            })
            .unwrap()
            .unwrap_commit();
        (env, table)
    }

    /// A database whose file ends before its last page, and rightly so.
    fn short_database(directory: &Path) {
        let (env, table) = database(directory);
        let commit = |action: &dyn Fn(&mut RwTxn<'_>) -> heed::Result<()>| {
            let mut txn = env.write_txn().unwrap();
            action(&mut txn).unwrap();
            txn.commit().unwrap();
        };
        // Every other one goes, so that there are free pages, and many records of them.
        commit(&|txn| (0..100).try_for_each(|number| table.put(txn, &number, &[1; 5000])));
        for number in (0..100).step_by(2) {
            commit(&|txn| table.delete(txn, &number).map(drop));
        }
        // No gap is as large as this, so it is put behind the last page.
        commit(&|txn| {
            table.put(txn, &1000, &[2; 400_000])?;
            table.delete(txn, &1000).map(drop)
        });
        let page_size = table.stat(&env.read_txn().unwrap()).unwrap().page_size;
        let claimed = (env.info().last_page_number as u64 + 1) * u64::from(page_size);
        assert!(env.real_disk_size().unwrap() < claimed, "not short at all");
    }

    fn intact_values(directory: &Path) -> usize {
        let (env, table) = database(directory);
        let txn = env.read_txn().unwrap();
        let records = table.iter(&txn).unwrap();
        records
            .filter(|record| record.as_ref().unwrap().1 == [1; 5000])
            .count()
    }

    fn cut(path: &Path, by: u64) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() - by).unwrap();
    }

    #[test]
    fn no_file_and_an_empty_one_are_sound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.mdb");
        assert_eq!(check(&path).unwrap(), 0);
        fs::write(&path, "").unwrap();
        assert_eq!(check(&path).unwrap(), 0);
    }

    #[test]
    fn the_layout_is_that_of_the_lmdb_linked_in() {
        let version = heed::lmdb_version();
        assert_eq!((version.major, version.minor, version.patch), (0, 9, 70));

        let directory = tempfile::tempdir().unwrap();
        let (env, table) = database(directory.path());
        let mut txn = env.write_txn().unwrap();
        table.put(&mut txn, &1, &[1; 100_000]).unwrap();
        let page_size = table.stat(&txn).unwrap().page_size;
        txn.commit().unwrap();

        let mut file = File::open(directory.path().join("data.mdb")).unwrap();
        let meta = newest_meta(&mut file).unwrap().unwrap();
        assert_eq!(meta.map_bytes, MAP_BYTES as u64);
        assert_eq!(meta.page_size, u64::from(page_size));
        assert_eq!(meta.last_page, env.info().last_page_number as u64);
        assert_eq!(meta.transaction, env.info().last_txn_id as u64);
    }

    #[test]
    fn a_file_of_something_else_is_foreign() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.mdb");
        for bytes in [&b"hello"[..], &[0; 8192], &[0xff; 8192]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(check(&path), Err(OpenError::Foreign { .. })));
        }
    }

    #[test]
    fn a_file_without_its_last_pages_is_truncated() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.mdb");
        let (env, table) = database(directory.path());
        let mut txn = env.write_txn().unwrap();
        table.put(&mut txn, &1, &[1; 100_000]).unwrap();
        txn.commit().unwrap();
        drop(env);
        assert_eq!(check(&path).unwrap(), MAP_BYTES as u64);
        cut(&path, 1);
        assert!(matches!(check(&path), Err(OpenError::Truncated { .. })));
    }

    #[test]
    fn a_file_whose_last_pages_are_free_may_be_shorter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.mdb");
        short_database(directory.path());
        assert_eq!(check(&path).unwrap(), MAP_BYTES as u64);
        // As long as it is said to be sound, nothing that is in use is lacking.
        let mut cuts = 0;
        while check(&path).is_ok() {
            assert_eq!(intact_values(directory.path()), 50);
            cut(&path, 4096);
            cuts += 1;
        }
        assert!(matches!(check(&path), Err(OpenError::Truncated { .. })));
        assert!(cuts < 100, "most pages are in use");
    }

    #[test]
    fn no_damage_to_the_list_of_free_pages_does_harm() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.mdb");
        short_database(directory.path());
        let intact = fs::read(&path).unwrap();
        let mut file = File::open(&path).unwrap();
        let meta = newest_meta(&mut file).unwrap().unwrap();
        let root = (meta.free_root * meta.page_size) as usize;
        for offset in 0..64 {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut damaged = intact.clone();
                damaged[root + offset] = byte;
                fs::write(&path, damaged).unwrap();
                // Either answer will do, but there has to be one.
                look_at(&path).unwrap();
            }
        }
    }
}
