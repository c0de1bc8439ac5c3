//! The members of a pack whose programs have the same dispatches.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use wgpu::BufferUsages;

use super::store::{NoRoom, Room, Store};
use crate::device::buffer::buffer;
use crate::device::compiled::{Pipeline, declared};
use crate::device::gpu::Gpu;
use crate::device::pipeline::{Wanted, compiled};
use crate::kernels::packed::{self, EVEN, Packed, is_even, packed};
use crate::kernels::params::Step;
use crate::kernels::signature::{Access, Signature};
use crate::schedule::{Buffer, Dispatch, Program, SLOTS, Slice, UNIFORM};

/// Constants that leave code out which a dispatch does not need. What is needed by one member may
/// be there for the others: they do not come by it, or it changes nothing for them.
const BITS: [&str; 3] = ["LOOPS", "STORES", "DROPOUT"];

/// Whether a program may be that of a member on a device: mirrors that are copied between
/// dispatches, and products by matrix units, are for runs alone.
pub(super) fn can_be_packed(gpu: &Gpu, program: &Program) -> bool {
    let mut dispatches = program.schedules.iter().flat_map(|s| &s.dispatches);
    dispatches.all(|d| d.kernel.unit.is_none() && (!d.kernel.direct || gpu.shares))
}

/// A kernel for all members of a kind.
#[derive(Debug)]
struct Kernel {
    packed: Packed,
    signature: Signature,
}

impl Kernel {
    /// The buffer that a dispatch binds to a slot.
    fn bound(&self, dispatch: &Dispatch, slot: u32) -> Result<Buffer> {
        let binding = self.signature.bindings.iter().find(|binding| binding.slot == slot);
        let name = binding.map_or("", |binding| binding.name.as_str());
        let bound = dispatch.bindings.iter().find(|(bound, _)| *bound == name);
        bound.map(|(_, buffer)| *buffer).ok_or_else(|| {
            anyhow!("{}: nothing is bound to slot {slot}, {name}", dispatch.kernel.name)
        })
    }
}

/// A dispatch for all members, ready to be encoded.
#[derive(Debug)]
struct Launch {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    /// Bytes from the steps of one step to those of the next; `None` if its kernel reads none.
    step_bytes: Option<u64>,
    /// The byte of the table of records where its own begins.
    at: u64,
    /// Its grid for the members whose records it has, and workgroups along z for each.
    grid: [u32; 3],
    depth: u32,
}

/// The members whose programs have the same dispatches.
#[derive(Debug)]
pub(super) struct Kind {
    gpu: Gpu,
    kernels: BTreeMap<&'static str, Kernel>,
    stores: Vec<Store>,
    /// The programs of the members.
    seats: Vec<Option<Arc<Program>>>,
    /// The program of the first member.
    first: Arc<Program>,
    /// The constants of each dispatch of each schedule, as they were for the members so far.
    constants: Vec<Vec<Vec<(&'static str, f64)>>>,
    launches: Vec<Vec<Launch>>,
    records: wgpu::Buffer,
    steps: wgpu::Buffer,
    /// For each schedule the seats whose records its dispatches have; empty where they are old.
    recorded: Vec<Vec<usize>>,
    /// Whether kernels and bind groups are those of the members and buffers that are there.
    is_bound: bool,
}

/// The steps of a member that are to be submitted together with those of others.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) seat: usize,
    pub(super) steps: Vec<Step>,
    /// What is read behind the last of them.
    pub(super) slices: Vec<Slice>,
}

