//! The structures that kernels share with the host. Each is stated here once and compared with the
//! WGSL by reflection.
//!
//! All fields are scalars of four bytes, so that structures have no padding, and a table of them is
//! an `array<u32>` to the allocator. The WGSL declaration says what each field means.

/// A structure of 4-byte scalars that kernels know under the same name.
pub trait Record: bytemuck::Pod {
    /// Its name in the WGSL; `Params` for the parameters of a kernel.
    const NAME: &'static str;
    /// The names of its fields with their WGSL types, in order.
    const FIELDS: &'static [(&'static str, &'static str)];
}

macro_rules! records {
    ($($(#[$doc:meta])* $wgsl:literal $name:ident { $($field:ident: $kind:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        #[allow(missing_docs)]
        pub struct $name { $(pub $field: $kind),* }

        impl Record for $name {
            const NAME: &'static str = $wgsl;
            const FIELDS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($field), stringify!($kind))),*];
        }
    )*};
}

records! {
    /// The values that differ from step to step.
    "Step" Step {
        number: u32, first: u32, rows: u32, slot: u32, learning_rate: f32, inverse_rows: f32,
        step_size: f32, root_correction: f32, key_low: u32, key_high: u32, delta_scale: f32,
        inverse_scale: f32, progress: f32,
    }
    /// A dense layer; padded to whole vec4s, as mirrors are read.
    "Dense" Dense {
        inputs: u32, outputs: u32, weight: u32, bias: u32, x: u32, x_odd: u32, y: u32, slope: u32,
        delta: u32, delta_arena: u32, dropout_threshold: u32, dropout_scale: f32, layer: u32,
        forward_tile: u32, weight_tile: u32, z_flag: u32, gradient_flag: u32, task: u32,
        next_reader: u32, pad: u32,
    }
    /// The output layer of a task, and its loss.
    "Head" Head {
        outputs: u32, logits: u32, weight: f32, coupled: u32, kind: u32, cell: u32, cells: u32,
        parameter: f32, gamma: f32, smoothing: f32, weights: u32, share: f32, inverse: u32,
    }
    /// An activation whose gradient is computed; padded to whole vec4s.
    "Destination" Destination {
        width: u32, slope: u32, delta: u32, first_source: u32, sources: u32, tile: u32, pad_0: u32,
        pad_1: u32,
    }
    /// A gate: values from which the weights of the terms of a mix follow.
    "Gate" Gate {
        values: u32, terms: u32, rule: u32, first: u32, second: u32, constant: u32, weights: u32,
        delta: u32, second_delta: u32, number: u32, select: u32, bits: u32, gamma: f32,
        entropy: f32, inverse_from: f32, fall: f32, means: u32, entropies: u32,
    }
    /// A weighted sum of the values of nodes of equal width.
    "Mix" Mix {
        width: u32, terms: u32, first_term: u32, y: u32, delta: u32, weights: u32, is_mask: u32,
        weighs: u32, pool: u32, x: u32,
    }
    /// A term of a mix.
    "Term" Term { x: u32 }
    /// A node that is a term of mixes, whose delta `mix_backward` computes.
    "Receiver" Receiver {
        width: u32, slope: u32, delta: u32, first_share: u32, shares: u32, accumulate: u32,
    }
    /// A mix of which a receiver is a term.
    "Share" Share { mix: u32, term: u32 }
    /// Learned numbers that are equal for all rows.
    "Constant" Constant { values: u32, delta: u32, gradient: u32, flag: u32 }
    /// A node whose delta is a weighted sum of planes.
    "Combination" Combination { width: u32, slope: u32, delta: u32, first_term: u32, terms: u32 }
    /// A plane of a combination.
    "PlaneTerm" PlaneTerm { place: u32, weight: u32 }
    /// A region in which the gradients of tasks are compared.
    "Region" Region { first: u32, width: u32, by_row: u32, parameter: u32 }
    /// The inputs of layers, of which the rows are compared.
    "RowSource" RowSource { x: u32, inputs: u32, products: u32 }
    /// A run of the gradients of a task that lie as the parameters do.
    "Run" Run { place: u32, parameter: u32, len: u32 }
    /// Two heads that `soft_sharing` couples.
    "SharedPair" SharedPair {
        first: u32, second: u32, count: u32, strength: f32, partials: u32, flag_first: u32,
        flag_second: u32,
    }
    /// Two heads that `agreement` couples.
    "AgreeingPair" AgreeingPair {
        first: u32, second: u32, classes: u32, one: u32, strength: f32, partials: u32,
    }
    /// A number of a row of metrics.
    "Metric" Metric { partials: u32, count: u32, mean: u32, flag: u32 }

    /// Parameters of `gather_rows`.
    "Params" GatherRows {
        rows: u32, chunk_first: u32, width: u32, tasks: u32, target_x: u32, segment_first: u32,
        segment_rows: u32, shuffled: u32, bytes: u32, scale: f32, fill: u32,
    }
    /// Parameters of `gather_images`.
    "Params" GatherImages {
        rows: u32, chunk_first: u32, height: u32, width: u32, channels: u32, tasks: u32,
        target_x: u32, segment_first: u32, segment_rows: u32, shuffled: u32, scale: f32, fill: u32,
        shift: u32, flip: u32, erase: u32,
    }
    /// A column of a table and the inputs that it becomes.
    "Spread" Spread {
        slot: u32, slots: u32, input: u32, width: u32, kind: u32, scale: f32, values: u32,
        weight: u32, stride: u32, offset: u32, places: u32, beyond: u32,
    }
    /// The learned vectors of a column.
    "Embedding" Embedding {
        values: u32, width: u32, weight: u32, input: u32, slots: u32, place: u32, scale: f32,
        codes: u32, first: u32, flag: u32, tile: u32,
    }
    /// Parameters of `gather_cells`.
    "Params" GatherCells {
        rows: u32, chunk_first: u32, width: u32, slots: u32, columns: u32, tasks: u32,
        target_x: u32, segment_first: u32, segment_rows: u32, shuffled: u32, fill: u32, span: u32,
    }
    /// Parameters of `link_cells`.
    "Params" LinkCells { rows: u32 }
    /// Parameters of `embedding_backward`.
    "Params" EmbeddingBackward {
        rows: u32, embeddings: u32, delta: u32, width: u32, accumulate: u32, shift: u32,
    }
    /// Parameters of `label_sums`.
    "Params" LabelSums {
        cells: u32, tasks: u32, counts: u32, segment_first: u32, segment_rows: u32, shuffled: u32,
        weighted: u32, accumulate: u32,
    }
    /// Parameters of `dense_forward`.
    "Params" DenseForward { rows: u32, chunk_first: u32, first_layer: u32, layers: u32 }
    /// Parameters of `dense_backward_input`.
    "Params" DenseBackwardInput { rows: u32, first_destination: u32, destinations: u32 }
    /// Parameters of `dense_backward_weight`.
    "Params" DenseBackwardWeight {
        rows: u32, first_layer: u32, layers: u32, tiles: u32, accumulate: u32,
    }
    /// Parameters of `heads_cross_entropy`.
    "Params" HeadsCrossEntropy {
        rows: u32, first_layer: u32, layers: u32, tasks: u32, loss: u32, hits: u32, capacity: u32,
    }
    /// Parameters of `softmax_cross_entropy`.
    "Params" SoftmaxCrossEntropy {
        rows: u32, cells: u32, weighted: u32, loss: u32, hits: u32, capacity: u32,
    }
    /// Parameters of `pointwise_losses`.
    "Params" PointwiseLosses {
        rows: u32, cells: u32, weighted: u32, loss: u32, hits: u32, capacity: u32,
    }
    /// Parameters of `gate_forward`.
    "Params" GateForward {
        rows: u32, chunk_first: u32, first_gate: u32, gates: u32, training: u32, watch: u32,
        capacity: u32,
    }
    /// Parameters of `mix_forward`.
    "Params" MixForward { rows: u32, first_mix: u32, mixes: u32, spans: u32 }
    /// Parameters of `mix_dots`.
    "Params" MixDots { rows: u32, first_mix: u32, mixes: u32 }
    /// Parameters of `gate_backward`.
    "Params" GateBackward { rows: u32, chunk_first: u32, first_gate: u32, gates: u32 }
    /// Parameters of `mix_backward`.
    "Params" MixBackward { rows: u32, first_receiver: u32, receivers: u32, spans: u32 }
    /// Parameters of `constant_backward`.
    "Params" ConstantBackward { rows: u32, first: u32, constants: u32, accumulate: u32 }
    /// Parameters of `task_products`.
    "Params" TaskProducts {
        rows: u32, first_region: u32, regions: u32, tasks: u32, slices: u32, products: u32,
        eps: f32, apart: u32,
    }
    /// Parameters of `row_products`.
    "Params" RowProducts { rows: u32, first: u32 }
    /// Parameters of `task_gramian`.
    "Params" TaskGramian {
        tasks: u32, slices: u32, regions: u32, products: u32, gramian: u32, accumulate: u32,
        scaled: u32, normalize: u32, losses: u32,
    }
    /// Parameters of `task_losses`.
    "Params" TaskLosses { rows: u32, loss: u32, capacity: u32, losses: u32, accumulate: u32 }
    /// Parameters of `combine_deltas`.
    "Params" CombineDeltas { rows: u32, first: u32, combinations: u32, weights: u32 }
    /// Parameters of `combine_gradients`.
    "Params" CombineGradients {
        first: u32, runs: u32, tasks: u32, stride: u32, weights: u32, flag: u32,
    }
    /// Parameters of `drop_deltas`.
    "Params" DropDeltas {
        rows: u32, chunk_first: u32, first: u32, combinations: u32, leak: f32,
    }
    /// Parameters of `drop_gradients`.
    "Params" DropGradients {
        first: u32, runs: u32, tasks: u32, stride: u32, leak: f32, flag: u32,
    }
    /// Parameters of `gradient_memory`.
    "Params" GradientMemory { stride: u32, losses: u32, beta: f32, power: f32 }
    /// Parameters of `parameter_change`.
    "Params" ParameterChange { first: u32, runs: u32, change: u32 }
    /// Parameters of `copy_numbers`.
    "Params" CopyNumbers { count: u32, first: u32, target_first: u32, latched: u32 }
    /// Parameters of the kernels that find the weights of the tasks.
    "Params" Solve {
        tasks: u32, method: u32, scaled: u32, losses: u32, inverses: u32, weights: u32, state: u32,
        flag: u32, per_epoch: u32, rule: u32, a: f32, b: f32, beta1: f32, one_minus_beta1: f32,
        beta2: f32, one_minus_beta2: f32, eps: f32,
    }
    /// Parameters of `soft_sharing`.
    "Params" SoftSharing { pairs: u32, gradient: u32 }
    /// Parameters of `agreement`.
    "Params" Agreement { rows: u32, chunk_first: u32, pairs: u32, gradient: u32 }
    /// Parameters of `gradient_norm`.
    "Params" GradientNorm { count: u32, partials: u32, groups: u32 }
    /// Parameters of `sum_shards`.
    "Params" SumShards {
        count: u32, source_first: u32, target_first: u32, source_stride: u32, target_stride: u32,
        add: u32,
    }
    /// Parameters of `reduce_metrics`.
    "Params" ReduceMetrics { stride: u32, accumulate: u32, first: u32, rows: u32 }
    /// Parameters of `adam`.
    "Params" Adam {
        count: u32, beta1: f32, one_minus_beta1: f32, beta2: f32, one_minus_beta2: f32, eps: f32,
        decoupled: u32, clip_norm: f32, norm_metric: u32, stride: u32,
    }
    /// Parameters of `sgd`.
    "Params" Sgd {
        count: u32, momentum: f32, nesterov: u32, clip_norm: f32, norm_metric: u32, stride: u32,
    }
}

