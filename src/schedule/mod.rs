//! The vocabulary of a step: buffers, dispatches, schedules, and the [`Engine`] that runs them.
//!
//! A schedule is plain data, written by code that knows no GPU and interpreted by `device` (f32,
//! WGSL) and by `reference` (f64, loops).

pub mod build;
pub mod check;
mod embed;
pub(crate) mod emit;
mod place;
pub mod plan;
pub mod show;

use anyhow::Result;

use crate::kernels::params::{NONE, Step, Words};
use crate::kernels::signature::{Access, Signature};
use crate::kernels::{self, Kernel, MIRROR_ROW, mirror_rows};
use crate::model::arena::Numbers;

/// A buffer of a [`Program`], by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Buffer(pub usize);

/// What the words of a buffer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers: f32 on the device, f64 in the reference.
    F32,
    /// Integers, bit patterns and tables: the same bits on both engines.
    U32,
}

/// A buffer to allocate.
#[derive(Clone, Debug)]
pub struct BufferSpec {
    /// Name in tables and messages.
    pub name: String,
    /// Elements of four bytes; never 0.
    pub len: usize,
    /// What they are.
    pub kind: Kind,
    /// Contents at the start; empty = zeros.
    pub initial: Vec<u32>,
}

/// A run of elements of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The buffer.
    pub buffer: Buffer,
    /// First element.
    pub first: usize,
    /// Number of elements.
    pub len: usize,
}

impl Slice {
    /// Whether two slices share an element.
    pub fn overlaps(&self, other: &Slice) -> bool {
        self.buffer == other.buffer
            && self.first < other.first + other.len
            && other.first < self.first + self.len
    }
}

/// What a dispatch does to a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reads it.
    Read,
    /// Writes all of it without looking at what was there.
    Overwrite,
    /// Changes what was there.
    Update,
}

/// One launch of one kernel.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// What it is for, e.g. `trunk.0`.
    pub label: String,
    /// The words of its `Params`.
    pub params: Vec<u32>,
    /// Pipeline-overridable constants of the WGSL, where they are not what the file says.
    pub constants: Vec<(&'static str, f64)>,
    /// Buffers by binding name; whole buffers, no buffer twice.
    pub bindings: Vec<(&'static str, Buffer)>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// What it reads and writes, exactly.
    pub effects: Vec<(Effect, Slice)>,
    /// Floating-point operations of its products.
    pub flop: u64,
}

impl Dispatch {
    /// A dispatch without bindings, effects or products yet.
    pub fn new<P: Words>(
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
        }
    }

    /// Binds buffers by name.
    pub fn bind(mut self, bindings: impl IntoIterator<Item = (&'static str, Buffer)>) -> Dispatch {
        self.bindings.extend(bindings);
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

    /// Bytes that move if it touches each element of its effects once; what is updated moves twice.
    /// A kernel that picks rows reads as much as it writes, whatever it picks from.
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
        let picks =
            [kernels::gather_rows.name, kernels::gather_cells.name, kernels::label_sums.name]
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
    /// `train`, `evaluate valid`, …
    pub name: String,
    /// In order.
    pub dispatches: Vec<Dispatch>,
    /// Slices that hold values before the step begins.
    pub given: Vec<Slice>,
    /// Slices that somebody reads after it.
    pub wanted: Vec<Slice>,
    /// Slices that kernels write beside others, and nobody reads.
    pub spare: Vec<Slice>,
    /// Most rows of a step.
    pub rows: usize,
}

/// What a number in a row of metrics is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Mean loss of a task.
    Loss(usize),
    /// Rows of a task whose largest logit is the label; cells whose logit is on the side of theirs.
    Hits(usize),
    /// Σ of the weights of a task's labelled cells, which its loss was divided by.
    Weight(usize),
    /// Labelled cells of a task.
    Labelled(usize),
    /// Value of a coupled pair, without λ.
    Coupling(usize),
    /// Squared global norm of the gradient, before clipping.
    SquaredNorm,
}

/// A tensor whose values are tested for being finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// For example `gradient of trunk.0`.
    pub tensor: String,
    /// The task that it belongs to; `None` for the trunk.
    pub task: Option<String>,
}

