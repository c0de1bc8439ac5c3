//! Opens a device, and tries out whether textures and buffers can share memory on it.

use anyhow::Result;

use super::adapter::Wish;
use super::gpu::Gpu;
use super::shared;

impl Gpu {
    /// Opens the adapter that a wish names.
    ///
    /// # Errors
    /// 69 if there is none, or it grants too little.
    pub fn open(wish: &Wish) -> Result<Gpu> {
        let mut gpu = Gpu::open_alone(wish)?;
        gpu.shares = gpu.runs_direct() && shared::shares(&gpu)?;
        Ok(gpu)
    }
}
