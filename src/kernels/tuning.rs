//! The choices for an adapter: which kernel does each kind of work, and how much work a dispatch
//! may do. Adapters differ here alone.

use super::{Kernel, Unit};

/// The kind of machine that runs a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A driver that runs on the CPU.
    Software,
    /// A GPU that shares the host's memory.
    Integrated,
    /// A GPU with memory of its own.
    Discrete,
    /// The processor, without a driver.
    Cpu,
    /// The float64 engine.
    Reference,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Class::Software => "software",
            Class::Integrated => "integrated",
            Class::Discrete => "discrete",
            Class::Cpu => "cpu",
            Class::Reference => "reference",
        })
    }
}

/// A product kernel with the shape of its tile.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Rows of the tile of a workgroup.
    pub rows: usize,
    /// Columns of the tile of a workgroup.
    pub columns: usize,
}

/// Rows and columns of the tiles for GPUs, the largest first.
const SHAPES: [(usize, usize); 5] = [(128, 128), (64, 64), PLAIN, (64, 16), (16, 64)];

/// The tile of the file that the other shapes are generated from.
const PLAIN: (usize, usize) = (32, 32);

/// The shapes of a product (`dense_forward`, `dense_backward_input` or `dense_backward_weight`),
/// from the largest tile to the smallest. All give equal bits.
pub fn ladder(product: &'static Kernel) -> Vec<Product> {
    let kernel = |shape @ (rows, columns)| match shape {
        PLAIN => super::by_name(product.twin),
        _ => super::by_name(&format!("{}_{rows}x{columns}", product.twin)),
    };
    SHAPES
        .into_iter()
        .filter_map(|shape| {
            Some(Product { kernel: kernel(shape)?, rows: shape.0, columns: shape.1 })
        })
        .collect()
}

/// The products that may do the work of `product`, itself included. All give equal bits.
pub fn candidates(product: &Product) -> Vec<Product> {
    if product.kernel.unit.is_some() {
        return vec![*product];
    }
    if !product.kernel.direct {
        return ladder(product.kernel);
    }
    let tall = super::by_name(&format!("{}_direct_32", product.kernel.twin))
        .map(|kernel| Product { kernel, rows: 32, columns: 32 });
    let low = super::by_name(&format!("{}_direct", product.kernel.twin)).map(|kernel| Product {
        kernel,
        rows: 16,
        columns: 32,
    });
    [low, tall].into_iter().flatten().collect()
}

/// The choices for an adapter. The builder of programs knows nothing else about it.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The class that the choices are for.
    pub class: Class,
    /// The kernel for x · wᵀ (NT).
    pub forward: Product,
    /// The kernel for delta · w (NN).
    pub backward_input: Product,
    /// The kernel for deltaᵀ · x (TN).
    pub backward_weight: Product,
    /// The matrix unit that computes the products, where a run asked for one.
    pub unit: Option<Unit>,
    /// Invocations of a workgroup of a product by the matrix unit: four subgroups.
    pub unit_invocations: u32,
    /// Whether the other kernels, too, are those for software adapters.
    pub direct: bool,
    /// The order of additions: products add terms by fours, else in chains
    /// (`shaders/prelude.wgsl`). By fours where kernels for software adapters run, and also where
    /// limits alone forbid them, so that limits change no bit.
    pub fours: bool,
    /// Whether a mirror lies in the memory of its buffer, so that nothing is copied between
    /// dispatches.
    pub shared_mirrors: bool,
    /// The largest number of classes of heads whose product and loss are one kernel,
    /// `heads_cross_entropy`; 0 where they never are.
    pub fused_classes: usize,
    /// Whether [`Kernel::bounded`] kernels run without checks of indices and loops. Not on drivers
    /// that run on the CPU: an index out of bounds would write to the memory of this process.
    pub trusted: bool,
    /// The largest number of floating-point operations of a dispatch, so that none takes more than
    /// 200 ms.
    pub flop_per_dispatch: u64,
    /// The largest number of bytes of a storage binding.
    pub binding_bytes: u64,
    /// The largest number of rows of a chunk, where a run asks for fewer than fit.
    pub rows: usize,
}

/// Bytes of a storage binding that all WebGPU adapters grant.
pub const DEFAULT_BINDING: u64 = 128 << 20;

impl Tuning {
    /// The choices for a class. `binding_bytes` is the size of a storage binding that the device
    /// granted; `direct` says whether it runs the kernels for software adapters.
    pub fn new(class: Class, binding_bytes: u64, direct: bool) -> Tuning {
        let tile = |kernel| Product { kernel, rows: PLAIN.0, columns: PLAIN.1 };
        let direct_tile = |kernel| Product { kernel, rows: 16, columns: 32 };
        let direct = direct && class == Class::Software;
        let [forward, backward_input, backward_weight] = if direct {
            [
                &super::dense_forward_direct,
                &super::dense_backward_input_direct,
                &super::dense_backward_weight_direct,
            ]
            .map(direct_tile)
        } else {
            [&super::dense_forward, &super::dense_backward_input, &super::dense_backward_weight]
                .map(tile)
        };
        Tuning {
            class,
            forward,
            backward_input,
            backward_weight,
            unit: None,
            unit_invocations: 0,
            direct,
            fours: direct,
            shared_mirrors: direct,
            fused_classes: if direct { 32 } else { 0 },
            trusted: matches!(class, Class::Integrated | Class::Discrete),
            // The slowest adapters seen reach 2 GFLOP/s (software), 0.1 TFLOP/s (integrated) and
            // 0.5 TFLOP/s (discrete).
            flop_per_dispatch: match class {
                Class::Software => 400_000_000,
                Class::Integrated => 20_000_000_000,
                Class::Discrete => 100_000_000_000,
                Class::Cpu | Class::Reference => u64::MAX,
            },
            binding_bytes,
            rows: usize::MAX,
        }
    }

    /// These choices with products by a matrix unit, on an adapter whose subgroups have up to
    /// `lanes` lanes.
    pub fn with_unit(&self, unit: Unit, lanes: u32) -> Tuning {
        let by_unit = |product: &Product| {
            let kernel = super::KERNELS
                .iter()
                .find(|k| k.unit == Some(unit) && k.twin == product.kernel.twin);
            kernel.map_or(*product, |kernel| Product {
                kernel,
                rows: 4 * unit.side(),
                columns: 4 * unit.side(),
            })
        };
        Tuning {
            forward: by_unit(&self.forward),
            backward_input: by_unit(&self.backward_input),
            backward_weight: by_unit(&self.backward_weight),
            unit: Some(unit),
            unit_invocations: 4 * lanes,
            // heads_cross_entropy does not use the unit.
            fused_classes: 0,
            ..self.clone()
        }
    }

    /// The kernel that does the work of `kernel` on this adapter: itself, or the one in its place.
    pub fn kernel(&self, kernel: &'static Kernel) -> &'static Kernel {
        let stand_in =
            super::KERNELS.iter().find(|k| self.direct && k.direct && k.twin == kernel.name);
        stand_in.copied().unwrap_or(kernel)
    }
}
