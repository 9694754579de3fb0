//! What ONNX files hold, read back by the same messages: names, shapes, values and operations.

use std::collections::BTreeMap;

use elbo::checkpoint::{Course, Trained};
use elbo::config::{Activation, Corruption, Likelihood, Makes, ModelConfig, Scale, Support};

use super::proto::{FLOAT, Type, Value};
use super::*;

/// A state of images of 3 × 4 whose weights count up from the name's length.
fn state(encoder: &[usize], decoder: &[usize], activation: Activation) -> State {
    state_with(encoder, decoder, activation, |_| ())
}

/// The same, where some of the model is otherwise.
fn state_with(
    encoder: &[usize],
    decoder: &[usize],
    activation: Activation,
    change: impl FnOnce(&mut ModelConfig),
) -> State {
    let mut config = Config::default();
    change(&mut config.model);
    config.model.encoder = encoder.to_vec().into();
    config.model.decoder = decoder.to_vec().into();
    config.model.latent = 2;
    config.model.activation = activation;
    State {
        size: [3, 4].into(),
        reading: elbo::data::Reading::default(),
        data: None,
        test: None,
        device: None,
        trained: Trained::default(),
        course: Course::default(),
        tensors: tensors(&config),
        config,
    }
}

/// The weights of a model of 12 pixels.
fn tensors(config: &Config) -> Vec<Weight> {
    let spec = DataSpec { images: 200, size: [1, 12].into(), bytes: true, window: None };
    let vae = Vae::new(config, spec, spec).expect("a model");
    let shapes = vae.parameters.list().iter().flat_map(|parameter| parameter.shapes());
    let weight = |(key, shape): (&str, Vec<usize>)| {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|i| key.len() as f32 + i as f32 / 64.0).collect();
        Weight { key: key.to_owned(), shape, values }
    };
    shapes.map(weight).collect()
}

/// The operations of a graph in their order.
fn operations(graph: &Graph) -> String {
    let all: Vec<_> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
    all.join(" ")
}

