//! `L(T_i, T_j) = ½ ‖θ_i − θ_j‖²` over all weights and biases of two heads of equal shape: soft
//! parameter sharing (Duong et al., "Low resource dependency parsing: cross-lingual parameter
//! sharing", ACL 2015).

use crate::kernels;
use crate::kernels::params::{self, SharedPair};
use crate::model::network::Head;
use crate::objective::coupling::{Coupling, Pair, Phase, Placed};
use crate::plan::{Chunk, Scene};
use crate::schedule::slices;
use crate::schedule::{Buffer, Dispatch};

#[derive(Debug)]
pub(super) struct SoftSharing;

/// Parameters per workgroup, whose terms become one partial sum.
const WORKGROUP: usize = 64;

impl Coupling for SoftSharing {
    fn name(&self) -> &'static str {
        "soft_sharing"
    }

    fn applies(&self, a: &Head, b: &Head) -> Result<(), String> {
        let (of_a, of_b): (Vec<_>, Vec<_>) = (a.widths().collect(), b.widths().collect());
        if of_a == of_b {
            return Ok(());
        }
        Err(format!("their heads differ in shape: layers {of_a:?} and {of_b:?}"))
    }

    fn phase(&self) -> Phase {
        Phase::Weights
    }

    fn partials(&self, scene: &Scene, pair: &Pair) -> usize {
        scene.layout.owned_run(pair.a).1.div_ceil(WORKGROUP)
    }

    fn table(&self, scene: &Scene, pairs: &[Placed]) -> Vec<u32> {
        let line = |placed: &Placed| {
            let (first, count) = scene.layout.owned_run(placed.pair.a);
            let (second, _) = scene.layout.owned_run(placed.pair.b);
            SharedPair {
                first: first as u32,
                second: second as u32,
                count: count as u32,
                strength: placed.pair.strength,
                partials: placed.partials as u32,
                flag_first: scene.output_flag(placed.pair.a),
                flag_second: scene.output_flag(placed.pair.b),
            }
        };
        bytemuck::cast_slice(&pairs.iter().map(line).collect::<Vec<_>>()).to_vec()
    }

    fn dispatch(
        &self,
        scene: &Scene,
        table: Buffer,
        pairs: &[Placed],
        _chunk: Chunk,
        gradient: bool,
    ) -> Dispatch {
        let b = &scene.buffers;
        let longest = pairs.iter().map(|p| scene.layout.owned_run(p.pair.a).1).max().unwrap_or(1);
        let parameters =
            params::SoftSharing { pairs: pairs.len() as u32, gradient: u32::from(gradient) };
        let mut heads: Vec<usize> = pairs.iter().flat_map(|p| [p.pair.a, p.pair.b]).collect();
        heads.sort_unstable();
        heads.dedup();
        // A head from its first to its last element; the gaps between its blocks stay zero.
        let runs: Vec<_> = heads.iter().map(|&h| scene.layout.owned_run(h)).collect();
        let partials = pairs.iter().map(|p| (p.partials, self.partials(scene, &p.pair)));
        let dispatch = Dispatch::new(
            scene.tuning.kernel(&kernels::soft_sharing),
            "soft_sharing",
            parameters,
            [longest.div_ceil(WORKGROUP) as u32, 1, 1],
        )
        .bind([
            ("shared_pairs", table),
            ("parameters", b.parameters),
            ("gradients", b.gradients),
            ("partials", b.partials),
        ])
        .bind([("flags", b.flags)])
        .reads(slices(b.parameters, runs.clone()))
        .overwrites(slices(b.partials, partials));
        if gradient { dispatch.updates(slices(b.gradients, runs)) } else { dispatch }
    }
}
