//! What a program is: tensors in a plan, kernels over them, and the tape that records both ways.
//!
//! This layer knows neither wgpu nor variational autoencoders, and may change in any minor release.

pub mod kernel;
pub mod params;
pub mod plan;
pub mod record;
pub mod schedule;
pub mod tape;
pub mod tensor;

pub use kernel::{Access, AnyKernel, Arg, Binding, Data, Kernel, Real, real};
pub use params::{Init, Parameter, Parameters};
pub use plan::{Dispatch, Grid, Limits, Plan, Program};
pub use record::{Record, rate};
pub use schedule::{Cover, Needs, Schedule, Suits, Wgsl};
pub use tape::{GradSite, Tape};
pub use tensor::{BufferId, Dtype, PAD, Tensor};
