//! Indices of tables that name only the values that occur, where a column is known by its index.

use crate::data::table::raw::Raw;
use crate::fault::Fault;

/// Checks that a table counts its indices from where the training data did. `known` is the smallest
/// and the largest index of the training data; `None` if its columns are no indices.
///
/// # Errors
/// 65 if one of the two begins at 0 and the other cannot.
pub fn check_indices(known: Option<[u32; 2]>, raw: &Raw) -> anyhow::Result<()> {
    let (Some([known, last]), Some([first, end])) = (known, raw.indices) else { return Ok(()) };
    let found = match (known, first) {
        (1.., 0) => format!(
            "index 0 occurs, the indices of the training data are {known} to {last}: they are \
             counted from 1 there"
        ),
        (0, 1..) if end == last + 1 => {
            format!(
                "the indices are {first} to {end}, those of the training data are 0 to {last}: \
                 they are counted from 0 there"
            )
        }
        _ => return Ok(()),
    };
    let hint = "count the indices as the training file does (scikit-learn: dump_svmlight_file(…, \
                zero_based=…)), or train again";
    Err(Fault::data(&raw.place, found).hint(hint).into())
}
