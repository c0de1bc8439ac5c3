//! Handles for tests: devices that behave otherwise than they would. Nothing of the program calls
//! them.

use std::sync::Arc;
use std::time::Duration;

use super::gpu::Gpu;

impl Gpu {
    /// Makes the device behave as one with `bytes` bytes of memory from now on.
    #[doc(hidden)]
    pub fn pretend_memory(&self, bytes: u64) {
        self.reports().memory_limit = Some(bytes);
    }

    /// This device, given up when it does not answer for `watchdog`.
    #[doc(hidden)]
    pub fn watched_for(&self, watchdog: Duration) -> Gpu {
        Gpu { watchdog, ..self.clone() }
    }

    /// This device, trusted to run bounded kernels without checks or not, whatever its class.
    #[doc(hidden)]
    pub fn trusting(&self, trusts: bool) -> Gpu {
        Gpu { trusts, pipelines: Arc::default(), ..self.clone() }
    }

    /// This device, with mirrors that are copies.
    #[doc(hidden)]
    pub fn copying(&self) -> Gpu {
        Gpu { shares: false, ..self.clone() }
    }

    /// Destroys the device, so that it is lost, as after a reset of the driver.
    #[doc(hidden)]
    pub fn destroy(&self) {
        self.device.destroy();
    }
}
