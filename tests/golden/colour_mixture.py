"""−log p of colour images under a mixture of discretised logistics, computed by PyTorch in float64; writes
colour_mixture.safetensors beside itself.

    python colour_mixture.py

This is the form of Salimans et al. (2017, section 2.1 and 2.2), with numbers from −1 to 1, without floors: all channels of a
place share the component, the mean of green follows the true red by c0, that of blue the true red and green by c1 and c2, each
c a tanh. More channels go on alike. What the decoder makes is in this crate's units, from 0 to 1, where locations m and
log-scales log s stand for 2 m − 1 and log 2 s, and in its layout [rows, blocks, places]: of all components logits, the locations
of the first channel, of the second, ..., the log-scales likewise, which stay from −8 to 8, then the coefficients of the second
channel by the first, of the third by the first, of the third by the second, .... Inputs are those of README.md: v = value(k + 1, i)
for case k, as SCALED says, and levels of value(k + 101, i), of which the first two places of the first row are the ends.

Stored are `K.nll` [rows], in nats, and `K.gradient`, of the sum over the rows, for case K.
Made with PyTorch 2.15.0, numpy 2.4.6 and safetensors 0.8.0, on CPU.
"""

import math
import pathlib

import torch
from safetensors.numpy import save_file
from torch.nn.functional import logsigmoid

from golden import fill

# Rows, places, channels, components, levels, and the middle and the reach of the log-scales; as in tests/adapter/colour.rs.
CASES = [
    (3, 6, 3, 4, 256, -2.0, 3.0),
    (2, 5, 3, 1, 2, 0.0, 2.0),
    (2, 7, 3, 3, 32, -4.0, 6.0),
    (2, 4, 1, 3, 256, -3.0, 3.0),
    (2, 3, 4, 2, 256, 3.0, 6.0),
]
# The middle and the reach of logits, locations and coefficients.
LOGITS, LOCATIONS, COEFFICIENTS = (0.0, 3.0), (0.5, 0.9), (0.0, 2.5)


def log_bin(x, mean, log_scale, levels):
    """log of σ((x + h − mean) / s) − σ((x − h − mean) / s), where 2 h is the distance of two levels; the ends are open."""
    h, s = 1 / (levels - 1), log_scale.exp()
    upper, lower = (x + h - mean) / s, (x - h - mean) / s
    # Where both are near 1, the same difference of 1 − σ, which is σ of the negative.
    flip = lower > 0
    high, low = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
    between = logsigmoid(high) + torch.log1p(-torch.exp(logsigmoid(low) - logsigmoid(high)))
    return torch.where(x <= -1 + h, logsigmoid(upper), torch.where(x >= 1 - h, logsigmoid(-lower), between))


def log_prob(made, x, channels, components, levels):
    """log p of each place; made is [rows, blocks, places] and x [rows, places, channels], from −1 to 1."""
    logits, *blocks = made.split(components, dim=1)
    coefficients = iter(blocks[2 * channels :])
    joint = torch.log_softmax(logits, dim=1)
    for c in range(channels):
        mean = 2 * blocks[c] - 1
        for before in range(c):
            mean = mean + torch.tanh(next(coefficients)) * x[:, None, :, before]
        log_scale = blocks[channels + c].clamp(-8, 8) + math.log(2)
        joint = joint + log_bin(x[:, None, :, c], mean, log_scale, levels)
    return torch.logsumexp(joint, dim=1)


def main():
    made = {}
    for k, (rows, places, channels, components, levels, middle, reach) in enumerate(CASES):
        pairs = channels * (channels - 1) // 2
        kinds = [LOGITS] + [LOCATIONS] * channels + [(middle, reach)] * channels + [COEFFICIENTS] * pairs
        middles, reaches = torch.tensor(kinds, dtype=torch.float64).repeat_interleave(components, dim=0).T[..., None]
        given = fill(k + 1, (rows, components * len(kinds), places), 1.0) * reaches + middles
        given.requires_grad_(True)
        level = torch.round((fill(k + 101, (rows, places, channels), 1.0) + 1) / 2 * (levels - 1))
        level[0, 0], level[0, 1] = 0, levels - 1
        x = 2 * level / (levels - 1) - 1
        nll = -log_prob(given, x, channels, components, levels).sum(1)
        nll.sum().backward()
        made[f"{k}.nll"] = nll.detach().numpy()
        made[f"{k}.gradient"] = given.grad.contiguous().numpy()
    save_file(made, pathlib.Path(__file__).with_name("colour_mixture.safetensors"))


if __name__ == "__main__":
    main()
