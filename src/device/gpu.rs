//! An open device: its limits, its errors, and waits that end.
//!
//! wgpu panics on an error that nobody handles, and reports a lost device by a callback alone. So
//! both are caught here before anything is allocated, and every wait asks for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::adapter::{AdapterEntry, Chosen, Wish};
use super::asked::Pack;
use super::awake::Awake;
use super::compiled::Pipeline;
use crate::cache;
use crate::fault::{Exit, Fault};
use crate::kernels::params::Step;
use crate::kernels::tuning::{Class, Tuning};
use crate::kernels::{MIRROR_ROW, Unit};
use crate::schedule::StepResult;

/// The time after which a device that does not answer is given up.
const WATCHDOG: Duration = Duration::from_secs(60);

/// The largest number of mirrors that a kernel of software adapters reads.
const MIRRORS: u32 = 6;

/// Features that are used where an adapter has them.
const WELCOME: wgpu::Features = wgpu::Features::SUBGROUP
    .union(wgpu::Features::TIMESTAMP_QUERY)
    .union(wgpu::Features::PIPELINE_CACHE);

/// Features that the kernels for matrix units need.
const UNITS: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16);

/// The errors that wgpu reported outside of error scopes.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// The first error that nobody caught.
    error: Option<String>,
    /// Why the device was lost.
    lost: Option<String>,
    /// The memory that was refused last.
    refused: Option<RefusedMemory>,
    /// Bytes beyond which creations are refused, in a test.
    pub(super) memory_limit: Option<u64>,
}

/// Memory that a device did not give.
#[derive(Clone, Debug)]
pub struct RefusedMemory {
    /// What the memory was for.
    pub what: String,
    /// Number of bytes.
    pub bytes: u64,
    /// Number of bytes in use at that time, where the backend counts them.
    pub used: Option<u64>,
}

/// An open device with its queue. Clones share it.
#[derive(Clone, Debug)]
pub struct Gpu {
    pub(super) adapter: wgpu::Adapter,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// The adapter as it is listed.
    pub entry: AdapterEntry,
    /// Why it was chosen, as the end of a sentence.
    pub reason: String,
    /// Seconds that choosing and opening it took.
    pub open_seconds: f64,
    /// Limits that were granted.
    pub limits: wgpu::Limits,
    pub(super) reports: Arc<Mutex<Reports>>,
    /// Held while submitting or polling: wgpu does neither safely in several threads at once.
    pub(super) turn: Arc<Mutex<()>>,
    /// Compiled kernels that the driver keeps from run to run, where it can.
    pub(super) pipeline_cache: Option<wgpu::PipelineCache>,
    /// The name of their file in the cache directory.
    pub(super) cache_entry: Option<String>,
    /// Whether bounded kernels are compiled without checks of their indices.
    pub(super) trusts: bool,
    /// Whether a buffer and its mirror are one piece of memory.
    pub(super) shares: bool,
    pub(super) watchdog: Duration,
    /// The kernels compiled so far.
    pub(super) pipelines: Arc<Mutex<Vec<Arc<Pipeline>>>>,
    /// The pack that runs on it join, if any.
    pub pack: Option<Arc<Pack>>,
}

impl Gpu {
    /// Chooses an adapter and opens it; its buffers and mirrors do not share memory yet.
    pub(super) fn open_alone(chosen: Chosen, wish: &Wish) -> Result<Gpu> {
        let start = Instant::now();
        let Chosen { adapter, entry, reason } = chosen;
        let limits = wanted_limits(&adapter.limits(), wish.default_limits)?;
        let optional = if wish.default_limits { wgpu::Features::empty() } else { WELCOME };
        let with_units = wish.units && !wish.default_limits && !entry.units.is_empty();
        let of_units = if with_units { UNITS } else { wgpu::Features::empty() };
        let features = adapter.features() & (optional | of_units);
        let (device, queue, reports) = open(&adapter, &entry, features, &limits)?;
        let cache_entry = wgpu::util::pipeline_cache_key(&adapter.get_info())
            .map(|key| format!("{key}-{}", env!("CARGO_PKG_VERSION")));
        let pipeline_cache =
            cache_entry.as_deref().and_then(|entry| open_pipelines(&device, entry));
        let open_seconds = start.elapsed().as_secs_f64();
        let (turn, pipelines) = (Arc::default(), Arc::default());
        let mut gpu = Gpu {
            adapter,
            device,
            queue,
            pipeline_cache,
            cache_entry,
            entry,
            reason,
            open_seconds,
            limits,
            reports,
            turn,
            trusts: false,
            shares: false,
            watchdog: WATCHDOG,
            pipelines,
            pack: None,
        };
        gpu.trusts = gpu.tuning().trusted;
        Ok(gpu)
    }

