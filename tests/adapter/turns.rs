//! What a kernel's row says of the turns of its loops, held to turns that are counted on the adapter: a
//! program is refused by what the row says, since llvmpipe leaves the loops of an invocation after 65,535 turns,
//! counted over all of them together, without a word. Needs an adapter.
//!
//! Cases are run by every schedule of their kernels, from shaders that count: each body of a loop adds one,
//! as does the look that ends it, and the entry point's last act is to raise the largest count that any
//! invocation reached.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use elbo::engine::plan::MOST_TURNS;
use elbo::engine::{Access, Dispatch, Schedule, Tensor};
use elbo::gpu::wgpu::util::{BufferInitDescriptor, DeviceExt};
use elbo::gpu::{Gpu, wgpu};
use elbo::kernels::case::Case;
use elbo::kernels::{ALL, cases};
use elbo::selftest::schedules;

/// The largest case that is run, in bytes of its buffers: larger ones only take longer.
const LARGEST: u64 = 8 << 20;

/// Distances between offsets of bindings that every device allows.
const STRIDE: u64 = 256;

/// WGSL without its comments, in which loops count: each body once, and the look that ends a loop.
fn with_counts(source: &str) -> String {
    const COUNT: &str = " turns_taken += 1u; ";
    let lines = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut counting, mut in_head) = (String::new(), false);
    for part in text.split_inclusive(|c| !in_word(c)) {
        let word = part.trim_end_matches(|c| !in_word(c));
        in_head |= ["for", "while", "loop"].contains(&word);
        if ["for", "while"].contains(&word) {
            counting.push_str(COUNT);
        }
        counting.push_str(part);
        if in_head && part.ends_with('{') {
            counting.push_str(COUNT);
            in_head = false;
        }
    }
    counting
}

/// WGSL whose entry point also leaves the most turns that an invocation took.
fn counting(source: &str, entry: &str) -> String {
    let text = with_counts(source);
    let function = text.find(&format!("fn {entry}(")).expect("the entry point");
    let attributes = text[..function].rfind("@compute").expect("its attributes");
    let from = function + format!("fn {entry}(").len();
    let len = text[from..].find(") {").expect("its body");
    let arguments = &text[from..from + len];
    // Each argument is `@builtin(what) name: type`.
    let plain: Vec<_> = arguments
        .split(',')
        .filter(|argument| !argument.trim().is_empty())
        .map(|argument| argument.split_once(") ").expect("a built-in value").1.trim())
        .collect();
    let names: Vec<_> = plain.iter().filter_map(|a| Some(a.split_once(':')?.0)).collect();
    let (before, head) = (&text[..attributes], &text[attributes..function]);
    format!(
        "{before} fn {entry}_itself({}{}\n\
         var<private> turns_taken: u32;\n\
         @group(2) @binding(0) var<storage, read_write> turns_most: atomic<u32>;\n\
         {head} fn {entry}({arguments}) {{\n\
             {entry}_itself({});\n\
             atomicMax(&turns_most, turns_taken);\n\
         }}\n",
        plain.join(", "),
        &text[from + len..],
        names.join(", ")
    )
}

/// A pipeline, by kernel, schedule and compiled-in parameters.
type Key = (&'static str, &'static str, Vec<u32>);

/// A device that counts turns.
struct Counter {
    gpu: Gpu,
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: HashMap<Key, wgpu::ComputePipeline>,
}

