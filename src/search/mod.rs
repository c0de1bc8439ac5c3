//! A search trains many trials with different settings and finds the best ones.
//!
//! This part knows nothing of training. [`space`] says which settings there are, [`course`] which
//! trial runs next, with points from [`sobol`] or [`tpe`] and the rungs of `halving`; [`front`]
//! and [`importance`] say what was found. All of it is a function of the seed and of the scores
//! that were told.

pub mod course;
mod draw;
mod forest;
pub mod front;
mod halving;
pub mod importance;
mod joe_kuo;
mod kernel;
mod range;
pub mod sobol;
pub mod space;
pub mod tpe;

/// A point of a space, and the score that it had, higher is better; `None` where it failed.
pub type Scored<'p> = (&'p [f64], Option<f64>);
