//! Every shader, with every set of overrides in use, goes through naga's SPIR-V, MSL, HLSL and GLSL
//! back ends; needs no GPU. Words that WGSL reserves are refused by naga's parser.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use elbo::config::Activation;
use elbo::engine::{AnyKernel, Needs, Schedule};
use elbo::kernels::{ALL, cases};
use naga::back::{PipelineConstants, glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage};

/// Schedules that a back end cannot take: the back end, the schedule and the reason.
const REFUSED: &[(&str, &str, &str)] = &[];

/// The smallest versions that a row must do with; what needs subgroups may ask for more.
const BACK_ENDS: [(&str, BackEnd); 4] =
    [("SPIR-V", to_spirv), ("MSL", to_msl), ("HLSL", to_hlsl), ("GLSL", to_glsl)];

/// Indices out of bounds are held within, as wgpu asks for where the driver does not see to it.
const CHECKED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Restrict,
    buffer: BoundsCheckPolicy::Restrict,
    image_load: BoundsCheckPolicy::Unchecked,
    binding_array: BoundsCheckPolicy::Unchecked,
};

type BackEnd = fn(&Shader<'_>) -> Result<usize, String>;

/// One entry point whose overrides have values, as wgpu gives it to a back end.
struct Shader<'a> {
    entry: &'a str,
    subgroups: bool,
    f16: bool,
    matrices: bool,
    module: &'a Module,
    info: &'a ModuleInfo,
}

impl Shader<'_> {
    fn stage(&self) -> Option<(ShaderStage, String)> {
        Some((ShaderStage::Compute, self.entry.to_owned()))
    }

    /// The bound variables and their numbers.
    fn bindings(&self) -> impl Iterator<Item = (naga::ResourceBinding, u8)> {
        let bound = self.module.global_variables.iter().filter_map(|(_, v)| v.binding);
        bound.map(|binding| (binding, binding.binding as u8))
    }
}

/// Vulkan 1.0, or 1.1 for subgroups.
fn to_spirv(shader: &Shader<'_>) -> Result<usize, String> {
    let mut capabilities = vec![spv::Capability::Shader];
    if shader.subgroups {
        capabilities.push(spv::Capability::GroupNonUniform);
        // Naga writes a broadcast as a shuffle, which may be dynamic before SPIR-V 1.5.
        capabilities.push(spv::Capability::GroupNonUniformShuffle);
        capabilities.push(spv::Capability::GroupNonUniformArithmetic);
        capabilities.push(spv::Capability::Int64);
    }
    if shader.f16 {
        capabilities.push(spv::Capability::Float16);
    }
    if shader.matrices {
        capabilities.push(spv::Capability::CooperativeMatrixKHR);
        capabilities.push(spv::Capability::VulkanMemoryModel);
    }
    let options = spv::Options {
        lang_version: if shader.subgroups { (1, 3) } else { (1, 0) },
        capabilities: Some(capabilities.into_iter().collect()),
        bounds_check_policies: CHECKED,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: shader.entry.to_owned(),
    };
    let words = spv::write_vec(shader.module, shader.info, &options, Some(&pipeline));
    words.map(|words| words.len()).map_err(|error| error.to_string())
}

/// Metal 2.1, with a buffer for the lengths of runtime arrays.
fn to_msl(shader: &Shader<'_>) -> Result<usize, String> {
    let target = |slot| msl::BindTarget { buffer: Some(slot), mutable: true, ..Default::default() };
    let resources = msl::EntryPointResources {
        resources: shader.bindings().map(|(binding, slot)| (binding, target(slot))).collect(),
        sizes_buffer: Some(30),
        ..Default::default()
    };
    let options = msl::Options {
        lang_version: if shader.matrices { (2, 3) } else { (2, 1) },
        per_entry_point_map: [(shader.entry.to_owned(), resources)].into(),
        fake_missing_bindings: false,
        bounds_check_policies: CHECKED,
        ..msl::Options::default()
    };
    let pipeline = msl::PipelineOptions { entry_point: shader.stage(), ..Default::default() };
    let written = msl::write_string(shader.module, shader.info, &options, &pipeline);
    let (text, translation) = written.map_err(|error| error.to_string())?;
    match translation.entry_point_names.first() {
        Some(Err(error)) => Err(error.to_string()),
        _ => Ok(text.len()),
    }
}

