//! What the tuner chooses, leaves out and keeps.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::engine::{AnyKernel, Arg, Binding, Cover, Kernel, Wgsl};
use crate::kernels::case::Case;
use crate::kernels::matmul::{FORWARD, cases, trial};

fn gpu(tune: Tune, cache: Option<&Path>) -> Gpu {
    let options = Options { cache: cache.map(Path::to_owned), tune };
    Gpu::open_with(0, &options).expect("an adapter")
}

fn bench(gpu: &Gpu, case: &Case) -> Bench {
    let session = Session::new(gpu, &case.plan, None).expect("a session");
    Bench { session, record: case.record, end: Instant::now() + LONG }
}

/// Longer than any machine takes.
const LONG: Duration = Duration::from_secs(3600);

fn tune(gpu: &Gpu, case: &Case) {
    let (plan, program) = (&case.plan, &case.program);
    let task = Task { plan, program, record: &case.record, budget: LONG };
    gpu.tune_anew(0, &gpu.own.as_ref().expect("ours").1, &task);
}

fn products(case: &Case) -> impl Iterator<Item = &Dispatch> {
    case.program.dispatches.iter().filter(|d| d.kernel.schedules().len() > 1)
}

#[test]
fn what_is_refused_or_wrong_is_not_chosen() {
    let case = trial();
    let mut dispatch = products(&case).next().expect("a product").clone();
    assert_eq!(dispatch.kernel.name(), FORWARD.name, "the trial starts with it");
    let right = *FORWARD.schedules.last().expect("one that runs everywhere");
    let refused = Schedule { name: "refused", source: &[Wgsl::Text("fn")], ..right };
    // Half of the tiles: faster, and nothing is computed for the rest.
    let Cover::Tile(rows, cols) = right.cover else { panic!("products are made in tiles") };
    let half = Schedule { name: "half", cover: Cover::Tile(rows, 2 * cols), ..right };
    // The same code under another name is right, so that it is the results that tell them apart.
    let twin = Schedule { name: "twin", ..right };
    let kernel = Kernel { schedules: vec![refused, half, twin, right].leak(), ..FORWARD };
    dispatch.kernel = Box::leak(Box::new(kernel));
    let mut bench = bench(&gpu(Tune::Off, None), &case);
    let found = bench.right(&dispatch).expect("a device that goes on");
    let names: Vec<_> = found.iter().map(|(schedule, _)| schedule.name).collect();
    assert_eq!(names, [right.name, "twin"]);
    let fastest = bench.fastest(&dispatch).expect("a device that goes on").expect("time");
    assert!(names.contains(&fastest), "{fastest}");
    bench.end = Instant::now();
    assert_eq!(bench.fastest(&dispatch).expect("a device that goes on"), None, "time is up");
}

#[test]
fn another_schedule_must_be_clearly_faster() {
    let times = [("broad", 0.9), ("deep", 1.0), ("register", 0.97)];
    assert_eq!(choose(&times, "deep"), Some("broad"));
    assert_eq!(choose(&times, "register"), Some("broad"));
    assert_eq!(choose(&times[1..], "deep"), Some("deep"), "3 % are noise");
    assert_eq!(choose(&times, "wrong"), Some("broad"), "the rule's was left out");
    assert_eq!(choose(&[], "deep"), None);
}

#[test]
fn results_agree_by_the_largest_of_a_part() {
    let floats = |values: &[f32]| Written {
        floats: true,
        bits: values.iter().map(|value| value.to_bits()).collect(),
    };
    let expected = [floats(&[100.0, 0.0]), Written { floats: false, bits: vec![1, 2] }];
    let agrees = |first: Written, words: &[u32]| {
        agree(&expected, &[first, Written { floats: false, bits: words.to_vec() }], 1e-4)
    };
    assert!(agrees(floats(&[100.005, 0.005]), &[1, 2]));
    assert!(!agrees(floats(&[100.02, 0.0]), &[1, 2]));
    assert!(!agrees(floats(&[f32::NAN, 0.0]), &[1, 2]));
    assert!(!agrees(floats(&[100.0, 0.0]), &[1, 3]));
}

