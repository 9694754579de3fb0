//! WGSL as naga reads it.

use naga::{Expression, Literal, Module};

/// The module of a source, which must be valid.
pub(crate) fn parse(at: &str, source: &str) -> Module {
    naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{at}: {}", error.emit_to_string(source)))
}

/// A constant of a shader, of a type in WGSL.
pub(crate) fn constant(source: &str, name: &str, ty: &str) -> Literal {
    // Only a use with a type makes naga keep a constant without one.
    let module = parse(name, &format!("{source}\nconst asked_for: {ty} = {name};\n"));
    let mut constants = module.constants.iter();
    let (_, found) = constants
        .find(|(_, c)| c.name.as_deref() == Some("asked_for"))
        .unwrap_or_else(|| panic!("naga dropped {name}"));
    match module.global_expressions[found.init] {
        Expression::Literal(literal) => literal,
        ref other => panic!("{name} is {other:?}"),
    }
}
