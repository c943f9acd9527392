//! Whom clients believe.

mod support;

use ibid_remote::{GcOptions, RemoteOptions, RemoteStatistics, SecretKey, Trust};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{every_kind, every_kind_of_objects, file_url, found, open, reading, upload, writing};

fn generated() -> SecretKey {
    SecretKey::generate().unwrap()
}

/// What a client counts that finds none of 20 entries.
#[track_caller]
fn finding_none(url: &str, options: RemoteOptions) -> RemoteStatistics {
    let store = open(url, options);
    assert_eq!(found(&store, 0..20), 0, "{url}");
    let statistics = store.statistics();
    assert_eq!((statistics.hits, statistics.misses), (0, 20), "{url}");
    statistics
}

/// Options of a client that trusts `trust` and has no key.
fn trusting(trust: Trust) -> RemoteOptions {
    let mut options = reading(&generated());
    options.trust = trust;
    options
}

#[test]
fn what_others_sign_is_refused() {
    let [mine, other] = [generated(), generated()];
    every_kind(|kind, url| {
        upload(&open(url, writing(&other)), 0..20);
        let statistics = finding_none(url, reading(&mine));
        assert!(statistics.refused > 0, "{kind}");
        assert_eq!(statistics.failures, 0, "{kind}");
        let anyone = open(url, trusting(Trust::Anyone));
        assert_eq!(found(&anyone, 0..20), 20, "{kind}");
        // One's own is found beside it.
        upload(&open(url, writing(&mine)), 0..20);
        assert_eq!(found(&open(url, reading(&mine)), 0..20), 20, "{kind}");
    });
}

#[test]
fn what_nobody_signed_is_refused_but_by_who_believes_anyone() {
    every_kind(|kind, url| {
        let mut options = trusting(Trust::Anyone);
        options.uploads = Some(true);
        upload(&open(url, options), 0..20);
        let statistics = finding_none(url, reading(&generated()));
        assert!(statistics.refused > 0, "{kind}");
        let anyone = open(url, trusting(Trust::Anyone));
        assert_eq!(found(&anyone, 0..20), 20, "{kind}");
        assert_eq!(anyone.statistics().refused, 0, "{kind}");
    });
}

#[test]
fn whose_key_is_no_longer_in_the_file_is_not_believed() {
    let [staying, revoked] = [generated(), generated()];
    let line = |key: &SecretKey| format!("{} of somebody\n", key.public());
    every_kind(|kind, url| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let trusted = || trusting(Trust::from_file(file.path()).unwrap());
        fs::write(file.path(), line(&staying) + &line(&revoked)).unwrap();
        upload(&open(url, writing(&revoked)), 0..20);
        upload(&open(url, writing(&staying)), 20..40);
        assert_eq!(found(&open(url, trusted()), 0..40), 40, "{kind}");
        fs::write(file.path(), line(&staying)).unwrap();
        let statistics = finding_none(url, trusted());
        assert!(statistics.refused > 0, "{kind}");
        assert_eq!(found(&open(url, trusted()), 0..40), 20, "{kind}");
    });
}

#[test]
fn what_is_kept_of_the_index_is_not_believed_after_a_key_was_revoked() {
    let [mine, revoked] = [generated(), generated()];
    let directory = tempfile::tempdir().unwrap();
    let remote = tempfile::tempdir().unwrap();
    let url = file_url(remote.path());
    upload(&open(&url, writing(&revoked)), 0..20);
    let mut options = reading(&revoked);
    options.directory = Some(directory.path().into());
    options.refresh_after = Duration::from_secs(600);
    assert_eq!(found(&open(&url, options.clone()), 0..20), 20);
    options.trust = Trust::Keys(vec![mine.public()]);
    let statistics = finding_none(&url, options);
    assert_eq!((statistics.refused, statistics.requests), (1, 0));
}

