//! The time of each dispatch: by timestamps around it where the adapter has them, else by the wall
//! clock around a submission that holds it alone.

use std::time::Instant;

use anyhow::Result;

use super::gpu::Gpu;
use crate::fault::{Exit, Fault};
use crate::schedule::{Clock, Timings};

/// The largest number of timestamps between two read-backs; a dispatch takes two.
const QUERIES: u32 = 4096;

/// Takes the times of dispatches and sums them up.
#[derive(Debug)]
pub(super) struct DispatchTimer {
    /// The times so far.
    pub timings: Timings,
    /// Timestamps of the device; `None` where the wall clock is used.
    stamps: Option<Stamps>,
}

/// Timestamps of a device and the buffers that they are read back through.
#[derive(Debug)]
struct Stamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    /// Number of timestamps in use.
    used: u32,
}

impl DispatchTimer {
    pub(super) fn new(gpu: &Gpu, dispatches: &[usize]) -> Result<DispatchTimer> {
        let fits = dispatches.iter().all(|n| 2 * n <= QUERIES as usize);
        let has_stamps = fits && gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let stamps = has_stamps.then(|| gpu.scoped("timestamps", 0, Stamps::new)).transpose()?;
        let clock = if stamps.is_some() { Clock::Device } else { Clock::Submissions };
        Ok(DispatchTimer { timings: Timings::new(dispatches, clock), stamps })
    }

    /// Whether the device itself takes the times.
    pub(super) fn is_stamped(&self) -> bool {
        self.stamps.is_some()
    }

    /// Whether the stamps of a step with `dispatches` dispatches fit before the next read-back.
    pub(super) fn has_room(&self, dispatches: usize) -> bool {
        self.stamps.as_ref().is_some_and(|s| s.used as usize + 2 * dispatches <= QUERIES as usize)
    }

    /// The stamps of the next dispatch; `None` where the wall clock is used.
    pub(super) fn next(&mut self) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let stamps = self.stamps.as_mut()?;
        let first = stamps.used;
        stamps.used += 2;
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &stamps.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        })
    }

    /// Records the read-back of the stamps of a submission.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        if let Some(s) = &self.stamps {
            encoder.resolve_query_set(&s.queries, 0..s.used, &s.resolved, 0);
            encoder.copy_buffer_to_buffer(&s.resolved, 0, &s.staging, 0, 8 * u64::from(s.used));
        }
    }

    /// Adds the stamps of a submission of `schedule` that is done.
    pub(super) fn add(&mut self, gpu: &Gpu, schedule: usize) -> Result<()> {
        let Some(stamps) = &mut self.stamps else { return Ok(()) };
        let used = 8 * u64::from(std::mem::take(&mut stamps.used));
        let slice = stamps.staging.slice(..used);
        let state = super::buffer::map_slice(&slice);
        gpu.wait_until(&gpu.submit(None), || {
            state.load(std::sync::atomic::Ordering::Acquire) != 0
        })?;
        let view = slice
            .get_mapped_range()
            .map_err(|e| Fault::new(Exit::Internal, format!("timestamps: {e}")))?;
        let ticks: Vec<u64> = bytemuck::cast_slice(&view).to_vec();
        drop(view);
        stamps.staging.unmap();
        self.timings.add_stamps(
            schedule,
            &ticks,
            f64::from(gpu.queue.get_timestamp_period()) * 1e-9,
        );
        Ok(())
    }

    /// Adds a dispatch that the host has timed since `start`.
    pub(super) fn add_wall(&mut self, schedule: usize, dispatch: usize, start: Instant) {
        self.timings.seconds[schedule][dispatch] += start.elapsed().as_secs_f64();
        self.timings.steps[schedule] += u64::from(dispatch == 0);
    }
}

impl Stamps {
    fn new(device: &wgpu::Device) -> Stamps {
        let descriptor = wgpu::QuerySetDescriptor {
            label: Some("timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count: QUERIES,
        };
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: 8 * u64::from(QUERIES),
                usage,
                mapped_at_creation: false,
            })
        };
        Stamps {
            queries: device.create_query_set(&descriptor),
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            staging: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
            used: 0,
        }
    }
}
