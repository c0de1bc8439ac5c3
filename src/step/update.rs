//! The update of all parameters.

use super::builder::Builder;
use crate::config::{Optimizer, OptimizerKind};
use crate::kernels::{self, folded, params};
use crate::schedule::{Dispatch, MetricKind};

impl Builder<'_> {
    pub(super) fn update(&self, optimizer: &Optimizer) -> Dispatch {
        let b = &self.scene.buffers;
        let count = self.scene.layout.len;
        let stride = self.program.metrics_stride() as u32;
        let norm_metric = 1 + self
            .program
            .metrics
            .iter()
            .position(|m| *m == MetricKind::SquaredNorm)
            .unwrap_or(0) as u32;
        let clip_norm = optimizer.clip_norm as f32;
        let grid = folded((count / 4).div_ceil(64) as u32);
        let count = count as u32;
        let (dispatch, moments) = match optimizer.kind {
            OptimizerKind::Sgd { momentum, nesterov } => {
                let momentum = momentum as f32;
                let p = params::Sgd {
                    count,
                    momentum,
                    nesterov: u32::from(nesterov),
                    clip_norm,
                    norm_metric,
                    stride,
                };
                (
                    Dispatch::new(
                        self.scene.tuning.kernel(&kernels::sgd),
                        "all parameters",
                        p,
                        grid,
                    ),
                    vec![("first_moment", b.first_moment)],
                )
            }
            OptimizerKind::Adam { beta1, beta2, eps }
            | OptimizerKind::AdamW { beta1, beta2, eps } => {
                let p = params::Adam {
                    count,
                    beta1: beta1 as f32,
                    one_minus_beta1: (1.0 - beta1) as f32,
                    beta2: beta2 as f32,
                    one_minus_beta2: (1.0 - beta2) as f32,
                    eps: eps as f32,
                    decoupled: u32::from(matches!(optimizer.kind, OptimizerKind::AdamW { .. })),
                    clip_norm,
                    norm_metric,
                    stride,
                };
                let moments =
                    vec![("first_moment", b.first_moment), ("second_moment", b.second_moment)];
                (
                    Dispatch::new(
                        self.scene.tuning.kernel(&kernels::adam),
                        "all parameters",
                        p,
                        grid,
                    ),
                    moments,
                )
            }
        };
        let changed = moments
            .iter()
            .map(|(_, m)| *m)
            .chain([b.parameters])
            .map(|m| self.program.whole(m))
            .collect::<Vec<_>>();
        let norm = if optimizer.clip_norm > 0.0 {
            vec![self.program.whole(b.metrics)]
        } else {
            Vec::new()
        };
        dispatch
            .bind([
                ("parameters", b.parameters),
                ("gradients", b.gradients),
                ("decay", b.decay),
                ("metrics", b.metrics),
                ("flags", b.flags),
            ])
            .bind(moments)
            .reads([self.program.whole(b.gradients)])
            .reads([self.program.whole(b.decay)])
            .reads(norm)
            .updates(changed)
    }
}