#[test]
fn what_is_merged_is_not_believed_by_who_does_not_trust_all_writers() {
    let [collector, revoked] = [generated(), generated()];
    every_kind_of_objects(|kind, url| {
        upload(&open(url, writing(&revoked)), 0..20);
        upload(&open(url, writing(&collector)), 20..40);
        let both = Trust::Keys(vec![collector.public(), revoked.public()]);
        let mut options = trusting(both.clone());
        options.key = Some(collector.clone());
        let mut collecting = GcOptions::default();
        collecting.grace = Duration::ZERO;
        let gc = open(url, options).gc(&collecting).unwrap();
        assert_eq!((gc.packs_merged, gc.packs_left), (2, 1), "{kind}");
        assert_eq!(found(&open(url, trusting(both)), 0..40), 40, "{kind}");
        let statistics = finding_none(url, reading(&collector));
        assert_eq!(statistics.refused, 1, "{kind}");
    });
}

/// The only file in a folder.
fn only_file(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

/// A segment with one byte of its descriptor changed, under the name that it then has.
fn forge(segment: &[u8], at: usize) -> (String, Vec<u8>) {
    let (head, frame) = segment.split_at(16);
    let length = u64::from_le_bytes(head[8..].try_into().unwrap()) as usize;
    let mut raw = zstd::bulk::decompress(frame, length).unwrap();
    // What comes first is the length of the descriptor.
    raw[4 + at] ^= 1;
    let forged = [head, &zstd::bulk::compress(&raw, 3).unwrap()].concat();
    (blake3::hash(&forged).to_string(), forged)
}

#[test]
fn a_forged_descriptor_is_refused() {
    let key = generated();
    let remote = tempfile::tempdir().unwrap();
    let url = file_url(remote.path());
    upload(&open(&url, writing(&key)), 0..20);
    let file = only_file(&remote.path().join("index"));
    let segment = fs::read(&file).unwrap();
    // In the magic number, the key, the times, the pack's name, an entry, the signature.
    let descriptor = zstd_length(&segment) - 4;
    for at in [0, 10, 41, 49, 60, descriptor - 70, descriptor - 1] {
        fs::remove_dir_all(remote.path().join("index")).unwrap();
        fs::create_dir(remote.path().join("index")).unwrap();
        let (name, forged) = forge(&segment, at);
        fs::write(remote.path().join("index").join(name), forged).unwrap();
        let statistics = finding_none(&url, reading(&key));
        assert_eq!(statistics.refused, 1, "byte {at}");
        let reader = open(&url, reading(&key));
        assert_eq!(reader.contents().unwrap().refused, 1, "byte {at}");
    }
    fs::write(&file, &segment).unwrap();
    assert_eq!(
        found(&open(&url, reading(&key)), 0..20),
        20,
        "beside a forged one"
    );
}

/// The length of a segment, unpacked.
fn zstd_length(segment: &[u8]) -> usize {
    u64::from_le_bytes(segment[8..16].try_into().unwrap()) as usize
}

#[test]
fn an_object_whose_bytes_were_changed_is_not_used() {
    let key = generated();
    for folder in ["packs", "index"] {
        let remote = tempfile::tempdir().unwrap();
        let url = file_url(remote.path());
        upload(&open(&url, writing(&key)), 0..20);
        let file = only_file(&remote.path().join(folder));
        let bytes = fs::read(&file).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 10) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&file, changed).unwrap();
            // What a pack begins with is not looked at.
            if folder == "packs" && at == 0 {
                continue;
            }
            let statistics = finding_none(&url, reading(&key));
            assert_eq!(statistics.damaged, 1, "byte {at} in {folder}");
        }
    }
}

