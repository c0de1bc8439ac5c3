//! The validated settings of a run, made by [`read`] and turned back into text by [`mod@write`]:
//! nothing after this is left unchecked.
//!
//! One file per section. Each key is stated once, in the `keys` function of its section
//! (`keys::Keyed`): reading, writing and the list of known keys follow from that.

mod architecture;
mod augment;
mod balance;
mod coupling;
mod data;
mod feature;
mod image_files;
mod interval;
mod keys;
mod kind;
mod known;
mod loss;
mod notation;
mod optimizer;
pub mod read;
mod scale;
mod search;
mod sentences;
mod several;
mod source;
mod task;
mod tracking;
mod train;
mod trunk;
mod version;
pub mod write;

pub use architecture::{Architecture, Branches, Falling, Gates, SelectGates};
pub use augment::{Augment, Flip};
pub use balance::{Acts, Balance, Balancer, Couplings, Metric, Normalize, Scaling, Space};
pub use coupling::{COUPLING_KINDS, Coupling};
pub use data::{Data, Overlay};
pub use feature::{Embed, Feature, FeatureKind};
pub use interval::{Every, Interval};
pub use keys::word::Word;
pub use kind::TaskKind;
pub use known::{Keys, known};
pub use loss::{ClassWeights, CountFactor, Loss, LossOf, PositiveWeight};
pub use notation::{Dates, Decimal};
pub use optimizer::{Optimizer, OptimizerKind, Schedule};
pub use scale::Scale;
pub use search::{Bounds, Domain, Search, SearchMethod};
pub use sentences::{CONLLU, SENTENCE, SPAN, Sentences, Written};
pub use several::Sampling;
pub use source::{ArrayNames, BUILT_IN, Source, TaskSource};
pub use task::{Pool, Scheme, Task};
pub use tracking::Tracking;
pub use train::{BatchSize, Evaluated, KeepBest, OnNan, Patience, Precision, Select, Term, Train};
pub use trunk::{Activation, Init, Trunk};
pub use version::Version;

/// Everything that decides a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[data]` and `[feature.*]`.
    pub data: Data,
    /// `[augment]`.
    pub augment: Augment,
    /// `[architecture]`.
    pub architecture: Architecture,
    /// `[trunk]`.
    pub trunk: Trunk,
    /// `[task.*]`, in the order of the file.
    pub tasks: Vec<Task>,
    /// `[[coupling]]`, in the order of the file.
    pub couplings: Vec<Coupling>,
    /// `[balance]`.
    pub balance: Balance,
    /// `[optimizer]`.
    pub optimizer: Optimizer,
    /// `[train]`.
    pub train: Train,
    /// `[tracking]`.
    pub tracking: Tracking,
}