/// Everything an engine needs: buffers, schedules, names of metrics and flags.
#[derive(Clone, Debug)]
pub struct Program {
    /// In order of their handles.
    pub buffers: Vec<BufferSpec>,
    /// By number.
    pub schedules: Vec<Schedule>,
    /// Numbers in a row of metrics, after the stamp.
    pub metrics: Vec<MetricKind>,
    /// Names of flags 1, 2, …; flag 0 is the latch.
    pub flags: Vec<Flag>,
    /// The buffer of metrics: [SLOTS, 1 + metrics].
    pub metrics_buffer: Buffer,
    /// The buffer of flags: [1 + flags].
    pub flags_buffer: Buffer,
    /// Whether the memory of a mirror is that of its buffer.
    pub shared_mirrors: bool,
}

/// Steps that one submission may hold: rows of the metrics buffer and of the step table.
pub const SLOTS: usize = 64;

/// Bytes between the entries of uniform tables: the alignment that every adapter grants.
pub const UNIFORM: usize = 256;

/// Submissions on their way at once; one runs while the next is being encoded.
pub const IN_FLIGHT: usize = 2;

/// Bytes that a program takes on a device while it runs. Left out is the memory that uploads pass
/// through, 32 MiB at most, which is free again when they have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// All buffers, padded to what kernels bind; without those that lie in their mirrors.
    pub buffers: u64,
    /// Mirrors of those that have one, in units of 64 KiB as Mesa allocates textures.
    pub mirrors: u64,
    /// Uniform tables: steps, and parameters of dispatches.
    pub tables: u64,
    /// Read-back of metrics: one for each submission on its way and one being recorded.
    pub read_backs: u64,
}

impl Footprint {
    /// Zeros that wgpu keeps for every open device.
    pub const ZEROS: u64 = 512 << 10;
    /// Elements that Mesa rounds the memory of a texture up to: 64 KiB.
    const UNIT: usize = 16 << 10;
}

impl Program {
    /// Elements of a row of metrics.
    pub fn metrics_stride(&self) -> usize {
        1 + self.metrics.len()
    }

    /// All of a buffer.
    pub fn whole(&self, buffer: Buffer) -> Slice {
        Slice { buffer, first: 0, len: self.buffers[buffer.0].len }
    }

    /// Which buffers kernels read through mirrors, and as what; in the order of buffers.
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

/// What came back of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// Number of the step.
    pub number: u32,
    /// Rows of its batch.
    pub rows: u32,
    /// Its metrics, in the program's order.
    pub metrics: Vec<f64>,
}

/// A value that was not finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// The step.
    pub step: u32,
    /// Numbers of the flags that were raised in it, in schedule order, first cause first.
    pub flags: Vec<usize>,
}

/// Submissions of which an engine remembers what the host spent.
pub const SUBMISSIONS: usize = 1024;

/// What the host spent on one submission.
#[derive(Clone, Copy, Debug)]
pub struct Encoded {
    /// Steps in it.
    pub steps: usize,
    /// Seconds to write its table of steps and to record its commands.
    pub recording: f64,
    /// Seconds to hand it to the driver. Some drivers that run on the CPU return when the work is
    /// done.
    pub submitting: f64,
}

/// How long dispatches took.
#[derive(Clone, Debug)]
pub struct Timings {
    /// Seconds by schedule and dispatch, summed over steps.
    pub seconds: Vec<Vec<f64>>,
    /// Steps that were timed, by schedule.
    pub steps: Vec<u64>,
    /// Seconds between dispatches by schedule, summed over steps; nothing unless stamped.
    pub between: Vec<f64>,
    /// Whether the device took the times; else they are wall times of submissions.
    pub stamped: bool,
}

impl Timings {
    /// Nothing timed yet, for schedules of so many dispatches.
    pub fn new(dispatches: &[usize], stamped: bool) -> Timings {
        let seconds = dispatches.iter().map(|n| vec![0.0; *n]).collect();
        Timings {
            seconds,
            steps: vec![0; dispatches.len()],
            between: vec![0.0; dispatches.len()],
            stamped,
        }
    }

