//! What a kernel is: its WGSL schedules, how its bindings are used, and its reference.

use std::fmt::Debug;

use bytemuck::Pod;

use crate::engine::binding::Binding;
use crate::engine::record::Record;
use crate::engine::rows::{Rows, by_rows};
use crate::engine::schedule::Schedule;
use crate::engine::tensor::Tensor;

/// The number type of a reference: f32 in the CPU session, f64 in the oracle.
pub trait Real: num_traits::Float + num_traits::NumAssign + Pod + Send + Sync + Debug {
    /// Whether kernels share their work among threads; the oracle's are plain loops.
    const PARALLEL: bool;
    /// Runs a kernel: its CPU schedule if it has one for this type, unless the `reference` is asked
    /// for.
    fn run(
        kernel: &dyn AnyKernel,
        params: &[u8],
        record: &Record,
        args: Vec<Arg<'_, Self>>,
        reference: bool,
    );
    /// The error function.
    fn erf(self) -> Self;
    /// Widens to f64.
    fn widen(self) -> f64;
    /// Widens or keeps an f32.
    fn from_f32(value: f32) -> Self;
}

impl Real for f32 {
    const PARALLEL: bool = true;

    fn run(
        kernel: &dyn AnyKernel,
        params: &[u8],
        record: &Record,
        args: Vec<Arg<'_, Self>>,
        reference: bool,
    ) {
        kernel.run_f32(params, record, args, reference);
    }
    fn erf(self) -> Self {
        libm::erff(self)
    }
    fn widen(self) -> f64 {
        f64::from(self)
    }
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Real for f64 {
    const PARALLEL: bool = false;

    fn run(
        kernel: &dyn AnyKernel,
        params: &[u8],
        record: &Record,
        args: Vec<Arg<'_, Self>>,
        _: bool,
    ) {
        kernel.run_f64(params, record, args);
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn widen(self) -> f64 {
        self
    }
    fn from_f32(value: f32) -> Self {
        Self::from(value)
    }
}

/// A constant in the number type of a reference.
pub fn real<T: Real>(value: f64) -> T {
    T::from(value).expect("f32 and f64 can be made from any f64")
}

/// One argument of a reference, in the order of the kernel's bindings.
#[derive(Debug)]
pub enum Arg<'a, T> {
    /// Floats that are read.
    Read(&'a [T]),
    /// Floats that are written.
    Write(&'a mut [T]),
    /// Words that are read.
    ReadWords(&'a [u32]),
    /// Words that are written.
    WriteWords(&'a mut [u32]),
}

/// The message of the panics below: a row whose bindings and reference disagree.
const MISMATCH: &str = "the reference takes what its row's bindings say";

impl<'a, T> Arg<'a, T> {
    /// The floats to read.
    ///
    /// # Panics
    ///
    /// If the row says otherwise; so do the other three.
    #[must_use]
    pub fn read(self) -> &'a [T] {
        match self {
            Self::Read(data) => data,
            _ => panic!("{MISMATCH}: floats to read"),
        }
    }

    /// The floats to write.
    #[must_use]
    pub fn write(self) -> &'a mut [T] {
        match self {
            Self::Write(data) => data,
            _ => panic!("{MISMATCH}: floats to write"),
        }
    }

    /// The words to read.
    #[must_use]
    pub fn words(self) -> &'a [u32] {
        match self {
            Self::ReadWords(data) => data,
            _ => panic!("{MISMATCH}: words to read"),
        }
    }

    /// The words to write.
    #[must_use]
    pub fn words_mut(self) -> &'a mut [u32] {
        match self {
            Self::WriteWords(data) => data,
            _ => panic!("{MISMATCH}: words to write"),
        }
    }
}

/// A kernel's parameters: the uniform at binding 0, field by field as the shader declares it.
pub trait Params: Copy + Debug + Default + Send + Sync + 'static {
    /// The names of the fields, in order; each takes four bytes.
    const FIELDS: &'static [&'static str];

    /// The fields one after another, as the device reads them.
    fn bytes(&self) -> Vec<u8>;

    /// The parameters of these bytes.
    ///
    /// # Panics
    ///
    /// If there are not four bytes for each field.
    fn from_bytes(bytes: &[u8]) -> Self;
}

