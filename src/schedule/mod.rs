//! The language of a step: buffers, dispatches, programs, and the [`Engine`] that runs them.
//!
//! A schedule is plain data. Code that knows no GPU writes it; `device` (f32, WGSL) and `reference`
//! (f64, loops) interpret it.

mod buffer;
pub mod check;
mod dispatch;
pub mod drawing;
mod engine;
mod program;
pub mod show;
mod timing;

pub use buffer::{Buffer, BufferSpec, Effect, Kind, Slice, slices};
pub use dispatch::{Dispatch, Peer, Schedule};
pub use engine::{Engine, NotFinite, StepResult, Work, first_not_finite};
pub use program::{Flag, FlagKind, Footprint, IN_FLIGHT, MetricKind, Program, SLOTS, UNIFORM};
pub use timing::{Clock, Encoded, SUBMISSIONS, Timings};
