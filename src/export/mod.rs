//! A model for other tools: as an ONNX file, or as a Python file for PyTorch.

mod network;
pub mod onnx;
mod spellings;
pub mod torch;
