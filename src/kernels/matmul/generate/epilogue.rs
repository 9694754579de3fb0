//! The entries of the product: what they read, and what they do with four neighbouring sums.

use super::{Form, Source};

/// One entry point, which stands in a file of its own for each tile.
#[derive(Debug)]
pub(super) struct Entry {
    pub name: &'static str,
    /// The formula and the shapes.
    pub about: &'static str,
    pub form: Form,
    pub a: Source,
    pub b: Source,
    /// Whether an activation is compiled in.
    pub activation: bool,
    /// Whether columns of the tile alternate between means and log-variances.
    pub paired: bool,
    /// The storage bindings: `name`, or `name: type`; with `>` in front what is written.
    pub bindings: &'static [&'static str],
    /// What the epilogue calls.
    pub functions: &'static str,
    /// What the entry begins with.
    pub prelude: &'static str,
    /// What is done with four neighbouring sums `value` at (`row`, `col`), which are inside.
    pub epilogue: &'static str,
    /// Where the epilogue's `part` of each row is added up, 32 columns at a time.
    pub parts: Option<&'static str>,
    /// What is done with the sums `bias4` of four columns of A, from `row` on.
    pub bias: &'static str,
}

impl Entry {
    /// Groups of four columns that a lane of the broadcast owns. Two halve the loads of A, but take
    /// twice as long to compile; they gained nothing where B's rows are columns of the result, and
    /// there is nothing to gain where the result is as narrow as z.
    pub(super) fn quads(&self) -> usize {
        if self.form == Form::Nt || self.name == "backward_draw" { 1 } else { 2 }
    }
}

const PLAIN: Entry = Entry {
    name: "",
    about: "",
    form: Form::Nt,
    a: Source::Floats("x"),
    b: Source::Floats("w"),
    activation: false,
    paired: false,
    bindings: &[],
    functions: "",
    prelude: "",
    epilogue: "",
    parts: None,
    bias: "",
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "forward",
        about: "y (rows, outputs) = f(x wᵀ + b), for x (rows, inputs), w (outputs, inputs), b (outputs).",
        activation: true,
        bindings: &["x", "b", "w", ">y"],
        functions: REAL,
        epilogue: FORWARD,
        ..PLAIN
    },
    Entry {
        name: "forward_bytes",
        about: "y (rows, outputs) = f(x wᵀ + b), x being the minibatch's rows of a dataset of bytes, and
chosen (rows) = which they are.",
        activation: true,
        a: Source::Bytes,
        bindings: &["pixels: u32", "b", "w", ">y", ">chosen: u32"],
        functions: REAL,
        epilogue: FORWARD,
        ..PLAIN
    },
    Entry {
        name: "draw",
        about: "h (rows, 2 n) = [μ | log σ²] = x wᵀ + b; z (rows, n) = μ + ε ⊗ exp(½ log σ²), ε drawn; kl = the
KL divergence of each row, in parts. As `gaussian.wgsl` has it.",
        paired: true,
        bindings: &["x", "b", "w", "image: u32", ">h: f32", ">eps: f32", ">z: f32", ">kl: f32"],
        epilogue: DRAW,
        parts: Some("kl"),
        ..PLAIN
    },
    Entry {
        name: "bernoulli",
        about: "The logits (rows, n) = x wᵀ + b are not kept: nll = −log p(images | logits) of each row, in
parts, and dlogits (rows, n). As `bernoulli.wgsl` has it.",
        bindings: &["x", "b", "w", "images", ">dlogits", ">nll: f32"],
        functions: REAL,
        epilogue: BERNOULLI_FLOATS,
        parts: Some("nll"),
        ..PLAIN
    },
    Entry {
        name: "bernoulli_bytes",
        about: "The logits (rows, n) = x wᵀ + b are not kept: nll = −log p(image | logits) of each row, in
parts, and dlogits (rows, n), the images being rows of a dataset of bytes. As
`bernoulli.wgsl` has it.",
        bindings: &["x", "b", "w", "pixels: u32", "image: u32", ">dlogits", ">nll: f32"],
        functions: REAL,
        epilogue: BERNOULLI_BYTES,
        parts: Some("nll"),
        ..PLAIN
    },
    Entry {
        name: "backward_x",
        about: "dx (rows, inputs) = (dy w) ⊗ f'(x), for dy (rows, outputs), w (outputs, inputs), f being the
activation that made x.",
        form: Form::Nn,
        a: Source::Floats("dy"),
        activation: true,
        bindings: &["dy", "made", "w", ">dx"],
        functions: REAL,
        epilogue: BACKWARD_X,
        ..PLAIN
    },
    Entry {
        name: "backward_draw",
        about: "dz (rows, n) = dy w is not kept: dh (rows, 2 n), of the posterior h and its noise. As
`gaussian.wgsl` has it.",
        form: Form::Nn,
        a: Source::Floats("dy"),
        bindings: &["dy", "w", "h: f32", "eps: f32", ">dh: f32"],
        epilogue: BACKWARD_DRAW,
        ..PLAIN
    },
    Entry {
        name: "backward_w",
        about: "dw (outputs, inputs) = dyᵀ x and db = Σ dy, for dy (rows, outputs), x (rows, inputs).",
        form: Form::Tn,
        a: Source::Floats("dy"),
        b: Source::Floats("x"),
        bindings: &["dy", "x", ">dw", ">db"],
        epilogue: BACKWARD_W,
        bias: "db[row / 4u] = select(vec4<f32>(), db[row / 4u], p.accumulate != 0u) + bias4;",
        ..PLAIN
    },
    Entry {
        name: "adam",
        about: "w and b, which follow one another in `weights`, are updated by their gradients dyᵀ x and Σ dy,
which are not kept. As `optimizer.wgsl` has it.",
        form: Form::Tn,
        a: Source::Floats("dy"),
        b: Source::Floats("x"),
        bindings: &["dy", "x", ">guard_words: atomic<u32>", ">weights", ">first", ">second"],
        functions: ADAM,
        prelude: LIVE,
        epilogue: "            update(at, value, live);\n",
        bias: "update((p.bias + row) / 4u, bias4, live);",
        ..PLAIN
    },
    Entry {
        name: "adam_bytes",
        about: "w and b, which follow one another in `weights`, are updated by their gradients dyᵀ x and Σ dy,
which are not kept, x being rows of a dataset of bytes. As `optimizer.wgsl` has it.",
        form: Form::Tn,
        a: Source::Floats("dy"),
        b: Source::Bytes,
        bindings: &[
            "dy",
            "pixels: u32",
            "image: u32",
            ">guard_words: atomic<u32>",
            ">weights",
            ">first",
            ">second",
        ],
        functions: ADAM,
        prelude: LIVE,
        epilogue: "            update(at, value, live);\n",
        bias: "update((p.bias + row) / 4u, bias4, live);",
        ..PLAIN
    },
];

