//! Does sharing help? The same tasks by several ways of training, on the same rows: what each
//! [`variant`](variants) is, how well it does on a part ([`sample`]), and how sure a difference is
//! ([`interval`]).

pub mod interval;
pub mod sample;
pub mod subject;
pub mod variants;