#[test]
fn what_was_measured_is_kept_and_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let case = trial();
    let measured = gpu(Tune::Always, Some(folder.path()));
    assert!(!measured.is_tuned(&case.program));
    tune(&measured, &case);
    assert!(measured.is_tuned(&case.program));
    let choices = measured.tuned().clone();
    for dispatch in products(&case) {
        let name = choices.get(&key(dispatch)).expect("there is time for all");
        assert!(measured.candidates(dispatch).iter().any(|c| c.name == name), "{name}");
        assert_eq!(measured.schedule(dispatch).name, name);
    }
    // As if it were hardware: what is known is read and not measured, whatever it is.
    let mut file = File::of(&measured).read(folder.path());
    assert_eq!(file.schedules, choices);
    file.schedules.values_mut().for_each(|name| *name = "register".to_owned());
    file.write(folder.path()).expect("a file");
    let next = gpu(Tune::Auto, Some(folder.path()));
    tune(&next, &case);
    for dispatch in products(&case) {
        assert_eq!(next.schedule(dispatch).name, "register");
        let forced = next.clone().with_schedule("deep");
        assert_eq!(forced.schedule(dispatch).name, "deep", "what was asked for goes first");
    }
}

#[test]
fn a_file_of_another_device_or_none_is_not_believed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gpu = gpu(Tune::Off, None);
    let mut ours = File::of(&gpu);
    ours.schedules.insert("matmul.forward rows=1".to_owned(), "deep".to_owned());
    ours.write(folder.path()).expect("a file");
    assert_eq!(File::of(&gpu).read(folder.path()), ours);
    let other = File { driver: "newer".to_owned(), ..File::of(&gpu) };
    assert!(other.clone().read(folder.path()).schedules.is_empty(), "another driver's");
    // Even under this device's name.
    std::fs::copy(ours.path(folder.path()), other.path(folder.path())).expect("a file");
    assert!(other.read(folder.path()).schedules.is_empty(), "another driver's");
    for broken in ["", "schedules = 3", "\u{0}"] {
        std::fs::write(ours.path(folder.path()), broken).expect("a file");
        assert!(File::of(&gpu).read(folder.path()).schedules.is_empty(), "{broken:?}");
    }
}

#[test]
fn nothing_is_measured_unasked() {
    let case = trial();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ours = gpu(Tune::Auto, Some(folder.path()));
    let host = Gpu::from_wgpu(ours.device.clone(), ours.queue.clone());
    let forced = gpu(Tune::Always, Some(folder.path())).with_schedule("deep");
    let off = gpu(Tune::Off, Some(folder.path()));
    let mut quiet = vec![host, forced, off, gpu(Tune::Auto, None)];
    if ours.description().software {
        quiet.push(ours);
    }
    for gpu in quiet {
        gpu.tune(&case.plan, &case.program, &case.record);
        assert!(gpu.tuned().is_empty());
    }
    let schedules = std::fs::read_dir(folder.path()).expect("a folder").flatten();
    let kept = schedules.filter(|e| e.file_name().to_string_lossy().starts_with("schedules"));
    assert_eq!(kept.count(), 0, "nothing was kept");
}

/// The fused steps, but those with the guard set, which write nothing, or with numbers that break.
fn fused_steps() -> Vec<Case> {
    let mut cases = crate::kernels::cases();
    cases.retain(|case| {
        let unfit = case.name.ends_with("status 1") || case.name.contains("too large");
        case.name.contains("matmul fused") && !unfit
    });
    assert!(cases.len() >= 5, "{}", cases.len());
    cases
}

