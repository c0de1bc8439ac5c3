//! A model for other tools: as an ONNX file, or as a Python file for PyTorch.

pub mod onnx;