impl Counter {
    fn new() -> Self {
        let instance = wgpu::Instance::default();
        let all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let hardware = |a: &&wgpu::Adapter| a.get_info().device_type != wgpu::DeviceType::Cpu;
        let adapter = all.iter().find(hardware).or(all.first()).expect("an adapter");
        let wanted = wgpu::Features::SUBGROUP | wgpu::Features::SHADER_INT64;
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            required_features: adapter.features() & wanted,
            // One buffer more than a kernel has.
            required_limits: adapter.limits(),
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request).expect("a device");
        let gpu = Gpu::from_wgpu(device.clone(), queue.clone());
        Self { gpu, device, queue, pipelines: HashMap::new() }
    }

    fn buffer(&self, size: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    }

    fn uniform(&self, contents: &[u8]) -> wgpu::Buffer {
        let mut contents = contents.to_vec();
        contents.resize(contents.len().next_multiple_of(STRIDE as usize), 0);
        let usage = wgpu::BufferUsages::UNIFORM;
        let descriptor = BufferInitDescriptor { label: None, contents: &contents, usage };
        self.device.create_buffer_init(&descriptor)
    }

    fn pipeline(&mut self, dispatch: &Dispatch, schedule: &Schedule) -> wgpu::ComputePipeline {
        let kernel = dispatch.kernel;
        let fields = kernel.params_fields();
        let word = |name: &&str| {
            let place = fields.iter().position(|field| field == name).expect("a parameter");
            bytemuck::pod_read_unaligned::<u32>(&dispatch.params[4 * place..][..4])
        };
        let values: Vec<u32> = kernel.overrides().iter().map(word).collect();
        let pairs = kernel.overrides().iter().zip(&values);
        let constants: Vec<_> = pairs.map(|(&name, &value)| (name, f64::from(value))).collect();
        let device = &self.device;
        let make = || {
            let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
            let own = kernel.bindings().iter().map(|b| storage(b.access == Access::Read));
            let own: Vec<_> =
                std::iter::once(wgpu::BufferBindingType::Uniform).chain(own).collect();
            let groups = [own, vec![wgpu::BufferBindingType::Uniform], vec![storage(false)]];
            let groups = groups.map(|types| group_layout(device, &types));
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &groups.each_ref().map(Some),
                immediate_size: 0,
            });
            let source = counting(&schedule.wgsl(), kernel.entry());
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.name()),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name()),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(kernel.entry()),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    ..Default::default()
                },
                cache: None,
            })
        };
        let key = (kernel.name(), schedule.name, values.clone());
        self.pipelines.entry(key).or_insert_with(make).clone()
    }

    /// The most turns of an invocation of each dispatch of a case, where those that have a schedule of
    /// this name run by it.
    fn turns(&mut self, case: &Case, name: &str) -> Vec<u64> {
        let buffers: Vec<_> =
            case.plan.buffers().iter().map(|spec| self.buffer(spec.bytes())).collect();
        for (tensor, fill) in &case.inputs {
            let bits = fill.bits(*tensor);
            let at = 4 * tensor.range().start as u64;
            self.queue.write_buffer(
                &buffers[tensor.buffer().index()],
                at,
                bytemuck::cast_slice(&bits),
            );
        }
        let dispatches = &case.program.dispatches;
        let counts = self.buffer(STRIDE * dispatches.len() as u64);
        let record = self.uniform(&case.record.bytes(0));
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for (i, dispatch) in dispatches.iter().enumerate() {
            let schedule = schedule_of(dispatch, name, &self.gpu);
            let pipeline = self.pipeline(dispatch, schedule);
            let params = self.uniform(&dispatch.params);
            let bound = dispatch.bindings.iter().map(|t| range(&buffers[t.buffer().index()], *t));
            let own = std::iter::once(params.as_entire_binding()).chain(bound).collect();
            let count = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &counts,
                offset: STRIDE * i as u64,
                size: std::num::NonZeroU64::new(4),
            });
            let groups = [own, vec![record.as_entire_binding()], vec![count]];
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            for (group, resources) in (0..).zip(groups) {
                let layout = pipeline.get_bind_group_layout(group);
                pass.set_bind_group(group, &bind(&self.device, &layout, resources), &[]);
            }
            let [x, y, z] = schedule.groups(dispatch.grid);
            pass.dispatch_workgroups(x, y, z);
        }
        self.queue.submit([encoder.finish()]);
        self.read(&counts, dispatches.len())
    }

    /// A word of every stride.
    fn read(&self, counts: &wgpu::Buffer, len: usize) -> Vec<u64> {
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: counts.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(counts, 0, &staging, 0, counts.size());
        self.queue.submit([encoder.finish()]);
        staging.slice(..).map_async(wgpu::MapMode::Read, |mapped| mapped.expect("a mapping"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device works");
        let bytes = staging.slice(..).get_mapped_range().expect("it is mapped");
        let word =
            |i: usize| bytemuck::pod_read_unaligned::<u32>(&bytes[i * STRIDE as usize..][..4]);
        (0..len).map(|i| u64::from(word(i))).collect()
    }
}

fn group_layout(device: &wgpu::Device, types: &[wgpu::BufferBindingType]) -> wgpu::BindGroupLayout {
    let entry = |(binding, &ty): (u32, _)| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        count: None,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
    };
    let entries: Vec<_> = (0..).zip(types).map(entry).collect();
    let descriptor = wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries };
    device.create_bind_group_layout(&descriptor)
}

fn bind(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    resources: Vec<wgpu::BindingResource<'_>>,
) -> wgpu::BindGroup {
    let entry = |(binding, resource)| wgpu::BindGroupEntry { binding, resource };
    let entries: Vec<_> = (0..).zip(resources).map(entry).collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
}

fn range(buffer: &wgpu::Buffer, tensor: Tensor) -> wgpu::BindingResource<'_> {
    wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer,
        offset: 4 * tensor.range().start as u64,
        size: std::num::NonZeroU64::new(4 * tensor.words() as u64),
    })
}

