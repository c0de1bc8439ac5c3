//! Tests of the source code itself: which modules may use which, which words it uses, which files
//! are generated.

mod circles;
mod generated;
mod plan;
