//! A compiled kernel.

use crate::kernels::Kernel;
use crate::kernels::signature::Signature;
use crate::schedule::Dispatch;

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) kernel: &'static Kernel,
    /// Those that it declares.
    pub(super) constants: Vec<(&'static str, f64)>,
    pub(super) source: String,
    pub(super) signature: Signature,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) pipeline: wgpu::ComputePipeline,
}

impl Pipeline {
    /// Whether a dispatch runs on it: same kernel, same constants.
    pub(super) fn is_for(&self, dispatch: &Dispatch) -> bool {
        self.kernel.name == dispatch.kernel.name
            && self.constants == declared(&self.signature, dispatch)
    }
}

/// The constants of a dispatch that its kernel declares; what it does not declare is for the one in
/// its place.
pub(super) fn declared(signature: &Signature, dispatch: &Dispatch) -> Vec<(&'static str, f64)> {
    dispatch
        .constants
        .iter()
        .filter(|(name, _)| signature.overrides.iter().any(|o| o == name))
        .copied()
        .collect()
}
