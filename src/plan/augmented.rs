//! The random changes of images, as a program depends on them.

use crate::config::{Augment, Flip};
use crate::data::Input;
use crate::fault::Fault;

/// The largest height and width of images that are changed, so that 16 bits draw a place in them.
const MOST_SIDE: usize = 1 << 14;

/// The random changes of images in training steps, and the size of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augmented {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Numbers of a pixel.
    pub channels: usize,
    /// What is changed.
    pub augment: Augment,
}

impl Augmented {
    /// The changes of images that `input` describes; `None` if nothing is changed.
    ///
    /// # Errors
    /// 78 if the images are too small or too large for them.
    pub fn new(augment: Augment, input: &Input) -> Result<Option<Augmented>, Fault> {
        let Input::Image { height, width, channels, .. } = input else { return Ok(None) };
        let (height, width, channels) = (*height, *width, *channels);
        if !augment.is_on() {
            return Ok(None);
        }
        let least = height.min(width);
        let size = format!("the images have {height} × {width}");
        if height.max(width) > MOST_SIDE {
            let found = format!("images of more than {MOST_SIDE} pixels a side stay as they are");
            return Err(Fault::config("augment", format!("{found}; {size}"))
                .hint("remove the table [augment], or make the images smaller"));
        }
        for (key, pixels, most) in
            [("shift", augment.shift, least - 1), ("erase", augment.erase, least)]
        {
            if pixels > most {
                return Err(Fault::config(
                    &format!("augment.{key}"),
                    format!("{pixels} pixels, {size}"),
                )
                .hint(format!("give 0 to {most}")));
            }
        }
        Ok(Some(Augmented { height, width, channels, augment }))
    }

    /// Whether left and right may change places.
    pub fn flips(&self) -> bool {
        self.augment.flip == Flip::Horizontal
    }
}