/// The schedule of this name if the dispatch's kernel has it, and else the one that runs everywhere.
fn schedule_of(dispatch: &Dispatch, name: &str, gpu: &Gpu) -> &'static Schedule {
    let all = dispatch.kernel.schedules();
    let named = all.iter().find(|schedule| schedule.name == name && gpu.can_run(schedule));
    named.or(all.last()).expect("a kernel has a schedule")
}

/// What a row may say above four times the turns that were counted: a fixed part; and, where the order of
/// an epoch is walked until it hits, four times the 64 walks of four rounds that are allowed for, each with ten
/// rounds of Philox and the looks that end them. Cases need a few.
fn spare(dispatch: &Dispatch) -> u64 {
    let source = dispatch.kernel.schedules().last().expect("a kernel has a schedule").wgsl();
    let walks = source.matches("shuffled(").count() > 1;
    64 + if walks { 4 * 64 * (2 + 4 * 12) } else { 0 }
}

#[test]
fn rows_know_the_turns_of_their_loops() {
    let mut counter = Counter::new();
    // The most turns of each kernel by each schedule, with what its row says, and the case.
    let mut most: BTreeMap<(&str, &str), (u64, u64, String)> = BTreeMap::new();
    let (mut faults, mut count) = (Vec::new(), 0);
    for case in cases().iter().filter(|case| case.plan.bytes() <= LARGEST) {
        let dispatches = &case.program.dispatches;
        let mut largest = vec![0; dispatches.len()];
        for name in schedules(case, &counter.gpu) {
            let counted = counter.turns(case, name);
            for ((dispatch, turns), largest) in dispatches.iter().zip(counted).zip(&mut largest) {
                count += 1;
                *largest = turns.max(*largest);
                let stated = dispatch.kernel.turns(&dispatch.params);
                let schedule = schedule_of(dispatch, name, &counter.gpu).name;
                let (kernel, at) = (dispatch.kernel.name(), &case.name);
                if turns > stated || turns >= MOST_TURNS {
                    faults.push(format!("{kernel} ({schedule}), {at}: {turns}, said {stated}"));
                }
                let so_far = most.entry((kernel, schedule)).or_default();
                if turns >= so_far.0 {
                    *so_far = (turns, stated, at.clone());
                }
            }
        }
        for (dispatch, largest) in dispatches.iter().zip(largest) {
            let stated = dispatch.kernel.turns(&dispatch.params);
            if stated > 4 * largest + spare(dispatch) {
                let (kernel, at) = (dispatch.kernel.name(), &case.name);
                faults.push(format!("{kernel}, {at}: at most {largest}, but said {stated}"));
            }
        }
    }
    for ((kernel, schedule), (turns, stated, case)) in &most {
        println!("{kernel} ({schedule}): {turns} turns, said {stated}: {case}");
    }
    println!("{count} dispatches, {} pipelines", counter.pipelines.len());
    let counted: BTreeSet<_> = most.keys().map(|(kernel, _)| *kernel).collect();
    let all: BTreeSet<_> = ALL.iter().map(|kernel| kernel.name()).collect();
    assert_eq!(counted, all, "every kernel has a case that is small enough");
    assert!(faults.is_empty(), "the turns of loops:\n{}", faults.join("\n"));
}

/// The reader of WGSL that the counts rest on.
#[test]
fn shaders_are_made_to_count() {
    let source = "fn inner(n: u32) { for (var i = 0u; i < n; i++) { before(); } }\n\
        @compute @workgroup_size(4)\n\
        fn test(@builtin(local_invocation_index) own: u32,\n    @builtin(workgroup_id) at: vec3<u32>) {\n\
        loop { if own == 2u { return; } } // for each {\n}\n";
    let expected = "fn inner(n: u32) {  turns_taken += 1u; for (var i = 0u; i < n; i++) { turns_taken += 1u;  before(); } }\n \
        fn test_itself(own: u32, at: vec3<u32>) {\n\
        loop { turns_taken += 1u;  if own == 2u { return; } } \n}\n\
        var<private> turns_taken: u32;\n\
        @group(2) @binding(0) var<storage, read_write> turns_most: atomic<u32>;\n\
        @compute @workgroup_size(4)\n \
        fn test(@builtin(local_invocation_index) own: u32,\n    @builtin(workgroup_id) at: vec3<u32>) {\n\
        test_itself(own, at);\n\
        atomicMax(&turns_most, turns_taken);\n\
        }\n";
    assert_eq!(counting(source, "test"), expected, "WGSL that counts");
}
