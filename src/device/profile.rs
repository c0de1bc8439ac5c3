//! Time per dispatch: timestamps around each of them where the adapter has those, else the wall clock around a submission of its own.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::Gpu;
use crate::fault::{Exit, Fault};

/// Most timestamps between two read-backs: two for a dispatch.
const QUERIES: u32 = 4096;

/// Seconds that dispatches took, summed over steps.
#[derive(Debug)]
pub(super) struct Profile {
    /// By schedule and dispatch.
    pub seconds: Vec<Vec<f64>>,
    /// Steps of each schedule.
    pub steps: Vec<u64>,
    /// Seconds between dispatches of a schedule: copies into mirrors, and what the driver does from pass to pass.
    pub between: Vec<f64>,
    stamps: Option<Stamps>,
}

#[derive(Debug)]
struct Stamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    used: u32,
}

impl Profile {
    pub(super) fn new(gpu: &Gpu, dispatches: &[usize]) -> Result<Profile> {
        let fits = dispatches.iter().all(|n| 2 * n <= QUERIES as usize);
        let has_stamps = fits && gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let stamps = has_stamps.then(|| gpu.scoped("timestamps", 0, Stamps::new)).transpose()?;
        let seconds = dispatches.iter().map(|n| vec![0.0; *n]).collect();
        Ok(Profile { seconds, steps: vec![0; dispatches.len()], between: vec![0.0; dispatches.len()], stamps })
    }

    /// Whether the device itself takes the times.
    pub(super) fn is_stamped(&self) -> bool {
        self.stamps.is_some()
    }

    /// Whether the stamps of a step with so many dispatches still fit before the next read-back.
    pub(super) fn has_room(&self, dispatches: usize) -> bool {
        self.stamps.as_ref().is_some_and(|s| s.used as usize + 2 * dispatches <= QUERIES as usize)
    }

    /// The stamps of the next dispatch.
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
        let state = super::session::map_slice(&slice);
        gpu.wait_until(&gpu.submit(None), || state.load(std::sync::atomic::Ordering::Acquire) != 0)?;
        let view = slice.get_mapped_range().map_err(|e| Fault::new(Exit::Internal, format!("timestamps: {e}")))?;
        let ticks: Vec<u64> = bytemuck::cast_slice(&view).to_vec();
        drop(view);
        stamps.staging.unmap();
        let seconds = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
        let count = self.seconds[schedule].len();
        ensure!(ticks.len() % (2 * count) == 0, "{} timestamps for {count} dispatches", ticks.len());
        for (i, pair) in ticks.chunks_exact(2).enumerate() {
            self.seconds[schedule][i % count] += pair[1].saturating_sub(pair[0]) as f64 * seconds;
        }
        let gaps = ticks[1..ticks.len() - 1].chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * seconds);
        self.between[schedule] += gaps.sum::<f64>();
        self.steps[schedule] += (ticks.len() / 2 / count) as u64;
        Ok(())
    }

    /// Adds a dispatch that was timed from outside.
    pub(super) fn add_wall(&mut self, schedule: usize, dispatch: usize, start: Instant) {
        self.seconds[schedule][dispatch] += start.elapsed().as_secs_f64();
        self.steps[schedule] += u64::from(dispatch == 0);
    }
}

impl Stamps {
    fn new(device: &wgpu::Device) -> Stamps {
        let descriptor = wgpu::QuerySetDescriptor { label: Some("timestamps"), ty: wgpu::QueryType::Timestamp, count: QUERIES };
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
