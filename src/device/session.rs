//! A program on a device. Buffers, pipelines and bind groups are made once; a submission holds many
//! steps; metrics are read back while the next submission runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use wgpu::BufferUsages;

use super::awake::Awake;
use super::buffer::{PENDING, UPLOAD, buffer, map, read, read_back, storage};
use super::compiled::Pipeline;
use super::gpu::Gpu;
use super::mirror::{Mirrors, Use};
use super::pipeline::pipelines;
use super::profile::DispatchTimer;
use super::warm::{self, Warm};
use crate::kernels::params::{NONE, Step};
use crate::kernels::signature::Access;
use crate::schedule::{
    Buffer, Dispatch, Encoded, Engine, IN_FLIGHT, NotFinite, Program, SLOTS, SUBMISSIONS, Slice,
    StepResult, Timings, UNIFORM, Work, first_not_finite,
};

/// Bytes from one entry of a uniform table to the next.
const SLOT: u64 = UNIFORM as u64;

/// A dispatch that is ready to be encoded.
#[derive(Debug)]
struct Recorded {
    /// Its place in the list of pipelines.
    pipeline: usize,
    group: wgpu::BindGroup,
    grid: [u32; 3],
    /// Whether its kernel binds the table of steps.
    reads_step: bool,
    /// The rows of mirrors that it reads and makes stale.
    mirrors: Use,
}

/// A submission whose metrics have not been read back yet.
#[derive(Debug)]
struct Flight {
    staging: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    steps: Vec<Step>,
    mapped: Arc<AtomicU8>,
    _awake: Option<Awake>,
}

/// The engine on a device.
#[derive(Debug)]
pub struct Session {
    gpu: Gpu,
    program: Program,
    pipelines: Vec<Arc<Pipeline>>,
    buffers: Vec<wgpu::Buffer>,
    mirrors: Mirrors,
    schedules: Vec<Vec<Recorded>>,
    /// The table of steps.
    steps: wgpu::Buffer,
    /// Submissions in flight, the oldest one first.
    flights: VecDeque<Flight>,
    /// Staging buffers that no flight uses.
    idle: Vec<wgpu::Buffer>,
    results: Vec<StepResult>,
    not_finite: Option<NotFinite>,
    pending_upload: usize,
    encoded: VecDeque<Encoded>,
    profile: Option<DispatchTimer>,
    /// The thread that compiles kernels, where they are new to the driver.
    _warm: Option<Warm>,
}

impl Session {
    /// Allocates a program on a device and compiles its kernels.
    ///
    /// # Errors
    /// 69 if the program needs more than the adapter grants; a device that is lost or out of
    /// memory; a kernel that does not compile.
    pub fn new(gpu: Gpu, program: Program) -> Result<Session> {
        let warm = warm::begin(&gpu, &program, Session::meet);
        let session = Session::with_sources(gpu, program, |kernel| kernel.module())?;
        Ok(Session { _warm: warm, ..session })
    }

    /// Dispatches each of the first kernels of a program once, until it is stopped. An error is
    /// left alone: it appears again on the first device.
    fn meet(gpu: Gpu, program: Program, count: usize, stop: &AtomicBool) {
        let _ = Session::with_sources(gpu, program, |kernel| kernel.module()).and_then(
            |mut session| {
                let mut wanted = (0..count).take_while(|_| !stop.load(Ordering::Relaxed));
                wanted.try_for_each(|dispatch| session.launch(0, dispatch, &Step::default(), 1))
            },
        );
    }

