//! Pictures: functions from numbers to SVG texts, by `plotters`. A picture has the colours of light
//! paper; on a page they are variables, so that one picture serves light and dark.

pub mod axis;
pub mod bars;
pub mod field;
pub mod ink;
pub mod matrix;
pub mod parallel;
pub mod picture;
pub mod plot;
pub mod scale;
pub mod sheet;
pub mod sign;

pub use picture::Picture;
