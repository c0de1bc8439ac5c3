//! Tests of the house itself: its plan, its words, what is generated.

mod adding;
mod circles;
mod generated;
mod pages;
mod plan;
