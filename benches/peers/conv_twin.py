"""Trains a PyTorch twin of a convolutional model: the same net by `elbo export --out model.py`, the same first weights, data,
batches, rule and schedule, so that what both learn can be compared.

    python conv_twin.py --elbo target/release/elbo --data FOLDER --out FOLDER --preset conv-28 --set train.epochs=5

Everything behind --out goes to `elbo train`. It trains there too, in OUT/elbo; the twin's weights become the run OUT/torch.
`elbo evaluate` then judges both, so that the estimates are of one kind: it prints their JSON lines. Every image is mirrored with
probability a half if the run says `flip`. Needs torch and safetensors (measured with torch 2.15.0, safetensors 0.8.0).
"""

import argparse
import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys
import time
import tomllib

import numpy as np
import safetensors.torch
import torch
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests" / "golden"))
from colour_mixture import log_prob  # noqa: E402

# The scripts of golden numbers ask for one thread and for algorithms that repeat, which this one does not need.
torch.set_num_threads(os.cpu_count())
torch.use_deterministic_algorithms(False)


def model_of(path):
    """The network of a file that `elbo export` wrote, its maps with the channels last."""
    spec = importlib.util.spec_from_file_location("model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Vae().to(memory_format=torch.channels_last)


def loss_of(model, x, config):
    """The negative ELBO, summed over the batch."""
    mean, log_var = model.encode(x)
    z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
    made = model.outputs(z)
    if config["model"]["likelihood"] == "bernoulli":
        nll = F.binary_cross_entropy_with_logits(made, x, reduction="sum")
    else:
        nll = mixture_nll(made, x, model.channels, config["model"]["components"], config["model"]["levels"])
    return nll - 0.5 * (1 + log_var - mean * mean - log_var.exp()).sum()


def mixture_nll(made, x, channels, components, levels):
    """−log p of images under the colour mixture, in the form that tests/golden/colour_mixture.py has by the paper."""
    places = x.unflatten(1, (-1, channels))
    blocks = made.unflatten(1, (-1, places.shape[1]))
    return -log_prob(blocks, 2 * places - 1, channels, components, levels).sum()


def rate(config, steps, of):
    """The cosine from lr to 0 over all steps (Loshchilov and Hutter 2017), or lr."""
    lr = config["optimizer"]["lr"]
    if config["optimizer"]["schedule"] == "cosine":
        return lr * 0.5 * (1 + math.cos(math.pi * steps / of))
    return lr


def train(model, images, config):
    epochs, batch = config["train"]["epochs"], config["train"]["batch-size"]
    optimiser = torch.optim.Adam(model.parameters(), config["optimizer"]["lr"], eps=config["optimizer"]["epsilon"])
    each = len(images) // batch + (len(images) % batch > 0)
    steps, start = 0, time.perf_counter()
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(images))
        for rows in order.split(batch):
            x = images[rows].float() / 255
            if config["train"]["flip"]:
                lines = x.unflatten(1, (model.height, model.width, model.channels))
                mirrored = torch.rand(len(x), 1, 1, 1) < 0.5
                x = torch.where(mirrored, lines.flip(2), lines).flatten(1)
            if config["train"]["pixels"] == "binarised":
                x = torch.bernoulli(x)
            for group in optimiser.param_groups:
                group["lr"] = rate(config, steps, epochs * each)
            optimiser.zero_grad()
            loss = loss_of(model, x, config)
            loss.backward()
            optimiser.step()
            total, steps = total + loss.item(), steps + 1
        seconds = time.perf_counter() - start
        print(f"epoch {epoch + 1}: {total / len(images):.2f} nats, {(epoch + 1) * len(images) / seconds:.0f} images/s", flush=True)


def images_of(data):
    """The training images as rows of bytes; every tenth image of an .npz file is tested on, as elbo's are."""
    if data.suffix == ".npz":
        images = next(array for array in np.load(data).values() if array.ndim == 4)
        images = np.delete(images, np.s_[::10], axis=0)
        return torch.from_numpy(images.reshape(len(images), -1))
    return idx(data / "train-images-idx3-ubyte")


def idx(path):
    import gzip
    raw = path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read()
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).copy())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--elbo", required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--samples", default="")
    args, flags = parser.parse_known_args()

    def elbo(*words):
        return subprocess.run([args.elbo, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True).stdout

    training = ["train", "--device", "cpu", "--data", args.data, *flags]
    first, ours, theirs = (args.out / name for name in ("first", "elbo", "torch"))
    # A step of a rate that changes weights by 1e-30: the run holds the first values.
    elbo(*training, "--out", first, "--set", "optimizer.lr=1e-30", "--set", "optimizer.schedule=constant", "--set", "train.max-steps=1")
    elbo("export", first, "--out", args.out / "model.py")
    elbo("export", first, "--out", args.out / "first.safetensors")
    elbo(*training, "--out", ours)
    config = tomllib.loads((ours / "config.toml").read_text())
    model = model_of(args.out / "model.py")
    model.load_state_dict(safetensors.torch.load_file(args.out / "first.safetensors"))
    images = images_of(args.data)
    train(model, images[: config["train"]["limit"] or None], config)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    safetensors.torch.save_file(weights, args.out / "torch.safetensors")
    # A convolution does not say of which size the images are.
    size = f"data.image-size=[{model.height},{model.width},{model.channels}]"
    elbo("import", args.out / "torch.safetensors", "--out", theirs, "--config", ours / "config.toml", "--set", size)
    judge = ["--data", args.data, "--json"] + (["--samples", args.samples, "--limit", 1000] if args.samples else [])
    for run in (ours, theirs):
        print(json.dumps({"run": run.name} | json.loads(elbo("evaluate", run, *judge).splitlines()[-1])), flush=True)


if __name__ == "__main__":
    main()
