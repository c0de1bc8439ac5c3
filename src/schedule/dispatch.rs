//! One launch of one kernel, and the list of launches that is a step.

use super::buffer::{Buffer, Effect, Slice};
use crate::kernels::params::Record;
use crate::kernels::{self, Kernel};

/// One launch of one kernel.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The kernel that is launched.
    pub kernel: &'static Kernel,
    /// Its label, which says what it is for, e.g. `trunk.0`.
    pub label: String,
    /// The fields of its `Params`, as u32.
    pub params: Vec<u32>,
    /// Pipeline-overridable constants of the WGSL, where they are not what the file says.
    pub constants: Vec<(&'static str, f64)>,
    /// Buffers by the names of their bindings: whole buffers, none twice.
    pub bindings: Vec<(&'static str, Buffer)>,
    /// Workgroups in x, y and z.
    pub grid: [u32; 3],
    /// The slices that it reads and writes, exactly.
    pub effects: Vec<(Effect, Slice)>,
    /// Floating-point operations of its products; 0 for kernels without one.
    pub flop: u64,
    /// Whether it belongs to a pass that is done for a part of its results: the rest is written in
    /// vain.
    pub in_part: bool,
    /// What is exchanged with each other rank behind it, where a step is that of one of several
    /// ranks; else empty.
    pub exchange: Vec<Peer>,
}

/// What is exchanged with another rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The number of that rank.
    pub rank: usize,
    /// What it is sent.
    pub sends: Slice,
    /// Where what it sends is written.
    pub gets: Slice,
}

impl Dispatch {
    /// A dispatch without bindings, effects or products yet.
    pub fn new<P: Record>(
        kernel: &'static Kernel,
        label: impl Into<String>,
        params: P,
        grid: [u32; 3],
    ) -> Dispatch {
        let params = bytemuck::cast_slice(std::slice::from_ref(&params)).to_vec();
        Dispatch {
            kernel,
            label: label.into(),
            params,
            constants: Vec::new(),
            bindings: Vec::new(),
            grid,
            effects: Vec::new(),
            flop: 0,
            in_part: false,
            exchange: Vec::new(),
        }
    }

    /// Binds buffers by name.
    pub fn bind(mut self, bindings: impl IntoIterator<Item = (&'static str, Buffer)>) -> Dispatch {
        self.bindings.extend(bindings);
        self
    }

    /// Says that it belongs to a pass that is done for a part of its results.
    pub fn in_part(mut self) -> Dispatch {
        self.in_part = true;
        self
    }

    /// Sets a pipeline-overridable constant.
    pub fn constant(mut self, name: &'static str, value: f64) -> Dispatch {
        self.constants.push((name, value));
        self
    }

    /// States slices that are read.
    pub fn reads(self, slices: impl IntoIterator<Item = Slice>) -> Dispatch {
        self.effect(Effect::Read, slices)
    }

    /// States slices that are overwritten.
    pub fn overwrites(self, slices: impl IntoIterator<Item = Slice>) -> Dispatch {
        self.effect(Effect::Overwrite, slices)
    }

    /// States slices that are changed in place.
    pub fn updates(self, slices: impl IntoIterator<Item = Slice>) -> Dispatch {
        self.effect(Effect::Update, slices)
    }

    /// States one effect on many slices.
    pub fn effect(mut self, effect: Effect, slices: impl IntoIterator<Item = Slice>) -> Dispatch {
        self.effects.extend(slices.into_iter().filter(|s| s.len > 0).map(|s| (effect, s)));
        self
    }

    /// Bytes that move if each element of its effects is touched once; an updated element moves
    /// twice. A kernel that picks rows reads as much as it writes, however much it picks from.
    pub fn bytes(&self) -> u64 {
        let elements = |effect| {
            self.effects
                .iter()
                .filter(|(e, _)| *e == effect)
                .map(|(_, s)| s.len as u64)
                .sum::<u64>()
        };
        let [read, written, updated] =
            [Effect::Read, Effect::Overwrite, Effect::Update].map(elements);
        let picks = [
            kernels::gather_rows.name,
            kernels::gather_images.name,
            kernels::gather_cells.name,
            kernels::label_sums.name,
        ]
        .contains(&self.kernel.twin);
        let read = if picks { read.min(written + updated) } else { read };
        4 * (read + written + 2 * updated)
    }

    /// States the floating-point operations of its products.
    pub fn flop(mut self, flop: u64) -> Dispatch {
        self.flop = flop;
        self
    }
}

/// The dispatches of one step, in order.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Name in tables and messages: `train`, `evaluate valid`, …
    pub name: String,
    /// The launches, in order.
    pub dispatches: Vec<Dispatch>,
    /// Slices that hold values before the step begins.
    pub given: Vec<Slice>,
    /// Slices that are read after the step.
    pub wanted: Vec<Slice>,
    /// Slices that kernels write beside others, and that nothing reads.
    pub spare: Vec<Slice>,
    /// The largest number of rows of a step.
    pub rows: usize,
}
