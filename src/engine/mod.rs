//! What a program is: tensors in a plan, kernels over them, and the tape that records both ways.
//!
//! This layer knows neither wgpu nor variational autoencoders, and may change in any minor release.

pub mod binding;
pub mod kernel;
pub mod params;
pub mod plan;
pub mod program;
pub mod record;
pub mod report;
pub(crate) mod reuse;
pub mod rows;
pub mod schedule;
pub mod tape;
pub mod taps;
pub mod tensor;

pub use binding::{Access, Binding, Data};
pub use kernel::{AnyKernel, Arg, Cpu, Kernel, Real, real, uncounted};
pub use params::{Init, Parameter, Parameters};
pub use plan::{Grid, Limits, Plan};
pub use program::{Dispatch, Program};
pub use record::{Record, rate};
pub use report::{Report, ReportSpec};
pub use rows::{Rows, by_rows, each_row, rows_of};
pub use schedule::{Cover, Needs, Schedule, Suits, Wgsl};
pub use tape::{Fusion, Grad, GradSite, Leaf, Tape, Update};
pub use taps::Taps;
pub use tensor::{BufferId, Dtype, PAD, Tensor};