    /// Does what [`Session::new`] does, with the text of kernels that `source` gives: tests run
    /// mutants of them. Nothing is compiled on a second device.
    ///
    /// # Errors
    /// As for [`Session::new`].
    pub fn with_sources(
        gpu: Gpu,
        program: Program,
        source: impl Fn(&crate::kernels::Kernel) -> String,
    ) -> Result<Session> {
        let dispatches: Vec<&Dispatch> =
            program.schedules.iter().flat_map(|s| &s.dispatches).collect();
        let pipelines = pipelines(&gpu, &dispatches, source)?;
        let mirrors = Mirrors::new(&gpu, &program)?;
        let bytes = |i: usize, len| 4 * mirrors.padded(i, len) as u64;
        let specs = program.buffers.iter().enumerate();
        let made = |i: usize| mirrors.shared(i).cloned().map(Ok);
        let buffers = specs
            .map(|(i, b)| made(i).unwrap_or_else(|| storage(&gpu, &b.name, bytes(i, b.len))))
            .collect::<Result<Vec<_>>>()?;
        let steps = buffer(
            &gpu,
            "step table",
            SLOTS as u64 * SLOT,
            BufferUsages::UNIFORM | BufferUsages::COPY_DST,
        )?;
        let schedules = record(&gpu, &program, &pipelines, &buffers, &mirrors, &steps)?;
        let mut session = Session {
            gpu,
            program,
            pipelines,
            buffers,
            mirrors,
            schedules,
            steps,
            flights: VecDeque::new(),
            idle: Vec::new(),
            results: Vec::new(),
            not_finite: None,
            pending_upload: 0,
            encoded: VecDeque::new(),
            profile: None,
            _warm: None,
        };
        session.upload_initial()?;
        Ok(session)
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Waits until the device has nothing left to do.
    ///
    /// # Errors
    /// A device that is lost.
    pub fn finish(&mut self) -> Result<()> {
        let submission = self.gpu.submit(None);
        self.gpu.wait(&submission)
    }

    /// Uploads the contents that buffers have at the start.
    fn upload_initial(&mut self) -> Result<()> {
        for i in 0..self.buffers.len() {
            let initial = std::mem::take(&mut self.program.buffers[i].initial);
            self.upload(Buffer(i), 0, &initial)?;
            self.program.buffers[i].initial = initial;
        }
        Ok(())
    }

    /// Records a step of each of these schedules, and the copy of metrics and flags to `staging`.
    fn encode(
        &mut self,
        schedules: &[usize],
        staging: &wgpu::Buffer,
        slices: &[Slice],
    ) -> Result<wgpu::CommandBuffer> {
        let (steps, first) = (schedules.len(), schedules.first().copied().unwrap_or(0));
        let label = Some(self.program.schedules[first].name.as_str());
        let mut encoder =
            self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
        if self.profile.is_some() {
            self.encode_profiled(&mut encoder, first, steps)?;
        } else {
            let mut pass = None;
            for (step, &schedule) in schedules.iter().enumerate() {
                for dispatch in 0..self.schedules[schedule].len() {
                    self.encode_dispatch(&mut encoder, &mut pass, schedule, dispatch, step);
                }
            }
        }
        let rows = 4 * (steps * self.program.metrics_stride()) as u64;
        let metrics = &self.buffers[self.program.metrics_buffer.0];
        let flags = &self.buffers[self.program.flags_buffer.0];
        encoder.copy_buffer_to_buffer(metrics, 0, staging, 0, rows);
        encoder.copy_buffer_to_buffer(
            flags,
            0,
            staging,
            4 * self.metrics_len() as u64,
            4 * (1 + self.program.flags.len() as u64),
        );
        let mut offset = 4 * self.read_back_words() as u64;
        for slice in slices {
            let (buffer, first) = (&self.buffers[slice.buffer.0], 4 * slice.first as u64);
            encoder.copy_buffer_to_buffer(buffer, first, staging, offset, 4 * slice.len as u64);
            offset += 4 * slice.len as u64;
        }
        if let Some(profile) = &self.profile {
            profile.resolve(&mut encoder);
        }
        Ok(encoder.finish())
    }

    /// Records steps so that each dispatch is timed: between stamps, or else by a submission that
    /// holds it alone.
    fn encode_profiled(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        schedule: usize,
        steps: usize,
    ) -> Result<()> {
        let Some(mut profile) = self.profile.take() else { return Ok(()) };
        let count = self.schedules[schedule].len();
        for step in 0..steps {
            let stamped = profile.has_room(count);
            for dispatch in 0..count {
                let mut pass = None;
                if stamped {
                    self.prepare_mirrors(encoder, &mut pass, schedule, dispatch);
                    let descriptor = wgpu::ComputePassDescriptor {
                        label: None,
                        timestamp_writes: profile.next(),
                    };
                    pass = Some(encoder.begin_compute_pass(&descriptor).forget_lifetime());
                }
                if stamped || profile.is_stamped() {
                    self.encode_dispatch(encoder, &mut pass, schedule, dispatch, step);
                } else {
                    self.time_alone(&mut profile, schedule, dispatch, step)?;
                }
            }
        }
        self.profile = Some(profile);
        Ok(())
    }

    /// Times a dispatch by the wall clock, in a submission that holds it alone.
    fn time_alone(
        &mut self,
        profile: &mut DispatchTimer,
        schedule: usize,
        dispatch: usize,
        step: usize,
    ) -> Result<()> {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("one dispatch") };
        let (mut copies, mut pass) = (self.gpu.device.create_command_encoder(&descriptor), None);
        self.prepare_mirrors(&mut copies, &mut pass, schedule, dispatch);
        let mut encoder = self.gpu.device.create_command_encoder(&descriptor);
        self.encode_dispatch(&mut encoder, &mut pass, schedule, dispatch, step);
        drop(pass);
        let commands = encoder.finish();
        let before = self.gpu.submit(Some(copies.finish()));
        self.gpu.wait(&before)?;
        let start = Instant::now();
        let submission = self.gpu.submit(Some(commands));
        self.gpu.wait(&submission)?;
        profile.add_wall(schedule, dispatch, start);
        Ok(())
    }