#[test]
fn what_is_out_of_date_is_not_used() {
    let key = generated();
    every_kind(|kind, url| {
        let mut options = writing(&key);
        options.lifetime = Duration::from_secs(2);
        upload(&open(url, options), 0..20);
        let early = open(url, reading(&key));
        assert_eq!(found(&early, 0..20), 20, "{kind}");
        std::thread::sleep(Duration::from_millis(2100));
        assert_eq!(found(&early, 0..20), 0, "{kind}: by who has the index");
        let statistics = finding_none(url, reading(&key));
        assert_eq!((statistics.refused, statistics.failures), (0, 0), "{kind}");
        // Redis has forgotten it.
        assert_eq!(statistics.expired > 0, kind != "redis", "{kind}");
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// A remote whose floor a client has seen, the client's options, and an earlier copy of the remote.
struct Replay {
    remote: tempfile::TempDir,
    earlier: tempfile::TempDir,
    options: RemoteOptions,
    client: tempfile::TempDir,
}

impl Replay {
    fn new() -> Replay {
        let key = generated();
        let [remote, earlier, client] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let url = file_url(remote.path());
        let writer = open(&url, writing(&key));
        upload(&writer, 0..20);
        writer.gc(&GcOptions::default()).unwrap();
        copy(remote.path(), earlier.path());
        assert_eq!(writer.gc(&GcOptions::default()).unwrap().floor, 2);
        let mut options = reading(&key);
        options.directory = Some(client.path().into());
        assert_eq!(found(&open(&url, options.clone()), 0..20), 20);
        Replay {
            remote,
            earlier,
            options,
            client,
        }
    }

    fn check_refused(self) {
        let url = file_url(self.remote.path());
        let statistics = finding_none(&url, self.options.clone());
        assert!(statistics.replayed >= 1, "{statistics:?}");
        assert_eq!(statistics.failures, 1);
        let failure = statistics.last_failure.unwrap();
        assert!(failure.contains("an older one"), "{failure}");
        // A client that knows nothing has no way to tell.
        fs::remove_dir_all(self.client.path()).unwrap();
        assert_eq!(found(&open(&url, self.options), 0..20), 20);
    }
}

#[test]
fn a_remote_that_was_put_back_is_refused() {
    let replay = Replay::new();
    fs::remove_dir_all(replay.remote.path()).unwrap();
    copy(replay.earlier.path(), replay.remote.path());
    replay.check_refused();
}

#[test]
fn a_remote_whose_floor_is_gone_is_refused() {
    let replay = Replay::new();
    fs::remove_file(replay.remote.path().join("floor")).unwrap();
    replay.check_refused();
}

#[test]
fn a_remote_whose_floor_is_forged_is_refused() {
    let key = generated();
    let remote = tempfile::tempdir().unwrap();
    let url = file_url(remote.path());
    let writer = open(&url, writing(&key));
    upload(&writer, 0..20);
    writer.gc(&GcOptions::default()).unwrap();
    let floor = remote.path().join("floor");
    let mut bytes = fs::read(&floor).unwrap();
    bytes[40] ^= 1;
    fs::write(&floor, bytes).unwrap();
    let statistics = finding_none(&url, reading(&key));
    assert!(statistics.refused >= 1 && statistics.failures == 1);
}

#[test]
fn what_was_removed_below_the_floor_is_not_used_when_it_is_put_back() {
    let key = generated();
    let remote = tempfile::tempdir().unwrap();
    let url = file_url(remote.path());
    let writer = open(&url, writing(&key));
    upload(&writer, 0..20);
    let earlier = tempfile::tempdir().unwrap();
    copy(remote.path(), earlier.path());
    std::thread::sleep(Duration::from_millis(2100));
    let mut collecting = GcOptions::default();
    (collecting.max_age, collecting.grace) = (Some(Duration::from_secs(1)), Duration::ZERO);
    assert_eq!(writer.gc(&collecting).unwrap().packs_left, 0);
    // Whoever puts it back has no floor that is higher.
    copy(earlier.path(), remote.path());
    let statistics = finding_none(&url, reading(&key));
    assert_eq!(statistics.expired, 1);
}
