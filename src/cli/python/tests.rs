//! What files for PyTorch say; `tests/python/check.py` runs them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use elbo::Config;
use elbo::checkpoint::{Course, Trained, Weight};
use elbo::config::{Activation, Likelihood};
use elbo::data::Reading;
use elbo::model::{DataSpec, Vae};

use super::*;

/// A state of images of a size whose weights are zero.
fn state(model: &str, sides: [usize; 3]) -> State {
    state_of(&format!("[model]\n{model}"), sides)
}

/// The same of a whole configuration.
fn state_of(text: &str, [height, width, channels]: [usize; 3]) -> State {
    let config = Config::from_toml(text).expect("a configuration");
    let size = [height, width, channels].into();
    let vae = Vae::to_use(&config, DataSpec { images: 200, size, bytes: true, window: None });
    let vae = vae.expect("a model");
    let shapes = vae.parameters.list().iter().flat_map(|parameter| parameter.shapes());
    let zeros = |(key, shape): (&str, Vec<usize>)| {
        let values = vec![0.0; shape.iter().product()];
        Weight { key: key.to_owned(), shape, values }
    };
    State {
        size,
        reading: Reading::default(),
        data: None,
        test: None,
        device: None,
        trained: Trained::default(),
        course: Course::default(),
        tensors: shapes.map(zeros).collect(),
        config,
    }
}

fn text_of(state: &State) -> String {
    to_text(Path::new("a state"), state).expect("a file")
}

/// Models of every likelihood, and of all that layers can be.
fn models() -> Vec<State> {
    let of = |likelihood: Likelihood, more: &str| {
        let name = likelihood.name();
        state(&format!("likelihood = \"{name}\"\nencoder = [5]\ndecoder = [4]\n{more}"), [6, 4, 1])
    };
    let mut states: Vec<_> = Likelihood::ALL.into_iter().map(|l| of(l, "")).collect();
    for likelihood in Likelihood::ALL.into_iter().filter(|l| l.has_scale()) {
        states.extend(["shared", "pixel"].map(|s| of(likelihood, &format!("scale = \"{s}\"\n"))));
    }
    let free = "mean = \"free\"\nposterior = \"point\"\nclasses = 3\n";
    states.push(of(Likelihood::Poisson, free));
    for activation in Activation::ALL {
        let word = activation.name();
        states.push(state(
            &format!(
                "layer-norm = true\ndropout = 0.1\nactivation = \"{word}\"\n\
                 encoder = [\"norm\", 5, \"{word}\", \"linear 9\", \"{word}\"]\ndecoder = []\n"
            ),
            [2, 2, 3],
        ));
    }
    states.push(state(CONVOLUTIONS, [6, 4, 3]));
    states.push(state(BLOCKS, [6, 4, 3]));
    states.push(state(TRANSPOSED, [6, 4, 3]));
    for (prior, likelihood) in
        [("mixture", "bernoulli"), ("vamp", "bernoulli"), ("vamp", "poisson"), ("vamp", "normal")]
    {
        let own = format!("prior = \"{prior}\"\nprior-components = 5\n");
        let sampled = "objective.kl = \"sampled\"\n";
        let text = format!("{sampled}[model]\nlikelihood = \"{likelihood}\"\n{own}");
        states.push(state_of(&text, [6, 4, 1]));
    }
    let more = [
        "",
        "prior = \"mixture\"\nprior-components = 5\n",
        "inference = \"ladder\"\nclasses = 3\n",
    ];
    states.extend(more.map(levels));
    states.extend(["laplace", "logistic"].map(|family| {
        let text = format!("objective.kl = \"sampled\"\n[model]\nposterior = \"{family}\"\n");
        state_of(&text, [6, 4, 1])
    }));
    states
}

/// A model of three levels of z.
fn levels(more: &str) -> State {
    let above = "[{ encoder = [6, 5], latent = 3, decoder = [5] }, { encoder = [], latent = 2, decoder = [\"linear 4\", \"tanh\"] }]";
    let text = format!("objective.kl = \"sampled\"\n[model]\nlatent = 4\n{more}above = {above}\n");
    state_of(&text, [6, 4, 1])
}

/// Maps from rows and back, of images of 6 × 4 × 3.
const CONVOLUTIONS: &str = "likelihood = \"logistic-mixture\"\ncomponents = 2\n\
    encoder = [\"conv 4 4x4 stride 2\", \"silu\", \"norm\", \"dropout 0.2\", \"map 2x3x4\", \"conv 5 1x2 pad 0\", 7]\n\
    decoder = [\"linear 24\", \"map 3x2x4\", \"relu\", \"conv 8 3x3 upsample 2\", \"leaky-relu\"]\n";

/// Blocks of maps and of rows, within one another, and what they are made of.
const BLOCKS: &str = "encoder = [\"conv 4 3x3\", { residual = [\"group-norm 2\", \"relu\", \"conv 4 3x3\"] }, \"relu\", \
    { residual = [{ residual = [\"attention 2\"] }, \"conv 6 3x3 stride 2\"], shortcut = [\"pool 2\", \"conv 6 1x1\"] }]\n\
    decoder = [9, { residual = [7, \"linear 9\"] }, \"tanh\"]\n";

