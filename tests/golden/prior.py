"""What PyTorch makes of learned priors, of several levels of z and of other families of posteriors: bounds, gradients, and 200 steps of training.

Writes prior.safetensors beside this script, or into the folder that is named. README.md lists the keys.
All inputs are made as `golden.py` makes them. Densities come from torch.distributions, the mixture from its
MixtureSameFamily; the ways of Roeder et al. 2017 and Tucker et al. 2018 are those of `bound.py`: what the
posterior's density has of the encoder is detached. What the prior has of it never is.
"""

import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from torch.distributions import AffineTransform, Categorical, Independent, Laplace, MixtureSameFamily, Normal
from torch.distributions import SigmoidTransform, TransformedDistribution, Uniform

from golden import NAMES, fill, images, make_weights, noise, write

PIXELS, HIDDEN, LATENT, BATCH, COUNT = 13, 7, 3, 5, 4
UNITS, HIGH = 4, 2
# Nats of each level that are free, which one of both has.
FREE = 0.75
STEPS = 200
# Kinds of two levels: each by the z drawn below, or from the top down.
DEEP = ("levels", "ladder")

# name: M groups, K under one logarithm, the encoder's gradient
VARIANTS = {
    "sampled1": (1, 1, "standard"),
    "stl1": (1, 1, "stl"),
    "miwae2x5": (2, 5, "standard"),
    "stl10": (1, 10, "stl"),
    "dreg2x5": (2, 5, "dreg"),
}


def above(scale):
    """The level above: 3-4-2 upwards, 2-4-3 downwards."""
    shapes = {
        "encoder.0.weight": (UNITS, LATENT), "encoder.0.bias": (UNITS,),
        "posterior.mean.weight": (HIGH, UNITS), "posterior.mean.bias": (HIGH,),
        "posterior.log_var.weight": (HIGH, UNITS), "posterior.log_var.bias": (HIGH,),
        "decoder.0.weight": (UNITS, HIGH), "decoder.0.bias": (UNITS,),
        "prior.mean.weight": (LATENT, UNITS), "prior.mean.bias": (LATENT,),
        "prior.log_var.weight": (LATENT, UNITS), "prior.log_var.bias": (LATENT,),
    }
    return {
        f"above.0.{name}": fill(seed, shape, scale / 2).requires_grad_(True)
        for seed, (name, shape) in enumerate(shapes.items(), start=31)
    }


def weights(kind, scale):
    w = make_weights(PIXELS, HIDDEN, LATENT, scale)
    if kind.startswith(DEEP):
        w |= above(scale)
    if kind.endswith("mixture"):
        latent = HIGH if kind.startswith(DEEP) else LATENT
        w["prior.components"] = fill(21, (COUNT, 2 * latent), 1.0).requires_grad_(True)
        w["prior.logits"] = fill(22, (COUNT,), 1.0).requires_grad_(True)
    if kind == "vamp":
        w["prior.pseudo_inputs"] = fill(23, (COUNT, PIXELS), 2.0).requires_grad_(True)
    return w


def family_of(kind, location, scale):
    """q of independent dimensions."""
    if kind == "laplace":
        return Laplace(location, scale)
    if kind == "logistic":
        base = Uniform(torch.zeros_like(location), torch.ones_like(location))
        return TransformedDistribution(base, [SigmoidTransform().inv, AffineTransform(location, scale)])
    return Normal(location, scale)


def encode(w, x):
    h = torch.relu(F.linear(x, w["fc1.weight"], w["fc1.bias"]))
    mean, log_var = (F.linear(h, w[f"{name}.weight"], w[f"{name}.bias"]) for name in ("fc21", "fc22"))
    assert log_var.abs().max() < 20.0  # the clamp does not come into play
    return mean, log_var


def through(w, path, ends, x):
    """A network of the level above, to the mean and the deviation of a normal."""
    h = torch.relu(F.linear(x, w[f"above.0.{path}.0.weight"], w[f"above.0.{path}.0.bias"]))
    mean, log_var = (
        F.linear(h, w[f"above.0.{ends}.{part}.weight"], w[f"above.0.{ends}.{part}.bias"]) for part in ("mean", "log_var")
    )
    assert log_var.abs().max() < 20.0
    return Normal(mean, (0.5 * log_var).exp())


def log_prior(w, z, eps):
    """log p(z) of one level, or of two log p(z | z above) and log p(z above) − log q(z above | z) at one z above each."""
    if "above.0.encoder.0.weight" not in w:
        return (prior_of(w).log_prob(z),)
    q = through(w, "encoder", "posterior", z)
    high = q.mean + eps * q.stddev
    own = through(w, "decoder", "prior", high).log_prob(z).sum(2)
    return own, of_highest(w, high) - q.log_prob(high).sum(2)


def of_highest(w, high):
    if "prior.components" in w:
        return prior_of(w).log_prob(high)
    return Normal(torch.zeros_like(high), torch.ones_like(high)).log_prob(high).sum(2)


def by_ladder(w, below, eps, high):
    """q(z | x, z above), the product of both ways' normals, z, log p(z | z above), and log p − log q of the z above."""
    mean, deviation = below
    top = through(w, "encoder", "posterior", mean)
    z_above = top.mean + high * top.stddev
    prior = through(w, "decoder", "prior", z_above)
    ours, theirs = deviation**-2, prior.stddev**-2
    q = Normal((mean * ours + prior.mean * theirs) / (ours + theirs), (ours + theirs) ** -0.5)
    z = q.mean + eps * q.stddev
    return q, z, (prior.log_prob(z).sum(2), of_highest(w, z_above) - top.log_prob(z_above).sum(2))