    /// Opens another device of the adapter, with the same features and limits.
    ///
    /// # Errors
    /// 69 or 70 if the adapter gives none.
    pub fn second(&self) -> Result<Gpu> {
        let (device, queue, reports) =
            open(&self.adapter, &self.entry, self.device.features(), &self.limits)?;
        let pipeline_cache = None;
        Ok(Gpu {
            device,
            queue,
            reports,
            pipeline_cache,
            turn: Arc::default(),
            pipelines: Arc::default(),
            ..self.clone()
        })
    }

    /// This device for runs that join a pack, which is theirs.
    pub fn packing(&self, pack: Arc<Pack>) -> Gpu {
        Gpu { pack: Some(pack), ..self.clone() }
    }

    /// This device for runs that are alone.
    pub fn alone(&self) -> Gpu {
        Gpu { pack: None, ..self.clone() }
    }

    /// Checks that the device works.
    ///
    /// # Errors
    /// 70 if the device was lost, or if wgpu reported an error that nobody caught.
    pub fn check(&self) -> Result<()> {
        if self.reports().error.is_some() {
            self.hear_of_loss();
        }
        let reports = self.reports();
        if let Some(why) = &reports.lost {
            let fault = Fault::new(
                Exit::Internal,
                format!("{}: the device was lost: {why}", self.entry.name),
            );
            return Err(fault
                .hint("nothing half-written was kept; run again, or try another adapter")
                .into());
        }
        if let Some(error) = &reports.error {
            return Err(Fault::new(Exit::Internal, format!("{}: {error}", self.entry.name))
                .hint("run tandem doctor on this adapter")
                .into());
        }
        Ok(())
    }

    /// The results of steps, from rows of metrics of `stride` elements each.
    ///
    /// # Errors
    /// A step whose row has no stamp of it.
    pub(super) fn results(
        &self,
        steps: &[Step],
        rows: &[u32],
        stride: usize,
    ) -> Result<Vec<StepResult>> {
        let result = |(step, row): (&Step, &[u32])| {
            self.check_stamp(step, f32::from_bits(row[0]))?;
            let metrics = row[1..].iter().map(|bits| f64::from(f32::from_bits(*bits))).collect();
            let (number, rows, numbers) = (step.number, step.rows, Vec::new());
            Ok(StepResult { number, rows, metrics, numbers })
        };
        steps.iter().zip(rows.chunks_exact(stride)).map(result).collect()
    }

    /// Checks that a step was done.
    ///
    /// # Errors
    /// A step whose last kernel left no stamp: it was not done, whatever the driver says.
    fn check_stamp(&self, step: &Step, stamp: f32) -> Result<()> {
        if stamp == (step.number & 0x00ff_ffff) as f32 {
            return Ok(());
        }
        let message =
            format!("{}: step {} came back without its stamp", self.entry.name, step.number);
        Err(Fault::new(Exit::Internal, message)
            .hint("the driver dropped work; run tandem doctor on this adapter")
            .into())
    }

    /// Lets the callback run that reports a loss: on a lost device every call is an error, often
    /// before that callback.
    fn hear_of_loss(&self) {
        let _ = self.polled(wgpu::PollType::Poll);
    }