impl Kind {
    /// A kind for programs like `program`, with so many seats.
    ///
    /// # Errors
    /// A kernel that cannot be rewritten; a device that is lost.
    pub(super) fn new(gpu: &Gpu, program: &Arc<Program>, seats: usize) -> Result<Kind> {
        let mut kernels: BTreeMap<&'static str, Kernel> = BTreeMap::new();
        let dispatches = || program.schedules.iter().flat_map(|s| &s.dispatches);
        // Tables of steps end at multiples of 256 bytes.
        let records = seats.next_multiple_of(4);
        for dispatch in dispatches() {
            let kernel = dispatch.kernel;
            if !kernels.contains_key(kernel.name) {
                let packed = packed(&kernel.module(), records);
                let packed = packed.map_err(|e| anyhow!("{}: {e}", kernel.file))?;
                kernels.insert(kernel.name, Kernel { packed, signature: Signature::of(kernel)? });
            }
        }
        let stores = stores(program, &kernels, seats)?;
        let bytes = |d: &Dispatch| slot_bytes(&kernels[d.kernel.name].packed);
        let all: u64 = dispatches().map(bytes).sum();
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let step = kernels.values().map(|k| k.packed.step_bytes()).max().unwrap_or(0);
        Ok(Kind {
            records: buffer(gpu, "records of dispatches", all.max(UNIFORM as u64), usage)?,
            steps: buffer(gpu, "steps", (SLOTS * step.max(UNIFORM)) as u64, usage)?,
            gpu: gpu.clone(),
            kernels,
            stores,
            seats: vec![None; seats],
            first: Arc::clone(program),
            constants: Vec::new(),
            launches: Vec::new(),
            recorded: vec![Vec::new(); program.schedules.len()],
            is_bound: false,
        })
    }

    /// Whether a program has the dispatches of this kind.
    pub(super) fn is_of(&self, program: &Program) -> bool {
        let same_dispatch = |(a, b): (&Dispatch, &Dispatch)| {
            a.kernel.name == b.kernel.name
                && a.bindings == b.bindings
                && a.constants.len() == b.constants.len()
                && a.constants
                    .iter()
                    .zip(&b.constants)
                    .all(|((a, x), (b, y))| a == b && (x == y || BITS.contains(a)))
        };
        let (own, other) = (&self.first, program);
        own.buffers.len() == other.buffers.len()
            && own.schedules.len() == other.schedules.len()
            && own.buffers.iter().zip(&other.buffers).all(|(a, b)| a.name == b.name)
            && own.schedules.iter().zip(&other.schedules).all(|(a, b)| {
                a.dispatches.len() == b.dispatches.len()
                    && a.dispatches.iter().zip(&b.dispatches).all(same_dispatch)
            })
    }

    /// Whether it has no member.
    pub(super) fn is_empty(&self) -> bool {
        self.seats.iter().all(Option::is_none)
    }

    /// The program of a member.
    pub(super) fn program(&self, seat: usize) -> Result<Arc<Program>> {
        self.seats[seat].clone().ok_or_else(|| anyhow!("seat {seat} of a pack is empty"))
    }

    /// Takes up a member; gives its seat.
    ///
    /// # Errors
    /// A device that is lost.
    pub(super) fn join(&mut self, program: &Arc<Program>) -> Room<usize> {
        let Some(seat) = self.seats.iter().position(Option::is_none) else {
            return Ok(Err(NoRoom));
        };
        let members = 1 + self.seats.iter().flatten().count();
        for (i, (store, spec)) in self.stores.iter_mut().zip(&program.buffers).enumerate() {
            let places = match (store.is_read_only, program.data.contains(&Buffer(i))) {
                (false, _) => seat + 1,
                (true, false) => members,
                (true, true) => 1,
            };
            match store.reserve(&self.gpu, places, spec.len)? {
                Ok(_) => self.is_bound = false,
                Err(NoRoom) => return Ok(Err(NoRoom)),
            }
        }
        for (store, spec) in self.stores.iter_mut().zip(&program.buffers) {
            if !store.is_read_only {
                store.seat(&self.gpu, seat);
            }
            if !spec.initial.is_empty()
                && store.write(&self.gpu, seat, spec.len, 0, &spec.initial)?.is_err()
            {
                self.stores.iter_mut().for_each(|store| store.leave(seat));
                return Ok(Err(NoRoom));
            }
        }
        self.seats[seat] = Some(Arc::clone(program));
        self.forget_records();
        // wgpu keeps textures until they are cleared.
        let submission = self.gpu.submit(None);
        self.gpu.wait(&submission)?;
        Ok(Ok(seat))
    }

    /// Lets a member go.
    pub(super) fn leave(&mut self, seat: usize) {
        self.seats[seat] = None;
        self.stores.iter_mut().for_each(|store| store.leave(seat));
        self.forget_records();
    }

    fn forget_records(&mut self) {
        self.recorded.iter_mut().for_each(Vec::clear);
    }

