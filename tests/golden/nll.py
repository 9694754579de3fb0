"""The importance-weighted NLL of a classic run's weights, computed by PyTorch alone.

    python3 tests/golden/nll.py WEIGHTS.safetensors [--samples 5000] [--limit 10000] [--seed 1]

Reads the weights that `elbo export` writes and MNIST's test images in assets/mnist (grey pixels), and prints one
JSON object to hold against `elbo evaluate RUN --samples 5000 --json`. Written from Burda et al. 2016, equation 8:
log p(x) is about log 1/K sum p(x|z) p(z) / q(z|x), z from q(z|x). Needs torch, numpy and safetensors.
"""
import argparse
import gzip
import json
import math
import pathlib
import time

import numpy
import torch
from safetensors.torch import load_file

arguments = argparse.ArgumentParser()
arguments.add_argument("weights")
arguments.add_argument("--samples", type=int, default=5000)
arguments.add_argument("--limit", type=int, default=10000)
arguments.add_argument("--seed", type=int, default=1)
arguments = arguments.parse_args()

file = pathlib.Path(__file__).parents[2] / "assets/mnist/t10k-images-idx3-ubyte.gz"
pixels = numpy.frombuffer(gzip.open(file).read()[16:], numpy.uint8).reshape(-1, 784)
images = torch.from_numpy(pixels[: arguments.limit].astype(numpy.float32)) / 255
weights = load_file(arguments.weights)
layer = lambda name, x: torch.nn.functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
normal = lambda mean, std: torch.distributions.Normal(mean, std)

torch.manual_seed(arguments.seed)
start, logs, elbos = time.time(), [], []
with torch.no_grad():
    for x in images.split(100):
        hidden = torch.relu(layer("fc1", x))
        posterior = normal(layer("fc21", hidden), torch.exp(0.5 * layer("fc22", hidden)))
        terms = []
        for some in torch.arange(arguments.samples).split(50):
            z = posterior.sample((len(some),))
            logits = layer("fc4", torch.relu(layer("fc3", z)))
            nll = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, x.expand_as(logits), reduction="none"
            ).sum(-1)
            ratio = normal(0.0, 1.0).log_prob(z).sum(-1) - posterior.log_prob(z).sum(-1)
            terms.append((ratio - nll).double())
        terms = torch.cat(terms)
        logs.append(torch.logsumexp(terms, 0) - math.log(arguments.samples))
        elbos.append(terms.mean(0))
logs, elbos = torch.cat(logs), torch.cat(elbos)
print(json.dumps({
    "nll": -logs.mean().item(), "loss": -elbos.mean().item(), "images": len(logs),
    "samples": arguments.samples, "seconds": time.time() - start, "torch": torch.__version__,
}))