    /// Ends the pass and records copies, where a dispatch reads mirrors that are stale.
    fn prepare_mirrors(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        pass: &mut Option<wgpu::ComputePass<'static>>,
        schedule: usize,
        dispatch: usize,
    ) {
        let uses = &self.schedules[schedule][dispatch].mirrors;
        if self.mirrors.stale(uses) {
            *pass = None;
            self.mirrors.refresh(uses, encoder, &self.buffers);
        }
    }

    /// Records a dispatch in the pass, or in a new one where mirrors have to be copied first.
    fn encode_dispatch(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        pass: &mut Option<wgpu::ComputePass<'static>>,
        schedule: usize,
        dispatch: usize,
        step: usize,
    ) {
        self.prepare_mirrors(encoder, pass, schedule, dispatch);
        let recorded = &self.schedules[schedule][dispatch];
        let pass = pass.get_or_insert_with(|| {
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
        });
        pass.set_pipeline(&self.pipelines[recorded.pipeline].pipeline);
        let offset = [(step as u64 * SLOT) as u32];
        pass.set_bind_group(
            0,
            &recorded.group,
            if recorded.reads_step { &offset[..] } else { &[] },
        );
        let [x, y, z] = recorded.grid;
        pass.dispatch_workgroups(x, y, z);
        self.mirrors.recorded(&recorded.mirrors);
    }

    /// Remembers the times of a submission; the oldest ones are forgotten.
    fn note_encoded(&mut self, encoded: Encoded) {
        if self.encoded.len() == SUBMISSIONS {
            self.encoded.pop_front();
        }
        self.encoded.push_back(encoded);
    }

    /// Number of u32 of the buffer of metrics.
    fn metrics_len(&self) -> usize {
        SLOTS * self.program.metrics_stride()
    }

    /// The u32 that every read-back has: metrics and flags.
    fn read_back_words(&self) -> usize {
        self.metrics_len() + 1 + self.program.flags.len()
    }

    /// A buffer for a read-back with `more` u32 after metrics and flags. Idle buffers of another
    /// size are dropped: the phase that used them is over.
    fn staging(&mut self, more: usize) -> Result<wgpu::Buffer> {
        let bytes = 4 * (self.read_back_words() + more) as u64;
        while let Some(free) = self.idle.pop() {
            if free.size() == bytes {
                return Ok(free);
            }
        }
        let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        buffer(&self.gpu, "metrics read-back", bytes, usage)
    }

    /// Waits for the oldest submission in flight and takes in its metrics and flags.
    fn land(&mut self) -> Result<()> {
        let Some(flight) = self.flights.pop_front() else { return Ok(()) };
        self.gpu
            .wait_until(&flight.submission, || flight.mapped.load(Ordering::Acquire) != PENDING)?;
        let words = read(&flight.staging, &flight.mapped)?;
        let stride = self.program.metrics_stride();
        self.results.extend(self.gpu.results(&flight.steps, &words, stride)?);
        let (read_back, numbers) = words.split_at(self.read_back_words());
        self.not_finite = first_not_finite(&read_back[self.metrics_len()..]);
        if let Some(result) = self.results.last_mut().filter(|_| !numbers.is_empty()) {
            result.numbers = numbers.iter().copied().map(f32::from_bits).collect();
            // On a device that was lost meanwhile the copy may not have been made.
            self.gpu.poll()?;
        }
        self.idle.push(flight.staging);
        Ok(())
    }
}

