//! An open device: limits asked for, errors caught, waits bounded.
//!
//! wgpu panics on an error nobody handles and tells of a lost device by callback alone; so both are
//! caught here before anything is allocated, and every wait looks at them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::adapter::{Chosen, Entry, Wish, choose};
use super::awake::Awake;
use super::compiled::Pipeline;
use crate::cache;
use crate::fault::{Exit, Fault};
use crate::kernels::tuning::{Class, Tuning};
use crate::kernels::{MIRROR_ROW, Unit};

/// A device that does not answer for so long is given up.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Most mirrors that a kernel of software adapters reads.
const MIRRORS: u32 = 6;

/// Features that are used where an adapter has them.
const WELCOME: wgpu::Features = wgpu::Features::SUBGROUP
    .union(wgpu::Features::TIMESTAMP_QUERY)
    .union(wgpu::Features::PIPELINE_CACHE);

/// Features of the kernels for matrix units.
const UNITS: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16);

/// What wgpu told us outside of error scopes.
#[derive(Debug, Default)]
struct Sink {
    error: Option<String>,
    lost: Option<String>,
    refused: Option<Refused>,
    /// In a test, bytes beyond which creations are refused.
    most: Option<u64>,
}

/// Memory that a device did not give.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What it was for.
    pub what: String,
    /// Bytes of it.
    pub bytes: u64,
    /// Bytes in use at that time, where the backend counts them.
    pub used: Option<u64>,
}

/// An open device with its queue. Clones share it.
#[derive(Clone, Debug)]
pub struct Gpu {
    adapter: wgpu::Adapter,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// The adapter as listed.
    pub entry: Entry,
    /// Why it was chosen.
    pub reason: String,
    /// Seconds that choosing and opening it took.
    pub open_seconds: f64,
    /// Limits that were granted.
    pub limits: wgpu::Limits,
    sink: Arc<Mutex<Sink>>,
    /// Held while submitting or polling: wgpu does neither safely from several threads at once.
    turn: Arc<Mutex<()>>,
    /// What the driver keeps of compiled kernels from run to run, where it hands that out, and its
    /// entry in the cache directory.
    pub(super) pipeline_cache: Option<wgpu::PipelineCache>,
    pub(super) cache_entry: Option<String>,
    /// Whether bounded kernels are compiled without checks.
    pub(super) trusts: bool,
    /// Whether a buffer and its mirror are one piece of memory.
    pub(super) shares: bool,
    watchdog: Duration,
    /// Kernels compiled so far.
    pub(super) pipelines: Arc<Mutex<Vec<Arc<Pipeline>>>>,
}

