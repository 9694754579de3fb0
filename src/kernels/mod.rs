//! The operations: rows of the kernel table, their references, record functions and cases.
//!
//! Every kernel exists twice under one name: as WGSL under `shaders/`, and as a plain loop from
//! the formula, generic over f32 and f64. This layer may change in any minor release.

pub mod activation;
pub mod average;
pub mod bernoulli;
pub mod case;
pub mod common;
pub(crate) mod fast;
pub mod finite;
pub mod gather;
pub mod gaussian;
pub mod importance;
pub mod matmul;
pub mod normal;
pub mod optimizer;
pub mod philox;
pub mod probe;
pub mod random;
pub mod reduce;

use crate::engine::AnyKernel;
use case::Case;

/// The kernel table.
pub static ALL: &[&dyn AnyKernel] = &[
    &random::NORMALS,
    &random::WORDS,
    &gather::BYTES,
    &gather::FLOATS,
    &matmul::FORWARD,
    &matmul::BACKWARD_X,
    &matmul::BACKWARD_W,
    &matmul::FORWARD_BYTES,
    &matmul::DRAW,
    &matmul::BERNOULLI,
    &matmul::BERNOULLI_BYTES,
    &matmul::BACKWARD_DRAW,
    &matmul::ADAM,
    &matmul::ADAM_BYTES,
    &activation::FORWARD,
    &activation::BACKWARD,
    &activation::BACKWARD_AT_OUTPUT,
    &gaussian::DRAW,
    &gaussian::GIVEN,
    &gaussian::BACKWARD,
    &importance::WEIGH,
    &bernoulli::FORWARD,
    &normal::FORWARD,
    &reduce::TERMS,
    &finite::CHECK,
    &optimizer::ADAM,
    &optimizer::ADAMAX,
    &optimizer::RMSPROP,
    &optimizer::ADAGRAD,
    &optimizer::SGD,
    &optimizer::SQUARE_SUMS,
    &optimizer::CLIP,
    &average::UPDATE,
    &probe::MULTIPLY_ADD,
    &probe::COPY,
    &probe::TOUCH,
];

/// The cases of every kernel.
#[must_use]
pub fn cases() -> Vec<Case> {
    let families = [
        random::cases,
        gather::cases,
        matmul::cases,
        activation::cases,
        gaussian::cases,
        importance::cases,
        bernoulli::cases,
        normal::cases,
        reduce::cases,
        finite::cases,
        optimizer::cases,
        average::cases,
        probe::cases,
    ];
    families.iter().flat_map(|cases| cases()).collect()
}