    /// Writes elements of a buffer of a member.
    ///
    /// # Errors
    /// A device that is lost.
    pub(super) fn upload(
        &mut self,
        seat: usize,
        buffer: Buffer,
        first: usize,
        words: &[u32],
    ) -> Room<()> {
        let whole = self.program(seat)?.buffers[buffer.0].len;
        let store = &mut self.stores[buffer.0];
        let moves = store.moves;
        let written = store.write(&self.gpu, seat, whole, first, words)?;
        self.is_bound &= store.moves == moves;
        match written {
            Ok(false) => {}
            Ok(true) => self.forget_records(),
            Err(NoRoom) => return Ok(Err(NoRoom)),
        }
        Ok(Ok(()))
    }

    /// A slice of a buffer of a member: buffer, first byte, bytes.
    pub(super) fn slice(&self, seat: usize, slice: Slice) -> Result<(&wgpu::Buffer, u64, u64)> {
        let store = &self.stores[slice.buffer.0];
        let buffer = store.buffer().ok_or_else(|| anyhow!("a store has no buffer"))?;
        Ok((buffer, store.begin(seat)? + 4 * slice.first as u64, 4 * slice.len as u64))
    }

    /// The most floating-point operations of a dispatch of a schedule for a member.
    pub(super) fn flop(&self, seat: usize, schedule: usize) -> u64 {
        let program = self.seats[seat].as_ref();
        let dispatches = program.map(|p| p.schedules[schedule].dispatches.iter());
        dispatches.into_iter().flatten().map(|d| d.flop).max().unwrap_or(0)
    }

    /// Workgroups along z of a dispatch of a schedule for a member, at most.
    pub(super) fn depth(&self, seat: usize, schedule: usize) -> u32 {
        let program = self.seats[seat].as_ref();
        let dispatches = program.map(|p| p.schedules[schedule].dispatches.iter());
        dispatches.into_iter().flatten().map(|d| d.grid[2]).max().unwrap_or(0)
    }

