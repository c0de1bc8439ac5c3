//! The registry of kernels, one line each. A kernel consists of a WGSL file whose entry point bears
//! its name, a structure of parameters, and a twin of its name in `reference`. [`signature`] reads
//! the bindings, their order and their access from the WGSL.

pub mod packed;
pub mod params;
pub mod signature;
pub mod tuning;

use params::Record;

/// A kernel, as it is known without an adapter.
#[derive(Debug)]
pub struct Kernel {
    /// Its name: the stem of its file, its entry point, and its label.
    pub name: &'static str,
    /// The path of its WGSL, from the root of the project.
    pub file: &'static str,
    /// The text of the file, without the prelude.
    pub source: &'static str,
    /// The fields of its `Params` with their types.
    pub params: &'static [(&'static str, &'static str)],
    /// C of its error bound `C · eps · magnitude` on all adapters; see `measure::doctor`.
    pub bound: f64,
    /// The name of the twin that states its formula: its own name, or the name of the kernel in
    /// whose place it stands or of which it is a shape.
    pub twin: &'static str,
    /// Whether it is for software adapters: it then needs subgroups of 8 lanes and reads mirrors.
    pub direct: bool,
    /// Whether its indices stay in bounds and its loops end by themselves: its file says under
    /// "Indices" why, and tests show it at sizes around the edges of its tile. It is compiled
    /// without checks on adapters that are trusted.
    pub bounded: bool,
    /// The matrix unit that it computes with, if any.
    pub unit: Option<Unit>,
}

/// A kind of matrix unit, by the type of its operands and the size of its square matrices. Sums are
/// f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Unit {
    /// f32, 8 × 8, on Apple GPUs.
    #[serde(rename = "f32 8x8")]
    F32x8,
    /// f16, 8 × 8, on Apple GPUs and Mesa's software driver.
    #[serde(rename = "f16 8x8")]
    F16x8,
    /// f16, 16 × 16, on NVIDIA and AMD GPUs.
    #[serde(rename = "f16 16x16")]
    F16x16,
}

impl Unit {
    /// All kinds.
    pub const ALL: [Unit; 3] = [Unit::F32x8, Unit::F16x8, Unit::F16x16];

    /// Whether operands are rounded to f16.
    pub fn is_half(self) -> bool {
        self != Unit::F32x8
    }

    /// Number of rows, and of columns, of its matrices.
    pub fn side(self) -> usize {
        if self == Unit::F16x16 { 16 } else { 8 }
    }
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}",
            match self {
                Unit::F32x8 => "f32 8×8",
                Unit::F16x8 => "f16 8×8",
                Unit::F16x16 => "f16 16×16",
            }
        )
    }
}

/// Texels in a row of a mirror; `MIRROR_WIDTH` in `shaders/mirror.wgsl`.
pub const MIRROR_WIDTH: u32 = 1024;

/// Elements in a row of a mirror.
pub const MIRROR_ROW: usize = 4 * MIRROR_WIDTH as usize;

/// Number of rows of the mirror of a buffer with `elements` elements. It is odd and at least 3:
/// Mesa's software driver compiles a kernel anew for textures whose height is a power of two.
pub fn mirror_rows(elements: usize) -> usize {
    (elements.div_ceil(MIRROR_ROW) | 1).max(3)
}

/// The text that is appended to kernels that read mirrors.
const MIRROR: &str = include_str!("../../shaders/mirror.wgsl");

/// The text that is appended to all kernels.
pub const PRELUDE: &str = include_str!("../../shaders/prelude.wgsl");

macro_rules! registry {
    ($(
        $name:ident $(($folder:ident))?, $params:ident, $bound:literal
        $(, in_place_of $twin:ident)? $(, shape_of $base:ident)? $(=> $direct:ident)?
        $([$bounded:ident])? $({$unit:ident})?;
    )*) => {
        $(#[doc = concat!("`shaders/", $(stringify!($folder), "/",)? stringify!($name), ".wgsl`")]
        #[allow(non_upper_case_globals)]
        pub static $name: Kernel = Kernel {
            name: stringify!($name),
            file: concat!("shaders/", $(stringify!($folder), "/",)? stringify!($name), ".wgsl"),
            source: include_str!(concat!(
                "../../shaders/", $(stringify!($folder), "/",)? stringify!($name), ".wgsl"
            )),
            params: params::$params::FIELDS,
            bound: $bound,
            twin: [$(stringify!($twin),)? $(stringify!($base),)? stringify!($name)][0],
            direct: [
                $(!stringify!($twin).is_empty(),)? $(!stringify!($direct).is_empty(),)? false
            ][0],
            bounded: [$(!stringify!($bounded).is_empty(),)? false][0],
            unit: [$(Some(Unit::$unit),)? None][0],
        };)*

        /// All kernels.
        pub static KERNELS: &[&Kernel] = &[$(&$name),*];
    };
}

