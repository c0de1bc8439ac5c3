//! The update of all parameters: one dispatch of the optimizer's kernel.

use super::builder::Builder;
use crate::config::{Optimizer, OptimizerKind};
use crate::kernels::tuning::Tuning;
use crate::kernels::{self, folded, params};
use crate::schedule::{Dispatch, MetricKind};

/// The numbers that the kernels of all optimizers have.
struct Common {
    count: u32,
    clip_norm: f32,
    norm_metric: u32,
    stride: u32,
}

/// The dispatch of an optimizer's kernel, without its bindings.
fn rule(kind: OptimizerKind, common: Common, tuning: &Tuning, grid: [u32; 3]) -> Dispatch {
    const LABEL: &str = "all parameters";
    let Common { count, clip_norm, norm_metric, stride } = common;
    match kind {
        OptimizerKind::Sgd { momentum, nesterov } => {
            let (momentum, nesterov) = (momentum as f32, u32::from(nesterov));
            let params = params::Sgd { count, momentum, nesterov, clip_norm, norm_metric, stride };
            Dispatch::new(tuning.kernel(&kernels::sgd), LABEL, params, grid)
        }
        OptimizerKind::Adam { beta1, beta2, eps } | OptimizerKind::AdamW { beta1, beta2, eps } => {
            let params = params::Adam {
                count,
                beta1: beta1 as f32,
                one_minus_beta1: (1.0 - beta1) as f32,
                beta2: beta2 as f32,
                one_minus_beta2: (1.0 - beta2) as f32,
                eps: eps as f32,
                decoupled: u32::from(matches!(kind, OptimizerKind::AdamW { .. })),
                clip_norm,
                norm_metric,
                stride,
            };
            Dispatch::new(tuning.kernel(&kernels::adam), LABEL, params, grid)
        }
    }
}

impl Builder<'_> {
    pub(super) fn update(&self, optimizer: &Optimizer) -> Dispatch {
        let (b, program) = (&self.scene.buffers, &self.program);
        let norm = program.metrics.iter().position(|m| *m == MetricKind::SquaredNorm);
        let count = self.scene.layout.len;
        let common = Common {
            count: count as u32,
            clip_norm: optimizer.clip_norm as f32,
            norm_metric: 1 + norm.unwrap_or(0) as u32,
            stride: program.metrics_stride() as u32,
        };
        let moments: Vec<_> =
            [("first_moment", b.first_moment), ("second_moment", b.second_moment)]
                .into_iter()
                .take(optimizer.kind.moments())
                .collect();
        let grid = folded((count / 4).div_ceil(64) as u32);
        let changed = moments.iter().map(|(_, moment)| *moment).chain([b.parameters]);
        let changed: Vec<_> = changed.map(|buffer| program.whole(buffer)).collect();
        let clipped = (optimizer.clip_norm > 0.0).then(|| program.whole(b.metrics));
        rule(optimizer.kind, common, &self.scene.tuning, grid)
            .bind([
                ("parameters", b.parameters),
                ("gradients", b.gradients),
                ("decay", b.decay),
                ("metrics", b.metrics),
                ("flags", b.flags),
            ])
            .bind(moments)
            .reads([program.whole(b.gradients)])
            .reads([program.whole(b.decay)])
            .reads(clipped)
            .updates(changed)
    }
}
