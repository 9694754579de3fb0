"""−log p of pixels and its gradient under every family but Bernoulli's, computed by PyTorch in float64.

    python likelihood.py                 # writes likelihood.json beside this script
    python likelihood.py OTHER_FOLDER    # writes it there, to compare

Made with PyTorch 2.15.0 on CPU. Nothing is drawn by PyTorch: the inputs are sines, and they are stored, so
that the comparison starts from the same numbers. A case has what the decoder made (rows, blocks · pixels), the
pixels (rows, pixels), the scale, and of each row −log p in nats; `gradient` and `dlog_scale` are those of
the sum over the rows.

The densities are those of torch.distributions: ContinuousBernoulli, Normal, Laplace, Categorical, Poisson and
NegativeBinomial. `mean` says whether what the decoder made of counts are logarithms of means or the logits of their
shares in the total of the row (Lopez et al. 2018). The probability of a
bin of the logistic distribution is a difference of two values of its distribution function, taken by logsigmoid and
log1p from whichever tail keeps the digits.
"""
import json
import math
import pathlib
import sys

import torch
from torch.distributions import Categorical, ContinuousBernoulli, Laplace, NegativeBinomial, Normal, Poisson
from torch.nn.functional import logsigmoid

ROWS, PIXELS = 3, 5
COUNTS = ("poisson", "negative-binomial")
BOUNDS = (-8.0, 8.0)
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def wave(shape, seed, low, high):
    """Numbers from `low` to `high` that look like no rule of the kernel."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return (low + (high - low) * (0.5 + 0.5 * torch.sin(1.7 * i * i + 3.1 * i + seed))).reshape(shape)


def logistic(x, location, log_scale, levels):
    """log P of levels: the first and the last bin are open."""
    half, scale = 0.5 / (levels - 1), log_scale.exp()
    upper, lower = (x + half - location) / scale, (x - half - location) / scale
    # σ(a) − σ(b) = σ(−b) − σ(−a): where both are nearly 1, the mirror image keeps the digits.
    a, b = torch.where(lower > 0, -lower, upper), torch.where(lower > 0, -upper, lower)
    inner = logsigmoid(a) + torch.log(-torch.expm1(logsigmoid(b) - logsigmoid(a)))
    first, last = logsigmoid(upper), logsigmoid(-lower)
    return torch.where(x < half, first, torch.where(x > 1 - half, last, inner))


def log_prob(family, model, made, x, log_scale):
    """log p of each pixel; `made` is (rows, blocks, pixels)."""
    if family == "continuous-bernoulli":
        # Its own switch to a Taylor series is good for 5e-6 only; narrower it is good for float64 here.
        return ContinuousBernoulli(logits=made[:, 0], lims=(0.4999, 0.5001)).log_prob(x)
    if family == "categorical":
        level = torch.round(x * (model["levels"] - 1)).long()
        return Categorical(logits=made.movedim(1, 2)).log_prob(level)
    if family == "logistic-mixture":
        logits, locations, scales = made.chunk(3, dim=1)
        each = logistic(x[:, None], locations, scales.clamp(*BOUNDS), model["levels"])
        return torch.logsumexp(torch.log_softmax(logits, 1) + each, 1)
    if model["scale"] == "pixel":
        log_scale = made[:, 1].clamp(*BOUNDS)
    if family in COUNTS:
        log_mean = made[:, 0]
        if model["mean"] == "softmax":
            log_mean = torch.log_softmax(log_mean, 1) + x.sum(1, keepdim=True).log()
        if family == "poisson":
            return Poisson(log_mean.exp()).log_prob(x)
        # Its logits are those of the mean's share: log μ − log r.
        return NegativeBinomial(log_scale.exp(), logits=log_mean - log_scale).log_prob(x)
    if family == "logistic":
        return logistic(x, made[:, 0], log_scale.expand_as(x), model["levels"])
    density = {"normal": Normal, "laplace": Laplace}[family]
    return density(made[:, 0], log_scale.exp()).log_prob(x)


def case(family, scale="fixed", sigma=0.375, levels=256, components=3, mean=None):
    model = {"likelihood": family, "scale": scale, "sigma": sigma, "levels": levels, "components": components}
    if mean:
        model["mean"] = mean
    located = family in ("normal", "laplace", "logistic")
    blocks = {"categorical": levels, "logistic-mixture": 3 * components}.get(family, 1 + (scale == "pixel"))
    low, high = (-0.4, 1.4) if located else (-4.0, 4.0)
    made = wave((ROWS, blocks, PIXELS), 0.3, low, high)
    if family == "logistic-mixture":
        made[:, components : 2 * components] = wave((ROWS, components, PIXELS), 0.9, -0.4, 1.4)
    if family == "logistic-mixture" or blocks == 2:
        first = 2 * components if family == "logistic-mixture" else 1
        # Some past the upper bound.
        made[:, first:] = wave((ROWS, blocks - first, PIXELS), 1.3, -4.0, 9.0)
    if family == "continuous-bernoulli":
        # Where log C has few digits of its own, and steep ones: not beyond 6, where PyTorch's λ, near 1, has too few.
        made[0, 0] = torch.tensor([0.0, 0.02, -0.02, 6.0, -30.0])
    x = wave((ROWS, PIXELS), 2.1, 0.0, 1.0)
    if family in ("logistic", "logistic-mixture", "categorical"):
        x = torch.round(x * (levels - 1)) / (levels - 1)
        x[0, 0], x[0, 1] = 0.0, 1.0
    if family in COUNTS:
        # None, few and many.
        x = torch.floor(torch.exp(9.0 * x) - 1.0)
        x[0, 0], x[0, 1], x[2] = 0.0, 1.0, torch.floor(x[2] / 300)
    log_scale = torch.tensor(-0.7 if scale == "shared" else math.log(sigma), requires_grad=True)
    made.requires_grad_(True)
    nll = -log_prob(family, model, made, x, log_scale).sum(1)
    inputs = [made, log_scale] if scale == "shared" else [made]
    gradients = torch.autograd.grad(nll.sum(), inputs)
    line = lambda t: t.detach().reshape(-1).tolist()
    found = {"model": model, "made": line(made), "x": line(x), "nll": line(nll), "gradient": line(gradients[0])}
    if scale == "shared":
        found |= {"log_scale": log_scale.item(), "dlog_scale": gradients[1].item()}
    return found


cases = [case("continuous-bernoulli"), case("categorical", levels=7), case("logistic-mixture"),
         case("logistic-mixture", levels=4, components=1)]
for family in ("normal", "laplace", "logistic"):
    cases += [case(family, scale) for scale in ("fixed", "shared", "pixel")]
cases += [case("logistic", sigma=0.0009765625), case("logistic", levels=2)]
cases += [case("poisson", mean=mean) for mean in ("softmax", "free")]
cases += [case("negative-binomial", scale, mean=mean) for scale in ("fixed", "shared", "pixel") for mean in ("softmax", "free")]
cases += [case("negative-binomial", sigma=sigma, mean="free") for sigma in (0.0009765625, 900.0)]
folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
text = ",\n".join(json.dumps(c) for c in cases)
(folder / "likelihood.json").write_text(f"[\n{text}\n]\n")
