//! What a remote has.

use super::{Described, MaintenanceError, describe};
use crate::descriptor::{Name, Refusal};
use crate::index::Index;
use crate::objects::{Failed, INDEX, PACKS};
use crate::packed::Packed;
use crate::remote::{LATER, now, persistently};
use crate::store::{Backend, RemoteStore};
use crate::trust::PublicKey;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// What a remote has.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Contents {
    /// Entries of different keys that are believed; of a server of values, all values.
    pub entries: u64,
    /// Segments of the index.
    pub segments: u64,
    /// What they take, in bytes.
    pub index_bytes: u64,
    /// Packs; none on a server of values.
    pub packs: u64,
    /// What these take, or the values, in bytes.
    pub bytes: u64,
    /// Packs that nothing leads to: their writer died before, or is about to be done.
    pub orphans: u64,
    /// Descriptors that lead to a pack that is gone.
    pub missing: u64,
    /// Descriptors of writers that are not trusted, malformed or forged.
    pub refused: u64,
    /// Descriptors whose time is over.
    pub expired: u64,
    /// Segments that are damaged.
    pub damaged: u64,
    /// Who wrote the packs, most bytes first.
    pub writers: Vec<Writer>,
    /// When the oldest and the latest pack was written that is believed, in seconds since 1970.
    pub written: Option<(u64, u64)>,
    /// The floor's number: how often garbage was collected.
    pub floor: u64,
}

/// A writer's share.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Writer {
    /// Whose key it is; `None` for those who do not sign.
    pub key: Option<PublicKey>,
    /// Whether this client trusts it.
    pub trusted: bool,
    /// Packs that it signed.
    pub packs: u64,
    /// What these take, in bytes.
    pub bytes: u64,
}

impl RemoteStore {
    /// What the remote has.
    ///
    /// It reads the whole index. On a Redis server it goes through all keys.
    ///
    /// # Errors
    ///
    /// If the remote does not answer, or does not say what it has, as Memcached.
    pub fn contents(&self) -> Result<Contents, MaintenanceError> {
        match self.backend.clone() {
            Backend::Packed(packed) => Ok(self.run(async move { of_packs(&packed).await })?),
            #[cfg(feature = "redis")]
            Backend::Redis(redis) => Ok(self.run(async move { of_redis(&redis).await })?),
            #[cfg(feature = "memcached")]
            Backend::Single(_) => Err(MaintenanceError::Failed(
                "a Memcached server does not say what it has".into(),
            )),
        }
    }
}

async fn of_packs(packed: &Arc<Packed>) -> Result<Contents, Failed> {
    let listed = persistently(&LATER, || packed.objects.list(INDEX)).await?;
    let packs = persistently(&LATER, || packed.objects.list(PACKS)).await?;
    let floor = packed.floor().await?;
    let (described, damaged) = describe(packed, &listed).await?;
    let there: FxHashSet<Name> = packs.iter().map(|pack| pack.name).collect();
    let mut contents = Contents {
        segments: listed.len() as u64,
        index_bytes: listed.iter().map(|segment| segment.length).sum(),
        packs: packs.len() as u64,
        bytes: packs.iter().map(|pack| pack.length).sum(),
        damaged: damaged.len() as u64,
        floor: floor.number,
        ..Contents::default()
    };
    let mut index = Index::default();
    let mut led_to = FxHashSet::default();
    let mut writers: FxHashMap<PublicKey, Writer> = FxHashMap::default();
    for Described {
        bytes,
        descriptor,
        refusal,
    } in &described
    {
        match refusal {
            Some(Refusal::Expired) => contents.expired += 1,
            Some(_) => contents.refused += 1,
            None => {}
        }
        let Some(descriptor) = descriptor else {
            continue;
        };
        led_to.insert(descriptor.pack);
        contents.missing += u64::from(!there.contains(&descriptor.pack));
        let signer = descriptor.writers[0];
        let writer = writers.entry(signer).or_insert_with(|| Writer {
            key: (signer != PublicKey::NOBODY).then_some(signer),
            trusted: packed.shared.trust.accepts(&[signer]),
            packs: 0,
            bytes: 0,
        });
        writer.packs += 1;
        writer.bytes += descriptor.pack_length;
        if refusal.is_none() {
            let (first, last) = contents.written.unwrap_or((u64::MAX, 0));
            let written = descriptor.written;
            contents.written = Some((first.min(written), last.max(written)));
            index.add_descriptor(bytes, &packed.shared.trust, floor, now());
        }
    }
    contents.entries = index.entries() as u64;
    contents.orphans = there.difference(&led_to).count() as u64;
    contents.writers = writers.into_values().collect();
    contents
        .writers
        .sort_by_key(|writer| std::cmp::Reverse(writer.bytes));
    Ok(contents)
}

#[cfg(feature = "redis")]
async fn of_redis(redis: &crate::redis_values::RedisValues) -> Result<Contents, Failed> {
    let mut contents = Contents::default();
    let mut cursor = 0u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        let pattern = format!("{}:*", glob_escaped(redis.prefix()));
        scan.arg(cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(1000);
        let (next, keys): (u64, Vec<String>) = redis.run(&scan).await?;
        for key in keys {
            let length: u64 = redis.run(redis::cmd("STRLEN").arg(key)).await?;
            contents.entries += 1;
            contents.bytes += length;
        }
        cursor = next;
        if cursor == 0 {
            return Ok(contents);
        }
    }
}

/// `text` for a pattern that means nothing else.
#[cfg(feature = "redis")]
fn glob_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
