//! Tests that start the program.

#[path = "../common/mod.rs"]
mod common;

mod alike;
mod alone;
mod applied;
mod architectures;
mod arrays;
mod balance;
mod cli;
mod compare;
mod cpu;
mod disk;
mod export;
mod folds;
mod giveaways;
mod golden;
mod hostile;
mod hostile_sentences;
mod images;
mod interrupted;
mod labels;
mod messages;
mod onnx;
mod per_task;
mod protobuf;
mod repeats;
mod report;
mod scaling;
mod search;
mod selection;
mod sentences;
mod shell;
mod sources;
mod sweep;
mod texts;
mod together;
mod tracking;
mod undefined;
mod values;
mod verbs;
