//! Stub.
/// Stub.
pub fn importance(_scores: &[(Vec<f64>, f64)], _dimensions: usize) -> Option<Vec<f64>> {
    None
}
