//! Trains variational autoencoders with WGSL compute shaders, on any GPU that wgpu reaches.
#![cfg_attr(test, allow(clippy::print_stdout, reason = "tests may talk"))]

pub mod config;
pub mod cpu;
pub mod engine;
pub mod error;
pub mod gpu;
pub mod kernels;
pub mod selftest;
