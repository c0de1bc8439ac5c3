//! Tests that need no device.

#[path = "../common/mod.rs"]
mod common;

mod allocated;
mod architectures;
mod balance;
mod balance_properties;
mod checkpoints;
mod compare;
mod config;
mod conll;
mod data;
mod data_bad;
mod embeddings;
mod fuzz_corpus;
mod gradients;
mod graph;
mod images;
mod keys;
mod metrics;
mod model_file;
mod numerics;
mod packed_kernels;
mod packed_refused;
mod ranks;
mod readers;
mod report;
mod run_directory;
mod schedule;
mod search_course;
mod search_front;
mod search_importance;
mod search_page;
mod search_sobol;
mod search_space;
mod search_tpe;
mod sentences;
mod signatures;
mod spans;
mod stratified;
mod threads;
mod tokens;
