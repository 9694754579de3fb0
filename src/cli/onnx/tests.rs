//! What ONNX files hold, read back by the same messages: names, shapes, values and operations.

use std::collections::BTreeMap;

use elbo::checkpoint::{Course, Trained};

use super::*;

/// A state of images of 3×4 whose weights count up from the name's length.
fn state(encoder: &[usize], decoder: &[usize], activation: Activation) -> State {
    state_of(Config::default(), encoder, decoder, activation)
}

fn state_of(
    mut config: Config,
    encoder: &[usize],
    decoder: &[usize],
    activation: Activation,
) -> State {
    config.model.encoder = encoder.to_vec();
    config.model.decoder = decoder.to_vec();
    config.model.latent = 2;
    config.model.activation = activation;
    let spec = DataSpec { images: 200, pixels: 12, bytes: true };
    let vae = Vae::new(&config, spec, spec).expect("a model");
    let shapes = vae.parameters.list().iter().flat_map(|parameter| parameter.shapes());
    let weight = |(key, shape): (&str, Vec<usize>)| {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|i| key.len() as f32 + i as f32 / 64.0).collect();
        Weight { key: key.to_owned(), shape, values }
    };
    State {
        config: config.clone(),
        size: [3, 4],
        data: None,
        device: None,
        trained: Trained::default(),
        course: Course::default(),
        tensors: shapes.map(weight).collect(),
    }
}

/// The file of a part, read back.
fn read(state: &State, part: Part) -> Graph {
    let bytes = to_bytes(Path::new("a state"), state, part).expect("a file");
    let model = Model::decode(bytes.as_slice()).expect("messages");
    assert_eq!((model.ir_version, model.opset_import[0].version), (9, 20), "{model:?}");
    let producer = (model.producer_name.as_str(), model.producer_version.as_str());
    assert_eq!(producer, ("elbo", env!("CARGO_PKG_VERSION")));
    assert!(model.doc_string.contains("3×4"), "{}", model.doc_string);
    let graph = model.graph.expect("a graph");
    assert_eq!(graph.name, part.name());
    graph
}

/// What goes in or out: its name, how its rows are called, and its columns.
fn ends(values: &[Value]) -> Vec<(&str, &str, i64)> {
    fn end(value: &Value) -> (&str, &str, i64) {
        let Value { name, kind: Some(Type { tensor: Some(tensor) }), .. } = value else {
            panic!("{value:?} has a type");
        };
        let [rows, columns] = tensor.shape.as_ref().expect("a shape").dim.as_slice() else {
            panic!("{tensor:?} is a matrix");
        };
        assert_eq!((tensor.elem_type, &rows.dim_value, &columns.dim_param), (FLOAT, &None, &None));
        let rows = rows.dim_param.as_deref().expect("any number of rows");
        (name.as_str(), rows, columns.dim_value.expect("so many columns"))
    }
    values.iter().map(end).collect()
}

/// Fails where the shapes of a graph do not fit, or a name is used before it is made.
fn check(graph: &Graph) {
    let constant = |name: &str| {
        let found = graph.initializer.iter().find(|tensor| tensor.name == name);
        let tensor = found.unwrap_or_else(|| panic!("no constant `{name}`"));
        let words = tensor.dims.iter().product::<i64>() as usize;
        assert_eq!((tensor.data_type, tensor.raw_data.len()), (FLOAT, 4 * words), "{name}");
        tensor.dims.clone()
    };
    let mut known: BTreeMap<_, _> = ends(&graph.input)
        .into_iter()
        .map(|(name, _, columns)| (name.to_owned(), columns))
        .collect();
    for node in &graph.node {
        let inputs = known[&node.input[0]];
        let made = match node.op_type.as_str() {
            "Gemm" => {
                assert_eq!(
                    (node.attribute[0].name.as_str(), node.attribute[0].i),
                    ("transB", Some(1))
                );
                let [out, into] = constant(&node.input[1])[..] else {
                    panic!("no matrix: {node:?}")
                };
                assert_eq!((into, constant(&node.input[2])), (inputs, vec![out]), "{node:?}");
                out
            }
            "Clip" => {
                let bounds = [&node.input[1], &node.input[2]].map(|name| constant(name));
                assert!(bounds.iter().all(Vec::is_empty), "bounds are scalars: {node:?}");
                inputs
            }
            "Mul" => {
                assert_eq!(known[&node.input[1]], inputs, "{node:?}");
                inputs
            }
            _ => inputs,
        };
        let before = known.insert(node.output[0].clone(), made);
        assert_eq!(before, None, "{} is made twice", node.output[0]);
    }
    for (name, _, columns) in ends(&graph.output) {
        assert_eq!(known.get(name), Some(&columns), "the output {name}");
    }
}

