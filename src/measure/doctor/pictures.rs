//! The shapes of cases whose inputs are images that training steps change.

use super::shapes::{ADAM, BASE, CaseShape};
use crate::config::{Augment, Flip};
use crate::plan::Augmented;
use crate::step::LabelShape;

/// Images of a size with all changes.
const fn changed([height, width, channels]: [usize; 3], shift: usize, erase: usize) -> Augmented {
    let augment = Augment { shift, flip: Flip::Horizontal, erase };
    Augmented { height, width, channels, augment }
}

/// The shapes.
pub(super) const PICTURES: &[CaseShape] = &[
    CaseShape {
        name: "images that change",
        inputs: 35,
        trunk: &[4],
        heads: &[(3, &[]), (2, &[])],
        rows: [40, 23, 19],
        bytes: Some(1.0 / 255.0),
        augmented: Some(changed([7, 5, 1], 2, 3)),
        ..BASE
    },
    CaseShape {
        name: "images wider than a workgroup, which move",
        inputs: 651,
        trunk: &[3],
        heads: &[(2, &[])],
        optimizer: ADAM,
        rows: [30, 12, 12],
        bytes: Some(1.0 / 255.0),
        augmented: Some(changed([31, 7, 3], 6, 0)),
        ..BASE
    },
    CaseShape {
        name: "colours in segments and chunks",
        inputs: 48,
        trunk: &[8],
        heads: &[(2, &[]), (4, &[])],
        rows: [300, 90, 77],
        labels: LabelShape { weighted: true, blanks: true },
        bytes: Some(0.5),
        binding: 4096,
        augmented: Some(changed([2, 8, 3], 1, 2)),
        ..BASE
    },
];