const REAL: &str = "
// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}
";

const FORWARD: &str = "\
            let sum = value + b[col / 4u];
            var result = vec4<f32>();
            for (var j = 0u; j < 4u; j++) { result[j] = activate(activation, sum[j]); }
            y[at] = select(vec4<f32>(), result, real(col));
";

const BACKWARD_X: &str = "\
            let output = made[at];
            var result = value;
            for (var j = 0u; j < 4u; j++) { result[j] *= slope_at_output(activation, output[j]); }
            if p.accumulate != 0u { result += dx[at]; }
            dx[at] = select(vec4<f32>(), result, real(col));
";

const BACKWARD_W: &str = "\
            var result = value;
            if p.accumulate != 0u { result += dw[at]; }
            dw[at] = result;
";

const DRAW: &str = "\
            let inside = row < record.rows;
            let j = col / 2u;
            let key = vec2<u32>(record.seed_low, record.seed_high);
            let counter = vec4<u32>(j / 4u, image[row], record.step, 16u * record.stream + NOISE);
            let noise = normals_of(philox(counter, key));
            for (var k = 0u; k < min(2u, p.latent - j); k++) {
                let mu = value[k] + b[(j + k) / 4u][(j + k) % 4u];
                let raw = value[k + 2u] + b[(p.latent + j + k) / 4u][(p.latent + j + k) % 4u];
                h[row * p.c_stride + j + k] = mu;
                h[row * p.c_stride + p.latent + j + k] = raw;
                let drawn = select(0.0, noise[(j + k) % 4u], inside);
                let log_var = clamp_log_var(raw);
                eps[row * p.other_stride + j + k] = drawn;
                z[row * p.other_stride + j + k] =
                    select(0.0, mu + drawn * exp(0.5 * log_var), inside);
                part += select(0.0, 0.5 * (mu * mu + excess(log_var)), inside);
            }
";

macro_rules! bernoulli {
    ($target:literal) => {
        concat!(
            "            let logit = value + b[col / 4u];\n            let pixel = ",
            $target,
            ";
            let e = exp(-abs(logit));
            let loss = max(logit, vec4<f32>()) - logit * pixel + log(1.0 + e);
            let mean = select(e, vec4<f32>(1.0), logit >= vec4<f32>()) / (1.0 + e);
            let counts = real(col) & vec4<bool>(row < record.rows);
            dlogits[at] = select(vec4<f32>(), (mean - pixel) * record.loss_scale, counts);
            part = dot(select(vec4<f32>(), loss, counts), vec4<f32>(1.0));
"
        )
    };
}
const BERNOULLI_FLOATS: &str = bernoulli!("images[row * p.other_stride / 4u + col / 4u]");
const BERNOULLI_BYTES: &str =
    bernoulli!("levels(pixels[image[row] * p.other_stride / 4u + col / 4u])");

const BACKWARD_DRAW: &str = "\
            let weight = record.kl_weight * record.loss_scale;
            let inside = row < record.rows;
            for (var k = 0u; k < 4u; k++) {
                let j = col + k;
                if j >= p.inside { break; }
                let mu = h[row * p.c_stride + j];
                let raw = h[row * p.c_stride + p.latent + j];
                let log_var = clamp_log_var(raw);
                let along = value[k] * eps[row * p.other_stride + j] * exp(0.5 * log_var);
                let half = 0.5 * (along + weight * (log_var + excess(log_var)));
                let free = inside && raw == log_var;
                dh[row * p.c_stride + j] = select(0.0, value[k] + weight * mu, inside);
                dh[row * p.c_stride + p.latent + j] = select(0.0, half, free);
            }
";

const ADAM: &str = "
// The new weights and moments of four elements, unless the guard is set. What would not be finite
// is kept, as is what has a gradient of 2⁶⁴ or more.
fn update(at: u32, sums: vec4<f32>, live: bool) {
    if !live { return; }
    let w = load(weights[at]);
    let m = load(first[at]);
    let v = load(second[at]);
    let updated = adam_of(p.decoupled, sums, w, m, v);
    let large = (bitcast<vec4<u32>>(sums) & vec4<u32>(0x7fffffffu)) >= vec4<u32>(0x5f800000u);
    weights[at] = store(select(updated.weight, w, large));
    first[at] = store(select(updated.first, m, large));
    second[at] = store(select(updated.second, v, large));
    if updated.broken || any(large) {
        atomicOr(&guard_words[1], select(4u, 2u, any(large)));
    }
}
";

/// Read before anything is updated: what this dispatch finds goes to the guard's other word.
const LIVE: &str = "    let live = atomicLoad(&guard_words[0]) == 0u;\n";