#[test]
fn shapes_fit_for_any_number_of_layers() {
    for (encoder, decoder) in
        [(&[][..], &[][..]), (&[5], &[6]), (&[5], &[]), (&[], &[6]), (&[7, 5], &[6, 8, 9])]
    {
        for activation in Activation::ALL {
            let state = state(encoder, decoder, activation);
            let graph = read(&state, Part::Encoder);
            assert_eq!(ends(&graph.input), [("x", "n", 12)]);
            assert_eq!(ends(&graph.output), [("mean", "n", 2), ("log_var", "n", 2)]);
            check(&graph);
            let products =
                |graph: &Graph| graph.node.iter().filter(|n| n.op_type == "Gemm").count();
            assert_eq!(products(&graph), encoder.len() + 2, "layers of the encoder");
            let graph = read(&state, Part::Decoder);
            assert_eq!(ends(&graph.input), [("z", "n", 2)]);
            assert_eq!(ends(&graph.output), [("pixels", "n", 12)]);
            check(&graph);
            assert_eq!(products(&graph), decoder.len() + 1, "layers of the decoder");
        }
    }
}

#[test]
fn a_point_is_all_that_its_encoder_makes() {
    let mut config = Config::default();
    config.model.posterior = Posterior::Point;
    let state = state_of(config, &[5], &[6], Activation::Relu);
    let graph = read(&state, Part::Encoder);
    assert_eq!(ends(&graph.output), [("z", "n", 2)]);
    check(&graph);
    assert!(graph.initializer.iter().any(|tensor| tensor.name == "code.weight"), "the last layer");
}

#[test]
fn weights_are_the_states_own() {
    let state = state(&[5], &[6], Activation::Silu);
    let (encoder, decoder) = (read(&state, Part::Encoder), read(&state, Part::Decoder));
    let ours = |name: &str| !name.starts_with("log_var.");
    let mut found: Vec<_> = [&encoder, &decoder]
        .into_iter()
        .flat_map(|graph| &graph.initializer)
        .filter(|tensor| ours(&tensor.name))
        .map(|tensor| (tensor.name.as_str(), tensor.raw_data.as_slice()))
        .collect();
    found.sort();
    let mut expected: Vec<_> = state
        .tensors
        .iter()
        .map(|weight| {
            let bytes = weight.values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
            (weight.key.as_str(), bytes)
        })
        .collect();
    expected.sort();
    let expected: Vec<_> = expected.iter().map(|(key, bytes)| (*key, bytes.as_slice())).collect();
    assert!(found == expected, "every weight is in one of the two files, bit by bit");
    let gate: Vec<_> = encoder.node[1..3].iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(gate, ["Sigmoid", "Mul"], "silu");
    let clip = encoder.node.last().expect("a node");
    assert_eq!((clip.op_type.as_str(), clip.output[0].as_str()), ("Clip", "log_var"));
}

#[test]
fn pixels_are_means() {
    let mut state = state(&[5], &[6], Activation::Gelu);
    let last = |state: &State| {
        read(state, Part::Decoder).node.pop().map(|node| (node.op_type, node.output[0].clone()))
    };
    assert_eq!(last(&state), Some(("Sigmoid".to_owned(), "pixels".to_owned())));
    state.config.model.likelihood = Likelihood::Normal;
    assert_eq!(last(&state), Some(("Gemm".to_owned(), "pixels".to_owned())));
}

#[test]
fn weights_of_another_model_are_refused() {
    let mut state = state(&[5], &[6], Activation::Tanh);
    state.config.model.encoder = vec![4];
    let error = to_bytes(Path::new("a state"), &state, Part::Encoder).expect_err("four units");
    assert!(error.to_string().contains("`a state`: `fc1.weight`"), "{error}");
}