/// The value of a field for an offset or a flag that does not exist.
pub const NONE: u32 = u32::MAX;

/// The codes of what a line of [`Spread`] does with its cells.
pub mod spread {
    #![allow(missing_docs)]
    pub const NUMBERS: u32 = 0;
    pub const ONE_HOT: u32 = 1;
    pub const VECTOR: u32 = 2;
    pub const KEPT: u32 = 3;
}

/// The codes of what a [`Mix`] does with the tokens of a sentence.
pub mod pool {
    #![allow(missing_docs)]
    pub const NO: u32 = 0;
    pub const MEAN: u32 = 1;
    pub const MAX: u32 = 2;
}

/// The codes of the rules by which weights follow from the values of a [`Gate`].
pub mod rule {
    #![allow(missing_docs)]
    pub const LINEAR: u32 = 0;
    pub const SOFTMAX: u32 = 1;
    pub const SELECT: u32 = 2;
    pub const GUMBEL: u32 = 3;
    pub const MASK: u32 = 4;
}

/// The codes of the methods of balancing, for each kernel that finds weights.
pub mod solve {
    #![allow(missing_docs)]
    pub const LOG: u32 = 0;
    pub const GEOMETRIC: u32 = 1;
    pub const UNCERTAINTY: u32 = 2;
    pub const DWA: u32 = 3;
    pub const RANDOM: u32 = 4;
    pub const IMTL_L: u32 = 5;
    pub const STCH: u32 = 6;
    pub const FAMO: u32 = 7;
    pub const FAMO_AFTER: u32 = 8;
    pub const GRADNORM: u32 = 9;
    pub const EXCESS_MTL: u32 = 10;
    pub const DB_MTL: u32 = 11;
    pub const MGDA: u32 = 0;
    pub const UPGRAD: u32 = 1;
    pub const DUAL_PROJ: u32 = 2;
    pub const PCGRAD: u32 = 0;
    pub const GRADVAC: u32 = 1;
    pub const ALIGNED_MIN: u32 = 0;
    pub const ALIGNED_MEDIAN: u32 = 1;
    pub const ALIGNED_RMSE: u32 = 2;
    pub const IMTL_G: u32 = 3;
    pub const CONFIG: u32 = 4;
    pub const NASH_MTL: u32 = 0;
    pub const FAIRGRAD: u32 = 1;
}

/// The count of a metric that has one partial sum per row of the chunk.
pub const PER_ROW: u32 = 0;
