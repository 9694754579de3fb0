//! Each row of the kernel table equals its WGSL, as naga reads it; needs no GPU.

use std::collections::{BTreeSet, HashSet};

use elbo::engine::plan::{MAX_BINDINGS, MOST_WORKGROUP_BYTES};
use elbo::engine::record;
use elbo::engine::{Access, AnyKernel, Cover, Data, Needs, Schedule};
use elbo::kernels::ALL;
use naga::compact::{KeepUnused, compact};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{
    AddressSpace, ArraySize, EntryPoint, Handle, Literal, Module, ScalarKind, ShaderStage,
    StorageAccess, Type, TypeInner,
};

use crate::wgsl::{constant, parse};

/// WebGPU's default limits.
const MOST_INVOCATIONS: u32 = 256;
const LARGEST_WORKGROUP: [u32; 3] = [256, 256, 64];
const WORKGROUP_BYTES: u32 = 16 << 10;

/// What some schedule needs beyond WebGPU's first version.
const CAPABILITIES: Capabilities = Capabilities::SUBGROUP
    .union(Capabilities::SHADER_INT64)
    .union(Capabilities::SHADER_FLOAT16)
    .union(Capabilities::COOPERATIVE_MATRIX);

/// A schedule's WGSL reduced to one entry point and what that uses.
struct Shader {
    at: String,
    module: Module,
}

fn validate(at: &str, module: &Module) -> ModuleInfo {
    Validator::new(ValidationFlags::all(), CAPABILITIES)
        .validate(module)
        .unwrap_or_else(|error| panic!("{at}: {error:?}"))
}

impl Shader {
    fn new(kernel: &dyn AnyKernel, schedule: &Schedule) -> Self {
        let at = format!("{} ({})", kernel.name(), schedule.name);
        let mut module = parse(&at, &schedule.wgsl());
        validate(&at, &module);
        module.entry_points.retain(|entry| entry.name == kernel.entry());
        assert_eq!(module.entry_points.len(), 1, "{at}: entry points named {}", kernel.entry());
        compact(&mut module, KeepUnused::No);
        Self { at, module }
    }

    fn entry(&self) -> &EntryPoint {
        &self.module.entry_points[0]
    }

    /// The variables that the entry point, or a function it calls, names.
    fn used(&self) -> Vec<&naga::GlobalVariable> {
        let info = validate(&self.at, &self.module);
        let globals = self.module.global_variables.iter();
        let used =
            |handle: Handle<naga::GlobalVariable>| !info.get_entry_point(0)[handle].is_empty();
        globals.filter(|&(handle, _)| used(handle)).map(|(_, variable)| variable).collect()
    }

    /// The kind of the scalars in a runtime array of scalars, vectors or atomics of four bytes; words
    /// of eight are two floats each.
    fn element(&self, ty: Handle<Type>) -> Option<ScalarKind> {
        let TypeInner::Array { base, size: ArraySize::Dynamic, .. } = self.module.types[ty].inner
        else {
            return None;
        };
        match self.module.types[base].inner {
            TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } if scalar.width == 4 => {
                Some(scalar.kind)
            }
            TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. }
                if scalar == naga::Scalar::U64 =>
            {
                Some(ScalarKind::Float)
            }
            TypeInner::Atomic(scalar) if scalar == naga::Scalar::U32 => Some(scalar.kind),
            _ => None,
        }
    }
}

fn for_each(check: impl Fn(&dyn AnyKernel, &Schedule, &Shader)) {
    for kernel in ALL {
        for schedule in kernel.schedules() {
            check(*kernel, schedule, &Shader::new(*kernel, schedule));
        }
    }
}

#[test]
fn names_say_the_file_and_the_entry() {
    let shaders = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut names = HashSet::new();
    for kernel in ALL {
        let name = kernel.name();
        assert!(names.insert(name), "two kernels are named {name}");
        let (file, entry) = name.split_once('.').expect("a kernel's name has a dot");
        // The products have a file each, which their tiles' entry point calls.
        let (file, entry) = match file {
            "matmul" => (format!("matmul/{entry}"), "product"),
            _ => (file.to_owned(), entry),
        };
        assert_eq!(entry, kernel.entry(), "the entry point of {name}");
        let path = shaders.join(format!("{file}.wgsl"));
        let content = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let last = kernel.schedules().last().unwrap_or_else(|| panic!("{name} has no schedule"));
        let is_part = last.wgsl().contains(&content);
        assert!(is_part, "{file}.wgsl is a part of the last schedule of {name}");
        assert_eq!(last.needs, Needs::Nothing, "what the last schedule of {name} needs");
        let schedules: HashSet<_> = kernel.schedules().iter().map(|s| s.name).collect();
        assert_eq!(schedules.len(), kernel.schedules().len(), "the schedules' names of {name}");
    }
}

#[test]
fn bindings_are_those_that_the_entry_uses() {
    for_each(|kernel, _, shader| {
        let at = &shader.at;
        let mut found = Vec::new();
        for variable in shader.used() {
            let AddressSpace::Storage { access } = variable.space else { continue };
            let binding = variable.binding.as_ref().expect("storage is bound");
            assert_eq!(binding.group, 0, "{at}: the group of {:?}", variable.name);
            let access =
                if access.contains(StorageAccess::STORE) { Access::Write } else { Access::Read };
            let name = variable.name.as_deref().unwrap_or_default();
            found.push((binding.binding, name, access, shader.element(variable.ty)));
        }
        found.sort_unstable_by_key(|&(number, ..)| number);
        let expected: Vec<_> = (1..)
            .zip(kernel.bindings())
            .map(|(number, binding)| {
                let kind = match binding.data {
                    Data::Floats => ScalarKind::Float,
                    Data::Words | Data::Bits => ScalarKind::Uint,
                };
                (number, binding.name, binding.access, Some(kind))
            })
            .collect();
        assert_eq!(found, expected, "{at}: the bindings in the shader, and in the table");
        assert!(found.len() <= MAX_BINDINGS, "{at}: {} storage bindings", found.len());
    });
}