/// Transposed convolutions of a vector, of a map and in a block.
const TRANSPOSED: &str = "encoder = [\"conv 4 2 stride 2 pad 0\", \"relu\", \"transposed 3 3x2 pad 0\", 9]\n\
    decoder = [\"transposed 5 3x2 pad 0\", \"gelu\", { residual = [\"transposed 5 3x3\"] }, \
    \"transposed 4 4x4 stride 2\", \"silu\"]\n";

#[test]
fn files_read_as_these() {
    let mut classic = state("", [28, 28, 1]);
    (classic.trained.step, classic.reading.seen) = (4690, [0.0, 255.0]);
    let mut counts = state(
        "likelihood = \"negative-binomial\"\nscale = \"shared\"\nclasses = 3\nlayer-norm = true\ndropout = 0.1\n\
         encoder = [8, 6]\n",
        [1, 9, 1],
    );
    counts.reading.total = Some(120.5);
    let point = state(
        "posterior = \"point\"\nencoder = []\ndecoder = [\"linear 3\", \"gelu\"]\n",
        [2, 2, 1],
    );
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/models");
    for (name, state) in [
        ("classic", classic),
        ("counts", counts),
        ("point", point),
        ("convolutions", state(CONVOLUTIONS, [6, 4, 3])),
        ("blocks", state(BLOCKS, [6, 4, 3])),
        ("transposed", state(TRANSPOSED, [6, 4, 3])),
        ("levels", levels("")),
        ("ladder", levels("inference = \"ladder\"\n")),
    ] {
        let (path, written) = (folder.join(name).with_extension("py"), text_of(&state));
        if env::var_os("ELBO_WRITE").is_some() {
            fs::write(&path, &written).expect("a file");
        }
        let expected = fs::read_to_string(&path).expect("a file");
        assert!(written == expected, "{} is another:\n{written}", path.display());
    }
}

#[test]
fn a_state_dict_has_the_names_of_the_weights() {
    for state in models() {
        let file = file(Path::new("a state"), &state).expect("a file");
        let mut found: Vec<_> = file.module.keys.iter().map(String::as_str).collect();
        let mut expected: Vec<_> = state.tensors.iter().map(|weight| weight.key.as_str()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{}", text_of(&state));
    }
}

/// What Python says to a program with this at its standard input; nothing where there is no Python.
fn python(program: &str, input: &str) -> Option<String> {
    let mut command = Command::new("python3");
    command.args(["-c", program]).env("PYTHONIOENCODING", "utf-8").env("PYTHONUTF8", "1");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.ok()?;
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("Python reads it");
    drop(stdin);
    let said = child.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{error}");
    Some(String::from_utf8(said.stdout).expect("text"))
}

#[test]
fn python_reads_every_file() {
    let texts: Vec<_> = models().iter().map(text_of).collect();
    for text in &texts {
        let long = text.lines().find(|line| line.chars().count() > 140);
        assert_eq!(long, None, "a line is long");
    }
    let program =
        "import sys\nfor text in sys.stdin.read().split('\\0'): compile(text, 'model.py', 'exec')";
    python(program, &texts.join("\0"));
}

#[test]
fn a_literal_is_the_text_that_it_is_of() {
    let texts = [
        "",
        "plain",
        "a \"quoted\" one",
        "\"\"\"",
        "'''\"",
        "back\\slash\\",
        "\\\"",
        "two\nlines\r\n",
        "tab\there",
        "\\n",
        "\\U0000000a",
        "{braces} %s",
        "null \0 one",
        "del \u{7f}, nel \u{85}",
        "line\u{2028}and\u{2029}",
        "ends in \\",
        "μ σ² \u{1f600}",
        "# no comment",
        "\u{202e}turned",
    ];
    for text in texts {
        let written = literal(text);
        let plain = |c: char| !c.is_control() && !('\u{2028}'..='\u{202e}').contains(&c);
        assert!(written.chars().all(plain), "{written} is one line");
    }
    let list: Vec<_> = texts.iter().map(|text| literal(text)).collect();
    let program = "import ast, sys\nfor text in ast.literal_eval(sys.stdin.read()): print(text.encode().hex())";
    let Some(said) = python(program, &format!("[{}]", list.join(", "))) else { return };
    let hex = |text: &&str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(said.lines().collect::<Vec<_>>(), texts.iter().map(hex).collect::<Vec<_>>());
}

#[test]
fn weights_of_another_model_are_refused() {
    let mut state = state("encoder = [5]\n", [3, 4, 1]);
    state.config.model.encoder = [4].into();
    let error = to_text(Path::new("a state"), &state).expect_err("four units");
    assert!(error.to_string().contains("`a state`: `fc1.weight`"), "{error}");
}
