//! The operations: rows of the kernel table, their references, record functions and cases.
//!
//! Every kernel exists twice under one name: as WGSL under `shaders/`, and as a plain loop from
//! the formula, generic over f32 and f64. This layer may change in any minor release.

pub mod activation;
pub mod add;
pub mod attention;
pub mod augment;
pub mod average;
pub mod bernoulli;
pub mod bound;
pub mod case;
pub mod columns;
pub mod common;
pub mod conditional;
pub mod corrupt;
pub mod counts;
pub mod divergence;
pub mod draw;
pub mod dropout;
pub(crate) mod fast;
pub mod finite;
pub mod free;
pub mod gather;
pub mod gaussian;
pub mod group_norm;
pub mod importance;
pub mod label;
pub mod ladder;
pub mod layer_norm;
pub mod likelihood;
pub mod map;
pub mod matmul;
pub mod mmd;
pub mod norm;
pub mod normalise;
pub mod optimizer;
pub mod philox;
pub mod pool;
pub mod prior;
pub mod probe;
pub mod random;
pub mod reduce;
pub mod total_correlation;

use crate::engine::AnyKernel;
use case::Case;

/// The kernel table.
pub static ALL: &[&dyn AnyKernel] = &[
    &random::NORMALS,
    &random::WORDS,
    &gather::BYTES,
    &gather::FLOATS,
    &augment::CHANGE,
    &corrupt::PIXELS,
    &counts::SEEN,
    &counts::SHARES,
    &counts::BACKWARD,
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
    &matmul::ADAM_SQUARES,
    &matmul::ADAM_BYTES_SQUARES,
    &matmul::convolution::CONVOLVE,
    &matmul::convolution::CONVOLVE_ADD,
    &matmul::convolution::CONVOLVE_BACKWARD_X,
    &matmul::convolution::CONVOLVE_BACKWARD_W,
    &matmul::convolution::TRANSPOSED,
    &matmul::convolution::TRANSPOSED_BACKWARD_X,
    &matmul::convolution::TRANSPOSED_BACKWARD_W,
    &columns::SUM,
    &activation::FORWARD,
    &activation::BACKWARD,
    &activation::BACKWARD_AT_OUTPUT,
    &add::FORWARD,
    &attention::FORWARD,
    &attention::BACKWARD_QUERIES,
    &attention::BACKWARD_KEYS,
    &pool::FORWARD,
    &pool::BACKWARD,
    &group_norm::FORWARD,
    &group_norm::SUMS,
    &group_norm::BACKWARD,
    &group_norm::PARAMETERS,
    &layer_norm::FORWARD,
    &layer_norm::BACKWARD,
    &layer_norm::BACKWARD_PARAMETERS,
    &dropout::APPLY,
    &gaussian::DRAW,
    &gaussian::GIVEN,
    &gaussian::BACKWARD,
    &gaussian::BACKWARD_WEIGHED,
    &importance::WEIGH,
    &divergence::MEANS,
    &divergence::WEIGH,
    &divergence::BACKWARD,
    &conditional::RELATE,
    &conditional::BACKWARD,
    &free::GATE,
    &ladder::MEAN,
    &ladder::MEAN_BACKWARD,
    &ladder::MERGE,
    &ladder::PARTS_BACKWARD,
    &ladder::H_BACKWARD,
    &prior::PREPARE,
    &prior::DENSITIES,
    &prior::SHARE,
    &prior::DIVERGENCE,
    &prior::BACKWARD_Z,
    &prior::BACKWARD_PARTS,
    &prior::BACKWARD_LOGITS,
    &total_correlation::DENSITIES,
    &total_correlation::SINGLE,
    &total_correlation::PENALTY,
    &total_correlation::BACKWARD_Z,
    &total_correlation::BACKWARD_H,
    &mmd::PAIRS,
    &mmd::DISCREPANCY,
    &mmd::BACKWARD,
    &label::GATHER,
    &label::APPEND,
    &label::BACKWARD,
    &map::OF_ROWS,
    &map::TO_ROWS,
    &bound::WEIGH,
    &bound::SCALE,
    &bernoulli::FORWARD,
    &likelihood::FORWARD,
    &likelihood::FORWARD_SHARED,
    &likelihood::MIXTURE,
    &likelihood::SUM,
    &likelihood::SUM_ADAM,
    &likelihood::SUM_ADAM_SQUARES,
    &reduce::TERMS,
    &finite::CHECK,
    &optimizer::ADAM,
    &optimizer::ADAMAX,
    &optimizer::RMSPROP,
    &optimizer::ADAGRAD,
    &optimizer::SGD,
    &optimizer::SQUARE_SUMS,
    &optimizer::CLIP,
    &norm::REPORT,
    &normalise::SQUARES,
    &normalise::DIVIDE,
    &average::UPDATE,
    &probe::MULTIPLY_ADD,
    &probe::MULTIPLY_ADD_F16,
    &probe::MULTIPLY_ADD_I32,
    &probe::COPY,
    &probe::TOUCH,
];

/// The cases of every kernel.
#[must_use]
pub fn cases() -> Vec<Case> {
    let families = [
        random::cases,
        gather::cases,
        augment::cases,
        corrupt::cases,
        counts::cases,
        matmul::cases,
        matmul::convolution::cases,
        activation::cases,
        add::cases,
        attention::cases,
        pool::cases,
        group_norm::cases,
        layer_norm::cases,
        dropout::cases,
        gaussian::cases,
        importance::cases,
        divergence::cases,
        conditional::cases,
        free::cases,
        ladder::cases,
        prior::cases,
        total_correlation::cases,
        mmd::cases,
        label::cases,
        map::cases,
        bound::cases,
        bernoulli::cases,
        likelihood::cases,
        reduce::cases,
        finite::cases,
        optimizer::cases,
        norm::cases,
        normalise::cases,
        average::cases,
        probe::cases,
    ];
    families.iter().flat_map(|cases| cases()).collect()
}