    /// Records steps of members, all of one schedule and equally many, with the copies of their
    /// metrics, flags and slices to `staging`, one member after the other.
    ///
    /// # Errors
    /// A kernel that does not compile; a device that is lost.
    pub(super) fn encode(
        &mut self,
        schedule: usize,
        shares: &[Share],
        staging: &wgpu::Buffer,
    ) -> Result<wgpu::CommandBuffer> {
        self.fill_empty(shares)?;
        if !self.is_bound {
            self.bind()?;
        }
        let seats: Vec<usize> = shares.iter().map(|share| share.seat).collect();
        if self.recorded[schedule] != seats {
            self.record(schedule, &seats)?;
        }
        let count = shares.first().map_or(0, |share| share.steps.len());
        self.write_steps(shares, count);
        let label = Some(self.first.schedules[schedule].name.as_str());
        let descriptor = wgpu::CommandEncoderDescriptor { label };
        let mut encoder = self.gpu.device.create_command_encoder(&descriptor);
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for step in 0..count as u64 {
                for launch in &self.launches[schedule] {
                    pass.set_pipeline(&launch.pipeline.pipeline);
                    let offset = launch.step_bytes.map(|bytes| (step * bytes) as u32);
                    pass.set_bind_group(0, &launch.group, offset.as_slice());
                    let [x, y, _] = launch.grid;
                    pass.dispatch_workgroups(x, y, launch.depth * seats.len() as u32);
                }
            }
        }
        let mut to = 0;
        for share in shares {
            for slice in self.read_back(share)? {
                let (from, first, bytes) = self.slice(share.seat, slice)?;
                encoder.copy_buffer_to_buffer(from, first, staging, to, bytes);
                to += bytes;
            }
        }
        Ok(encoder.finish())
    }

    /// The slices that are read behind the steps of a member: metrics, flags, and those asked for.
    pub(super) fn read_back(&self, share: &Share) -> Result<Vec<Slice>> {
        let program = self.program(share.seat)?;
        let rows = share.steps.len() * program.metrics_stride();
        let metrics = Slice { buffer: program.metrics_buffer, first: 0, len: rows };
        let flags = Slice { buffer: program.flags_buffer, first: 0, len: 1 + program.flags.len() };
        Ok([metrics, flags].into_iter().chain(share.slices.iter().copied()).collect())
    }

    /// Gives zeros to buffers that members never wrote and that have no place yet.
    fn fill_empty(&mut self, shares: &[Share]) -> Result<()> {
        for share in shares {
            let program = self.program(share.seat)?;
            for (i, spec) in program.buffers.iter().enumerate() {
                if !self.stores[i].has_place(share.seat)
                    && self.upload(share.seat, Buffer(i), 0, &vec![0; spec.len])?.is_err()
                {
                    return Err(anyhow!("{}: no room for zeros", spec.name));
                }
            }
        }
        Ok(())
    }

    /// Compiles the kernels for the members that are there, and makes the bind groups.
    fn bind(&mut self) -> Result<()> {
        let programs: Vec<Arc<Program>> = self.seats.iter().flatten().cloned().collect();
        let mut wanted = Vec::new();
        let mut constants = Vec::new();
        for (s, schedule) in self.first.schedules.iter().enumerate() {
            let mut of_schedule = Vec::new();
            for (d, dispatch) in schedule.dispatches.iter().enumerate() {
                let kernel = &self.kernels[dispatch.kernel.name];
                let own = || programs.iter().map(|p| &p.schedules[s].dispatches[d]);
                let mut of_dispatch = declared(&kernel.signature, dispatch);
                for (c, (name, value)) in of_dispatch.iter_mut().enumerate() {
                    if BITS.contains(name) {
                        let before = self.constants.get(s).map_or(0.0, |s| s[d][c].1);
                        let all = own().map(|o| declared(&kernel.signature, o)[c].1);
                        let bits = all.fold(before as u32, |bits, own| bits | own as u32);
                        *value = f64::from(bits);
                    }
                }
                of_schedule.push(of_dispatch.clone());
                let grids = own().map(|o| packed::Member { grid: o.grid, ..Default::default() });
                if is_even(&grids.collect::<Vec<_>>()) {
                    of_dispatch.push((EVEN, 1.0));
                }
                wanted.push(Wanted {
                    kernel: dispatch.kernel,
                    constants: of_dispatch,
                    source: kernel.packed.source.clone(),
                    signature: kernel.signature.clone(),
                });
            }
            constants.push(of_schedule);
        }
        let mut pipelines = compiled(&self.gpu, &wanted)?.into_iter();
        let (mut at, mut launches) = (0, Vec::new());
        let first = Arc::clone(&self.first);
        for schedule in &first.schedules {
            let mut of_schedule = Vec::new();
            for (dispatch, pipeline) in schedule.dispatches.iter().zip(&mut pipelines) {
                of_schedule.push(self.launch(dispatch, pipeline, at)?);
                at += slot_bytes(&self.kernels[dispatch.kernel.name].packed);
            }
            launches.push(of_schedule);
        }
        (self.launches, self.constants, self.is_bound) = (launches, constants, true);
        self.forget_records();
        Ok(())
    }

    /// Makes the bind group of a dispatch, whose records begin at byte `at`.
    fn launch(&self, dispatch: &Dispatch, pipeline: Arc<Pipeline>, at: u64) -> Result<Launch> {
        let kernel = &self.kernels[dispatch.kernel.name];
        let packed = &kernel.packed;
        let uniform = |buffer, offset, bytes: usize| {
            let size = std::num::NonZero::new(bytes as u64);
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
        };
        let mut entries = Vec::new();
        for b in &pipeline.signature.bindings {
            let store = || anyhow::Ok(&self.stores[kernel.bound(dispatch, b.slot)?.0]);
            let none = || anyhow!("{}: binding {} is not there", dispatch.kernel.name, b.name);
            let resource = match b.access {
                Access::Params => uniform(&self.records, at, packed.params_bytes()),
                Access::Step => uniform(&self.steps, 0, packed.step_bytes()),
                Access::MirrorF32 | Access::MirrorU32 => {
                    wgpu::BindingResource::TextureView(store()?.view().ok_or_else(none)?)
                }
                Access::Read | Access::Write => {
                    store()?.buffer().ok_or_else(none)?.as_entire_binding()
                }
            };
            entries.push(wgpu::BindGroupEntry { binding: b.slot, resource });
        }
        let descriptor = wgpu::BindGroupDescriptor {
            label: Some(&dispatch.label),
            layout: &pipeline.layout,
            entries: &entries,
        };
        let group = self.gpu.scoped(&format!("bindings of {}", dispatch.kernel.name), 0, |d| {
            d.create_bind_group(&descriptor)
        })?;
        let step_bytes = packed.step.as_ref().map(|_| packed.step_bytes() as u64);
        Ok(Launch { pipeline, group, step_bytes, at, grid: [0; 3], depth: 0 })
    }

    /// Writes the records of the dispatches of a schedule for some members.
    fn record(&mut self, schedule: usize, seats: &[usize]) -> Result<()> {
        let programs = seats.iter().map(|seat| self.program(*seat)).collect::<Result<Vec<_>>>()?;
        for d in 0..self.launches[schedule].len() {
            let name = self.first.schedules[schedule].dispatches[d].kernel.name;
            let kernel = &self.kernels[name];
            let members = seats.iter().zip(&programs).map(|(seat, program)| {
                self.member(kernel, &program.schedules[schedule].dispatches[d], *seat, program)
            });
            let members = members.collect::<Result<Vec<_>>>()?;
            let (table, grid) = kernel.packed.table(&members).map_err(|e| anyhow!(e))?;
            let launch = &mut self.launches[schedule][d];
            self.gpu.queue.write_buffer(&self.records, launch.at, bytemuck::cast_slice(&table));
            (launch.grid, launch.depth) = (grid, grid[2] / seats.len().max(1) as u32);
        }
        self.recorded[schedule] = seats.to_vec();
        Ok(())
    }

    /// What a member has of its own in a dispatch.
    fn member(
        &self,
        kernel: &Kernel,
        dispatch: &Dispatch,
        seat: usize,
        program: &Program,
    ) -> Result<packed::Member> {
        let (mut begins, mut bytes) = (Vec::new(), Vec::new());
        for binding in &kernel.packed.bindings {
            let buffer = kernel.bound(dispatch, binding.slot)?;
            let store = &self.stores[buffer.0];
            begins.push(store.begin(seat)?);
            bytes.push(4 * store.padded(program.buffers[buffer.0].len) as u64);
        }
        Ok(packed::Member { grid: dispatch.grid, params: dispatch.params.clone(), begins, bytes })
    }

    /// Writes the tables of steps: for each step those of all members.
    fn write_steps(&self, shares: &[Share], count: usize) {
        let mut tables = self.kernels.values().filter_map(|k| {
            k.packed.step.as_ref().map(|step| (k.packed.step_bytes(), step.record_bytes))
        });
        // All kernels have the same `Step`.
        let Some((bytes, record)) = tables.next() else { return };
        let mut table = vec![0u8; count * bytes];
        for (i, of_step) in table.chunks_exact_mut(bytes).enumerate() {
            for (share, own) in shares.iter().zip(of_step.chunks_exact_mut(record)) {
                // The row of metrics is that of the place in this submission.
                let step = Step { slot: i as u32, ..share.steps[i] };
                own[..size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(&step));
            }
        }
        self.gpu.queue.write_buffer(&self.steps, 0, &table);
    }
}

