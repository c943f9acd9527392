//! Whether a remote works.

use super::{MaintenanceError, describe};
use crate::objects::{Failed, INDEX, Objects, pack_path};
use crate::pack;
use crate::packed::Packed;
use crate::store::{Backend, RemoteStore};
use std::sync::Arc;

/// What was looked at, and what was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What was found: how it is, or what is wrong.
    pub result: Result<String, String>,
}

impl RemoteStore {
    /// Looks whether the remote works: whether it can be listed, read and, by a writer, written to;
    /// whether what it says is of trusted writers; and with `packs`, whether each pack is what its
    /// descriptor says, which reads all of them.
    ///
    /// # Errors
    ///
    /// None at present: what is wrong is among the findings.
    pub fn check(&self, packs: bool) -> Result<Vec<Finding>, MaintenanceError> {
        let is_writer = self.shared().is_writer;
        let findings = match self.backend.clone() {
            Backend::Packed(packed) => {
                self.run(async move { Ok(of_packs(&packed, is_writer, packs).await) })
            }
            #[cfg(feature = "redis")]
            Backend::Redis(redis) => self.run(async move { Ok(of_redis(&redis, is_writer).await) }),
            #[cfg(feature = "memcached")]
            Backend::Single(single) => {
                let counting = self.shared().counting.clone();
                let objects = Objects::new(single.operator.clone(), counting);
                self.run(async move { Ok(vec![written_and_read(&objects).await]) })
            }
        };
        Ok(findings?)
    }
}

fn finding(what: &'static str, result: Result<String, Failed>) -> Finding {
    Finding {
        what,
        result: result.map_err(|failed| failed.to_string()),
    }
}

async fn of_packs(packed: &Arc<Packed>, is_writer: bool, packs: bool) -> Vec<Finding> {
    let listed = packed.objects.list(INDEX).await;
    let (listed, listing) = match listed {
        Ok(listed) => {
            let count = listed.len();
            (listed, Ok(format!("{count} segments")))
        }
        Err(failed) => (Vec::new(), Err(failed)),
    };
    let reachable = listing.is_ok();
    let mut findings = vec![finding("listing the index", listing)];
    if !reachable {
        return findings;
    }
    let floor = packed.floor().await;
    let floor = floor.map(|floor| match floor.number {
        0 => "none yet: garbage was never collected".to_owned(),
        number => format!("number {number}"),
    });
    findings.push(finding("the floor", floor));
    let described = describe(packed, &listed).await;
    let mut believed = Vec::new();
    let index = described.and_then(|(described, damaged)| {
        let refused = described.iter().filter(|d| d.refusal.is_some()).count();
        let all = described.len();
        believed = described
            .into_iter()
            .filter(|described| described.refusal.is_none())
            .filter_map(|described| described.descriptor)
            .collect();
        match (refused, damaged.len()) {
            (0, 0) => Ok(format!("{all} packs")),
            (_, damaged) => Err(Failed::refused(format!(
                "of {all} packs {refused} are not by trusted writers or out of date, and {damaged} segments are damaged"
            ))),
        }
    });
    findings.push(finding("reading the index", index));
    if is_writer {
        findings.push(written_and_read(&packed.objects).await);
    }
    if packs {
        let mut wrong = Vec::new();
        for descriptor in &believed {
            let path = pack_path(&descriptor.pack);
            let bytes = packed
                .objects
                .read(&path, None, descriptor.pack_length)
                .await;
            match bytes {
                Ok(bytes) if blake3::hash(&bytes) == descriptor.pack => {
                    let ranges = descriptor.ranges();
                    let blocks = descriptor.blocks.iter().zip(ranges);
                    let sound = blocks.into_iter().all(|(block, range)| {
                        let bytes = &bytes[range.start as usize..range.end as usize];
                        let raw = pack::unpack(block, bytes);
                        raw.is_ok_and(|raw| pack::entries(&raw).is_ok())
                    });
                    if !sound {
                        wrong.push(format!("`{path}` is malformed"));
                    }
                }
                Ok(_) => wrong.push(format!("`{path}` is not what its name says")),
                Err(failed) => wrong.push(failed.to_string()),
            }
        }
        let result = match wrong.first() {
            None => Ok(format!("{} read, all as signed", believed.len())),
            Some(first) => Err(Failed::refused(format!(
                "{} of {} packs, the first: {first}",
                wrong.len(),
                believed.len()
            ))),
        };
        findings.push(finding("reading all packs", result));
    }
    findings
}

/// Writes something, reads it, removes it.
async fn written_and_read(objects: &Objects) -> Finding {
    let mut random = [0; 16];
    let path = match getrandom::fill(&mut random) {
        Ok(()) => format!("probe-{:032x}", u128::from_le_bytes(random)),
        Err(_) => "probe".to_owned(),
    };
    let probe = async {
        objects.write(&path, random.to_vec()).await?;
        let read = objects.read(&path, None, 64).await;
        objects.delete(&path).await?;
        match read? == random {
            true => Ok("works".to_owned()),
            false => Err(Failed::refused(
                "what was written is not what is read".into(),
            )),
        }
    };
    finding("writing, reading and removing", probe.await)
}

#[cfg(feature = "redis")]
async fn of_redis(redis: &crate::redis_values::RedisValues, is_writer: bool) -> Vec<Finding> {
    let ping = redis.run::<String>(&redis::cmd("PING")).await;
    let reachable = ping.is_ok();
    let mut findings = vec![finding("asking", ping.map(|_| "answers".to_owned()))];
    if is_writer && reachable {
        let name = redis.name(b"probe");
        let probe = async {
            let set = redis::cmd("SET")
                .arg(&name)
                .arg("probe")
                .arg("EX")
                .arg(60)
                .to_owned();
            redis.run::<()>(&set).await?;
            let read: Option<String> = redis.run(redis::cmd("GET").arg(&name)).await?;
            redis.run::<()>(redis::cmd("DEL").arg(&name)).await?;
            match read.as_deref() {
                Some("probe") => Ok("works".to_owned()),
                _ => Err(Failed::refused(
                    "what was written is not what is read".into(),
                )),
            }
        };
        findings.push(finding("writing, reading and removing", probe.await));
    }
    findings
}
