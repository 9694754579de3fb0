"""Reads what elbo writes with the programs that it is written for: ONNX, ONNX Runtime, TensorBoard, safetensors,
Hugging Face's hub and, where it is installed, PyTorch.

    python3 -m venv venv && venv/bin/pip install -r tests/python/requirements.txt
    venv/bin/python tests/python/check.py target/debug/elbo             every check
    venv/bin/python tests/python/check.py target/release/elbo RUN       the files of a run of your own

Weights are made here, written as safetensors, imported, and exported as ONNX, for every activation, for zero to two
hidden layers with and without layer normalisation, for lists of layers that stand for themselves, for every likelihood,
and some for models that are told classes. What ONNX Runtime makes of the files is compared with the formulas in float64,
written here from the weights; so is what their Python files make of the same inputs, where PyTorch is: it takes four
times the room of all that `requirements.txt` lists, which is why it isn't there. A small run is trained for its event files. It ends with 1 at the first difference.
"""

import importlib.util
import itertools
import json
import logging
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

# The hub's package must ask nobody.
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import onnx
import onnxruntime
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index
from onnx import checker
from safetensors.numpy import load_file, save_file
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

# CI does without, and says so.
torch = None
if importlib.util.find_spec("torch"):
    import torch
    from safetensors.torch import load_file as load_tensors

MOST = 1e-5  # difference, of values up to 1; relative to larger ones
LOG_VAR_BOUNDS = (-30.0, 20.0)
LOG_MEAN_BOUNDS = (-60, 20)
PIXELS, SIDES, LATENT, CLASSES = 36, (6, 6), 3, 4

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky-relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softplus": lambda x: np.logaddexp(0, x),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
}


def require(holds, what):
    """Ends with what is wrong, unless it holds."""
    if not holds:
        sys.exit(f"error: {what}")


class Elbo:
    """The program, in a folder of its own."""

    def __init__(self, program, folder):
        self.program, self.folder = str(pathlib.Path(program).resolve()), folder

    def __call__(self, *flags):
        command = [self.program, *map(str, flags)]
        said = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=600)
        shown = " ".join(map(str, flags))
        require(said.returncode == 0, f"`elbo {shown}` ended with {said.returncode}: {said.stderr}")
        return said.stdout


def names(encoder, decoder):
    """The names of layers: the encoder's hidden ones, mean, log-variance, the decoder's."""
    if (encoder, decoder) == (1, 1):
        return ["fc1"], "fc21", "fc22", ["fc3", "fc4"]
    hidden = [f"encoder.{i}" for i in range(encoder)]
    return hidden, "posterior.mean", "posterior.log_var", [f"decoder.{i}" for i in range(decoder + 1)]


def layers(model, entries, paths):
    """The layers of a list: the paths of their parameters, their words, and their numbers or lists of layers."""
    for path, entry in zip(paths, entries):
        if isinstance(entry, dict):
            yield path, "block", entry
            continue
        if isinstance(entry, str):
            word, _, number = entry.partition(" ")
            yield path, word, number
            continue
        yield path, "linear", entry
        if model.get("layer-norm"):
            yield f"{path}.norm", "norm", None
        yield path, model["activation"], None


def within(path, entry, way):
    """A list of layers of a block, and their paths."""
    entries = entry.get(way, [])
    return entries, [f"{path}.{way}.{i}" for i in range(len(entries))]


