"""Trains the model of an elbo configuration in PyTorch alone, and says what came of it on MNIST's test images.

    python pytorch.py CONFIG.toml [--nll 1000] [--limit-test 10000]

An outside witness of whole runs: the same data, network, first values' distribution, objective, optimiser and number of
epochs, but none of elbo's code or random numbers. Prints one JSON object with the test loss (-ELBO, one sampled z) and the
NLL by importance samples, nats per image, to hold against `elbo evaluate RUN --samples 1000 --json`. It knows the keys that
it reads below and refuses others. Written from Kingma and Welling 2014 (eq. 8, 10, appendix B), Burda et al. 2016 (eq. 8, 14) and
Tucker et al. 2018 (eq. 8, DReG). Needs Python 3.11, torch and numpy (measured with torch 2.15.0, numpy 2.4.6).
"""
import argparse
import gzip
import json
import math
import pathlib
import time
import tomllib

import numpy
import torch
from torch.nn import functional as F

MNIST = pathlib.Path(__file__).parents[2] / "assets/mnist"
KNOWN = {
    "model": {"encoder", "latent", "decoder", "activation", "likelihood", "init", "output-bias", "classes"},
    "objective": {"beta", "reduction", "samples", "importance", "gradient", "free-bits", "warmup-steps"},
    "optimizer": {"rule", "lr", "beta1", "beta2", "epsilon"},
    "train": {"epochs", "batch-size", "seed", "pixels", "limit"},
}


def read(path):
    """The configuration; what it leaves out has elbo's default."""
    config = tomllib.loads(pathlib.Path(path).read_text())
    config.pop("published", None)
    for table, keys in config.items():
        unknown = set(keys) - KNOWN.get(table, set())
        assert not unknown, f"[{table}] {', '.join(sorted(unknown))}: not known to this script"
    flat = {key: value for keys in config.values() for key, value in keys.items()}
    assert flat.get("rule", "adam") == "adam" and flat.get("likelihood", "bernoulli") == "bernoulli"
    return flat


def idx(name, head):
    return numpy.frombuffer(gzip.open(MNIST / name).read()[head:], numpy.uint8)


def images(kind, limit=None):
    """Pixels in [0, 1] and one-hot labels."""
    pixels = idx(f"{kind}-images-idx3-ubyte.gz", 16).reshape(-1, 784)[:limit]
    labels = idx(f"{kind}-labels-idx1-ubyte.gz", 8)[:limit]
    return torch.from_numpy(pixels.astype(numpy.float32)) / 255, torch.from_numpy(labels.astype(numpy.int64))


class Vae(torch.nn.Module):
    def __init__(self, c, mean):
        super().__init__()
        self.classes, self.latent = c.get("classes", 0), c.get("latent", 20)
        self.activation = {"relu": torch.relu, "tanh": torch.tanh, "softplus": F.softplus}[c.get("activation", "relu")]
        chain = lambda sizes: torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        encoder, decoder = c.get("encoder", [400]), c.get("decoder", [400])
        self.encoder = chain([784 + self.classes, *encoder])
        self.heads = torch.nn.ModuleList(torch.nn.Linear(encoder[-1], self.latent) for _ in range(2))
        self.decoder = chain([self.latent + self.classes, *decoder])
        self.logits = torch.nn.Linear(decoder[-1], 784)
        if c.get("init", "pytorch") == "glorot":
            for layer in [*self.encoder, *self.heads, *self.decoder, self.logits]:
                torch.nn.init.xavier_uniform_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
        if c.get("output-bias", "init") == "data-mean":
            p = mean.clamp(0.001, 0.999)
            self.logits.bias.data = torch.log(p / (1 - p))

    def run(self, layers, x, y):
        if self.classes:
            x = torch.cat([x, y.expand(*x.shape[:-1], self.classes)], -1)
        for layer in layers:
            x = self.activation(layer(x))
        return x

    def encode(self, x, y):
        h = self.run(self.encoder, x, y)
        return self.heads[0](h), self.heads[1](h)

    def nll(self, z, x, y):
        logits = self.logits(self.run(self.decoder, z, y))
        return F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)


def gaussian(z, mu, log_var):
    return -0.5 * ((z - mu) ** 2 / log_var.exp() + log_var + math.log(2 * math.pi)).sum(-1)


