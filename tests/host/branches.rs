//! No product that lavapipe runs has a branch that a uniform alone decides. Where folding it makes a shader half as long, lavapipe
//! (Mesa 22.3) compiles that anew at each dispatch: a gradient of a weight took 17 ms that takes less than one.

use elbo::kernels::ALL;
use naga::{AddressSpace, Block, Expression, Function, Handle, Module, Statement};

/// Whether a value is made of uniforms and constants alone, and of one uniform at least.
fn is_uniform_alone(module: &Module, function: &Function, value: Handle<Expression>) -> bool {
    let mut uniforms = 0;
    constant_but_for(module, function, value, &mut uniforms) && uniforms > 0
}

/// Whether a value is constant but for uniforms, which are counted.
fn constant_but_for(
    module: &Module,
    function: &Function,
    value: Handle<Expression>,
    uniforms: &mut usize,
) -> bool {
    let mut all = |values: &[Handle<Expression>]| {
        values.iter().all(|&value| constant_but_for(module, function, value, uniforms))
    };
    match &function.expressions[value] {
        Expression::Literal(_) | Expression::Constant(_) | Expression::Override(_) => true,
        Expression::GlobalVariable(global) => {
            let is_uniform = module.global_variables[*global].space == AddressSpace::Uniform;
            *uniforms += usize::from(is_uniform);
            is_uniform
        }
        Expression::Load { pointer: of }
        | Expression::AccessIndex { base: of, .. }
        | Expression::Unary { expr: of, .. }
        | Expression::As { expr: of, .. }
        | Expression::Splat { value: of, .. } => all(&[*of]),
        Expression::Binary { left, right, .. } => all(&[*left, *right]),
        _ => false,
    }
}

/// The branches of a block, and of those in it, that a uniform alone decides.
fn decided(module: &Module, function: &Function, block: &Block) -> usize {
    let of = |statement: &Statement| match statement {
        Statement::Block(block) => decided(module, function, block),
        Statement::If { condition, accept, reject } => {
            usize::from(is_uniform_alone(module, function, *condition))
                + decided(module, function, accept)
                + decided(module, function, reject)
        }
        Statement::Switch { cases, .. } => {
            cases.iter().map(|case| decided(module, function, &case.body)).sum()
        }
        // A loop's end is an `if` that breaks.
        Statement::Loop { body, continuing, .. } => {
            decided(module, function, body) + decided(module, function, continuing)
        }
        _ => 0,
    };
    block.iter().map(of).sum()
}

fn decided_in(source: &str) -> usize {
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let functions = module.functions.iter().map(|(_, function)| function);
    let entries = module.entry_points.iter().map(|entry| &entry.function);
    functions.chain(entries).map(|function| decided(&module, function, &function.body)).sum()
}

#[test]
fn no_uniform_alone_decides_a_branch_of_a_product_on_lavapipe() {
    let mut faults = Vec::new();
    let mut count = 0;
    for kernel in ALL {
        for schedule in kernel.schedules().iter().filter(|s| s.name == "broadcast") {
            count += 1;
            match decided_in(&schedule.wgsl()) {
                0 => {}
                branches => faults.push(format!("{}: {branches}", kernel.name())),
            }
        }
    }
    assert!(count > 10, "{count} products have that schedule");
    assert!(faults.is_empty(), "branches that a uniform alone decides: {faults:#?}");
}

#[test]
fn such_branches_are_found() {
    let body = |condition: &str| {
        format!(
            "struct P {{ rows: u32, adds: u32 }}
             @group(0) @binding(0) var<uniform> p: P;
             @group(0) @binding(1) var<storage, read_write> y: array<f32>;
             @compute @workgroup_size(1)
             fn main(@builtin(workgroup_id) id: vec3<u32>) {{
                 for (var i = 0u; i < id.x; i++) {{ if {condition} {{ y[i] += 1.0; }} }}
             }}"
        )
    };
    for (condition, branches) in [
        ("p.adds != 0u", 1),
        ("p.adds + 2u * p.rows > 3u", 1),
        ("id.x < p.rows", 0),
        ("i < p.rows", 0),
        ("y[p.rows] > 0.0", 0),
    ] {
        assert_eq!(decided_in(&body(condition)), branches, "{condition}");
    }
}