/// The names of a uniform's fields, which are scalars without gaps, and their kinds.
fn uniform<'a>(shader: &'a Shader, variable: &naga::GlobalVariable) -> Vec<(&'a str, ScalarKind)> {
    let (at, types) = (&shader.at, &shader.module.types);
    let TypeInner::Struct { ref members, .. } = types[variable.ty].inner else {
        panic!("{at}: a uniform is {:?}", types[variable.ty])
    };
    let field = |(i, member): (usize, &'a naga::StructMember)| {
        let name = member.name.as_deref().unwrap_or_default();
        assert_eq!(member.offset as usize, 4 * i, "{at}: the offset of {name}");
        match types[member.ty].inner {
            TypeInner::Scalar(scalar @ (naga::Scalar::U32 | naga::Scalar::F32)) => {
                (name, scalar.kind)
            }
            ref inner => panic!("{at}: the type {inner:?} of {name}"),
        }
    };
    members.iter().enumerate().map(field).collect()
}

#[test]
fn uniforms_are_the_parameters_and_the_record() {
    let words = [ScalarKind::Uint; record::WORDS].into_iter();
    let rates = [ScalarKind::Float; record::RATES];
    let of_record: Vec<_> = record::FIELDS.into_iter().zip(words.chain(rates)).collect();
    for_each(|kernel, _, shader| {
        let at = &shader.at;
        for variable in shader.used() {
            if variable.space != AddressSpace::Uniform {
                continue;
            }
            let fields = uniform(shader, variable);
            let names: Vec<_> = fields.iter().map(|&(name, _)| name).collect();
            match variable.binding.as_ref().map(|b| (b.group, b.binding)) {
                Some((0, 0)) => assert_eq!(names, kernel.params_fields(), "{at}: parameters"),
                Some((1, 0)) => assert_eq!(fields, of_record, "{at}: the record"),
                other => panic!("{at}: a uniform at {other:?}"),
            }
        }
    });
}

#[test]
fn overrides_are_those_that_the_entry_uses() {
    for_each(|kernel, _, shader| {
        let at = &shader.at;
        let overrides = shader.module.overrides.iter();
        let used: BTreeSet<_> = overrides.filter_map(|(_, o)| o.name.as_deref()).collect();
        let listed: BTreeSet<_> = kernel.overrides().iter().copied().collect();
        assert_eq!(used, listed, "{at}: overrides that the entry uses, and the table's");
        for name in listed {
            let fields = kernel.params_fields();
            assert!(fields.contains(&name), "{at}: the override {name} is none of {fields:?}");
        }
    });
}

#[test]
fn workgroups_fit_the_default_limits() {
    for_each(|_, schedule, shader| {
        let (at, size) = (&shader.at, shader.entry().workgroup_size);
        assert_eq!(shader.entry().stage, ShaderStage::Compute, "{at}: the stage");
        let invocations: u32 = size.iter().product();
        assert!(invocations <= MOST_INVOCATIONS, "{at}: {invocations} invocations");
        let inside = size.iter().zip(LARGEST_WORKGROUP).all(|(&s, most)| s <= most);
        assert!(inside, "{at}: a workgroup of {size:?}, at most {LARGEST_WORKGROUP:?}");
        // One invocation an item, or EACH items an invocation.
        if let Cover::Items(items) = schedule.cover {
            let source = schedule.wgsl();
            let each = match source.contains("const EACH") {
                true => match constant(&source, "EACH", "u32") {
                    Literal::U32(each) => each,
                    other => panic!("{at}: EACH is {other:?}"),
                },
                false => 1,
            };
            let covered = [items as u32 / each, 1, 1];
            assert_eq!(size, covered, "{at}: the workgroup, and what it covers by {each} each");
        }
        if let Needs::Subgroups(lanes) = schedule.needs {
            assert_eq!(invocations, lanes, "{at}: a workgroup is one subgroup");
        }
        if let Needs::Matrices { lanes, .. } = schedule.needs {
            assert_eq!(invocations, 4 * lanes, "{at}: a workgroup is four subgroups");
        }
        let bytes: u32 = shader
            .used()
            .iter()
            .filter(|variable| variable.space == AddressSpace::WorkGroup)
            .map(|v| shader.module.types[v.ty].inner.size(shader.module.to_ctx()))
            .sum();
        let most = match schedule.needs {
            Needs::Workgroup { bytes, sides } => {
                assert_eq!(size, sides, "{at}: the sides of a workgroup");
                assert!(bytes <= WORKGROUP_BYTES, "{at}: more than the default limit");
                bytes
            }
            // What `Plan::check` demands of every device.
            Needs::Nothing => MOST_WORKGROUP_BYTES,
            _ => WORKGROUP_BYTES,
        };
        assert!(bytes <= most, "{at}: {bytes} bytes of workgroup memory, at most {most}");
    });
}