/// Shader model 5.1, or 6.0 for subgroups.
fn to_hlsl(shader: &Shader<'_>) -> Result<usize, String> {
    let options = hlsl::Options {
        shader_model: if shader.subgroups {
            hlsl::ShaderModel::V6_0
        } else {
            hlsl::ShaderModel::V5_1
        },
        ..hlsl::Options::default()
    };
    let pipeline = hlsl::PipelineOptions { entry_point: shader.stage() };
    let mut text = String::new();
    let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
    let written = writer.write(shader.module, shader.info, None);
    let reflection = written.map_err(|error| error.to_string())?;
    match reflection.entry_point_names.first() {
        Some(Err(error)) => Err(error.to_string()),
        _ => Ok(text.len()),
    }
}

/// GLES 3.1, the first with compute shaders.
fn to_glsl(shader: &Shader<'_>) -> Result<usize, String> {
    let options = glsl::Options {
        version: glsl::Version::new_gles(310),
        binding_map: shader.bindings().collect(),
        ..glsl::Options::default()
    };
    let pipeline = glsl::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: shader.entry.to_owned(),
        multiview: None,
    };
    let policies = BoundsCheckPolicies::default();
    let (module, info, mut text) = (shader.module, shader.info, String::new());
    glsl::Writer::new(&mut text, module, info, &options, &pipeline, policies)
        .and_then(|mut writer| writer.write())
        .map_err(|error| error.to_string())?;
    Ok(text.len())
}

/// The sets of override values that the cases use, by kernel; and every activation.
fn overrides_in_use() -> BTreeMap<&'static str, BTreeSet<Vec<u32>>> {
    let mut sets: BTreeMap<_, BTreeSet<Vec<u32>>> = BTreeMap::new();
    let cases = cases();
    for dispatch in cases.iter().flat_map(|case| &case.program.dispatches) {
        let fields = dispatch.kernel.params_fields();
        let word = |name: &&'static str| {
            let at = fields.iter().position(|field| field == name);
            let at = 4 * at.unwrap_or_else(|| panic!("the override {name} is none of {fields:?}"));
            let bytes = dispatch.params[at..at + 4].try_into().expect("four bytes");
            u32::from_ne_bytes(bytes)
        };
        let values = dispatch.kernel.overrides().iter().map(word).collect();
        sets.entry(dispatch.kernel.name()).or_default().insert(values);
    }
    for kernel in ALL {
        let place = kernel.overrides().iter().position(|&name| name == "activation");
        let (Some(place), Some(used)) = (place, sets.get_mut(kernel.name())) else { continue };
        for mut values in used.clone() {
            for kind in Activation::ALL {
                values[place] = kind.code();
                used.insert(values.clone());
            }
        }
    }
    sets
}

fn parse(at: &str, source: &str) -> Module {
    naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{at}: {}", error.emit_to_string(source)))
}

/// A validator that knows subgroups only if the schedule says that it needs them.
fn validator(schedule: &Schedule) -> Validator {
    let capabilities = match schedule.needs {
        Needs::Nothing | Needs::Workgroup { .. } => Capabilities::empty(),
        Needs::Subgroups(_) => Capabilities::SUBGROUP | Capabilities::SHADER_INT64,
        Needs::F16 => Capabilities::SHADER_FLOAT16,
        Needs::Matrices { .. } => Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16,
    };
    Validator::new(ValidationFlags::all(), capabilities)
}

