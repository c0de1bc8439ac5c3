//! The network: its shape, where each parameter lies in the flat arena, how weights start, and its
//! files.

pub mod architecture;
pub mod arena;
pub mod file;
pub mod graph;
pub mod init;
pub mod layout;
pub mod loss;
pub mod network;
