//! `[augment]`: random changes of the images that are trained on.

use super::keys::form::{size, word};
use super::keys::item::Result;
use super::keys::section::Section;
use super::keys::word::words;
use super::keys::{Keyed, Pass, entries as entries_of, names, read};
use super::source::Source;

/// The largest shift, and the largest side of an erased square, in pixels.
const MOST: u64 = 4096;

/// `[augment]`: random changes of the images that are trained on. Each row of each step draws its
/// own; evaluation changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    /// Images are moved by up to this many pixels, down or up and right or left; what comes in at
    /// the edge is zero.
    pub shift: usize,
    /// How every second image, on average, is mirrored.
    pub flip: Flip,
    /// Side of the square that is set to zero in every second image, on average.
    pub erase: usize,
}

/// How images are mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flip {
    /// They are not.
    #[default]
    None,
    /// Left and right change places.
    Horizontal,
}

words!(Flip: None = "none", Horizontal = "horizontal");

impl Augment {
    /// Whether images are changed at all.
    pub fn is_on(&self) -> bool {
        *self != Augment::default()
    }
}

/// `[augment]` beside the place that rows come from.
struct Statement<'d> {
    augment: Augment,
    train: &'d Source,
}

impl Keyed for Statement<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let (augment, is_image) = (&mut self.augment, self.train.has_images());
        let why = "data.train is no set of images";
        pass.key("shift").only(is_image, why).value(&mut augment.shift, &size(0..=MOST))?;
        pass.key("flip").only(is_image, why).value(&mut augment.flip, &word())?;
        pass.key("erase").only(is_image, why).value(&mut augment.erase, &size(0..=MOST))
    }
}

/// Reads `[augment]`; `train` is where the rows come from that are trained on.
pub(super) fn augment(root: &mut Section, train: &Source) -> Result<Augment> {
    let mut statement = Statement { augment: Augment::default(), train };
    read(root.section("augment")?, &mut statement).map(|()| statement.augment)
}

/// The keys of `[augment]`, with their values as TOML; none where nothing can be augmented.
pub(super) fn entries(augment: &Augment, train: &Source) -> Vec<(&'static str, String)> {
    entries_of(&mut Statement { augment: *augment, train })
}

/// The keys of `[augment]`.
pub(super) fn keys() -> Vec<&'static str> {
    let train = Source::Table(Vec::new());
    names(&mut Statement { augment: Augment::default(), train: &train })
}