    /// Creates something inside error scopes; `what` and `bytes` describe it where that fails.
    ///
    /// # Errors
    /// 70 if the device is lost or out of memory, or if wgpu refuses what was asked for.
    pub(super) fn scoped<T>(
        &self,
        what: &str,
        bytes: u64,
        create: impl FnOnce(&wgpu::Device) -> T,
    ) -> Result<T> {
        let invalid = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let made = create(&self.device);
        let memory = pollster::block_on(memory.pop());
        let others = [pollster::block_on(internal.pop()), pollster::block_on(invalid.pop())];
        if memory.is_some() || others.iter().any(Option::is_some) {
            self.hear_of_loss();
            self.check()?;
        }
        if memory.is_some() {
            return Err(self.refuse(what, bytes, self.used()).into());
        }
        if self.is_beyond_limit() {
            let used = self.used().map(|used| used.saturating_sub(bytes));
            return Err(self.refuse(what, bytes, used).into());
        }
        if let Some(error) = others.into_iter().flatten().next() {
            return Err(Fault::new(
                Exit::Internal,
                format!("{}: {what}: {error}", self.entry.name),
            )
            .into());
        }
        self.check()?;
        Ok(made)
    }

    /// Bytes that the allocator has handed out, where the backend counts them.
    fn used(&self) -> Option<u64> {
        self.allocations().map(|list| list.iter().map(|(_, bytes)| bytes).sum())
    }

    /// Whether more memory is in use than a test allows.
    fn is_beyond_limit(&self) -> bool {
        let limit = self.reports().memory_limit;
        limit.is_some_and(|limit| self.used().is_some_and(|used| used > limit))
    }

    /// Remembers that memory was refused; the error that says so.
    fn refuse(&self, what: &str, bytes: u64, used: Option<u64>) -> Fault {
        let refused = RefusedMemory { what: what.into(), bytes, used };
        self.reports().refused = Some(refused);
        let message =
            format!("{}: out of memory for {what}: {bytes} bytes wanted", self.entry.name);
        Fault::new(Exit::Internal, message).hint("use a smaller batch_size or narrower layers")
    }

    /// The errors that were reported so far, locked.
    pub(super) fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn to submit or to poll.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory that was refused last.
    pub fn refused(&self) -> Option<RefusedMemory> {
        self.reports().refused.clone()
    }

    /// Forgets that memory was refused, where less of it does.
    pub fn forget_refusal(&self) {
        self.reports().refused = None;
    }

    /// Stores the compiled kernels for later runs.
    pub(super) fn save_pipelines(&self) {
        if let (Some(pipelines), Some(entry)) = (&self.pipeline_cache, &self.cache_entry)
            && let Some(data) = pipelines.get_data()
        {
            cache::write(entry, &data);
        }
    }

    /// The choices for this adapter.
    pub fn tuning(&self) -> Tuning {
        let runs_direct = self.runs_direct();
        // The mirror of a whole binding has an odd number of rows.
        let rows = (self.limits.max_texture_dimension_2d as usize).div_ceil(2) * 2 - 1;
        let mirrored = if runs_direct { 4 * (MIRROR_ROW * rows) as u64 } else { u64::MAX };
        let binding = self.limits.max_storage_buffer_binding_size.min(mirrored);
        let plain = Tuning::new(self.entry.class, binding, runs_direct);
        Tuning { shared_mirrors: self.shares, fours: self.may_run_direct(), ..plain }
    }

    /// The largest matrix unit for operands of f16 (`half`) or f32, where the adapter has one and
    /// was opened with it.
    pub fn unit(&self, half: bool) -> Option<Unit> {
        let is_open =
            self.device.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
        self.entry
            .units
            .iter()
            .copied()
            .filter(|unit| is_open && unit.is_half() == half)
            .max_by_key(|unit| unit.side())
    }

    /// The choices for this adapter with products by a matrix unit.
    pub fn unit_tuning(&self, unit: Unit) -> Tuning {
        self.tuning().with_unit(unit, self.entry.subgroup[1])
    }