impl Engine for Session {
    fn program(&self) -> &Program {
        &self.program
    }

    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()> {
        self.program.check_write(buffer, first, words.len())?;
        self.mirrors.wrote(buffer.0, first..first + words.len());
        for (i, part) in words.chunks(UPLOAD / 4).enumerate() {
            let offset = 4 * (first + i * (UPLOAD / 4)) as u64;
            self.gpu.queue.write_buffer(
                &self.buffers[buffer.0],
                offset,
                bytemuck::cast_slice(part),
            );
            self.pending_upload += 4 * part.len();
            if self.pending_upload >= UPLOAD {
                self.pending_upload = 0;
                let submission = self.gpu.submit(None);
                self.gpu.wait(&submission)?;
            }
        }
        Ok(())
    }

    fn submit_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        ensure!(work.len() <= SLOTS, "{} steps in one submission, at most {SLOTS}", work.len());
        let begun = Instant::now();
        let mut table = vec![0u8; work.len() * SLOT as usize];
        for (slot, work) in table.chunks_exact_mut(SLOT as usize).zip(work) {
            slot[..size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(&work.step));
        }
        self.gpu.queue.write_buffer(&self.steps, 0, &table);
        let staging = self.staging(slices.iter().map(|slice| slice.len).sum())?;
        let schedules: Vec<usize> = work.iter().map(|work| work.schedule).collect();
        let commands = self.encode(&schedules, &staging, slices)?;
        let recorded = begun.elapsed();
        // The submission is recorded while the previous one still runs; then the oldest one is
        // waited for.
        while self.flights.len() >= IN_FLIGHT {
            self.land()?;
        }
        let awake = self.gpu.awake();
        let begun = Instant::now();
        let submission = self.gpu.submit(Some(commands));
        self.pending_upload = 0;
        let mapped = map(&staging);
        let (recording, submitting) = (recorded.as_secs_f64(), begun.elapsed().as_secs_f64());
        self.note_encoded(Encoded { steps: work.len(), recording, submitting });
        self.flights.push_back(Flight {
            staging,
            submission,
            steps: work.iter().map(|work| work.step).collect(),
            mapped,
            _awake: awake,
        });
        if let Some(profile) = &mut self.profile {
            profile.add(&self.gpu, schedules[0])?;
        }
        self.gpu.check()
    }

    fn launch(
        &mut self,
        schedule: usize,
        dispatch: usize,
        step: &Step,
        times: usize,
    ) -> Result<()> {
        self.gpu.queue.write_buffer(&self.steps, 0, bytemuck::bytes_of(step));
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor {
            label: Some("one dispatch"),
        });
        let mut pass = None;
        for _ in 0..times {
            self.encode_dispatch(&mut encoder, &mut pass, schedule, dispatch, 0);
        }
        drop(pass);
        let _awake = self.gpu.awake();
        let submission = self.gpu.submit(Some(encoder.finish()));
        self.gpu.wait(&submission)
    }

    fn words(&mut self, slice: Slice) -> Result<Vec<u32>> {
        let (first, bytes) = (4 * slice.first as u64, 4 * slice.len as u64);
        read_back(&self.gpu, (&self.buffers[slice.buffer.0], first, bytes))
    }

    fn collect(&mut self, wait: bool) -> Result<Vec<StepResult>> {
        self.gpu.poll()?;
        while self
            .flights
            .front()
            .is_some_and(|f| wait || f.mapped.load(Ordering::Acquire) != PENDING)
        {
            self.land()?;
        }
        Ok(std::mem::take(&mut self.results))
    }

    fn take_encoded(&mut self) -> Vec<Encoded> {
        self.encoded.drain(..).collect()
    }

    fn not_finite(&self) -> Option<NotFinite> {
        self.not_finite.clone()
    }

    fn start_profile(&mut self) -> Result<()> {
        let dispatches: Vec<usize> = self.schedules.iter().map(Vec::len).collect();
        self.profile = Some(DispatchTimer::new(&self.gpu, &dispatches)?);
        Ok(())
    }

    fn profile(&self) -> Option<Timings> {
        self.profile.as_ref().map(|p| p.timings.clone())
    }

    fn allocated(&mut self) -> Result<Option<u64>> {
        self.finish()?;
        self.gpu.poll()?;
        Ok(self.gpu.allocations().map(|list| list.iter().map(|(_, bytes)| bytes).sum()))
    }

    fn download(&mut self, slice: Slice) -> Result<Vec<f32>> {
        Ok(self.words(slice)?.into_iter().map(f32::from_bits).collect())
    }

    fn forgive(&mut self) -> Result<()> {
        self.not_finite = None;
        let clear = vec![NONE; 1 + self.program.flags.len()];
        self.upload(self.program.flags_buffer, 0, &clear)
    }
}

