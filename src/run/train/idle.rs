//! A notice about experts that no gate uses: they cost time, and a network without them is the
//! same.

use super::point::Point;
use crate::model::graph::is_expert;

/// An expert is idle if no gate gives it more than this part of an equal share.
const IDLE: f64 = 0.1;

/// A sentence for idle experts, by the mean weights at a point.
pub(super) fn idle_experts(point: &Point) -> Option<String> {
    let mut largest: Vec<(&str, f64)> = Vec::new();
    for gate in &point.gates {
        for (term, weight) in gate.weights.iter().filter(|(term, _)| is_expert(term)) {
            // The part of an equal share.
            let share = weight * gate.weights.len() as f64;
            match largest.iter_mut().find(|(name, _)| name == term) {
                Some((_, most)) => *most = most.max(share),
                None => largest.push((term, share)),
            }
        }
    }
    let idle: Vec<String> = largest
        .into_iter()
        .filter(|(_, share)| *share < IDLE)
        .map(|(name, share)| format!("{name} ({share:.2} of an equal share)"))
        .collect();
    (!idle.is_empty()).then(|| {
        format!(
            "experts that no gate uses on the {} rows: {}; fewer experts would do",
            point.split,
            idle.join(", ")
        )
    })
}