def make_weights(model, random):
    """Weights whose sums reach into every bend of an activation, and log-variances beyond their bounds."""
    weights = {}

    def make(path, inputs, outputs, scale=1.0):
        weights[f"{path}.weight"] = random.normal(0, 1.5 * scale / math.sqrt(inputs), (outputs, inputs))
        weights[f"{path}.bias"] = random.normal(0, scale, outputs)

    def convolve(path, channels, outputs, sides, scale=1.0):
        make(path, channels * math.prod(sides), outputs, scale)
        weights[f"{path}.weight"] = weights[f"{path}.weight"].reshape(outputs, channels, *sides)

    def network(entries, paths, units, sides=None):
        """The units of the last of the layers, and the sides of its map, if it is one; units of a map are its channels."""
        for path, word, number in layers(model, entries, paths):
            if word == "block":
                network(*within(path, number, "shortcut"), units, sides)
                units, sides = network(*within(path, number, "residual"), units, sides)
            if word == "pool":
                sides = tuple(side // int(number) for side in sides)
            if word == "attention":
                # Large scores would lose the digits of what they are of.
                convolve(f"{path}.in_proj", units, 3 * units, (1, 1), scale=0.3)
                convolve(f"{path}.out_proj", units, units, (1, 1))
            if word == "group-norm":
                weights[f"{path}.weight"] = random.normal(1, 0.5, units)
                weights[f"{path}.bias"] = random.normal(0, 0.5, units)
            if word == "conv":
                outputs, kernel, stride, padding, times = windows(number)
                convolve(path, units, outputs, kernel)
                sides = tuple((times * side + 2 * padding - taps) // stride + 1 for side, taps in zip(sides, kernel))
                units = outputs
            if word == "transposed":
                outputs, kernel, stride, padding, _ = windows(number)
                weights[f"{path}.bias"] = random.normal(0, 1, outputs)
                weights[f"{path}.weight"] = random.normal(
                    0, 1.5 * stride / math.sqrt(units * math.prod(kernel)), (units, outputs, *kernel)
                )
                sides = tuple((side - 1) * stride + taps - 2 * padding for side, taps in zip(sides or (1, 1), kernel))
                units = outputs
            if word == "map":
                *sides, units = map(int, number.split("x"))
            if word == "linear":
                make(path, units * math.prod(sides or ()), int(number))
                units, sides = int(number), None
            if word == "norm":
                weights[f"{path}.weight"] = random.normal(1, 0.5, units)
                weights[f"{path}.bias"] = random.normal(0, 0.5, units)
        return units, sides

    hidden, mean, log_var, back = names(len(model["encoder"]), len(model["decoder"]))
    classes = model.get("classes", 0)
    first = (1, SIDES) if has_map(model, "encoder") else (PIXELS + classes, None)
    units, sides = network(model["encoder"], hidden, *first)
    top = units * math.prod(sides or ())
    make(mean, top, LATENT)
    make(log_var, top, LATENT, scale=5.0)
    units, sides = network(model["decoder"], back, LATENT + classes)
    if sides and tuple(sides) == SIDES:
        convolve(back[-1], units, outputs(model), (3, 3))
    else:
        make(back[-1], units * math.prod(sides or ()), outputs(model) * PIXELS // together(model))
    if model.get("scale") == "shared":
        weights["likelihood.log_scale"] = np.array([-1.0])
    count = model.get("prior-components")
    if model.get("prior") == "mixture":
        weights["prior.components"] = random.normal(0, 1, (count, 2 * LATENT))
        weights["prior.logits"] = random.normal(0, 1, count)
    if model.get("prior") == "vamp":
        weights["prior.pseudo_inputs"] = random.normal(0, 1, (count, PIXELS))
    below = LATENT
    for place, level in enumerate(model.get("above", [])):
        for way, parts, ends in (("encoder", "posterior", (below, level["latent"])), ("decoder", "prior", (level["latent"], below))):
            paths = [f"above.{place}.{way}.{i}" for i in range(len(level[way]))]
            units, _ = network(level[way], paths, ends[0])
            make(f"above.{place}.{parts}.mean", units, ends[1])
            make(f"above.{place}.{parts}.log_var", units, ends[1])
        below = level["latent"]
    return {key: value.astype(np.float32) for key, value in weights.items()}


def has_map(model, part):
    """Whether a part of a model takes what it is given as a map."""
    return any(str(entry).startswith(("conv", "transposed")) for entry in model[part][:1])


def windows(number):
    """The outputs, the sides of a window, the stride, the padding and the upsampling of a convolution."""
    outputs, kernel, *more = number.split()
    sides = [int(side) for side in kernel.split("x")]
    down, right = sides if len(sides) == 2 else sides * 2
    more = dict(zip(more[::2], map(int, more[1::2])))
    padding = more.get("pad", (max(down, right) - 1) // 2)
    return int(outputs), (down, right), more.get("stride", 1), padding, more.get("upsample", 1)


def linear(weights, path, x, number=None):
    weight, bias = (weights[f"{path}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
    return x.reshape(len(x), -1) @ weight.T + bias


def convolved(weights, path, x, number):
    """Sums over windows of maps (n, height, width, channels) with zeros around them."""
    weight, bias = (weights[f"{path}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
    _, _, stride, padding, times = windows(number)
    x = x.repeat(times, 1).repeat(times, 2)
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ocij->nhwo", seen, weight) + bias


def spread(weights, path, x, number):
    """Each place of maps times the weights of each tap, added where the tap lies; a vector is a map of one place."""
    weight, bias = (weights[f"{path}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
    _, (down, right), stride, padding, _ = windows(number)
    x = x if x.ndim == 4 else x.reshape(len(x), 1, 1, -1)
    n, height, width, _ = x.shape
    made = np.zeros((n, (height - 1) * stride + down, (width - 1) * stride + right, weight.shape[1]))
    for i, j in itertools.product(range(down), range(right)):
        reached = made[:, i : i + (height - 1) * stride + 1 : stride, j : j + (width - 1) * stride + 1 : stride]
        reached += x @ weight[:, :, i, j]
    return made[:, padding : made.shape[1] - padding, padding : made.shape[2] - padding] + bias


def normalised(weights, path, x, number=None):
    """Ba et al. 2016, eq. 4."""
    gain, bias = (weights[f"{path}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
    apart = x - x.mean(1, keepdims=True)
    return gain * apart / np.sqrt((apart**2).mean(1, keepdims=True) + 1e-5) + bias


def group_normalised(weights, path, x, groups):
    """Wu and He 2018, eq. 1 to 7."""
    gain, bias = (weights[f"{path}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
    parts = x.reshape(len(x), x.shape[1] * x.shape[2], int(groups), -1)
    apart = parts - parts.mean((1, 3), keepdims=True)
    return gain * (apart / np.sqrt((apart**2).mean((1, 3), keepdims=True) + 1e-5)).reshape(x.shape) + bias


def pooled(weights, path, x, number):
    """Means of side x side places; what is left over counts in none."""
    side = int(number)
    down, right = x.shape[1] // side, x.shape[2] // side
    x = x[:, : down * side, : right * side]
    return x.reshape(len(x), down, side, right, side, -1).mean((2, 4))


def attended(weights, path, x, heads):
    """Vaswani et al. 2017, eq. 1, among the places of each map."""
    q, k, v = (
        part.reshape(len(x), x.shape[1] * x.shape[2], int(heads), -1)
        for part in np.split(convolved(weights, f"{path}.in_proj", x, "0 1x1"), 3, axis=-1)
    )
    scores = np.einsum("nqhc,nkhc->nhqk", q, k) / math.sqrt(q.shape[-1])
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    made = np.einsum("nhqk,nkhc->nqhc", shares / shares.sum(-1, keepdims=True), v)
    return convolved(weights, f"{path}.out_proj", made.reshape(x.shape), "0 1x1")


# What layers make of x, by their words. Dropout is of training alone.
LAYERS = {
    "linear": linear,
    "norm": normalised,
    "dropout": lambda weights, path, x, number: x,
    "conv": convolved,
    "transposed": spread,
    "group-norm": group_normalised,
    "pool": pooled,
    "attention": attended,
    "map": lambda weights, path, x, number: x.reshape(len(x), *map(int, number.split("x"))),
}


def run_through(weights, model, entries, paths, top):
    """What layers make of what they are given."""
    for path, word, number in layers(model, entries, paths):
        if word == "block":
            past, top = (
                run_through(weights, model, *within(path, number, way), top) for way in ("shortcut", "residual")
            )
            top = past + top
        else:
            top = ACTIVATIONS[word](top) if word in ACTIVATIONS else LAYERS[word](weights, path, top, number)
    return top


def through(weights, config, part, x):
    """What a part of the model makes of x, with its one-hot classes behind it if there are any, in float64."""
    model = config["model"]
    hidden, mean, log_var, back = names(len(model["encoder"]), len(model["decoder"]))
    top = x.astype(np.float64)
    if part == "encoder" and model["likelihood"] in COUNTS:
        top = np.log1p(top)
    if part == "encoder" and has_map(model, part):
        top = top.reshape(len(x), *SIDES, 1)
    top = run_through(weights, model, model[part], hidden if part == "encoder" else back, top)
    if part == "encoder":
        return {"mean": linear(weights, mean, top), "log_var": np.clip(linear(weights, log_var, top), *LOG_VAR_BOUNDS)}
    if top.ndim == 4 and top.shape[1:3] == SIDES:
        top = convolved(weights, back[-1], top, "0 3x3")
        made = top.reshape(len(x), PIXELS, -1).transpose(0, 2, 1).reshape(len(x), -1)
    else:
        made = linear(weights, back[-1], top)
    # Blocks of all pixels.
    return {"pixels": pixel_means(model, made.reshape(len(x), -1, made.shape[1] // outputs(model)))}


def log_prior(weights, config, z):
    """log p(z) of a learned prior, in float64: a mixture of normals of independent dimensions."""
    model = config["model"]
    if model["prior"] == "mixture":
        mean, log_var = np.split(weights["prior.components"].astype(np.float64), 2, 1)
        log_var, logits = np.clip(log_var, *LOG_VAR_BOUNDS), weights["prior.logits"].astype(np.float64)
    else:
        u = weights["prior.pseudo_inputs"].astype(np.float64)
        if model["likelihood"] in COUNTS:
            u = np.expm1(u)
        elif model["likelihood"] not in ("normal", "laplace"):
            u = sigmoid(u)
        posterior = through(weights, config, "encoder", u)
        mean, log_var, logits = posterior["mean"], posterior["log_var"], np.zeros(len(u))
    terms = -0.5 * ((z[:, None] - mean) ** 2 / np.exp(log_var) + log_var + np.log(2 * np.pi)).sum(2)
    terms += logits - np.log(np.exp(logits).sum())
    most = terms.max(1, keepdims=True)
    return most[:, 0] + np.log(np.exp(terms - most).sum(1))


def check_prior(weights, config, random, model):
    """How far the density of a module's prior is from float64; what it draws has the prior's means."""
    z = random.normal(0, 1, (9, LATENT))
    expected = log_prior(weights, config, z)
    with torch.no_grad():
        found = model.log_prior(torch.from_numpy(z.astype(np.float32))).numpy()
        log_weights, mean, log_var = model.components()
        drawn = model.sample(20_000)
    share = log_weights.exp()[:, None]
    middle = (share * mean).sum(0)
    variance = (share * (log_var.exp() + (mean - middle) ** 2)).sum(0)
    apart = ((drawn.mean(0) - middle).abs() / (variance / len(drawn)).sqrt()).max().item()
    require(apart < 6, f"what the prior draws is {apart:.1f} standard errors from its means")
    return (np.abs(found - expected) / np.maximum(1, np.abs(expected))).max()


def check_levels(weights, config, random, model):
    """How far what a module makes at levels above the first is from float64: posteriors, priors, and draws by the same noise."""
    config, worst, below = config["model"], 0.0, LATENT

    def level(place, way, parts, z):
        entries = config["above"][place][way]
        paths = [f"above.{place}.{way}.{i}" for i in range(len(entries))]
        top = run_through(weights, config, entries, paths, z)
        mean, log_var = (linear(weights, f"above.{place}.{parts}.{part}", top) for part in ("mean", "log_var"))
        return mean, np.clip(log_var, *LOG_VAR_BOUNDS)

    for place, of in enumerate(config["above"]):
        for way, parts, name, columns in (
            ("encoder", "posterior", f"encode_{place + 2}", below),
            ("decoder", "prior", f"prior_{place + 1}", of["latent"]),
        ):
            z = random.normal(0, 1, (9, columns)).astype(np.float32)
            with torch.no_grad():
                found = getattr(model, name)(torch.from_numpy(z))
            for values, expected in zip(found, level(place, way, parts, z.astype(np.float64))):
                worst = max(worst, compare(f"`{name}`", values.numpy(), expected))
        below = of["latent"]
    if config.get("inference") == "ladder":
        x = random.uniform(0, 1, (9, PIXELS)).astype(np.float32)
        given = [x] + ([np.eye(CLASSES, dtype=np.float32)[random.integers(0, CLASSES, 9)]] if "classes" in config else [])
        posterior = through(weights, {"model": config}, "encoder", np.concatenate(given, 1))
        up = [(posterior["mean"], posterior["log_var"])]
        for place in range(len(config["above"])):
            up.append(level(place, "encoder", "posterior", up[-1][0]))
        mean, log_var = up.pop()
        while up:
            (mean_up, of_up), (mean_down, of_down) = up.pop(), level(len(up), "decoder", "prior", mean)
            precision = np.exp(-of_up) + np.exp(-of_down)
            mean, log_var = (mean_up * np.exp(-of_up) + mean_down * np.exp(-of_down)) / precision, -np.log(precision)
        with torch.no_grad():
            found = model.encode(*map(torch.from_numpy, given))
        for values, expected in zip(found, (mean, log_var)):
            worst = max(worst, compare("`encode` of a ladder", values.numpy(), expected))
    with torch.no_grad():
        torch.manual_seed(7)
        found = model.sample(9).numpy()
        torch.manual_seed(7)
        z = torch.randn(9, below).double().numpy()
        for place in reversed(range(len(config["above"]))):
            mean, log_var = level(place, "decoder", "prior", z)
            z = mean + torch.randn(*mean.shape).double().numpy() * np.exp(0.5 * log_var)
    return max(worst, compare("`sample`", found, z))


COMPONENTS, LEVELS = 3, 5
LIKELIHOODS = {
    "bernoulli": {},
    "continuous-bernoulli": {},
    "normal": {},
    "laplace": {"scale": "shared"},
    "logistic": {"scale": "pixel"},
    "logistic-mixture": {"components": COMPONENTS},
    "colour-mixture": {"components": COMPONENTS},
    "categorical": {"levels": LEVELS},
    "poisson": {"mean": "free"},
    "negative-binomial": {"scale": "pixel"},
}
COUNTS = ("poisson", "negative-binomial")


# Of a mixture over colours the pixels are those of a small picture.
COLOUR_SIZE = (3, 4, 3)


def together(model):
    """How many pixels are modelled together."""
    return COLOUR_SIZE[2] if model["likelihood"] == "colour-mixture" else 1


def outputs(model):
    """How many numbers the decoder makes of what is modelled together."""
    likelihood = model["likelihood"]
    if likelihood == "colour-mixture":
        return 10 * model["components"]
    if likelihood == "logistic-mixture":
        return 3 * model["components"]
    if likelihood == "categorical":
        return model["levels"]
    return 2 if model.get("scale") == "pixel" else 1


def pixel_means(model, made):
    """The means of the pixels of what the decoder made, (n, outputs, pixels or places)."""
    likelihood = model["likelihood"]
    if likelihood == "colour-mixture":
        logits, red, green, blue, _, _, _, *coefficients = np.split(made, 10, axis=1)
        by_red, blue_by_red, by_green = np.tanh(coefficients)
        red = np.clip(red, 0, 1)
        green = np.clip(green + by_red * (red - 0.5), 0, 1)
        blue = np.clip(blue + blue_by_red * (red - 0.5) + by_green * (green - 0.5), 0, 1)
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        means = [(weight * colour).sum(axis=1) / weight.sum(axis=1) for colour in (red, green, blue)]
        return np.stack(means, axis=2).reshape(len(made), -1)
    if likelihood == "bernoulli":
        return sigmoid(made[:, 0])
    if likelihood == "continuous-bernoulli":
        # By integration, not by the formula.
        x = (np.arange(10000) + 0.5) / 10000
        density = np.exp(made[:, 0, :, None] * x - np.maximum(made[:, 0, :, None], 0))
        return (density * x).sum(-1) / density.sum(-1)
    if likelihood in ("normal", "laplace"):
        return made[:, 0]
    if likelihood in COUNTS and model.get("mean") == "free":
        return np.exp(np.clip(made[:, 0], *LOG_MEAN_BOUNDS))
    if likelihood in COUNTS:
        # Shares in the total, which is not known of weights that were imported.
        share = np.exp(made[:, 0] - made[:, 0].max(axis=1, keepdims=True))
        return share / share.sum(axis=1, keepdims=True)
    if likelihood == "logistic":
        return np.clip(made[:, 0], 0, 1)
    if likelihood == "logistic-mixture":
        logits, values, _ = np.split(made, 3, axis=1)
        values = np.clip(values, 0, 1)
    else:
        logits, values = made, np.linspace(0, 1, model["levels"])[:, None]
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (weight * values).sum(axis=1) / weight.sum(axis=1)


def compare(what, found, expected):
    require(found.shape == expected.shape, f"{what} has the shape {found.shape}, expected {expected.shape}")
    require(found.dtype == np.float32, f"{what} is {found.dtype}, expected float32")
    difference = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    at = np.unravel_index(np.nanargmax(difference), difference.shape)
    require(
        bool(np.all(difference <= MOST)),
        f"{what} at {tuple(map(int, at))} is {found[at]}, expected {expected[at]}, which is {difference[at]:.1e} apart",
    )
    return float(difference[at])


def torch_model(elbo, run, weights):
    """The module of a run's Python file with its weights, or nothing where there is no PyTorch."""
    path = pathlib.Path(elbo.folder) / "model.py"
    path.unlink(missing_ok=True)
    elbo("export", run, "--out", path)
    compile(path.read_text(encoding="utf-8"), path, "exec")
    if torch is None:
        return None
    spec = importlib.util.spec_from_file_location("model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.Vae()
    model.load_state_dict(load_tensors(weights), strict=True)
    return model.eval()


def by_torch(model, part, given):
    """What a module makes of the inputs of a part; what it makes of images has one row a row."""
    with torch.no_grad():
        given = [torch.from_numpy(value) for value in given.values()]
        if part == "decoder":
            return {"pixels": model.decode(*given).numpy()}
        whole, *posterior = model(*given)
        require(whole.shape == given[0].shape, f"images come back as {whole.shape}, not {given[0].shape}")
        mean, log_var = model.encode(*given)
        require(torch.equal(torch.stack(posterior), torch.stack((mean, log_var))), "`forward` has another posterior")
        return {"mean": mean.numpy(), "log_var": log_var.numpy()}


def check_part(elbo, run, part, weights, config, size, random, model=None):
    """Exports a part, has it checked, and compares its outputs, and those of a module, for three numbers of rows."""
    path = pathlib.Path(elbo.folder) / f"{part}.onnx"
    path.unlink(missing_ok=True)
    elbo("export", run, "--part", part, "--out", path)
    written = onnx.load(path)
    try:
        checker.check_model(written, full_check=True)
    except checker.ValidationError as e:
        sys.exit(f"error: {part} of {run}: ONNX's checker refuses it: {e}")
    require(written.producer_name == "elbo" and written.producer_version, f"{part} of {run}: no producer is named")
    about = {entry.key: entry.value for entry in written.metadata_props}
    require((about.get("height"), about.get("width")) == (str(size[0]), str(size[1])), f"{part} of {run}: {about}")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs, worst = session.get_inputs(), 0.0
    name, columns = ("x", math.prod(size)) if part == "encoder" else ("z", config["model"]["latent"])
    classes = config["model"].get("classes", 0)
    shape = [(i.name, i.type, i.shape) for i in inputs]
    wanted = [(name, columns)] + ([("y", classes)] if classes else [])
    wanted = [(name, "tensor(float)", ["n", columns]) for name, columns in wanted]
    require(shape == wanted, f"{part} of {run}: its inputs are {shape}")
    require(about.get("classes") == (str(classes) if classes else None), f"{part} of {run}: {about}")
    clamped = 0
    for rows in (1, 2, 17):
        x = random.random((rows, columns)) if part == "encoder" else random.normal(0, 1, (rows, columns))
        x = x.astype(np.float32)
        given = {name: x}
        if classes:
            given["y"] = np.eye(classes, dtype=np.float32)[random.integers(0, classes, rows)]
        expected = through(weights, config, part, np.concatenate(list(given.values()), 1))
        found = dict(zip([o.name for o in session.get_outputs()], session.run(None, given)))
        require(list(found) == list(expected), f"{part} of {run}: its outputs are {list(found)}")
        for output, values in expected.items():
            worst = max(worst, compare(f"`{output}` of {part} of {run}, {rows} rows", found[output], values))
        for output, values in (by_torch(model, part, given) if model else {}).items():
            what = f"PyTorch's `{output}` of {part} of {run}, {rows} rows"
            worst = max(worst, compare(what, values, expected[output]))
        if part == "encoder":
            clamped += int(np.isin(expected["log_var"], LOG_VAR_BOUNDS).sum())
    return worst, clamped


def in_toml(value):
    """A value in TOML, whose numbers, words and lists are JSON's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {in_toml(of)}" for key, of in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_toml, value)) + "]"
    return json.dumps(value)


def check_networks(elbo):
    random, worst, clamped, count, of_priors, of_levels = np.random.default_rng(5), 0.0, 0, 0, 0, 0
    # The fourth has different numbers of layers on both sides, the last layers that stand for themselves.
    shapes = [([], []), ([9], [8]), ([9, 7], [6, 8]), ([9], [])]
    shapes += [(["norm", "linear 9", "tanh", "silu", "dropout 0.2", 7], ["sigmoid", "linear 8", "norm", 6, "dropout 0.1"])]
    shapes += [
        (["conv 5 3x2 stride 2", "gelu", 7], [8, "map 2x4x1", "conv 3 2x3 pad 0", "relu"]),
        (["conv 3 4 stride 2", "conv 2 1", "tanh", 7], ["linear 18", "relu", "map 3x3x2", "conv 3 3x3 upsample 2", "silu"]),
        (
            [
                "conv 4 3x3", {"residual": ["group-norm 2", "relu", "conv 4 3x3"]}, "relu",
                {"residual": [{"residual": ["attention 2"]}, "conv 6 3x3 stride 2"], "shortcut": ["pool 2", "conv 6 1x1"]},
                {"residual": ["group-norm 3"]}, "tanh",
            ],
            [9, {"residual": [7, "linear 9"]}, "tanh", "linear 36", "map 6x6x1", {"residual": ["conv 2 3x3"], "shortcut": ["conv 2 1"]}, "tanh"],
        ),
        (
            ["conv 3 4 stride 2", "silu", "transposed 2 3 stride 2", "tanh", 7],
            ["transposed 4 3x2 pad 0", "relu", "transposed 3 4x6 stride 2 pad 1", {"residual": ["transposed 3 1"]}, "silu"],
        ),
    ]
    # Every activation with two likelihoods, and every likelihood with two activations; norms; classes.
    of = lambda a, l: a in ("relu", "gelu") or l in ("bernoulli", "normal")
    kinds = [(a, l, {}) for a, l in itertools.product(ACTIVATIONS, LIKELIHOODS) if of(a, l)]
    kinds += [(activation, "bernoulli", {"layer-norm": True}) for activation in ACTIVATIONS]
    kinds += [("relu", "bernoulli", {"classes": CLASSES})]
    # Learned priors, whose pseudo-inputs are what the encoder takes, after all others.
    priors = [("tanh", "normal", {"prior": "mixture", "prior-components": 5, "classes": CLASSES})]
    priors += [("relu", likelihood, {"prior": "vamp", "prior-components": 5}) for likelihood in ("bernoulli", "normal", "poisson")]
    # Levels of z above the first, the second without hidden layers, then.
    above = [{"encoder": [5], "latent": 3, "decoder": ["linear 4", "tanh"]}, {"encoder": [], "latent": 2, "decoder": [4, 6]}]
    levels = [("tanh", "bernoulli", {"above": above}), ("relu", "normal", {"above": above[:1], "classes": CLASSES})]
    levels += [("tanh", "bernoulli", {"above": above, "inference": "ladder", "classes": CLASSES})]
    families = [("tanh", "bernoulli", {"posterior": "laplace"}), ("relu", "normal", {"posterior": "logistic"})]
    every = itertools.chain(*(itertools.product(shapes, of) for of in (kinds, priors, levels, families)))
    for (encoder, decoder), (activation, likelihood, more) in every:
        if "layer-norm" in more and not encoder:
            continue
        if "classes" in more and has_map({"encoder": encoder}, "encoder"):
            continue
        # It would draw an encoder for each image.
        if more.get("prior") == "vamp" and any(str(entry).startswith("dropout") for entry in encoder):
            continue
        # The maps here are of grey pictures.
        if likelihood == "colour-mixture" and any(str(entry).startswith(("conv", "transposed", "map")) for entry in encoder + decoder):
            continue
        more = {**LIKELIHOODS[likelihood], **more}
        config = {
            "encoder": encoder, "latent": LATENT, "decoder": decoder, "activation": activation, "likelihood": likelihood,
            **more,
        }
        weights = make_weights(config, random)
        kind = "_".join([activation, likelihood, *more])
        run = f"{len(encoder)}_{len(decoder)}_{kind}"
        folder = pathlib.Path(elbo.folder)
        save_file(weights, folder / f"{run}.safetensors")
        toml = "".join(f"{key} = {in_toml(value)}\n" for key, value in config.items())
        objective = "[objective]\nkl = 'sampled'\n" if {"prior", "above", "posterior"} & set(more) else ""
        (folder / f"{run}.toml").write_text(f"[model]\n{toml}{objective}")
        size = COLOUR_SIZE if likelihood == "colour-mixture" else SIDES
        known = likelihood == "colour-mixture" or has_map(config, "encoder")
        told = ["--set", f"data.image-size={list(size)}"] if known else []
        elbo("import", f"{run}.safetensors", "--config", f"{run}.toml", "--out", run, *told)
        elbo("export", run, "--out", f"{run}_back.safetensors")
        back = load_file(folder / f"{run}_back.safetensors")
        require(set(back) == set(weights), f"{run}: the tensors are {sorted(back)}, expected {sorted(weights)}")
        for key, value in weights.items():
            require(np.array_equal(back[key], value), f"{run}: `{key}` is not what was imported")
        model = torch_model(elbo, run, folder / f"{run}_back.safetensors")
        # A ladder's encoder draws on its way.
        for part in ("decoder",) if "inference" in more else ("encoder", "decoder"):
            difference, bound = check_part(elbo, run, part, back, {"model": config}, size, random, model)
            worst, clamped, count = max(worst, difference), clamped + bound, count + 1
        if "prior" in more and model is not None:
            worst, of_priors = max(worst, check_prior(back, {"model": config}, random, model)), of_priors + 1
        if "above" in more and model is not None:
            worst, of_levels = max(worst, check_levels(back, {"model": config}, random, model)), of_levels + 1
    require(clamped > 0, "no log-variance was clamped, so that nothing was learned of it")
    print(f"{count} ONNX files: at most {worst:.1e} from float64, {clamped} log-variances clamped")
    if torch is None:
        print(f"Python files compile; there is no PyTorch here (`pip install torch`) that would run them")
    else:
        print(f"Python files by PyTorch {torch.__version__}, {of_priors} of learned priors, {of_levels} of levels: within the same difference")


def check_run(elbo, run):
    """The files of a run folder."""
    run = pathlib.Path(run)
    config = tomllib.loads((run / "config.toml").read_text())
    weights = load_file(run / "weights.safetensors")
    path = pathlib.Path(elbo.folder) / "all.safetensors"
    path.unlink(missing_ok=True)
    elbo("export", run, "--out", path)
    require(path.read_bytes() == (run / "weights.safetensors").read_bytes(), f"{run}: the exported weights are others")
    hidden, mean, _, _ = names(len(config["model"]["encoder"]), len(config["model"]["decoder"]))
    pixels = weights[f"{[*hidden, mean][0]}.weight"].shape[1] - config["model"].get("classes", 0)
    # The checkpoint's header says how an image's pixels lie.
    state = (run / "checkpoint.safetensors").read_bytes()
    header = json.loads(state[8:8 + int.from_bytes(state[:8], "little")])
    height, width = tomllib.loads(header["__metadata__"]["elbo"])["size"]
    require(height * width == pixels, f"{run}: {height}×{width} pixels, but `fc1` takes {pixels}")
    random, model = np.random.default_rng(6), torch_model(elbo, run, path)
    for part in ("encoder", "decoder"):
        worst, _ = check_part(elbo, run, part, weights, config, (height, width), random, model)
        print(f"{run.name}: {part}.onnx is at most {worst:.1e} from float64")
    check_events(run)
    check_card(run)


# The names in event files, and in metrics.jsonl.
SCALARS = {
    "train/loss": "train_loss", "train/recon": "train_recon", "train/kl": "train_kl",
    "test/loss": "test_loss", "test/recon": "test_recon", "test/kl": "test_kl",
    "test/loss_at_mean": "test_loss_at_mean", "test/active_units": "active_units",
}
STEPS = ("loss", "recon", "kl", "objective", "lr", "beta", "grad_norm")


def check_events(run):
    """Every epoch of metrics.jsonl once in the event files, with its numbers and its pictures."""
    def read(name):
        return [json.loads(line) for line in (run / name).read_text().splitlines()]

    lines = read("metrics.jsonl")
    epochs, logged = ([line for line in lines if line["event"] == event] for event in ("epoch", "step"))
    steps = [line["step"] for line in epochs]
    numbers = {tag: {line["step"]: line[key] for line in epochs} for tag, key in SCALARS.items()}
    numbers |= {f"step/{key}": {line["step"]: line[key] for line in logged} for key in STEPS if logged}
    # An epoch that was trained again has two times, of which the later counts; one of a single step has none.
    speeds = [line for line in read("timings.jsonl") if "images_per_s" in line and "event" not in line]
    speeds = {line["step"]: line["images_per_s"] for line in speeds}
    speeds = {step: speeds[step] for step in steps if speeds[step] is not None}
    numbers |= {"images_per_s": speeds} if speeds else {}
    numbers |= results(run, lines)
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
    events.Reload()
    tags = events.Tags()
    require(set(tags["scalars"]) == set(numbers), f"{run}: scalars {tags['scalars']}, expected {list(numbers)}")
    for tag, expected in numbers.items():
        found = events.Scalars(tag)
        at = [event.step for event in found]
        require(at == list(expected), f"{run}: `{tag}` has steps {at}, expected {list(expected)}")
        for event in found:
            value = expected[event.step]
            same = event.value == float(np.float32(value))
            require(same, f"{run}: `{tag}` is {event.value} at step {event.step}, expected {value}")
            require(event.wall_time > 1.7e9, f"{run}: `{tag}` was written at {event.wall_time}")
    require(set(tags["images"]) == {"images/reconstruction", "images/sample"}, f"{run}: the images are {tags['images']}")
    for tag in tags["images"]:
        found = events.Images(tag)
        require([e.step for e in found] == steps, f"{run}: `{tag}` has steps {[e.step for e in found]}, expected {steps}")
        for event, line in zip(found, epochs):
            png = (run / f"{tag}_{line['epoch']}.png").read_bytes()
            require(event.encoded_image_string == png, f"{run}: `{tag}` at step {event.step} is another picture")
            size = (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))
            require((event.width, event.height) == size, f"{run}: `{tag}` is {event.width}×{event.height}, not {size}")
    require(tags["histograms"] == ["test/kl_per_dimension"], f"{run}: the histograms are {tags['histograms']}")
    config = tomllib.loads((run / "config.toml").read_text())
    found = events.Histograms("test/kl_per_dimension")
    require([e.step for e in found] == steps, f"{run}: histograms of steps {[e.step for e in found]}, expected {steps}")
    for event, line in zip(found, epochs):
        histogram = event.histogram_value
        latent = config["model"]["latent"]
        require(histogram.num == sum(histogram.bucket) == latent, f"{run}: a histogram of {histogram.num}, not {latent}")
        limits = histogram.bucket_limit
        inside = limits == sorted(limits) and limits[-1] == histogram.max >= histogram.sum / latent >= histogram.min >= 0
        require(inside, f"{run}: a histogram up to {limits} of {histogram.min} to {histogram.max}")
        # The looked-at images are all those of the test here: their KL is the mean that is logged.
        if line["test_kl"] and count_of_test(config) <= 1000:
            apart = abs(histogram.sum - line["test_kl"]) / line["test_kl"]
            require(apart < 1e-4, f"{run}: the KL of all dimensions is {histogram.sum}, logged {line['test_kl']}")
    check_table(run, config, lines)
    print(f"{run.name}: {len(epochs)} epochs and {len(logged)} steps, {len(numbers)} scalars, 2 images, 1 histogram, hparams")


def count_of_test(config):
    """The images to test on, where they are IDX files that are not packed."""
    path = pathlib.Path(config["train"]["data"]) / "t10k-images-idx3-ubyte"
    return int.from_bytes(path.read_bytes()[4:8], "big") if path.exists() else math.inf


def results(run, lines):
    """The scalars that say what a run came to, if it did."""
    def ended(line):
        return line.get("event") == "end" and line["status"] in ("done", "patience")

    timings = [json.loads(line) for line in (run / "timings.jsonl").read_text().splitlines()]
    if not any(map(ended, timings)):
        return {}
    epochs = [line for line in lines if line["event"] == "epoch"]
    last = epochs[-1]
    per_epoch = epochs[0]["step"] / epochs[0]["epoch"]
    whole = [line["test_loss"] for line in epochs if line["step"] == per_epoch * line["epoch"]]
    found = {key: {last["step"]: last[f"test_{key}"]} for key in ("loss", "recon", "kl")}
    return {f"hparam/{key}": value for key, value in (found | {"best_loss": {last["step"]: min(whole)}}).items()}


def check_table(run, config, lines):
    """What TensorBoard's own backend shows in the table of hyperparameters."""
    events = plugin_event_multiplexer.EventMultiplexer()
    events.AddRunsFromDirectory(str(run.parent / run.name), name="run")
    events.Reload()
    provider = data_provider.MultiplexerDataProvider(events, str(run))
    about, request = backend_context.Context(Plugged(provider)), context.RequestContext()
    found = get_experiment.Handler(request, about, "", api_pb2.GetExperimentRequest()).run()
    wanted = {f"{table}.{key}" for table, keys in config.items() for key in keys}
    names = {info.name for info in found.hparam_infos}
    require(names == wanted, f"{run}: the keys of the table are others by {names ^ wanted}")
    metrics = [info.name.tag for info in found.metric_infos]
    require(metrics == [f"hparam/{key}" for key in ("loss", "recon", "kl", "best_loss")], f"{run}: metrics {metrics}")
    asked = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=9, allowed_statuses=list(api_pb2.Status.values()),
        col_params=[api_pb2.ColParams(metric=info.name) for info in found.metric_infos],
    )
    groups = list_session_groups.Handler(request, about, "", asked).run().session_groups
    require(len(groups) == 1, f"{run}: {len(groups)} rows in the table")
    for name, value in groups[0].hparams.items():
        table, key = name.split(".")
        chosen = config[table][key]
        kind = {bool: "bool_value", str: "string_value"}.get(type(chosen), "number_value")
        kind = "string_value" if isinstance(chosen, list) else kind
        if key in ("epochs", "max-steps"):
            # The table heeds the first of what is said of a run, and these may be other when it goes on.
            continue
        same = value.WhichOneof("kind") == kind
        require(same and (isinstance(chosen, list) or getattr(value, kind) == chosen), f"{run}: {name} is {value}, not {chosen}")
    came = results(run, lines)
    shown = {metric.name.tag: metric.value for metric in groups[0].metric_values}
    expected = {tag: float(np.float32(next(iter(value.values())))) for tag, value in came.items()}
    require(shown == expected, f"{run}: the table's metrics are {shown}, expected {expected}")
    status = groups[0].sessions[0].status
    require(not came or status == api_pb2.STATUS_SUCCESS, f"{run}: its status is {api_pb2.Status.Name(status)}")


class Plugged:
    """What the backend asks of TensorBoard."""

    def __init__(self, provider):
        self.data_provider, self.hparams_config = provider, None


def check_card(run):
    """The hub takes the front matter of the card, and gives back the losses that were logged last."""
    text = (run / "model-card.md").read_text()
    card = ModelCard.load(run / "model-card.md")
    front = yaml.safe_load(text.split("---\n")[1])
    require(card.data.to_dict() == front, f"{run}: the hub reads {card.data.to_dict()}, the card says {front}")
    require(card.data.library_name == "elbo" and "vae" in card.data.tags, f"{run}: the card's head is {front}")
    require(card.text.strip().startswith("# A variational autoencoder"), f"{run}: the card begins `{card.text[:80]}`")
    back = eval_results_to_model_index(card.data.model_name, card.data.eval_results)
    require(back == front["model-index"], f"{run}: the results come back as {back}, not {front['model-index']}")
    # A card that is pushed is made of what was read.
    again = ModelCard(card.content)
    require(again.data.to_dict() == front and again.text == card.text, f"{run}: the card comes back as another")
    last = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in last if line["event"] == "epoch"][-1]
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    for kind, key in (("negative-elbo", "loss"), ("reconstruction-loss", "recon"), ("kl-divergence", "kl")):
        expected = last[f"test_{key}"]
        require(abs(found[kind] - expected) <= 5e-5, f"{run}: `{kind}` is {found[kind]}, expected {expected}")
    print(f"{run.name}: {len(found)} results in the card's model-index")


def write_images(path, count, random):
    pixels = random.integers(0, 256, (count, 6, 7), dtype=np.uint8)
    path.write_bytes(b"".join(n.to_bytes(4, "big") for n in (0x0803, count, 6, 7)) + pixels.tobytes())


def train(elbo):
    """A small run of two epochs, stopped in the middle of the third, and gone on with after a kill tore its last record."""
    data, random = pathlib.Path(elbo.folder) / "data", np.random.default_rng(7)
    data.mkdir()
    for name, count in (("train", 60), ("t10k", 12)):
        write_images(data / f"{name}-images-idx3-ubyte", count, random)
    run = pathlib.Path(elbo.folder) / "run"
    flags = ("--hidden", "8", "--latent", "2", "--batch-size", "10", "--epochs", "4", "--max-steps", "15",
             "--log-every", "2")
    elbo("train", "--data", data, "--out", run, "--device", "cpu", "--quiet", *flags)
    check_events(run)
    last = max(run.glob("events.out.tfevents.*"))
    os.truncate(last, last.stat().st_size - 5)
    elbo("train", "--resume", run, "--device", "cpu", "--quiet", "--max-steps", "0")
    return run


def main():
    # A run that goes on makes TensorBoard say that it drops what was told before; that is checked here.
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        elbo = Elbo(sys.argv[1], folder)
        if len(sys.argv) == 3:
            check_run(elbo, pathlib.Path(sys.argv[2]).resolve())
            return
        check_networks(elbo)
        check_run(elbo, train(elbo))


main()
