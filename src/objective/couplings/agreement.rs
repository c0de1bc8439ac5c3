//! `L(T_i, T_j)` = Jensen–Shannon divergence of the two heads' class probabilities (Lin,
//! "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37(1), 1991, eq. 3.1
//! with equal weights), natural logarithm, mean over the rows.

use crate::kernels;
use crate::kernels::params::{self, AgreeingPair};
use crate::model::network::Head;
use crate::objective::coupling::{Coupling, Pair, Phase, Placed};
use crate::plan::{Chunk, Scene};
use crate::schedule::slices;
use crate::schedule::{Buffer, Dispatch};

#[derive(Debug)]
pub(super) struct Agreement;

/// 1 where a head has one logit for its two classes, else 0.
fn single_logit(head: &Head) -> u32 {
    u32::from(head.outputs() == 1)
}

impl Coupling for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn applies(&self, a: &Head, b: &Head) -> Result<(), String> {
        if let Some(other) = [a, b].into_iter().find(|head| head.classes.is_empty()) {
            return Err(format!(
                "\"{}\" is of type {}, which has no classes",
                other.name, other.kind
            ));
        }
        // Behind the first token of a sentence a pooled task has no logits of its own.
        if let Some(pooled) = [a, b].into_iter().find(|head| head.pool.is_some()) {
            return Err(format!(
                "\"{}\" has labels of sentences (pool), and the mean is over tokens",
                pooled.name
            ));
        }
        if a.classes == b.classes {
            return Ok(());
        }
        if a.classes.len() != b.classes.len() {
            return Err(format!("they have {} and {} classes", a.classes.len(), b.classes.len()));
        }
        let at = a.classes.iter().zip(&b.classes).position(|(x, y)| x != y).unwrap_or(0);
        Err(format!(
            "their classes differ: number {at} is \"{}\" and \"{}\"",
            a.classes[at], b.classes[at]
        ))
    }

    fn phase(&self) -> Phase {
        Phase::Logits
    }

    fn partials(&self, scene: &Scene, _pair: &Pair) -> usize {
        scene.plan.capacity
    }

    fn table(&self, scene: &Scene, pairs: &[Placed]) -> Vec<u32> {
        let line = |placed: &Placed| AgreeingPair {
            first: scene.logits(placed.pair.a).0 as u32,
            second: scene.logits(placed.pair.b).0 as u32,
            classes: scene.network.tasks[placed.pair.a].classes.len() as u32,
            one: single_logit(&scene.network.tasks[placed.pair.a])
                | single_logit(&scene.network.tasks[placed.pair.b]) << 1,
            strength: placed.pair.strength,
            partials: placed.partials as u32,
        };
        bytemuck::cast_slice(&pairs.iter().map(line).collect::<Vec<_>>()).to_vec()
    }

    fn dispatch(
        &self,
        scene: &Scene,
        table: Buffer,
        pairs: &[Placed],
        chunk: Chunk,
        gradient: bool,
    ) -> Dispatch {
        let b = &scene.buffers;
        let parameters = params::Agreement {
            rows: chunk.rows as u32,
            chunk_first: chunk.first as u32,
            pairs: pairs.len() as u32,
            gradient: u32::from(gradient),
        };
        let mut heads: Vec<usize> = pairs.iter().flat_map(|p| [p.pair.a, p.pair.b]).collect();
        heads.sort_unstable();
        heads.dedup();
        let logits: Vec<_> =
            heads.iter().map(|&h| (scene.logits(h).0, chunk.rows * scene.logits(h).1)).collect();
        let dispatch = Dispatch::new(
            &kernels::agreement,
            "agreement",
            parameters,
            [chunk.rows.div_ceil(64) as u32, 1, 1],
        )
        .bind([
            ("agreeing_pairs", table),
            ("logits", b.logits),
            ("logits_delta", b.logits_delta),
            ("partials", b.partials),
        ])
        .reads(slices(b.logits, logits.clone()))
        .overwrites(slices(b.partials, pairs.iter().map(|p| (p.partials, chunk.rows))));
        if gradient { dispatch.updates(slices(b.logits_delta, logits)) } else { dispatch }
    }
}
