//! Everything an engine needs to run a network, and the memory that it takes.

use std::fmt;

use anyhow::{Result, ensure};

use super::buffer::{Buffer, BufferSpec, Slice};
use super::dispatch::Schedule;
use crate::kernels::signature::{Access, Signature};
use crate::kernels::{MIRROR_ROW, mirror_rows};

/// The meaning of a number in a row of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Mean loss of a task.
    Loss(usize),
    /// Labels of a task that the logits get right: the largest logit is the labelled class, or the
    /// sign of a logit is that of its label.
    Hits(usize),
    /// Sum of the weights of a task's labels, which its loss is divided by.
    Weight(usize),
    /// Number of a task's labels in the batch.
    Labelled(usize),
    /// Value of a coupled pair, without λ.
    Coupling(usize),
    /// Mean entropy of the selectors of a gate, by its number.
    GateEntropy(usize),
    /// Weight that a balancer gives an objective, beside that of the configuration: a task, or
    /// behind them the couplings.
    TaskWeight(usize),
    /// How far the weights of a balancer are from the solution.
    SolverResidual,
    /// Squared global norm of the gradient, before clipping.
    SquaredNorm,
    /// Mean weight that a gate gives a term, in evaluation: numbers of the gate and of the term.
    GateWeight(usize, usize),
}

/// Kinds of what is tested for being finite, in the order in which they are made within a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlagKind {
    /// Outputs of a layer before its activation.
    PreActivation,
    /// Loss of a task.
    Loss,
    /// Logarithm of the loss of a task, which a balancer takes.
    LossLogarithm,
    /// Value of a coupling of logits.
    LogitCoupling,
    /// Gradient of a layer's weights, or of learned vectors.
    Gradient,
    /// Gradient of shared layers after it was balanced.
    BalancedGradient,
    /// Value of a coupling of weights.
    WeightCoupling,
    /// Norm of the whole gradient.
    GradientNorm,
}

/// A tensor whose values are tested for being finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The kind of the tensor.
    pub kind: FlagKind,
    /// Name of the layer, the embedding or the coupling; empty where the kind says all.
    pub name: String,
    /// The task that it belongs to; `None` for the trunk.
    pub task: Option<String>,
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FlagKind::PreActivation => write!(f, "pre-activation of {}", self.name),
            FlagKind::Gradient => write!(f, "gradient of {}", self.name),
            FlagKind::Loss => f.write_str("loss"),
            FlagKind::GradientNorm => f.write_str("gradient norm"),
            FlagKind::BalancedGradient => {
                write!(f, "gradient of shared layers by {}", self.name)
            }
            FlagKind::LossLogarithm => {
                write!(f, "logarithm of the loss that {} takes", self.name)
            }
            FlagKind::LogitCoupling | FlagKind::WeightCoupling => f.write_str(&self.name),
        }
    }
}

/// Everything an engine needs: buffers, schedules, names of metrics and flags.
#[derive(Clone, Debug)]
pub struct Program {
    /// The buffers; a handle is a place in this list.
    pub buffers: Vec<BufferSpec>,
    /// The schedules; engines know them by their places in this list.
    pub schedules: Vec<Schedule>,
    /// The meaning of each number in a row of metrics, after the stamp.
    pub metrics: Vec<MetricKind>,
    /// The tensors that flags 1, 2, … test; flag 0 is the latch.
    pub flags: Vec<Flag>,
    /// The buffers of features and labels, which are filled before the first step.
    pub data: Vec<Buffer>,
    /// The arena of gradients; of one element where nothing is trained.
    pub gradients_buffer: Buffer,
    /// The buffer of metrics, `[SLOTS, 1 + metrics]`: a stamp and the metrics of each step.
    pub metrics_buffer: Buffer,
    /// The buffer of flags, `[1 + flags]`.
    pub flags_buffer: Buffer,
    /// Whether each mirror lies in the memory of its buffer.
    pub shared_mirrors: bool,
}

/// Steps that one submission may hold: rows of the metrics buffer and of the step table.
pub const SLOTS: usize = 64;

/// Bytes between the entries of uniform tables: the alignment that every adapter grants.
pub const UNIFORM: usize = 256;

/// Submissions that are in flight at once: one runs while the next is recorded.
pub const IN_FLIGHT: usize = 2;

/// Bytes that a program takes on a device while it runs. Not counted is the memory that uploads
/// pass through, up to 32 MiB, which is free again when they have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// All buffers, padded to what kernels bind; those that lie in their mirrors are left out.
    pub buffers: u64,
    /// The mirrors, in units of 64 KiB as Mesa allocates textures.
    pub mirrors: u64,
    /// The uniform tables of steps and of the parameters of dispatches.
    pub tables: u64,
    /// Buffers in which metrics come back: one per submission in flight, one that is recorded.
    pub read_backs: u64,
}