    /// Adds the stamps of a submission, one before and one after each dispatch of each step; a tick
    /// takes `period` seconds. Some drivers now and then leave a stamp out: a step whose stamps do
    /// not ascend is not counted.
    pub fn add_stamps(&mut self, schedule: usize, ticks: &[u64], period: f64) {
        let mut previous = None;
        for step in ticks.chunks_exact(2 * self.seconds[schedule].len()) {
            let ascends = step[0] > 0 && previous.is_none_or(|t| t <= step[0]) && step.is_sorted();
            if ascends {
                for (sum, pair) in self.seconds[schedule].iter_mut().zip(step.chunks_exact(2)) {
                    *sum += (pair[1] - pair[0]) as f64 * period;
                }
                let gaps: u64 =
                    step[1..step.len() - 1].chunks_exact(2).map(|pair| pair[1] - pair[0]).sum();
                self.between[schedule] +=
                    (gaps + previous.map_or(0, |t| step[0] - t)) as f64 * period;
                self.steps[schedule] += 1;
            }
            previous = step.last().copied().filter(|_| ascends);
        }
    }
}

/// Runs programs. Both engines implement it, and the loops of `run` see nothing else.
pub trait Engine: std::fmt::Debug {
    /// The program that it was made for.
    fn program(&self) -> &Program;

    /// Writes words to a buffer (bits of f32 for [`Kind::F32`]), in order with what was submitted
    /// before.
    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()>;

    /// Runs a schedule once per step, at most [`SLOTS`] of them. May return before they are done.
    fn submit(&mut self, schedule: usize, steps: &[Step]) -> Result<()>;

    /// Results of steps that are done, in order; with `wait`, of all that were submitted.
    fn collect(&mut self, wait: bool) -> Result<Vec<StepResult>>;

    /// The first step with a value that was not finite, as of the results collected so far.
    fn not_finite(&self) -> Option<NotFinite>;

    /// What the host spent on each submission since the last call, at most the last [`SUBMISSIONS`]
    /// of them; empty = this engine has none.
    fn take_encoded(&mut self) -> Vec<Encoded> {
        Vec::new()
    }

    /// Times each dispatch from now on, where the engine can.
    fn start_profile(&mut self) -> Result<()> {
        Ok(())
    }

    /// What was timed since [`Engine::start_profile`]; `None` = this engine does not.
    fn profile(&self) -> Option<Timings> {
        None
    }

    /// Bytes that the device's allocator has handed out, when all work is done; `None` = nobody
    /// counts.
    fn allocated(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Reads numbers of a buffer of [`Kind::F32`], after all that was submitted.
    fn download(&mut self, slice: Slice) -> Result<Vec<f32>>;

    /// All numbers of a buffer of [`Kind::F32`], exactly, after all that was submitted.
    fn save(&mut self, buffer: Buffer) -> Result<Numbers> {
        Ok(Numbers::F32(self.download(self.program().whole(buffer))?))
    }

    /// Gives a buffer the numbers that [`Engine::save`] read; those of the other engine are
    /// rounded.
    fn restore(&mut self, buffer: Buffer, numbers: &Numbers) -> Result<()> {
        self.upload(buffer, 0, bytemuck::cast_slice(&numbers.to_f32()))
    }

    /// Forgets that a value was not finite, so that steps change parameters again; when all results
    /// were collected.
    fn forgive(&mut self) -> Result<()> {
        let flags = self.program().flags_buffer;
        let clear = vec![NONE; self.program().buffers[flags.0].len];
        self.upload(flags, 0, &clear)
    }
}

/// Reads the flags as they sit in the buffer: the latch, then one word per flag, each the number of
/// the step that raised it.
pub fn first_not_finite(flags: &[u32]) -> Option<NotFinite> {
    let step = *flags.first()?;
    if step == NONE {
        return None;
    }
    let raised =
        flags.iter().enumerate().skip(1).filter(|(_, s)| **s == step).map(|(i, _)| i).collect();
    Some(NotFinite { step, flags: raised })
}
