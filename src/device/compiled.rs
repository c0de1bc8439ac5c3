//! Compiled kernels.

use crate::kernels::Kernel;
use crate::kernels::signature::Signature;
use crate::schedule::Dispatch;

/// A kernel, compiled with its constants.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) kernel: &'static Kernel,
    /// The constants of the dispatch that the kernel declares.
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

/// The constants of a dispatch that its kernel declares. The others are declared by other kernels
/// for the same work.
pub(super) fn declared(signature: &Signature, dispatch: &Dispatch) -> Vec<(&'static str, f64)> {
    dispatch
        .constants
        .iter()
        .filter(|(name, _)| signature.overrides.iter().any(|o| o == name))
        .copied()
        .collect()
}
