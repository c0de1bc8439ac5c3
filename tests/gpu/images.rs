//! The changes of images in training steps, on the adapter, beside numpy's.

use crate::common::{device, images::check_changed};

#[test]
fn images_change_as_in_numpy_on_the_adapter() {
    check_changed(&device);
}