/// Bytes of the table of a dispatch, in steps of what offsets of bindings may be.
fn slot_bytes(packed: &Packed) -> u64 {
    packed.params_bytes().next_multiple_of(UNIFORM) as u64
}

/// The stores of a program's buffers.
fn stores(
    program: &Program,
    kernels: &BTreeMap<&'static str, Kernel>,
    seats: usize,
) -> Result<Vec<Store>> {
    let mut units = vec![4; program.buffers.len()];
    let mut uses = vec![(false, false); program.buffers.len()];
    for dispatch in program.schedules.iter().flat_map(|s| &s.dispatches) {
        for binding in &kernels[dispatch.kernel.name].packed.bindings {
            let buffer = kernels[dispatch.kernel.name].bound(dispatch, binding.slot)?;
            units[buffer.0] = lcm(units[buffer.0], binding.unit / 4);
            let (is_read, is_written) = &mut uses[buffer.0];
            *is_read = true;
            *is_written |= binding.access == Access::Write;
        }
    }
    for read in [program.metrics_buffer, program.flags_buffer] {
        uses[read.0].1 = true;
    }
    let specs = program.buffers.iter().zip(program.mirrors()?).zip(units.iter().zip(&uses));
    let made = specs.map(|((spec, mirrored), (unit, (is_read, is_written)))| {
        Store::new(&spec.name, mirrored, *is_read && !is_written, *unit, seats)
    });
    Ok(made.collect())
}

/// The least common multiple.
fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b.max(1));
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b.max(1)
}