/// Makes the bind groups of all schedules; the parameters of all dispatches are one uniform table.
fn record(
    gpu: &Gpu,
    program: &Program,
    pipelines: &[Arc<Pipeline>],
    buffers: &[wgpu::Buffer],
    mirrors: &Mirrors,
    steps: &wgpu::Buffer,
) -> Result<Vec<Vec<Recorded>>> {
    let count: usize = program.schedules.iter().map(|s| s.dispatches.len()).sum();
    let table = buffer(
        gpu,
        "parameters of dispatches",
        SLOT * count.max(1) as u64,
        BufferUsages::UNIFORM | BufferUsages::COPY_DST,
    )?;
    let mut slot = 0;
    let mut schedules = Vec::new();
    for schedule in &program.schedules {
        let mut recorded = Vec::new();
        for dispatch in &schedule.dispatches {
            gpu.queue.write_buffer(&table, slot * SLOT, bytemuck::cast_slice(&dispatch.params));
            recorded.push(record_one(
                gpu,
                dispatch,
                pipelines,
                buffers,
                mirrors,
                (&table, slot),
                steps,
            )?);
            slot += 1;
        }
        schedules.push(recorded);
    }
    Ok(schedules)
}

/// Makes the bind group of a dispatch, whose parameters are entry `slot` of a table.
fn record_one(
    gpu: &Gpu,
    dispatch: &Dispatch,
    pipelines: &[Arc<Pipeline>],
    buffers: &[wgpu::Buffer],
    mirrors: &Mirrors,
    (table, slot): (&wgpu::Buffer, u64),
    steps: &wgpu::Buffer,
) -> Result<Recorded> {
    let found = pipelines.iter().position(|p| p.is_for(dispatch));
    let pipeline =
        found.ok_or_else(|| anyhow!("kernel {} was not compiled", dispatch.kernel.name))?;
    let signature = &pipelines[pipeline].signature;
    let mut entries = Vec::new();
    for b in &signature.bindings {
        let resource = match b.access {
            Access::Params => uniform_entry(table, slot),
            Access::Step => uniform_entry(steps, 0),
            _ => {
                let bound = dispatch.bindings.iter().find(|(name, _)| *name == b.name);
                let (_, buffer) = bound.ok_or_else(|| {
                    anyhow!("{}: binding {} has no buffer", dispatch.kernel.name, b.name)
                })?;
                resource(b.access, *buffer, buffers, mirrors)
            }
        };
        entries.push(wgpu::BindGroupEntry { binding: b.slot, resource });
    }
    let descriptor = wgpu::BindGroupDescriptor {
        label: Some(&dispatch.label),
        layout: &pipelines[pipeline].layout,
        entries: &entries,
    };
    let group = gpu.scoped(&format!("bindings of {}", dispatch.kernel.name), 0, |device| {
        device.create_bind_group(&descriptor)
    })?;
    let reads_step = signature.bindings.iter().any(|b| b.access == Access::Step);
    Ok(Recorded {
        pipeline,
        group,
        grid: dispatch.grid,
        reads_step,
        mirrors: mirrors.uses(dispatch, signature),
    })
}

/// Entry `slot` of a uniform table.
fn uniform_entry(buffer: &wgpu::Buffer, slot: u64) -> wgpu::BindingResource<'_> {
    let (offset, size) = (slot * SLOT, std::num::NonZero::new(SLOT));
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
}

/// A buffer, or its mirror, as a kernel binds it.
fn resource<'r>(
    access: Access,
    buffer: Buffer,
    buffers: &'r [wgpu::Buffer],
    mirrors: &'r Mirrors,
) -> wgpu::BindingResource<'r> {
    match (access, mirrors.view(buffer.0)) {
        (Access::MirrorF32 | Access::MirrorU32, Some(view)) => {
            wgpu::BindingResource::TextureView(view)
        }
        _ => buffers[buffer.0].as_entire_binding(),
    }
}
