//! Tests that need an adapter, in one program: each that is linked for itself links wgpu and naga again.
//! `cargo test --test adapter steps::` runs those of one file.

mod augment;
mod averages;
mod bound;
mod broken;
mod checkpoint;
mod colour;
#[path = "../common/mod.rs"]
mod common;
mod conditional;
mod convolution;
mod counts;
mod divergence;
mod evaluate;
mod family;
mod fused;
mod golden;
mod kernels;
mod levels;
mod likelihoods;
mod logged;
mod maps;
mod networks;
mod normalise;
mod optimisers;
mod parts;
mod prior;
mod shared_device;
mod steps;
mod streamed;
mod sums;
mod transposed;
mod turns;