    /// Tells adapters with the subgroups that the kernels for software adapters are made for.
    fn may_run_direct(&self) -> bool {
        self.entry.class == Class::Software && self.entry.subgroup == [8, 8]
    }

    /// Whether the kernels for software adapters can run here.
    pub fn runs_direct(&self) -> bool {
        let mirrors = self.limits.max_storage_textures_per_shader_stage >= MIRRORS
            && u64::from(self.limits.max_texture_dimension_2d) * 4 * MIRROR_ROW as u64
                >= self.limits.max_storage_buffer_binding_size;
        self.device.features().contains(wgpu::Features::SUBGROUP)
            && self.may_run_direct()
            && mirrors
    }

    /// Waits for a submission until the watchdog gives the device up.
    ///
    /// # Errors
    /// 70 if the device is lost or does not answer.
    pub(super) fn wait(&self, submission: &wgpu::SubmissionIndex) -> Result<()> {
        let start = Instant::now();
        loop {
            let timeout = Some(self.watchdog.min(Duration::from_secs(1)));
            let poll = wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout };
            let answer = self.polled(poll);
            self.check()?;
            match answer {
                Ok(_) => return Ok(()),
                Err(wgpu::PollError::Timeout) if start.elapsed() < self.watchdog => {}
                Err(error) => return Err(self.give_up(start.elapsed(), &error.to_string()).into()),
            }
        }
    }

    /// Gives up a device that does not answer; the error that says so.
    fn give_up(&self, waited: Duration, error: &str) -> Fault {
        // wgpu would wait for a queue that is dropped, and panic in the end.
        std::mem::forget((self.device.clone(), self.queue.clone()));
        let message =
            format!("{}: no answer after {:.0} s: {error}", self.entry.name, waited.as_secs_f64());
        Fault::new(Exit::Internal, message)
            .hint("the driver hangs; restart it, or try another adapter")
    }

    /// Keeps processors awake while the value lives, where the device is made of them.
    pub(super) fn awake(&self) -> Option<Awake> {
        if self.entry.class == Class::Software { Awake::hold() } else { None }
    }

    /// Submits commands.
    pub(super) fn submit(&self, commands: Option<wgpu::CommandBuffer>) -> wgpu::SubmissionIndex {
        let _turn = self.turn();
        self.queue.submit(commands)
    }

    fn polled(&self, poll: wgpu::PollType) -> Result<wgpu::PollStatus, wgpu::PollError> {
        let _turn = self.turn();
        self.device.poll(poll)
    }

    /// Waits for a submission, and then until `arrived` is true. A callback of the submission makes
    /// it so; where several threads share the device, another thread's poll may run the callback.
    pub(super) fn wait_until(
        &self,
        submission: &wgpu::SubmissionIndex,
        arrived: impl Fn() -> bool,
    ) -> Result<()> {
        self.wait(submission)?;
        let start = Instant::now();
        while !arrived() && start.elapsed() < self.watchdog {
            self.poll()?;
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    }

    /// Lets callbacks of finished work run.
    pub(super) fn poll(&self) -> Result<()> {
        let _ = self.polled(wgpu::PollType::Poll);
        self.check()
    }

    /// The names and bytes of all memory that the allocator of wgpu has handed out, without what
    /// its blocks hold in reserve; `None` where the backend has no such allocator.
    pub fn allocations(&self) -> Option<Vec<(String, u64)>> {
        let report = self.device.generate_allocator_report()?;
        Some(report.allocations.into_iter().map(|a| (a.name, a.size)).collect())
    }
}

/// A device with its queue and its reports.
type Opened = (wgpu::Device, wgpu::Queue, Arc<Mutex<Reports>>);

