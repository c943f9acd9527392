//! Looking after a remote: whether it works, what it has, and what is to be removed.

mod contents;
pub(crate) mod gc;
mod probe;

pub use contents::{Contents, Writer};
pub use gc::{Gc, GcOptions};
pub use probe::Finding;

use crate::descriptor::{Descriptor, Name, Refusal};
use crate::objects::{Failed, Listed};
use crate::packed::Packed;
use crate::remote::now;

/// Why a remote could not be looked after.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// It does not answer as it should.
    #[error("{0}")]
    Failed(String),
    /// Servers of values look after themselves.
    #[error("this server forgets by itself what is out of date: there is nothing to remove")]
    Itself,
    /// What is written has to be signed.
    #[error("this writes to the remote, which takes a writer's key")]
    NoKey,
    /// What is written would be refused.
    #[error(
        "the writer's key is not among those that are trusted, so what it signs would be refused"
    )]
    NotTrusted,
}

impl From<Failed> for MaintenanceError {
    fn from(failed: Failed) -> MaintenanceError {
        MaintenanceError::Failed(failed.to_string())
    }
}

/// A descriptor of the index, believed or not.
struct Described {
    bytes: Vec<u8>,
    /// `None` if it does not read.
    descriptor: Option<Descriptor>,
    refusal: Option<Refusal>,
}

/// All descriptors that the segments `listed` have, each once; and the names of the segments that
/// are damaged.
async fn describe(
    packed: &Packed,
    listed: &[Listed],
) -> Result<(Vec<Described>, Vec<Name>), Failed> {
    let mut all = Vec::new();
    let mut damaged = Vec::new();
    for segment in listed {
        match packed.segment(segment).await {
            Ok(Some((_, segment))) => {
                all.extend(segment.descriptors().into_iter().map(<[u8]>::to_vec));
            }
            Ok(None) => damaged.push(segment.name),
            // Somebody else has joined it with others, which are listed next time.
            Err(failed) if failed.is_absent => {}
            Err(failed) => return Err(failed),
        }
    }
    all.sort_unstable();
    all.dedup();
    let trust = &packed.shared.trust;
    let described = |bytes: Vec<u8>| {
        let refusal = Descriptor::read(&bytes, trust, now()).err();
        let parsed = Descriptor::parse(&bytes).ok();
        Described {
            descriptor: parsed.map(|(descriptor, _)| descriptor),
            refusal,
            bytes,
        }
    };
    Ok((all.into_iter().map(described).collect(), damaged))
}
