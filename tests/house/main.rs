//! Tests of the source code itself: which modules may use which, which words it uses, which files
//! are generated.

mod adding;
mod circles;
mod generated;
mod pages;
mod plan;
