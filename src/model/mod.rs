//! The network: its description, its graph, the place of each parameter in the flat arena, the
//! initial weights, and the files of a model.

pub mod architecture;
pub mod arena;
pub mod file;
pub mod graph;
pub mod init;
pub mod layout;
pub mod loss;
pub mod network;
