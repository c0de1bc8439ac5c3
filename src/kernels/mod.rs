//! The registry: one line a kernel. A kernel is a WGSL file whose entry point bears its name, a
//! parameter structure, and a float64 twin of the same name in `reference`; bindings, their order
//! and access are read from the WGSL by [`signature`].

pub mod params;
pub mod signature;
pub mod tuning;

use params::Words;

/// A kernel as the program knows it before it has met an adapter.
#[derive(Debug)]
pub struct Kernel {
    /// File stem, entry point, label, twin.
    pub name: &'static str,
    /// Path of its WGSL, from the root of the project.
    pub file: &'static str,
    /// The file, without the prelude.
    pub source: &'static str,
    /// Fields of its `Params`.
    pub params: &'static [(&'static str, &'static str)],
    /// C of its error bound `C · eps · magnitude` on any adapter, see `doctor`.
    pub bound: f64,
    /// The twin that states its formula: its own name, or that of the kernel that it stands in for
    /// or is a shape of.
    pub twin: &'static str,
    /// Whether it is for software adapters: it needs subgroups of 8 lanes and reads mirrors.
    pub direct: bool,
    /// Whether it keeps its indices in bounds by itself and its loops end: its file says under
    /// "Indices" why, and tests show it at sizes around the edges of its tile. Adapters that are
    /// trusted compile it without checks.
    pub bounded: bool,
    /// The matrix unit that it computes with.
    pub unit: Option<Unit>,
}

/// A kind of matrix unit: what its operands are, and the sides of its square matrices. Sums are
/// f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Unit {
    /// f32, 8 × 8: Apple.
    #[serde(rename = "f32 8x8")]
    F32x8,
    /// f16, 8 × 8: Apple, Mesa's software driver.
    #[serde(rename = "f16 8x8")]
    F16x8,
    /// f16, 16 × 16: NVIDIA, AMD.
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

    /// Rows or columns of its matrices.
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

/// Texels in a row of a mirror; `shaders/mirror.wgsl` calls it MIRROR_WIDTH.
pub const MIRROR_WIDTH: u32 = 1024;

/// Elements in a row of a mirror.
pub const MIRROR_ROW: usize = 4 * MIRROR_WIDTH as usize;

/// Rows of the mirror of so many elements: an odd number, never one. Mesa's software driver
/// compiles a kernel anew for textures whose height is a power of two.
pub fn mirror_rows(elements: usize) -> usize {
    (elements.div_ceil(MIRROR_ROW) | 1).max(3)
}

/// Appended to the kernels that read mirrors.
const MIRROR: &str = include_str!("../../shaders/mirror.wgsl");

/// Appended to every kernel.
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

// Name, parameters, C of the error bound. Sums of products stay within 4. Where exp, log, erf or
// division enter, the magnitude already carries the conditioning of the function, and C adds what
// the polynomial and the (2.5 ulp) division of WGSL may lose.
//
// Kernels `in_place_of` another one are for software adapters; they share parameters and twin with
// it. So does a `shape_of` another one: the same text with a tile of other sides, see
// `tuning::ladder`; and those in braces are for matrix units, in an order of sums that is the
// unit's own. Operands that become f16, in whichever direction an adapter rounds, are off by up to
// 2⁻¹⁰ each, two of them by 16,384 of f32's eps.
registry! {
    gather_rows, GatherRows, 1.0; // one product at most
    // Sums, then an activation by polynomial and a division.
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
    // Sums, then as softmax_cross_entropy.
    heads_cross_entropy (software), HeadsCrossEntropy, 8.0 => direct;
    gather_rows_direct (software), GatherRows, 1.0, in_place_of gather_rows;
    gather_cells, GatherCells, 4.0; // sums of few equal numbers, or of vectors, and one product
    link_cells, LinkCells, 1.0; // integers
    embedding_backward, EmbeddingBackward, 4.0; // sums, one product
    label_sums, LabelSums, 4.0; // sums, one division
    softmax_cross_entropy, SoftmaxCrossEntropy, 8.0; // exp, log, one division
    pointwise_losses, PointwiseLosses, 8.0; // exp, log, one division
    soft_sharing, SoftSharing, 4.0;
    soft_sharing_direct (software), SoftSharing, 4.0, in_place_of soft_sharing;
    agreement, Agreement, 8.0; // exp, log, two divisions
    gradient_norm, GradientNorm, 4.0;
    gradient_norm_direct (software), GradientNorm, 4.0, in_place_of gradient_norm;
    reduce_metrics, ReduceMetrics, 4.0;
    reduce_metrics_direct (software), ReduceMetrics, 4.0, in_place_of reduce_metrics;
    adam, Adam, 8.0; // root and division at the end of a chain of products
    adam_direct (software), Adam, 8.0, in_place_of adam;
    sgd, Sgd, 8.0; // root and division of the clip factor
    sgd_direct (software), Sgd, 8.0, in_place_of sgd;
}

impl Kernel {
    /// The complete WGSL module: the file, then what it shares with others, so that line numbers
    /// are those of the file.
    pub fn module(&self) -> String {
        let mirror = if self.direct { MIRROR } else { "" };
        format!("{}\n{mirror}{PRELUDE}", self.source)
    }
}

/// The kernel of a name.
pub fn by_name(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().copied().find(|k| k.name == name)
}

/// Most workgroups in one dimension of a grid, by WebGPU's default limits.
pub const MAX_GROUPS: u32 = 65_535;

/// A grid for `groups` workgroups in a row, folded over two dimensions where one is too short;
/// kernels leave at once beyond the end.
pub fn folded(groups: u32) -> [u32; 3] {
    let x = groups.clamp(1, MAX_GROUPS);
    [x, groups.max(1).div_ceil(x), 1]
}