def log_weights(model, z, mu, log_var, x, y):
    zero = torch.zeros_like(mu)
    return gaussian(z, zero, zero) - gaussian(z, mu, log_var) - model.nll(z, x, y)


def divergence(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


def objective(model, c, step, x, y):
    """What is minimised, of each image."""
    mu, log_var = model.encode(x, y)
    groups, k = c.get("samples", 1), c.get("importance", 1)
    z = mu + torch.randn(groups, k, *mu.shape) * torch.exp(0.5 * log_var)
    if k == 1:
        kl = divergence(mu, log_var)
        if floor := c.get("free-bits", 0.0):
            kl = kl.mean(0).clamp(min=floor).expand_as(kl)
        weight = c.get("beta", 1.0) * min(1.0, step / c["warmup-steps"] if c.get("warmup-steps") else 1.0)
        return model.nll(z, x, y).mean((0, 1)) + weight * kl.sum(-1)
    bound = lambda w: -(torch.logsumexp(w, 1) - math.log(k)).mean(0)
    if c.get("gradient", "standard") == "standard":
        return bound(log_weights(model, z, mu, log_var, x, y))
    assert c["gradient"] == "dreg"
    # The decoder's gradient is the bound's; the encoder's goes through z alone, by squared weights.
    w = log_weights(model, z, mu.detach(), log_var.detach(), x, y)
    share = torch.softmax(w.detach(), 1)
    z.register_hook(lambda grad: grad * share.unsqueeze(-1))
    return -(share * w).sum(1).mean(0) + (bound(w.detach()) + (share * w.detach()).sum(1).mean(0))


def binarise(pixels, generator=None):
    return torch.bernoulli(pixels, generator=generator)


def evaluate(model, c, samples, test, hot):
    pixels, labels = test
    generator = torch.Generator().manual_seed(99)
    if c.get("pixels", "grey") != "grey":
        pixels = binarise(pixels, generator)
    losses, nlls = [], []
    with torch.no_grad():
        for x, label in zip(pixels.split(100), labels.split(100)):
            y = hot(label)
            mu, log_var = model.encode(x, y)
            draw = lambda n: mu + torch.randn(n, *mu.shape) * torch.exp(0.5 * log_var)
            losses.append(model.nll(draw(1), x, y)[0] + divergence(mu, log_var).sum(-1))
            parts = [log_weights(model, draw(50), mu, log_var, x, y).double() for _ in range(samples // 50)]
            nlls.append(math.log(50 * len(parts)) - torch.logsumexp(torch.cat(parts), 0) if parts else losses[-1])
    return torch.cat(losses).mean().item(), torch.cat(nlls).mean().item()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("config")
    arguments.add_argument("--nll", type=int, default=1000)
    arguments.add_argument("--limit-test", type=int, default=10000)
    arguments = arguments.parse_args()
    c, start = read(arguments.config), time.time()
    torch.manual_seed(c.get("seed", 1))
    pixels, labels = images("train", c.get("limit") or None)
    model = Vae(c, pixels.mean(0))
    hot = lambda label: F.one_hot(label, c["classes"]).float() if c.get("classes") else None
    once = binarise(pixels) if c.get("pixels") == "binarised-once" else pixels
    optimizer = torch.optim.Adam(
        model.parameters(), c.get("lr", 1e-3), (c.get("beta1", 0.9), c.get("beta2", 0.999)), c.get("epsilon", 1e-8)
    )
    step = 0
    for _ in range(c.get("epochs", 10)):
        for rows in torch.randperm(len(once)).split(c.get("batch-size", 128)):
            x = binarise(once[rows]) if c.get("pixels") == "binarised" else once[rows]
            each = objective(model, c, step, x, hot(labels[rows]))
            loss = each.sum() if c.get("reduction", "sum") == "sum" else each.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    trained = time.time() - start
    loss, nll = evaluate(model, c, arguments.nll, images("t10k", arguments.limit_test), hot)
    print(json.dumps({
        "program": f"torch {torch.__version__}", "config": pathlib.Path(arguments.config).name, "loss": loss, "nll": nll,
        "samples": arguments.nll, "steps": step, "train_seconds": trained, "seconds": time.time() - start,
    }))


if __name__ == "__main__":
    main()