/// The file of a part, read back.
fn read(state: &State, part: Part) -> Graph {
    let bytes = to_bytes(Path::new("a state"), state, part).expect("a file");
    let model = Model::decode(bytes.as_slice()).expect("messages");
    assert_eq!((model.ir_version, model.opset_import[0].version), (9, 20), "{model:?}");
    let producer = (model.producer_name.as_str(), model.producer_version.as_str());
    assert_eq!(producer, ("elbo", env!("CARGO_PKG_VERSION")));
    assert!(model.doc_string.contains("3 × 4"), "{}", model.doc_string);
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
            "LayerNormalization" => {
                assert_eq!(node.attribute[0].name, "epsilon", "{node:?}");
                for learned in &node.input[1..] {
                    assert_eq!(constant(learned), vec![inputs], "{node:?}");
                }
                inputs
            }
            "Concat" => {
                let axis = &node.attribute[0];
                assert_eq!((axis.name.as_str(), axis.i), ("axis", Some(1)), "{node:?}");
                inputs + known[&node.input[1]]
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
fn norms_come_between_the_product_and_the_activation() {
    let state = state_with(&[5, 7], &[6], Activation::Tanh, |model| {
        (model.layer_norm, model.dropout) = (true, 0.5);
    });
    let (encoder, decoder) = (read(&state, Part::Encoder), read(&state, Part::Decoder));
    let hidden = "Gemm LayerNormalization Tanh";
    assert_eq!(operations(&encoder), format!("{hidden} {hidden} Gemm Gemm Clip"));
    assert_eq!(operations(&decoder), format!("{hidden} Gemm Sigmoid"));
    [encoder, decoder].iter().for_each(check);
}

/// Whatever a list of layers records has an operator, and what is only of training leaves no trace.
#[test]
fn layers_stand_as_they_are_written() {
    let layers = |text: &str| {
        let config = Config::from_toml(&format!("model.encoder = [{text}]"));
        config.expect("a list of layers").model.encoder
    };
    let mut state = state(&[], &[], Activation::Tanh);
    state.config.train.corruption = Corruption::Mask;
    state.config.train.corruption_level = 0.5;
    state.config.model.encoder =
        layers("'dropout 0.5', 'norm', 'linear 5', 'gelu', 'relu', 'norm', 7");
    state.config.model.decoder = layers("'silu', 'linear 3', 'dropout 0.1'");
    state.config.model.classes = 4;
    state.tensors = tensors(&state.config);
    let (encoder, decoder) = (read(&state, Part::Encoder), read(&state, Part::Decoder));
    let norm = "LayerNormalization";
    let expected = format!("Concat {norm} Gemm Gelu Relu {norm} Gemm Tanh Gemm Gemm Clip");
    assert_eq!(operations(&encoder), expected, "the encoder");
    assert_eq!(operations(&decoder), "Concat Sigmoid Mul Gemm Gemm Sigmoid", "the decoder");
    [encoder, decoder].iter().for_each(check);
}

/// Maps are channel by channel in ONNX, and place by place here.
#[test]
fn convolutions_stand_as_they_are_written() {
    let layers = |text: &str| {
        let config = Config::from_toml(&format!("model.encoder = [{text}]"));
        config.expect("a list of layers").model.encoder
    };
    let mut state = state(&[], &[], Activation::Tanh);
    let model = &mut state.config.model;
    model.encoder = layers("'conv 3 3x2 stride 2 pad 1', 'relu', 'conv 2 1', 'gelu', 5");
    model.decoder = layers("6, 'map 3x2x1', 'conv 2 1x2 pad 0', 'linear 24', 'map 3x4x2'");
    (model.likelihood, model.scale) = (Likelihood::Normal, Scale::Pixel);
    let spec = DataSpec { images: 200, size: [3, 4].into(), bytes: true, window: None };
    let vae = Vae::new(&state.config, spec, spec).expect("a model");
    let shapes = vae.parameters.list().iter().flat_map(|parameter| parameter.shapes());
    let weight = |(key, shape): (&str, Vec<usize>)| {
        let values = vec![1.0; shape.iter().product()];
        Weight { key: key.to_owned(), shape, values }
    };
    state.tensors = shapes.map(weight).collect();
    let (encoder, decoder) = (read(&state, Part::Encoder), read(&state, Part::Decoder));
    let (map, rows) = ("Reshape Transpose", "Reshape Transpose Reshape");
    let expected = format!("{map} Conv Relu Conv Gelu {rows} Gemm Tanh Gemm Gemm Clip");
    assert_eq!(operations(&encoder), expected, "the encoder");
    let expected = format!("Gemm Tanh {map} Conv {rows} Gemm {map} Conv {rows} Slice");
    assert_eq!(operations(&decoder), expected, "the decoder");
    let conv = encoder.node.iter().find(|node| node.op_type == "Conv").expect("one");
    let about = conv.attribute.iter().map(|of| (of.name.as_str(), of.ints.as_slice()));
    let expected: [(_, &[i64]); 3] =
        [("kernel_shape", &[3, 2]), ("pads", &[1, 1, 1, 1]), ("strides", &[2, 2])];
    assert_eq!(about.collect::<Vec<_>>(), expected, "{conv:?}");
    let weight = encoder.initializer.iter().find(|tensor| tensor.name == conv.input[1]);
    assert_eq!(weight.expect("its weight").dims, [3, 1, 3, 2], "as PyTorch has it");
}

#[test]
fn a_kernel_without_an_operator_is_refused() {
    let state = state(&[5], &[6], Activation::Relu);
    let weights = state.weights();
    let recorded = recorded(Path::new("a state"), &state.config, [3, 4].into(), &weights);
    let mut vae = recorded.expect("its weights");
    let program = vae.program(Use::Evaluate).expect("a program").clone();
    let mut walk = Walk::new(&vae, &program, &weights);
    for (tensor, says) in [
        (vae.ports.nll, "bernoulli.forward has no operator of ONNX"),
        (vae.ports.highest, "is made nowhere in the program `evaluate`"),
    ] {
        let error = walk.output(tensor, "y").expect_err("no operator");
        assert!(error.to_string().contains(says) && error.advice().is_some(), "{error}");
    }
}

#[test]
fn classes_are_an_input_of_both_parts() {
    for (encoder, decoder) in [(&[][..], &[][..]), (&[5], &[6]), (&[7, 5], &[])] {
        let state = state_with(encoder, decoder, Activation::Relu, |model| model.classes = 4);
        let graph = read(&state, Part::Encoder);
        assert_eq!(ends(&graph.input), [("x", "n", 12), ("y", "n", 4)]);
        check(&graph);
        let graph = read(&state, Part::Decoder);
        assert_eq!(ends(&graph.input), [("z", "n", 2), ("y", "n", 4)]);
        check(&graph);
    }
}

#[test]
fn a_point_is_all_that_its_encoder_makes() {
    let point = |model: &mut ModelConfig| model.posterior = Posterior::Point;
    let state = state_with(&[5], &[6], Activation::Relu, point);
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
fn pixels_are_means_of_every_likelihood() {
    for likelihood in Likelihood::ALL {
        let (state, graph) = of(likelihood, Scale::Fixed);
        assert_eq!(ends(&graph.output), [("pixels", "n", 12)], "{likelihood:?}");
        let mut known: Vec<_> = graph.initializer.iter().map(|tensor| &tensor.name).collect();
        known.extend(graph.input.iter().map(|input| &input.name));
        for node in &graph.node {
            let missing = node.input.iter().find(|name| !known.contains(name));
            assert_eq!(missing, None, "{likelihood:?}: an input of {}", node.name);
            assert!(!known.contains(&&node.output[0]), "{likelihood:?}: {} twice", node.name);
            known.push(&node.output[0]);
        }
        let last = graph.node.last().expect("a node").op_type.as_str();
        let expected = match (likelihood.makes(), likelihood.support()) {
            (Makes::Logit, _) if likelihood == Likelihood::ContinuousBernoulli => "Where",
            (Makes::Logit, _) => "Sigmoid",
            (Makes::Location, Support::Levels) => "Clip",
            (Makes::Location, _) => "Gemm",
            (Makes::Components | Makes::Levels, _) => "ReduceSum",
            (Makes::LogMean, _) => "Mul",
        };
        assert_eq!(last, expected, "{likelihood:?}");
        if likelihood.has_scale() {
            let (_, of_pixels) = of(likelihood, Scale::Pixel);
            let bias = of_pixels.initializer.iter().find(|tensor| tensor.name == "fc4.bias");
            let bias = bias.expect("a constant");
            let whole =
                state.tensors.iter().find(|tensor| tensor.key == "fc4.bias").expect("a bias");
            assert_eq!(
                (bias.dims.as_slice(), whole.shape[0]),
                (&[12][..], 12),
                "without log-scales"
            );
        }
    }
}

/// A small state of a likelihood, and its decoder's file.
fn of(likelihood: Likelihood, scale: Scale) -> (State, Graph) {
    let change = |model: &mut ModelConfig| {
        (model.likelihood, model.scale) = (likelihood, scale);
        if likelihood == Likelihood::Categorical {
            model.levels = 5;
        }
    };
    let state = state_with(&[5], &[6], Activation::Gelu, change);
    let graph = read(&state, Part::Decoder);
    (state, graph)
}

#[test]
fn weights_of_another_model_are_refused() {
    let mut state = state(&[5], &[6], Activation::Tanh);
    state.config.model.encoder = [4].into();
    let error = to_bytes(Path::new("a state"), &state, Part::Encoder).expect_err("four units");
    assert!(error.to_string().contains("`a state`: `fc1.weight`"), "{error}");
}