def prior_of(w):
    if "prior.components" in w:
        mean, log_var = w["prior.components"].chunk(2, 1)
        logits = w["prior.logits"]
    elif "prior.pseudo_inputs" not in w:
        return Independent(Normal(torch.zeros(LATENT, dtype=torch.float64), 1.0), 1)
    else:
        mean, log_var = encode(w, torch.sigmoid(w["prior.pseudo_inputs"]))
        logits = torch.zeros(COUNT, dtype=mean.dtype)
    parts = Independent(Normal(mean, (0.5 * log_var).exp()), 1)
    return MixtureSameFamily(Categorical(logits=logits), parts)


def bound_of(kind, w, x, eps, high, groups, importance):
    """The bound of each image, and what it is made of."""
    mean, log_var = (part.unsqueeze(1) for part in encode(w, x))
    deviation = (0.5 * log_var).exp()
    if kind.startswith("ladder"):
        q, z, of_prior = by_ladder(w, (mean, deviation), eps, high)
    else:
        q, z = family_of(kind, mean, deviation), mean + eps * deviation
        of_prior = log_prior(w, z, high)
    y = torch.relu(F.linear(z, w["fc3.weight"], w["fc3.bias"]))
    logits = F.linear(y, w["fc4.weight"], w["fc4.bias"])
    target = x.unsqueeze(1).expand_as(logits)
    log_p = -F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(2)
    log_q = q.log_prob(z).sum(2)
    log_w = log_p + sum(of_prior) - log_q
    shaped = log_w.reshape(-1, groups, importance)
    bound = (torch.logsumexp(shaped, 2) - math.log(importance)).mean(1)
    if kind.endswith("free"):
        # Each level has so many nats for nothing, of its mean over the minibatch.
        own, *above = of_prior
        levels = [(log_q - own).mean(), *(-of.mean() for of in above)]
        bound = bound - sum((FREE - level).clamp(min=0) for level in levels)
    return bound, (mean, deviation, z, log_p, log_q)


def run(kind, scale, groups, importance, way):
    w = weights(kind, scale)
    x, eps = images(1, BATCH, PIXELS), fill(5001, (BATCH, groups * importance, LATENT), 2.0)
    high = fill(6001, (BATCH, groups * importance, HIGH), 2.0)
    bound, (mean, deviation, z, log_p, log_q) = bound_of(kind, w, x, eps, high, groups, importance)
    loss = -bound.sum()
    grads = dict(zip(w, torch.autograd.grad(loss, list(w.values()), retain_graph=True)))
    if way != "standard":
        # By way of z, whose densities have no parameters of their own; and by those of the prior.
        stopped = {name: value.detach() for name, value in w.items()}
        prior = prior_of(stopped).log_prob(z)
        log_q = family_of(kind, mean.detach(), deviation.detach()).log_prob(z).sum(2)
        path = (log_p + prior - log_q).reshape(BATCH, groups, importance)
        share = torch.softmax(path, 2).detach()
        own = prior_of(w).log_prob(z.detach()).reshape(BATCH, groups, importance)
        if not own.requires_grad:
            own = own + 0 * w["fc1.bias"].sum()
        by_prior = -(share * own).sum(2).mean(1).sum()
        by_z = -((share**2 if way == "dreg" else share) * path).sum(2).mean(1).sum()
        names = [name for name in w if not name.startswith(("fc3", "fc4"))]
        of = [w[name] for name in names]
        ways = [torch.autograd.grad(loss, of, retain_graph=True, allow_unused=True) for loss in (by_z, by_prior)]
        for name, one, other in zip(names, *ways):
            parts = [part for part in (one, other) if part is not None]
            grads[name] = sum(parts)
    return -bound.detach(), grads


def train(kind):
    w = weights(kind, 0.5)
    adam = torch.optim.Adam(list(w.values()), lr=1e-3)
    losses = []
    for step in range(1, STEPS + 1):
        eps, high = noise(step, BATCH, LATENT).unsqueeze(1), fill(6000 + step, (BATCH, 1, HIGH), 2.0)
        bound, _ = bound_of(kind, w, images(step, BATCH, PIXELS), eps, high, 1, 1)
        loss = -bound.sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item() / BATCH)
    return torch.tensor(losses, dtype=torch.float64)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    folder = folder.parent if folder.is_file() else folder
    out = {}
    for kind in ("mixture", "vamp", "levels", "levels_mixture", "ladder", "ladder_mixture", "levels_free", "ladder_free", "laplace", "logistic"):
        for name, variant in VARIANTS.items():
            if kind.startswith(DEEP) and variant[2] != "standard":
                continue
            if kind.endswith("free") and variant[1] > 1:
                continue
            bound, grads = run(kind, 1.0, *variant)
            out[f"{kind}.{name}/bound"] = bound.numpy()
            for key, grad in grads.items():
                out[f"{kind}.{name}/grad.{key}"] = grad.numpy()
            print(f"{kind} {name}: {bound.mean():.6f} nats")
        losses = train(kind)
        out[f"{kind}.trained/loss"] = losses.numpy()
        print(f"{kind}: {losses[0]:.4f} to {losses[-1]:.4f} nats")
    write(folder / "prior.safetensors", out)


if __name__ == "__main__":
    main()
