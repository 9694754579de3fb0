"""What PyTorch makes of the bounds of several samples and of the ways to the encoder's gradient.

Writes bound.safetensors beside this script, or into the folder that is named. README.md lists the keys.
All inputs are made as `golden.py` makes them. Densities come from torch.distributions, and the ways of
Roeder et al. 2017 and Tucker et al. 2018 from their definitions: the density's parameters are detached.
"""

import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from golden import NAMES, fill, images, make_weights, write

PIXELS, HIDDEN, LATENT, BATCH = 13, 7, 3, 5
ENCODER = NAMES[:6]

# name: M groups, K under one logarithm, the encoder's gradient, and whether the KL is sampled
VARIANTS = {
    "elbo5": (5, 1, "standard", False),
    "sampled1": (1, 1, "standard", True),
    "stl1": (1, 1, "stl", True),
    "iwae50": (1, 50, "standard", True),
    "stl50": (1, 50, "stl", True),
    "dreg50": (1, 50, "dreg", True),
    "miwae4x5": (4, 5, "standard", True),
    "dreg4x5": (4, 5, "dreg", True),
}


def run(scale, groups, importance, way, sampled):
    w = make_weights(PIXELS, HIDDEN, LATENT, scale)
    x = images(1, BATCH, PIXELS)
    eps = fill(5001, (BATCH, groups * importance, LATENT), 2.0)
    h = torch.relu(F.linear(x, w["fc1.weight"], w["fc1.bias"]))
    mu = F.linear(h, w["fc21.weight"], w["fc21.bias"]).unsqueeze(1)
    log_var = F.linear(h, w["fc22.weight"], w["fc22.bias"]).unsqueeze(1)
    assert log_var.abs().max() < 20.0  # the clamp does not come into play
    posterior = Normal(mu, (0.5 * log_var).exp())
    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    z = mu + eps * (0.5 * log_var).exp()
    y = torch.relu(F.linear(z, w["fc3.weight"], w["fc3.bias"]))
    logits = F.linear(y, w["fc4.weight"], w["fc4.bias"])
    target = x.unsqueeze(1).expand_as(logits)
    log_p = -F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(2)

    def log_weights(q):
        return log_p + prior.log_prob(z).sum(2) - q.log_prob(z).sum(2)

    if sampled:
        log_w = log_weights(posterior).reshape(BATCH, groups, importance)
        bound = (torch.logsumexp(log_w, 2) - math.log(importance)).mean(1)
    else:
        bound = log_p.mean(1) - kl_divergence(posterior, prior).sum(2).squeeze(1)
    loss = -bound.sum()
    grads = dict(zip(NAMES, torch.autograd.grad(loss, list(w.values()), retain_graph=True)))
    if way != "standard":
        stopped = Normal(mu.detach(), (0.5 * log_var).exp().detach())
        path = log_weights(stopped).reshape(BATCH, groups, importance)
        share = torch.softmax(path, 2).detach()
        if way == "dreg":
            share = share**2
        surrogate = -(share * path).sum(2).mean(1).sum()
        through = torch.autograd.grad(surrogate, [w[name] for name in ENCODER])
        grads.update(zip(ENCODER, through))
    kl = kl_divergence(posterior, prior).sum(2).mean()
    return -bound.detach(), grads, kl.item()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    folder = folder.parent if folder.is_file() else folder
    out = {}
    for size, scale in (("small", 0.5), ("large", 1.0)):
        for name, variant in VARIANTS.items():
            bound, grads, kl = run(scale, *variant)
            out[f"{size}.{name}/bound"] = bound.numpy()
            for key, grad in grads.items():
                # Where only the encoder's gradient differs, the decoder's is that of the standard one.
                if variant[2] == "standard" or key in ENCODER:
                    out[f"{size}.{name}/grad.{key}"] = grad.numpy()
            print(f"{size} {name}: {bound.mean():.6f} nats, KL {kl:.3f}")
    write(folder / "bound.safetensors", out)


if __name__ == "__main__":
    main()
