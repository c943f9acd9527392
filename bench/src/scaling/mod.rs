//! How a rebuild scales: with the module's size, and with how much the store holds.

mod entries;
mod size;

use serde::Serialize;

pub use entries::{EntriesPoint, EntriesSeries, GROWTH_TARGET, over_entries};
pub use size::{SizePoint, SizeSeries, over_size};

/// What was found about scaling.
#[derive(Debug, Default, Serialize)]
pub struct Scaling {
    /// Over the module's size.
    pub size: Vec<SizeSeries>,
    /// Over the number of entries in the store.
    pub entries: Vec<EntriesSeries>,
}