/// Were the tolerance too small, or what tensors are filled with unfit, good schedules would be left
/// out, and nobody would know.
#[test]
fn every_schedule_of_every_product_is_right() {
    let gpu = gpu(Tune::Off, None);
    let mut seen = BTreeSet::new();
    for case in fused_steps() {
        let mut bench = bench(&gpu, &case);
        for dispatch in products(&case) {
            let right = bench.right(dispatch).expect("a device that goes on");
            let (found, all) = (right.len(), gpu.candidates(dispatch).len());
            assert_eq!(found, all, "{} {}", case.name, key(dispatch));
            seen.insert(dispatch.kernel.name());
        }
    }
    assert!(seen.len() >= 7, "{seen:?}");
}

/// A kernel with other parameters for all schedules but the last.
struct Faulty {
    kernel: &'static dyn AnyKernel,
    schedules: &'static [Schedule],
}

impl AnyKernel for Faulty {
    fn name(&self) -> &'static str {
        self.kernel.name()
    }
    fn entry(&self) -> &'static str {
        self.kernel.entry()
    }
    fn bindings(&self) -> &[Binding] {
        self.kernel.bindings()
    }
    fn overrides(&self) -> &'static [&'static str] {
        self.kernel.overrides()
    }
    fn schedules(&self) -> &'static [Schedule] {
        self.schedules
    }
    fn params_fields(&self) -> &'static [&'static str] {
        self.kernel.params_fields()
    }
    fn turns(&self, params: &[u8]) -> u64 {
        self.kernel.turns(params)
    }
    fn flops(&self, params: &[u8], tensors: &[Tensor]) -> u64 {
        self.kernel.flops(params, tensors)
    }
    fn run_f32(&self, _: &[u8], _: &Record, _: Vec<Arg<'_, f32>>, _: bool) {
        unreachable!("it runs on a device");
    }
    fn run_f64(&self, _: &[u8], _: &Record, _: Vec<Arg<'_, f64>>) {
        unreachable!("it runs on a device");
    }
}

/// Were it too large, or the sums lost in what follows them, wrong schedules would pass.
#[test]
fn a_sixteenth_less_of_any_product_is_wrong() {
    let gpu = gpu(Tune::Off, None);
    let mut seen = BTreeSet::new();
    let case = fused_steps().into_iter().find(|case| case.name.contains("784-400-20"));
    let case = case.expect("the classic step");
    let mut bench = bench(&gpu, &case);
    for dispatch in products(&case) {
        let right = *dispatch.kernel.schedules().last().expect("one that runs everywhere");
        // The last terms may be padding, but not the first.
        let less = "k = max(4u, p.depth / 64u * 4u); k < p.depth";
        let source = right.wgsl();
        let less = source.replacen("k = 0u; k < p.depth", less, 1);
        assert_ne!(less, source, "{}: where its sums begin", dispatch.kernel.name());
        let source = vec![Wgsl::Text(less.leak())].leak();
        let less = Schedule { name: "less", source, ..right };
        let schedules = vec![less, right].leak();
        let faulty = Faulty { kernel: dispatch.kernel, schedules };
        let dispatch = Dispatch { kernel: Box::leak(Box::new(faulty)), ..dispatch.clone() };
        let found = bench.right(&dispatch).expect("a device that goes on");
        let names: Vec<_> = found.iter().map(|(schedule, _)| schedule.name).collect();
        assert_eq!(names, [right.name], "{}", key(&dispatch));
        seen.insert(dispatch.kernel.name());
    }
    assert!(seen.len() >= 7, "{seen:?}");
}

/// Else logged steps were measured apart, and might take another schedule, with other last bits.
#[test]
fn a_logged_step_takes_what_was_chosen_for_the_plain_one() {
    let classic = cases().into_iter().filter(|case| case.name.contains("784-400-20"));
    let keys: Vec<Vec<_>> = classic.map(|case| products(&case).map(key).collect()).collect();
    let [logged, plain] = &keys[..] else { panic!("the classic step, with its norm and without") };
    assert_eq!(logged, plain, "what the products of the two are chosen for");
    assert!(plain.len() == 11 && plain.iter().any(|key| key.starts_with("matmul.adam_bytes ")));
}