// Each line: name (folder), parameters, C of the error bound. Sums of products stay within 4. For
// exp, log, erf and division the magnitude already holds the conditioning of the function; C adds
// the errors of the polynomial and of WGSL's division (2.5 ulp).
//
// A kernel `in_place_of` another one is for software adapters; both have the same parameters and
// the same twin. So has a `shape_of` another kernel: its text with a tile of other sides (see
// `tuning::ladder`), or, with a unit in braces, a kernel for a matrix unit, which adds in an order
// of its own. An operand rounded to f16, in whichever direction an adapter rounds, has an error of
// up to 2⁻¹⁰; a product of two has one of up to 16,384 eps of f32.
registry! {
    gather_rows, GatherRows, 1.0; // at most one product
    // sums, then an activation by a polynomial and a division
    dense_forward, DenseForward, 8.0 [bounded];
    dense_backward_input, DenseBackwardInput, 4.0 [bounded];
    dense_backward_weight, DenseBackwardWeight, 4.0 [bounded];
    dense_forward_128x128 (tiles), DenseForward, 8.0, shape_of dense_forward [bounded];
    dense_forward_64x64 (tiles), DenseForward, 8.0, shape_of dense_forward [bounded];
    dense_forward_64x16 (tiles), DenseForward, 8.0, shape_of dense_forward [bounded];
    dense_forward_16x64 (tiles), DenseForward, 8.0, shape_of dense_forward [bounded];
    dense_backward_input_128x128 (tiles), DenseBackwardInput, 4.0,
        shape_of dense_backward_input [bounded];
    dense_backward_input_64x64 (tiles), DenseBackwardInput, 4.0,
        shape_of dense_backward_input [bounded];
    dense_backward_input_64x16 (tiles), DenseBackwardInput, 4.0,
        shape_of dense_backward_input [bounded];
    dense_backward_input_16x64 (tiles), DenseBackwardInput, 4.0,
        shape_of dense_backward_input [bounded];
    dense_backward_weight_128x128 (tiles), DenseBackwardWeight, 4.0,
        shape_of dense_backward_weight [bounded];
    dense_backward_weight_64x64 (tiles), DenseBackwardWeight, 4.0,
        shape_of dense_backward_weight [bounded];
    dense_backward_weight_64x16 (tiles), DenseBackwardWeight, 4.0,
        shape_of dense_backward_weight [bounded];
    dense_backward_weight_16x64 (tiles), DenseBackwardWeight, 4.0,
        shape_of dense_backward_weight [bounded];
    dense_forward_direct (software), DenseForward, 8.0, in_place_of dense_forward;
    dense_forward_direct_32 (software), DenseForward, 8.0, in_place_of dense_forward;
    dense_backward_input_direct (software), DenseBackwardInput, 4.0,
        in_place_of dense_backward_input;
    dense_backward_input_direct_32 (software), DenseBackwardInput, 4.0,
        in_place_of dense_backward_input;
    dense_backward_weight_direct (software), DenseBackwardWeight, 4.0,
        in_place_of dense_backward_weight;
    dense_backward_weight_direct_32 (software), DenseBackwardWeight, 4.0,
        in_place_of dense_backward_weight;
    dense_forward_matrix_f32_8 (matrix), DenseForward, 8.0,
        shape_of dense_forward [bounded] {F32x8};
    dense_backward_input_matrix_f32_8 (matrix), DenseBackwardInput, 4.0,
        shape_of dense_backward_input [bounded] {F32x8};
    dense_backward_weight_matrix_f32_8 (matrix), DenseBackwardWeight, 4.0,
        shape_of dense_backward_weight [bounded] {F32x8};
    dense_forward_matrix_f16_8 (matrix), DenseForward, 20000.0,
        shape_of dense_forward [bounded] {F16x8};
    dense_backward_input_matrix_f16_8 (matrix), DenseBackwardInput, 20000.0,
        shape_of dense_backward_input [bounded] {F16x8};
    dense_backward_weight_matrix_f16_8 (matrix), DenseBackwardWeight, 20000.0,
        shape_of dense_backward_weight [bounded] {F16x8};
    dense_forward_matrix_f16_16 (matrix), DenseForward, 20000.0,
        shape_of dense_forward [bounded] {F16x16};
    dense_backward_input_matrix_f16_16 (matrix), DenseBackwardInput, 20000.0,
        shape_of dense_backward_input [bounded] {F16x16};
    dense_backward_weight_matrix_f16_16 (matrix), DenseBackwardWeight, 20000.0,
        shape_of dense_backward_weight [bounded] {F16x16};
    // sums, then as softmax_cross_entropy
    heads_cross_entropy (software), HeadsCrossEntropy, 8.0 => direct;
    gather_rows_direct (software), GatherRows, 1.0, in_place_of gather_rows;
    gather_images, GatherImages, 1.0; // at most one product
    gather_cells, GatherCells, 4.0; // sums of few equal numbers, or of vectors, and one product
    link_cells, LinkCells, 1.0; // integers
    embedding_backward, EmbeddingBackward, 4.0; // sums, one product
    label_sums, LabelSums, 4.0; // sums, one division
    softmax_cross_entropy, SoftmaxCrossEntropy, 8.0; // exp, log, one division
    pointwise_losses, PointwiseLosses, 8.0; // exp, log, one division
    gate_forward, GateForward, 8.0; // exp, log, divisions
    mix_forward, MixForward, 4.0; // sums of products
    mix_dots, MixDots, 4.0; // sums of products
    gate_backward, GateBackward, 8.0; // products, log, divisions
    mix_backward, MixBackward, 4.0; // sums of products
    constant_backward, ConstantBackward, 4.0; // sums
    task_products (balance), TaskProducts, 8.0; // sums of products, with a root and a division
    task_products_direct (software), TaskProducts, 8.0, in_place_of task_products;
    row_products (balance), RowProducts, 4.0; // sums of products
    row_products_direct (software), RowProducts, 4.0, in_place_of row_products;
    task_gramian (balance), TaskGramian, 8.0; // sums, a root and divisions
    task_losses (balance), TaskLosses, 4.0; // sums
    combine_deltas (balance), CombineDeltas, 4.0; // sums of products
    combine_gradients (balance), CombineGradients, 4.0; // sums of products
    combine_deltas_direct (software), CombineDeltas, 4.0, in_place_of combine_deltas;
    combine_gradients_direct (software), CombineGradients, 4.0, in_place_of combine_gradients;
    drop_deltas (balance), DropDeltas, 4.0; // sums, one product
    drop_gradients (balance), DropGradients, 4.0; // sums, one product
    gradient_memory (balance), GradientMemory, 8.0; // exp, log, a division
    parameter_change (balance), ParameterChange, 1.0; // one difference
    copy_numbers (balance), CopyNumbers, 1.0; // copies
    loss_weights (balance), Solve, 32.0; // exp, log, divisions, one after another
    // The solvers: what is a rounding error of the products is magnified by their condition. The
    // magnitude is that of the largest weight, so these are 5e-4 of it.
    cone_projection (balance), Solve, 4000.0;
    cone_projection_direct (software), Solve, 4000.0, in_place_of cone_projection;
    pairwise_projection (balance), Solve, 4000.0;
    spectral_weights (balance), Solve, 4000.0;
    spectral_weights_direct (software), Solve, 4000.0, in_place_of spectral_weights;
    bargaining (balance), Solve, 4000.0;
    bargaining_direct (software), Solve, 4000.0, in_place_of bargaining;
    conflict_averse (balance), Solve, 4000.0;
    soft_sharing, SoftSharing, 4.0;
    soft_sharing_direct (software), SoftSharing, 4.0, in_place_of soft_sharing;
    agreement, Agreement, 8.0; // exp, log, two divisions
    gradient_norm, GradientNorm, 4.0;
    gradient_norm_direct (software), GradientNorm, 4.0, in_place_of gradient_norm;
    reduce_metrics, ReduceMetrics, 4.0;
    reduce_metrics_direct (software), ReduceMetrics, 4.0, in_place_of reduce_metrics;
    sum_shards, SumShards, 1.0; // one sum
    adam, Adam, 8.0; // products, then a root and a division
    adam_direct (software), Adam, 8.0, in_place_of adam;
    sgd, Sgd, 8.0; // the root and the division of the clip factor
    sgd_direct (software), Sgd, 8.0, in_place_of sgd;
}

impl Kernel {
    /// The complete WGSL module. The file comes first and the text that kernels share follows, so
    /// that line numbers are those of the file.
    pub fn module(&self) -> String {
        let mirror = if self.direct { MIRROR } else { "" };
        format!("{}\n{mirror}{PRELUDE}", self.source)
    }
}

/// The kernel with this name.
pub fn by_name(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().copied().find(|k| k.name == name)
}

/// The largest number of workgroups in one dimension of a grid, by WebGPU's default limits.
pub const MAX_GROUPS: u32 = 65_535;

/// A grid for `groups` workgroups, folded over two dimensions where one is too short. Workgroups
/// beyond the end return at once.
pub fn folded(groups: u32) -> [u32; 3] {
    let x = groups.clamp(1, MAX_GROUPS);
    [x, groups.max(1).div_ceil(x), 1]
}