/// What is wrong with a schedule for a back end, by name; nothing in most cases.
type Failures = BTreeMap<(&'static str, String), String>;

/// Writes one schedule for each set of overrides and each back end; counts what came out.
fn write(
    kernel: &dyn AnyKernel,
    schedule: &Schedule,
    sets: &BTreeSet<Vec<u32>>,
    failures: &mut Failures,
) -> usize {
    let at = format!("{} ({})", kernel.name(), schedule.name);
    let source = schedule.wgsl();
    let module = parse(&at, &source);
    let info = validator(schedule)
        .validate(&module)
        .unwrap_or_else(|error| panic!("{at}: {}", error.emit_to_string(&source)));
    let mut written = 0;
    for values in sets {
        let pairs = kernel.overrides().iter().zip(values);
        let constants: PipelineConstants =
            pairs.map(|(&name, &value)| (name.to_owned(), f64::from(value))).collect();
        let entry = Some((ShaderStage::Compute, kernel.entry()));
        let (module, info): (Cow<'_, Module>, Cow<'_, ModuleInfo>) =
            naga::back::pipeline_constants::process_overrides(&module, &info, entry, &constants)
                .unwrap_or_else(|error| panic!("{at} with {constants:?}: {error}"));
        let shader = Shader {
            entry: kernel.entry(),
            subgroups: matches!(schedule.needs, Needs::Subgroups(_) | Needs::Matrices { .. }),
            f16: matches!(schedule.needs, Needs::F16 | Needs::Matrices { .. }),
            matrices: matches!(schedule.needs, Needs::Matrices { .. }),
            module: &module,
            info: &info,
        };
        for (name, back_end) in BACK_ENDS {
            // On GL wgpu has no words of 64 bits, no f16 and no cooperative matrices, and on DX12 none of
            // the latter, so that such schedules are never chosen there.
            if name == "GLSL" && (shader.subgroups || shader.f16)
                || name == "HLSL" && shader.matrices
            {
                continue;
            }
            match back_end(&shader) {
                Ok(0) => panic!("{at} with {constants:?}: {name} is empty"),
                Ok(_) => written += 1,
                Err(error) => drop(failures.insert((name, at.clone()), error)),
            }
        }
    }
    written
}

#[test]
fn every_back_end_takes_every_shader() {
    let (sets, mut failures, mut written) = (overrides_in_use(), Failures::new(), 0);
    let mut count = 0;
    for kernel in ALL {
        let name = kernel.name();
        let sets = sets.get(name).unwrap_or_else(|| panic!("no case uses {name}"));
        for schedule in kernel.schedules() {
            count += sets.len();
            written += write(*kernel, schedule, sets, &mut failures);
        }
    }
    println!("{count} shaders, {written} outputs of {} back ends", BACK_ENDS.len());
    let refused = REFUSED.iter().map(|&(back_end, row, _)| (back_end, row));
    let refused: HashSet<_> = refused.collect();
    let known = |(back_end, at): &(&'static str, String)| refused.contains(&(*back_end, &**at));
    let new: Vec<_> = failures.iter().filter(|&(key, _)| !known(key)).collect();
    assert!(new.is_empty(), "refused, and not known to be: {new:#?}");
    for (back_end, row, reason) in REFUSED {
        let fails = failures.contains_key(&(*back_end, (*row).to_owned()));
        assert!(fails, "{back_end} now takes {row}, which was refused: {reason}");
    }
}

/// No schedule asks for more than it uses.
#[test]
fn needs_are_stated() {
    for kernel in ALL {
        for schedule in kernel.schedules() {
            let at = format!("{} ({})", kernel.name(), schedule.name);
            let module = parse(&at, &schedule.wgsl());
            let mut plain = Validator::new(ValidationFlags::all(), Capabilities::empty());
            let runs_everywhere = plain.validate(&module).is_ok();
            let says_so = matches!(schedule.needs, Needs::Nothing | Needs::Workgroup { .. });
            assert_eq!(runs_everywhere, says_so, "{at}: whether it needs no feature");
        }
    }
}
