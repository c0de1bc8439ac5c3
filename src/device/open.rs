//! Opens a device, and tries out whether textures and buffers can share memory on it.

use std::time::Instant;

use anyhow::Result;

use super::adapter::{Chosen, Wish, choose};
use super::gpu::Gpu;
use super::shared;

impl Gpu {
    /// Opens the adapter that a wish names.
    ///
    /// # Errors
    /// 69 if there is none, or it grants too little.
    pub fn open(wish: &Wish) -> Result<Gpu> {
        let start = Instant::now();
        let chosen = choose(wish)?;
        Gpu::open_chosen(chosen, wish, start)
    }

    /// Opens an adapter that was looked for since `start`.
    ///
    /// # Errors
    /// 69 if it grants too little.
    pub fn open_chosen(chosen: Chosen, wish: &Wish, start: Instant) -> Result<Gpu> {
        let mut gpu = Gpu::open_alone(chosen, wish)?;
        gpu.open_seconds = start.elapsed().as_secs_f64();
        gpu.shares = gpu.runs_direct() && shared::shares(&gpu)?;
        Ok(gpu)
    }
}