impl Gpu {
    /// Chooses an adapter and opens it.
    pub(super) fn open_alone(wish: &Wish) -> Result<Gpu> {
        let start = Instant::now();
        let Chosen { adapter, entry, reason } = choose(wish)?;
        let limits = wanted_limits(&adapter.limits(), wish.default_limits)?;
        let optional = if wish.default_limits { wgpu::Features::empty() } else { WELCOME };
        let with_units = wish.units && !wish.default_limits && !entry.units.is_empty();
        let of_units = if with_units { UNITS } else { wgpu::Features::empty() };
        let features = adapter.features() & (optional | of_units);
        let (device, queue, sink) = open(&adapter, &entry, features, &limits)?;
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
            sink,
            turn,
            trusts: false,
            shares: false,
            watchdog: WATCHDOG,
            pipelines,
        };
        gpu.trusts = gpu.tuning().trusted;
        Ok(gpu)
    }

    /// Another device of the adapter, which is like this one.
    pub(super) fn second(&self) -> Result<Gpu> {
        let (device, queue, sink) =
            open(&self.adapter, &self.entry, self.device.features(), &self.limits)?;
        let pipeline_cache = None;
        Ok(Gpu {
            device,
            queue,
            sink,
            pipeline_cache,
            turn: Arc::default(),
            pipelines: Arc::default(),
            ..self.clone()
        })
    }

    /// An error if the device was lost or an error went uncaught since it was opened.
    pub fn check(&self) -> Result<()> {
        if self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner).error.is_some() {
            self.hear_of_loss();
        }
        let sink = self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(why) = &sink.lost {
            let fault = Fault::new(
                Exit::Internal,
                format!("{}: the device was lost: {why}", self.entry.name),
            );
            return Err(fault
                .hint("nothing half-written was kept; run again, or try another adapter")
                .into());
        }
        if let Some(error) = &sink.error {
            return Err(Fault::new(Exit::Internal, format!("{}: {error}", self.entry.name))
                .hint("run tandem doctor on this adapter")
                .into());
        }
        Ok(())
    }

    /// On a lost device everything is an error, and often before the callback that tells of the
    /// loss: lets that run.
    fn hear_of_loss(&self) {
        let _ = self.polled(wgpu::PollType::Poll);
    }

    /// Runs a creation inside error scopes; `what` and `bytes` say what was wanted if it fails.
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
        if self.is_beyond() {
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

    fn used(&self) -> Option<u64> {
        self.allocations().map(|list| list.iter().map(|(_, bytes)| bytes).sum())
    }

    /// Whether a test wants no more memory to be given.
    fn is_beyond(&self) -> bool {
        let most = self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner).most;
        most.is_some_and(|most| self.used().is_some_and(|used| used > most))
    }

    fn refuse(&self, what: &str, bytes: u64, used: Option<u64>) -> Fault {
        let refused = Refused { what: what.into(), bytes, used };
        self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner).refused = Some(refused);
        let message =
            format!("{}: out of memory for {what}: {bytes} bytes wanted", self.entry.name);
        Fault::new(Exit::Internal, message).hint("use a smaller batch_size or narrower layers")
    }

    /// The memory that was refused last.
    pub fn refused(&self) -> Option<Refused> {
        self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner).refused.clone()
    }

    /// Behaves from now on as a device with so many bytes.
    #[doc(hidden)]
    pub fn pretend_memory(&self, bytes: u64) {
        self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner).most = Some(bytes);
    }

    /// Keeps what was compiled for later runs.
    pub(super) fn save_pipelines(&self) {
        if let (Some(pipelines), Some(entry)) = (&self.pipeline_cache, &self.cache_entry)
            && let Some(data) = pipelines.get_data()
        {
            cache::write(entry, &data);
        }
    }

    /// The choices for this adapter.
    pub fn tuning(&self) -> Tuning {
        let plain = Tuning::new(
            self.entry.class,
            self.limits.max_storage_buffer_binding_size,
            self.runs_direct(),
        );
        Tuning { shared_mirrors: self.shares, ..plain }
    }

    /// The matrix unit for operands of f16 or f32, where the adapter has one and was opened with
    /// it: the larger one.
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

    /// Whether the kernels for software adapters can run here.
    pub fn runs_direct(&self) -> bool {
        let mirrors = self.limits.max_storage_textures_per_shader_stage >= MIRRORS
            && u64::from(self.limits.max_texture_dimension_2d) * 4 * MIRROR_ROW as u64
                >= self.limits.max_storage_buffer_binding_size;
        self.device.features().contains(wgpu::Features::SUBGROUP)
            && self.entry.subgroup == [8, 8]
            && mirrors
    }

    /// Waits for a submission, as long as the watchdog lets it.
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

    fn give_up(&self, waited: Duration, error: &str) -> Fault {
        // wgpu waits for a queue that is dropped, and panics in the end.
        std::mem::forget((self.device.clone(), self.queue.clone()));
        let message =
            format!("{}: no answer after {:.0} s: {error}", self.entry.name, waited.as_secs_f64());
        Fault::new(Exit::Internal, message)
            .hint("the driver hangs; restart it, or try another adapter")
    }

    /// Keeps processors awake where they are the device.
    pub(super) fn awake(&self) -> Option<Awake> {
        if self.entry.class == Class::Software { Awake::hold() } else { None }
    }

    /// Submits commands.
    pub(super) fn submit(&self, commands: Option<wgpu::CommandBuffer>) -> wgpu::SubmissionIndex {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.queue.submit(commands)
    }

    fn polled(&self, poll: wgpu::PollType) -> Result<wgpu::PollStatus, wgpu::PollError> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.device.poll(poll)
    }

    /// Waits for a submission and for `arrived`, which a callback of it makes true: where several
    /// threads share the device, another one's poll may be the one that runs the callback.
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

    /// The same device, given up after so long.
    #[doc(hidden)]
    pub fn watched_for(&self, watchdog: Duration) -> Gpu {
        Gpu { watchdog, ..self.clone() }
    }

    /// The same device, trusted or not whatever its class.
    #[doc(hidden)]
    pub fn trusting(&self, trusts: bool) -> Gpu {
        Gpu { trusts, pipelines: Arc::default(), ..self.clone() }
    }

    /// The same device, whose mirrors are copies.
    #[doc(hidden)]
    pub fn copying(&self) -> Gpu {
        Gpu { shares: false, ..self.clone() }
    }

    /// What the allocator of wgpu has handed out: names and bytes, without what its blocks hold in
    /// reserve; `None` = this backend has none.
    pub fn allocations(&self) -> Option<Vec<(String, u64)>> {
        let report = self.device.generate_allocator_report()?;
        Some(report.allocations.into_iter().map(|a| (a.name, a.size)).collect())
    }

    /// Destroys the device, so that it is lost: what a driver reset looks like.
    #[doc(hidden)]
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

type Opened = (wgpu::Device, wgpu::Queue, Arc<Mutex<Sink>>);

fn open(
    adapter: &wgpu::Adapter,
    entry: &Entry,
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
    let sink = Arc::new(Mutex::new(Sink::default()));
    watch(&device, &sink);
    Ok((device, queue, sink))
}

/// The word for features that wgpu may still change.
#[allow(unsafe_code)]
fn experiments() -> wgpu::ExperimentalFeatures {
    // SAFETY: what is still open about matrix units in wgpu is what drivers make of them. A run
    // that asks for them compares the kernels of its unit with their twins first, on every device
    // that it opens, and without that wish no module uses them.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

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
    // SAFETY: the data must come from `get_data` of a cache of this driver. The entry bears the
    // driver's key and is written whole by `save_pipelines` alone, wgpu checks header and driver
    // before it hands the data on, and the directory is the user's own.
    Some(unsafe { device.create_pipeline_cache(&descriptor) })
}

fn watch(device: &wgpu::Device, sink: &Arc<Mutex<Sink>>) {
    let errors = Arc::clone(sink);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let mut sink = errors.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sink.error.get_or_insert_with(|| error.to_string());
    }));
    let losses = Arc::clone(sink);
    device.set_device_lost_callback(move |reason, message| {
        let mut sink = losses.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sink.lost.get_or_insert_with(|| format!("{reason:?} {message}").trim().to_string());
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
    // Graphics limits are none of our business: an adapter without them is as good.
    Ok(limits.or_worse_values_from(offered))
}

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