impl Footprint {
    /// Zeros that wgpu keeps for every open device.
    pub const ZEROS: u64 = 512 << 10;
    /// Elements that Mesa rounds the memory of a texture up to: 64 KiB.
    const UNIT: usize = 16 << 10;
}

impl Program {
    /// A program without buffers and schedules.
    pub fn empty(shared_mirrors: bool) -> Program {
        let none = Buffer(0);
        Program {
            buffers: Vec::new(),
            schedules: Vec::new(),
            metrics: Vec::new(),
            flags: Vec::new(),
            data: Vec::new(),
            gradients_buffer: none,
            metrics_buffer: none,
            flags_buffer: none,
            shared_mirrors,
        }
    }

    /// Elements of a row of metrics.
    pub fn metrics_stride(&self) -> usize {
        1 + self.metrics.len()
    }

    /// Checks that `len` elements from `first` on are elements of a buffer.
    ///
    /// # Errors
    /// A run of elements that ends beyond the buffer.
    pub fn check_write(&self, buffer: Buffer, first: usize, len: usize) -> Result<()> {
        let spec = &self.buffers[buffer.0];
        ensure!(
            first + len <= spec.len,
            "{}: {len} elements at {first} exceed its {}",
            spec.name,
            spec.len
        );
        Ok(())
    }

    /// The slice that is a whole buffer.
    pub fn whole(&self, buffer: Buffer) -> Slice {
        Slice { buffer, first: 0, len: self.buffers[buffer.0].len }
    }

    /// For each buffer whether kernels read it through a mirror, and with which access.
    ///
    /// # Errors
    /// A kernel whose WGSL cannot be parsed.
    pub fn mirrors(&self) -> Result<Vec<Option<Access>>> {
        let mut found = vec![None; self.buffers.len()];
        let mut known: Vec<(&str, Signature)> = Vec::new();
        for dispatch in
            self.schedules.iter().flat_map(|s| &s.dispatches).filter(|d| d.kernel.direct)
        {
            if !known.iter().any(|(name, _)| *name == dispatch.kernel.name) {
                known.push((dispatch.kernel.name, Signature::of(dispatch.kernel)?));
            }
            let signature =
                known.iter().find(|(name, _)| *name == dispatch.kernel.name).map(|(_, s)| s);
            for mirror in signature.iter().flat_map(|s| s.mirrors()) {
                let bound = dispatch.bindings.iter().filter(|(name, _)| *name == mirror.name);
                bound.for_each(|(_, buffer)| found[buffer.0] = Some(mirror.access));
            }
        }
        Ok(found)
    }

    /// Bytes that it takes on a device.
    pub fn footprint(&self) -> Footprint {
        let mirrors = self.mirrors().unwrap_or_default();
        let padded = |(i, b): (usize, &BufferSpec)| match mirrors.get(i) {
            Some(Some(_)) if self.shared_mirrors => {
                (0, (MIRROR_ROW * mirror_rows(b.len)).next_multiple_of(Footprint::UNIT))
            }
            Some(Some(_)) => (
                b.len.next_multiple_of(MIRROR_ROW),
                (MIRROR_ROW * mirror_rows(b.len)).next_multiple_of(Footprint::UNIT),
            ),
            _ => (b.len.next_multiple_of(4), 0),
        };
        let (buffers, mirrors): (Vec<usize>, Vec<usize>) =
            self.buffers.iter().enumerate().map(padded).unzip();
        let dispatches: usize = self.schedules.iter().map(|s| s.dispatches.len()).sum();
        let read_back = SLOTS * self.metrics_stride() + 1 + self.flags.len();
        Footprint {
            buffers: 4 * buffers.iter().sum::<usize>() as u64,
            mirrors: 4 * mirrors.iter().sum::<usize>() as u64,
            tables: ((SLOTS + dispatches.max(1)) * UNIFORM) as u64,
            read_backs: ((IN_FLIGHT + 1) * 4 * read_back) as u64,
        }
    }

    /// Bytes that it takes on a device, all in all.
    pub fn bytes(&self) -> u64 {
        let f = self.footprint();
        f.buffers + f.mirrors + f.tables + f.read_backs + Footprint::ZEROS
    }

    /// A buffer by its name.
    pub fn buffer(&self, name: &str) -> Option<Buffer> {
        self.buffers.iter().position(|b| b.name == name).map(Buffer)
    }
}
