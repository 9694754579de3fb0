//! Tests that need no adapter, in one program: each that is linked for itself links naga and more again.
//! `cargo test --test host formats::` runs those of one file.

mod augment;
mod branches;
mod formats;
mod gradients;
mod grammar;
mod hostile;
mod languages;
mod loaders;
mod plans;
mod portability;
mod probe;
mod table;
mod tidy;
#[path = "../common/wgsl.rs"]
mod wgsl;
