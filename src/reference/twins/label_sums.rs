//! `label_sums`: for each task the weight and the number of its labels in the batch, and one over
//! the weight.

use super::rows::row_in_segment;
use crate::kernels::params::{self, Head, NONE};
use crate::model::loss::code as loss;
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(super) fn label_sums<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::LabelSums>();
    let mut partials = a.numbers_mut("partials");
    for (task, head) in a.table::<Head>("heads").iter().enumerate() {
        let (mut weight, mut number) = sums(a, &p, head);
        let places = [0, 1, 2].map(|k| p.counts as usize + k * p.tasks as usize + task);
        if p.accumulate == 1 {
            weight += partials[places[0]];
            number += partials[places[1]];
        }
        partials[places[0]] = weight;
        partials[places[1]] = number;
        partials[places[2]] = if weight > T::of(0.0) { T::of(1.0) / weight } else { T::of(0.0) };
    }
}

/// Weight and number of the labels of a head in the rows of the batch that lie in the segment.
fn sums<T: Real>(a: &Arguments<T>, p: &params::LabelSums, head: &Head) -> (T, T) {
    let (step, labels, order) = (a.step(), a.integers("data_labels"), a.integers("order"));
    let class_weights = a.numbers("class_weights");
    let order = (p.shuffled == 1).then_some(&order[..]);
    let has_weights = head.kind == loss::MULTICLASS && head.weights != NONE;
    let (mut weight, mut number) = (T::Wide::of(0.0), T::Wide::of(0.0));
    for place in 0..step.rows {
        let segment = p.segment_first..p.segment_first + p.segment_rows;
        let Some(row) = row_in_segment(step, place, order, segment) else { continue };
        let cells = &labels[row * p.cells as usize..][..p.cells as usize];
        let of_row = row_weight(cells, p.weighted == 1);
        let labels = &cells[head.cell as usize..][..head.cells as usize];
        for label in labels.iter().filter(|label| **label != NONE) {
            let of_label: T = match has_weights {
                true => of_row * class_weights[(head.weights + label) as usize],
                false => of_row,
            };
            weight += of_label.wide();
            number += T::Wide::of(1.0);
        }
    }
    (T::narrow(weight), T::narrow(number))
}

/// The weight of a row of labels: the last of them where rows have weights, else 1.
#[inline(always)]
pub(super) fn row_weight<T: Real>(cells: &[u32], is_weighted: bool) -> T {
    if is_weighted { T::from(f32::from_bits(cells[cells.len() - 1])) } else { T::of(1.0) }
}