/// Opens a device of an adapter.
fn open(
    adapter: &wgpu::Adapter,
    entry: &AdapterEntry,
    features: wgpu::Features,
    limits: &wgpu::Limits,
) -> Result<Opened> {
    let is_experimental = features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("tandem"),
        required_features: features,
        experimental_features: if is_experimental {
            experiments()
        } else {
            wgpu::ExperimentalFeatures::disabled()
        },
        required_limits: limits.clone(),
        memory_hints: wgpu::MemoryHints::Performance,
        ..Default::default()
    };
    let opened = pollster::block_on(adapter.request_device(&descriptor));
    let (device, queue) = opened.map_err(|e| {
        Fault::new(Exit::Unavailable, format!("{} does not open: {e}", entry.name))
            .hint("choose another adapter, see tandem devices")
    })?;
    let reports = Arc::new(Mutex::new(Reports::default()));
    watch(&device, &reports);
    Ok((device, queue, reports))
}

/// The token that allows features which wgpu may still change.
#[allow(unsafe_code)]
fn experiments() -> wgpu::ExperimentalFeatures {
    // SAFETY: matrix units are experimental in wgpu because drivers differ in them. A run that asks
    // for them first compares the kernels of its unit with their twins, on every device that it
    // opens; in other runs no module uses them.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// Opens the cache of compiled kernels, where the driver has one.
#[allow(unsafe_code)]
fn open_pipelines(device: &wgpu::Device, entry: &str) -> Option<wgpu::PipelineCache> {
    if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
        return None;
    }
    let data = cache::read(entry);
    let descriptor = wgpu::PipelineCacheDescriptor {
        label: Some("tandem"),
        data: data.as_deref(),
        fallback: true,
    };
    // SAFETY: the data must come from `get_data` of a cache of this driver. The entry is named
    // after the driver's key, `save_pipelines` alone writes it and as a whole, wgpu checks header
    // and driver before it hands the data on, and the directory is the user's own.
    Some(unsafe { device.create_pipeline_cache(&descriptor) })
}

/// Has errors and losses of a device written to its reports.
fn watch(device: &wgpu::Device, reports: &Arc<Mutex<Reports>>) {
    let errors = Arc::clone(reports);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let mut reports = errors.lock().unwrap_or_else(PoisonError::into_inner);
        reports.error.get_or_insert_with(|| error.to_string());
    }));
    let losses = Arc::clone(reports);
    device.set_device_lost_callback(move |reason, message| {
        let mut reports = losses.lock().unwrap_or_else(PoisonError::into_inner);
        reports.lost.get_or_insert_with(|| format!("{reason:?} {message}").trim().to_string());
    });
}

/// WebGPU's default limits, with the largest bindings and buffers that the adapter has.
fn wanted_limits(offered: &wgpu::Limits, default_only: bool) -> Result<wgpu::Limits> {
    let mut limits = wgpu::Limits::default();
    require("storage bindings a kernel", 8, offered.max_storage_buffers_per_shader_stage.into())?;
    require(
        "bytes of workgroup memory",
        16_384,
        offered.max_compute_workgroup_storage_size.into(),
    )?;
    require("invocations a workgroup", 64, offered.max_compute_invocations_per_workgroup.into())?;
    require("workgroups a dimension", 65_535, offered.max_compute_workgroups_per_dimension.into())?;
    require("bytes a storage binding", 128 << 20, offered.max_storage_buffer_binding_size)?;
    if !default_only {
        limits.max_storage_buffer_binding_size = offered.max_storage_buffer_binding_size;
        limits.max_buffer_size = offered.max_buffer_size;
        limits.max_storage_textures_per_shader_stage = MIRRORS;
    }
    // Limits of graphics do not matter: an adapter that falls below them is as good.
    Ok(limits.or_worse_values_from(offered))
}

/// Checks a limit.
///
/// # Errors
/// 69 if an adapter offers less than is needed.
fn require(what: &str, needed: u64, offered: u64) -> Result<()> {
    if offered >= needed {
        return Ok(());
    }
    let fault = Fault::new(
        Exit::Unavailable,
        format!("this adapter offers {offered} {what}; tandem needs {needed}"),
    );
    Err(fault.hint("choose another adapter, see tandem devices").into())
}