/// Declares a kernel's parameters, a `struct` of `u32` and `f32` fields, in the order of the shader's.
#[macro_export]
macro_rules! params {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name { $($(#[$field_doc])* pub $field: $ty),* }
        impl $crate::engine::kernel::Params for $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn bytes(&self) -> Vec<u8> {
                [$(self.$field.to_ne_bytes()),*].concat()
            }

            fn from_bytes(bytes: &[u8]) -> Self {
                let mut words = bytes.as_chunks::<4>().0.iter();
                let mut word = || *words.next().expect("four bytes for each field");
                $(let $field = <$ty>::from_ne_bytes(word());)*
                Self { $($field),* }
            }
        }
    };
}
pub use params;

/// A reference or a CPU schedule of a kernel, for one number type. It runs one step at a time, whose
/// metric slot is the first.
pub type Reference<P, T, const N: usize> = fn(&P, &Record, [Arg<'_, T>; N]);

/// How the CPU session runs a kernel in f32.
#[derive(Clone, Copy, Debug)]
pub enum Cpu<P: 'static, const N: usize> {
    /// The reference as it is: there is next to no work.
    Reference,
    /// The reference over parts of its rows, side by side.
    Rows(fn(&P) -> Rows<P, N>),
    /// A schedule of its own.
    Own(Reference<P, f32, N>),
}

/// A row of the kernel table: WGSL, bindings, parameters and reference in one value.
#[derive(Debug)]
pub struct Kernel<P: 'static, const N: usize> {
    /// The name, as `gaussian.backward`.
    pub name: &'static str,
    /// The entry point in every schedule's source.
    pub entry: &'static str,
    /// The storage bindings, in order.
    pub bindings: [Binding; N],
    /// The parameters that are compiled into the shader, as `override` constants of these names:
    /// choices that would otherwise be made again for every element.
    pub overrides: &'static [&'static str],
    /// The ways to run it on a device, the best first; the last needs nothing.
    pub schedules: &'static [Schedule],
    /// The formula as a plain loop, for f32 and f64.
    pub reference: (Reference<P, f32, N>, Reference<P, f64, N>),
    /// How the CPU session runs it.
    pub cpu: Cpu<P, N>,
    /// An upper bound of the turns that one invocation makes in all its loops together, by any of the
    /// schedules but those with cooperative matrices, which no adapter has that leaves loops; the look
    /// that ends a loop is a turn too. Adapters may leave loops that turn more often
    /// than [`MOST_TURNS`](crate::engine::plan::MOST_TURNS).
    pub turns: fn(&P) -> u64,
    /// The floating-point operations of a dispatch, of its tensors without their padding;
    /// [`uncounted`] where they are not worth counting.
    pub flops: fn(&P, &[Tensor; N]) -> u64,
}

/// The operations of a kernel that moves data, or does little beside the products: none are counted.
#[must_use]
pub fn uncounted<P, const N: usize>(_: &P, _: &[Tensor; N]) -> u64 {
    0
}

/// A kernel whose parameters and number of bindings are erased.
pub trait AnyKernel: Sync {
    /// The name, as `gaussian.backward`.
    fn name(&self) -> &'static str;
    /// The entry point in every schedule's source.
    fn entry(&self) -> &'static str;
    /// The storage bindings, in order.
    fn bindings(&self) -> &[Binding];
    /// The parameters that are compiled into the shader.
    fn overrides(&self) -> &'static [&'static str];
    /// The ways to run it on a device.
    fn schedules(&self) -> &'static [Schedule];
    /// The names of the parameters, four bytes each.
    fn params_fields(&self) -> &'static [&'static str];
    /// An upper bound of the loop turns of one invocation, for the bytes of the parameters.
    fn turns(&self, params: &[u8]) -> u64;
    /// The floating-point operations of a dispatch over these tensors; 0 where they are not counted.
    fn flops(&self, params: &[u8], tensors: &[Tensor]) -> u64;
    /// Runs the CPU schedule if there is one, unless the `reference` is asked for, in f32.
    fn run_f32(&self, params: &[u8], record: &Record, args: Vec<Arg<'_, f32>>, reference: bool);
    /// Runs the reference in f64.
    fn run_f64(&self, params: &[u8], record: &Record, args: Vec<Arg<'_, f64>>);
}

impl Debug for dyn AnyKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn call<P: Params, T, const N: usize>(
    f: Reference<P, T, N>,
    params: &[u8],
    record: &Record,
    args: Vec<Arg<'_, T>>,
) {
    f(&P::from_bytes(params), record, one_each(args));
}

fn one_each<T, const N: usize>(args: Vec<Arg<'_, T>>) -> [Arg<'_, T>; N] {
    args.try_into().ok().expect("the session passes one argument a binding")
}

impl<P: Params, const N: usize> AnyKernel for Kernel<P, N> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn entry(&self) -> &'static str {
        self.entry
    }
    fn bindings(&self) -> &[Binding] {
        &self.bindings
    }
    fn overrides(&self) -> &'static [&'static str] {
        self.overrides
    }
    fn schedules(&self) -> &'static [Schedule] {
        self.schedules
    }
    fn params_fields(&self) -> &'static [&'static str] {
        P::FIELDS
    }
    fn turns(&self, params: &[u8]) -> u64 {
        (self.turns)(&P::from_bytes(params))
    }
    fn flops(&self, params: &[u8], tensors: &[Tensor]) -> u64 {
        let tensors = tensors.try_into().expect("a dispatch has one tensor a binding");
        (self.flops)(&P::from_bytes(params), tensors)
    }
    fn run_f32(&self, params: &[u8], record: &Record, args: Vec<Arg<'_, f32>>, reference: bool) {
        let plain = self.reference.0;
        match self.cpu {
            Cpu::Rows(rows) if !reference => {
                let p = P::from_bytes(params);
                by_rows(rows(&p), &p, record, one_each(args), plain);
            }
            Cpu::Own(schedule) if !reference => call(schedule, params, record, args),
            _ => call(plain, params, record, args),
        }
    }
    fn run_f64(&self, params: &[u8], record: &Record, args: Vec<Arg<'_, f64>>) {
        call(self.reference.1, params, record, args);
    }
}
